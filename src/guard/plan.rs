//! What has to be looked at for the readings that are due: each look once, and before whatever builds on it.

use petgraph::algo::toposort;
use petgraph::graphmap::DiGraphMap;
use petgraph::visit::{Dfs, Reversed};

use super::needs::Need;
use crate::quantity::{ProbeKind, Quantity};

/// Something about a state that costs work and that several meters share. A number is a probe: an index into the policy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Look {
    /// The trained matrices.
    Weights,
    /// Logits along given texts: a forward pass of the probe's tokens.
    Texts(usize),
    /// Logits along the answers that the base once gave to the prompts: a forward pass of prompts and answers.
    Continuations(usize),
    /// An answer to every prompt: one position after the other, so slower than its tokens tell.
    Samples(usize),
    /// Logits along those answers: a forward pass of prompts and answers.
    AlongSamples(usize),
    /// Log-probabilities of both answers of every pair: a forward pass of each.
    Answers(usize),
    /// The gradient of each sample of the batch that comes next: forward and backward of a batch.
    Gradients,
    /// Losses on as many training rows as the probe has: a forward pass of them.
    TrainingLosses(usize),
}

impl Look {
    /// What it costs a reading, in words.
    pub fn cost(self) -> &'static str {
        match self {
            Look::Weights => "no token: products of the adapter's matrices",
            Look::Texts(_) => "a forward pass of the probe's tokens",
            Look::Continuations(_) => {
                "a forward pass of the prompts with what the base answered; its answers are drawn once"
            }
            Look::Samples(_) => "an answer of 96 tokens to each prompt, one position after the other",
            Look::AlongSamples(_) => "the answers, and a forward pass of prompts and answers",
            Look::Answers(_) => "a forward pass of each prompt with each of its answers",
            Look::Gradients => "forward and backward of the batch, a row at a time",
            Look::TrainingLosses(_) => "a forward pass of as many training rows as the probe has",
        }
    }

    /// What it is made from, on the same state.
    fn from(self) -> Option<Look> {
        match self {
            Look::AlongSamples(probe) => Some(Look::Samples(probe)),
            _ => None,
        }
    }
}

/// What a quantity is read from, on a probe of this kind; `None` where nothing reads it. The one list of what is measured.
fn looks(quantity: Quantity, probe: Option<(usize, ProbeKind)>) -> Option<Vec<Look>> {
    use Quantity as Q;
    let found = match (quantity, probe) {
        (Q::DriftPerUpdate | Q::DriftTotal | Q::DriftTail | Q::DriftClipped | Q::DriftSpread, Some(on)) => match on {
            (probe, ProbeKind::Text) => vec![Look::Texts(probe)],
            (probe, ProbeKind::Prompts) => vec![Look::Continuations(probe)],
            _ => return None,
        },
        (Q::ConfidenceTop1 | Q::ConfidenceEntropy | Q::ConfidenceEce, Some((probe, ProbeKind::Text))) => {
            vec![Look::Texts(probe)]
        }
        (Q::MemorisationGap, Some((probe, ProbeKind::Text))) => vec![Look::Texts(probe), Look::TrainingLosses(probe)],
        (
            Q::DiversityDistinct1
            | Q::DiversityDistinct2
            | Q::DiversityDistinct3
            | Q::DiversitySelfBleu
            | Q::DiversityCompression
            | Q::TemplateShare
            | Q::ToneAbsolutes,
            Some((probe, ProbeKind::Prompts)),
        ) => vec![Look::Samples(probe)],
        (Q::DiversityEntropy, Some((probe, ProbeKind::Prompts))) => vec![Look::AlongSamples(probe)],
        (Q::BoundaryFlips, Some((probe, ProbeKind::Pairs))) => vec![Look::Answers(probe)],
        (Q::LoraEffectiveRank | Q::LoraStableRank | Q::MovementRelative, None) => vec![Look::Weights],
        (Q::BatchNoiseScale | Q::BatchTopShare | Q::BiasAmplification, None) => vec![Look::Gradients],
        _ => return None,
    };
    Some(found)
}

/// What readings of a quantity on a probe of this kind cost, in words; nothing where nothing reads it.
pub fn costs(quantity: Quantity, kind: Option<ProbeKind>) -> Vec<&'static str> {
    let looks = looks(quantity, kind.map(|kind| (0, kind))).unwrap_or_default();
    looks.into_iter().map(Look::cost).collect()
}

/// Whether this version reads a quantity on a probe of this kind while training; `None` asks for a reading without a
/// probe.
pub fn has_meter(quantity: Quantity, kind: Option<ProbeKind>) -> bool {
    looks(quantity, kind.map(|kind| (0, kind))).is_some()
}

/// Which looks each reading waits for.
#[derive(Debug, Clone)]
pub struct Plan {
    needs: Vec<Need>,
    /// An edge leads from a look to what is made from it.
    graph: DiGraphMap<Node, ()>,
    /// The looks, each after what it is made from.
    order: Vec<Look>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Node {
    Look(Look),
    /// A reading, by its place among the needs.
    Reading(usize),
}

impl Plan {
    /// The plan of these readings, on probes of these kinds. A reading that nothing reads has no look.
    pub fn new(needs: &[Need], kind: impl Fn(usize) -> Option<ProbeKind>) -> Plan {
        let mut graph = DiGraphMap::new();
        for (index, need) in needs.iter().enumerate() {
            let reading = graph.add_node(Node::Reading(index));
            let on = need.probe.and_then(|probe| Some((probe, kind(probe)?)));
            for look in looks(need.quantity, on).unwrap_or_default() {
                graph.add_edge(Node::Look(look), reading, ());
                let mut made = look;
                while let Some(from) = made.from() {
                    graph.add_edge(Node::Look(from), Node::Look(made), ());
                    made = from;
                }
            }
        }
        // A look is only ever made from an earlier kind of look, so there is no circle to fail on.
        let order = toposort(&graph, None).unwrap_or_default();
        let looks = order.into_iter().filter_map(|node| match node {
            Node::Look(look) => Some(look),
            Node::Reading(_) => None,
        });
        Plan {
            needs: needs.to_vec(),
            order: looks.collect(),
            graph,
        }
    }

    /// The looks that the readings `due` wait for, each once, in an order in which they can be made.
    pub fn looks(&self, due: impl Fn(&Need) -> bool) -> Vec<Look> {
        let backwards = Reversed(&self.graph);
        let mut search = Dfs::empty(backwards);
        for (index, _) in self.needs.iter().enumerate().filter(|(_, need)| due(need)) {
            search.stack.push(Node::Reading(index));
        }
        let mut wanted = std::collections::BTreeSet::new();
        while let Some(node) = search.next(backwards) {
            wanted.insert(node);
        }
        let is_wanted = |look: &Look| wanted.contains(&Node::Look(*look));
        self.order.iter().copied().filter(is_wanted).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::When;
    use crate::quantity::QUANTITIES;

    fn need(quantity: Quantity, probe: Option<usize>) -> Need {
        Need {
            quantity,
            probe,
            advice: false,
            moment: When::Evaluation,
            every: 50,
        }
    }

    fn kind(probe: usize) -> Option<ProbeKind> {
        ProbeKind::ALL.get(probe).copied()
    }

    #[test]
    fn everything_that_training_decides_has_a_meter_on_each_of_its_probes() {
        for quantity in QUANTITIES
            .iter()
            .filter(|quantity| !quantity.row().moment.is_before_training())
        {
            let kinds: Vec<Option<ProbeKind>> = match quantity.row().probes {
                [] => vec![None],
                kinds => kinds.iter().copied().map(Some).collect(),
            };
            for kind in kinds {
                assert!(has_meter(*quantity, kind), "{} on {kind:?}", quantity.name());
            }
        }
        assert!(!has_meter(Quantity::DriftTotal, None));
        assert!(!has_meter(Quantity::DriftTotal, Some(ProbeKind::Words)));
        assert!(!has_meter(Quantity::LearningRate, None));
    }

    #[test]
    fn only_what_is_due_is_looked_at_and_shared_looks_are_made_once() {
        let needs = [
            need(Quantity::DriftTotal, Some(0)),
            need(Quantity::ConfidenceTop1, Some(0)),
            need(Quantity::DiversityEntropy, Some(1)),
            need(Quantity::DiversityDistinct2, Some(1)),
            need(Quantity::LoraStableRank, None),
        ];
        let plan = Plan::new(&needs, kind);
        let all = plan.looks(|_| true);
        assert_eq!(all.len(), 4, "{all:?}");
        let place = |look| all.iter().position(|found| *found == look).unwrap();
        assert!(place(Look::Samples(1)) < place(Look::AlongSamples(1)));
        assert_eq!(
            plan.looks(|need| need.quantity == Quantity::DiversityEntropy),
            [Look::Samples(1), Look::AlongSamples(1)]
        );
        assert_eq!(
            plan.looks(|need| need.quantity == Quantity::DiversityDistinct2),
            [Look::Samples(1)]
        );
        assert_eq!(plan.looks(|_| false), []);
        assert_eq!(Plan::new(&[], kind).looks(|_| true), []);
    }
}
