//! The response to breaches: rungs that are left when they are used up.

use crate::ir::Rung;

/// A ladder and how often each rung has been used. Nothing gives a use back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ladder {
    rungs: Vec<Rung>,
    uses: Vec<u64>,
}

impl Ladder {
    /// A ladder nobody has used. After a last rung that can be left comes `stop`.
    pub fn new(mut rungs: Vec<Rung>) -> Self {
        if rungs.last().is_none_or(|rung| rung.times.is_some()) {
            rungs.push(Rung::STOP);
        }
        let uses = vec![0; rungs.len()];
        Ladder { rungs, uses }
    }

    /// From the mildest on, the closing `stop` included where it was not written.
    pub fn rungs(&self) -> &[Rung] {
        &self.rungs
    }

    /// How often each rung has been used, in the order of the rungs.
    pub fn uses(&self) -> &[u64] {
        &self.uses
    }

    /// The rung that the next breach uses, and which use of it that will be, from 1.
    pub fn next_use(&self) -> (Rung, u64) {
        self.rungs
            .iter()
            .zip(&self.uses)
            .find(|(rung, uses)| rung.times.is_none_or(|times| **uses < times))
            .map_or((Rung::STOP, 1), |(rung, uses)| (*rung, uses.saturating_add(1)))
    }

    /// Counts one use of the current rung.
    pub(super) fn count_use(&mut self) {
        let open = self
            .rungs
            .iter()
            .zip(&mut self.uses)
            .find(|(rung, uses)| rung.times.is_none_or(|times| **uses < times));
        if let Some((_, uses)) = open {
            *uses = uses.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Action, default_response};
    use crate::quantity::Moment;

    #[test]
    fn a_rung_is_left_when_it_is_used_up() {
        let rung = |action, times| Rung {
            action,
            slow: false,
            times,
        };
        let mut ladder = Ladder::new(vec![rung(Action::Scale, Some(2)), rung(Action::Skip, Some(1))]);
        let mut seen = Vec::new();
        for _ in 0..5 {
            let (rung, number) = ladder.next_use();
            seen.push((rung.action, number));
            ladder.count_use();
        }
        assert_eq!(
            seen,
            [
                (Action::Scale, 1),
                (Action::Scale, 2),
                (Action::Skip, 1),
                (Action::Stop, 1),
                (Action::Stop, 2)
            ]
        );
        assert_eq!(ladder.uses(), [2, 1, 2]);
        assert_eq!(ladder.rungs().len(), 3);
    }

    #[test]
    fn a_rung_without_a_count_is_never_left() {
        let mut ladder = Ladder::new(vec![Rung {
            action: Action::Scale,
            slow: true,
            times: None,
        }]);
        for number in 1..1000 {
            assert_eq!(ladder.next_use().1, number);
            ladder.count_use();
        }
        assert_eq!(ladder.rungs().len(), 1);
    }

    #[test]
    fn nothing_written_is_the_default() {
        assert_eq!(Ladder::new(default_response(Moment::Update)).rungs().len(), 2);
        assert_eq!(
            Ladder::new(default_response(Moment::Update)).next_use().0.times,
            Some(20)
        );
        assert_eq!(Ladder::new(default_response(Moment::Evaluation)).rungs(), [Rung::STOP]);
    }
}
