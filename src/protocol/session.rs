//! The conversation with one training loop, as a state machine over lines.

use super::PROTOCOL;
use super::answer::{Answer, Breach, Due, budgets, is_per_update, limits, wanted};
use super::message::{Message, Reading};
use crate::guard::{Act, Decision, Fit, Guard, Measured, Need, When};
use crate::ir::Policy;
use crate::ledger::{self, Base, End, Entry, Journal, Number, Start, Try, Update, Why};
use crate::meter;
use crate::quantity::Finite;
use crate::source::Sources;

/// The exit code of a run that came to its own end.
const FINISHED: u8 = 0;
/// Of one that a limit ended or did not let start, or that was interrupted.
const ENDED: u8 = 1;
/// Of a loop that does not keep to the protocol.
const BROKEN: u8 = 2;

/// What is to be done about a line: first keep the record, then answer, then end if there is a code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// Lines for the journal, without newlines. They have to be kept before the loop is answered.
    pub record: Vec<String>,
    /// Lines for the loop, without newlines.
    pub lines: Vec<String>,
    /// The exit code, when the session is over.
    pub code: Option<u8>,
}

/// A session with a loop that trains under `policy`.
#[derive(Debug)]
pub struct Session<'p> {
    policy: &'p Policy,
    sources: &'p Sources,
    guard: Guard,
    journal: Journal,
    start: Option<Start>,
    stage: Stage,
    /// The number of the last proposal that was decided.
    last_update: u64,
    proposed: u64,
}

/// What the loop may say next.
#[derive(Debug)]
enum Stage {
    /// The base readings.
    Base,
    /// This update, or the end.
    Propose { update: u64 },
    /// The same proposal at another scale.
    Try { proposal: Proposal, asked: f64 },
    /// What was due.
    Decide { proposal: Proposal, is_fixed: bool },
    /// The end, and nothing else: the last update is decided.
    End,
    /// Nothing.
    Over,
}

impl Stage {
    fn next(&self) -> &'static str {
        match self {
            Stage::Base => "base",
            Stage::Propose { .. } | Stage::Try { .. } => "propose",
            Stage::Decide { .. } => "decide",
            Stage::End => "end",
            Stage::Over => "nothing",
        }
    }
}

/// A proposal under way.
#[derive(Debug)]
struct Proposal {
    update: u64,
    is_last: bool,
    loss: Option<meter::Reading>,
    rate: f64,
    tokens: u64,
    epoch: f64,
    tries: Vec<Try>,
}

impl Proposal {
    /// Whether the update is made of numbers, as far as the loop says.
    fn is_finite(&self) -> bool {
        self.loss != Some(meter::Reading::NotFinite)
    }
}

impl<'p> Session<'p> {
    /// Before the first line; `guard` is armed and has not begun. `start` is what the journal begins with.
    pub fn new(policy: &'p Policy, sources: &'p Sources, mut guard: Guard, start: Start) -> Self {
        guard.spread_over(start.clock());
        Session {
            policy,
            sources,
            guard,
            journal: Journal::new(),
            start: Some(start),
            stage: Stage::Base,
            last_update: 0,
            proposed: 0,
        }
    }

    /// The guard as it stands.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// The first line: what has to be read, and the limits in words.
    pub fn hello(&self) -> String {
        let answer = Answer::Hello {
            protocol: PROTOCOL,
            ftrisk: env!("CARGO_PKG_VERSION"),
            policy: &self.policy.name,
            needs: wanted(&self.guard, self.policy),
            limits: limits(&self.guard, self.policy, self.sources),
            clock: self.guard.is_paced().then(|| self.guard.clock().to_string()),
            due: self.due(|need| !is_per_update(need)),
        };
        answer.line()
    }

    /// Takes a line of the loop.
    pub fn line(&mut self, text: &str) -> Reply {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        let next = stage.next();
        match Message::read(text).and_then(|message| self.take(stage, message)) {
            Ok(reply) => reply,
            Err(message) => Session::broken(message, next),
        }
    }

    /// The loop is gone: nothing more will be said.
    pub fn close(&mut self) -> Reply {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Over => Reply::default(),
            _ => self.ended(Why::Interrupted, Reply::default()),
        }
    }

    /// What came is no line of text; `why` says so in a sentence.
    pub fn refuse(&mut self, why: &str) -> Reply {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        Session::broken(why.to_owned(), stage.next())
    }

    fn broken(message: String, next: &'static str) -> Reply {
        Reply {
            lines: vec![Answer::Error { message, next }.line()],
            code: Some(BROKEN),
            ..Reply::default()
        }
    }

    fn take(&mut self, stage: Stage, message: Message) -> Result<Reply, String> {
        match (stage, message) {
            (Stage::Base, Message::Base { readings }) => self.base(&readings),
            (
                Stage::Propose { update: next },
                Message::Propose {
                    update,
                    scale,
                    readings,
                    last,
                    loss,
                    rate,
                    tokens,
                    epoch,
                },
            ) => {
                let proposal = Proposal {
                    update: next,
                    is_last: last,
                    loss: loss.map(|loss| loss.0),
                    rate: rate.unwrap_or(0.0),
                    tokens: tokens.unwrap_or(0),
                    epoch: epoch.unwrap_or(0.0),
                    tries: Vec::new(),
                };
                self.propose(proposal, 1.0, update, scale, &readings)
            }
            (
                Stage::Try { proposal, asked },
                Message::Propose {
                    update,
                    scale,
                    readings,
                    ..
                },
            ) => self.propose(proposal, asked, update, scale, &readings),
            (Stage::Decide { proposal, is_fixed }, Message::Decide { update, readings }) => {
                self.decide(proposal, is_fixed, update, &readings)
            }
            (Stage::Propose { .. } | Stage::End, Message::End {}) => Ok(self.ended(Why::Finished, Reply::default())),
            (stage, message) => Err(format!(
                "`{}` cannot come here: `{}` is next",
                message.word(),
                stage.next()
            )),
        }
    }

    fn base(&mut self, readings: &[Reading]) -> Result<Reply, String> {
        let readings = self.measured(
            readings,
            |need| !is_per_update(need),
            "the base has no update to read it of",
        )?;
        let mut reply = Reply::default();
        if let Some(start) = self.start.take() {
            self.keep(&mut reply, &Entry::Start(Box::new(start)));
        }
        let base = Base {
            readings: self.written(&readings),
        };
        self.keep(&mut reply, &Entry::Base(base));
        if let Err(breaches) = self.guard.begin(&readings) {
            let decision = Decision {
                action: Act::Stop { to: 0 },
                slow: false,
                paced: 0,
                keep: false,
                stalled: false,
                breaches,
            };
            self.tell(&mut reply, 0, &decision, &readings, None);
            return Ok(self.ended(Why::NotStarted, reply));
        }
        self.stage = Stage::Propose { update: 1 };
        let ready = Answer::Ready {
            update: 1,
            rate_factor: self.rate_factor(),
        };
        reply.lines.push(ready.line());
        Ok(reply)
    }

    fn propose(
        &mut self,
        mut proposal: Proposal,
        asked: f64,
        update: u64,
        scale: f64,
        readings: &[Reading],
    ) -> Result<Reply, String> {
        if update != proposal.update {
            return Err(format!("update {} is next, not {update}", proposal.update));
        }
        if scale != asked {
            return Err(format!("update {update} is to be read at scale {asked}, not {scale}"));
        }
        let mut readings = self.measured(readings, is_per_update, "it belongs into `decide`")?;
        if !proposal.is_finite() {
            // Whatever was read, it was not read of numbers.
            let needs = self.guard.needs().iter().filter(|need| is_per_update(need));
            readings = needs.map(not_finite).collect();
        }
        proposal.tries.push(Try {
            scale: Finite::new(scale).unwrap_or(Finite::ZERO),
            readings: self.written(&readings),
        });
        let mut reply = Reply::default();
        let fit = self.guard.fit(update, scale, &readings);
        let complete = self.guard.is_complete(update, proposal.is_last);
        match fit {
            Fit::Measure { scale } => {
                reply.lines.push(Answer::Measure { update, scale }.line());
                self.stage = Stage::Try { proposal, asked: scale };
            }
            Fit::Fixed { .. } if !proposal.is_finite() => {
                // No limit is there to answer it, and nothing but numbers is ever committed.
                self.proposed = self.proposed.saturating_add(1);
                let decision = Decision {
                    action: Act::Stop { to: self.guard.kept() },
                    slow: false,
                    paced: 0,
                    keep: false,
                    stalled: false,
                    breaches: Vec::new(),
                };
                self.tell(&mut reply, update, &decision, &[], None);
                return Ok(self.ended(Why::NotFinite, reply));
            }
            Fit::Fixed { scale } => {
                let due = self.due(|need| self.is_due(need, &proposal, true));
                let fixed = Answer::Fixed {
                    update,
                    scale,
                    due,
                    complete,
                };
                reply.lines.push(fixed.line());
                self.stage = Stage::Decide {
                    proposal,
                    is_fixed: true,
                };
            }
            Fit::Drop => {
                let due = self.due(|need| self.is_due(need, &proposal, false));
                reply.lines.push(Answer::Drop { update, due, complete }.line());
                self.stage = Stage::Decide {
                    proposal,
                    is_fixed: false,
                };
            }
            Fit::Act(decision) => return Ok(self.decided(proposal, &decision, &[], &[], false)),
        }
        Ok(reply)
    }

    fn decide(
        &mut self,
        proposal: Proposal,
        is_fixed: bool,
        update: u64,
        readings: &[Reading],
    ) -> Result<Reply, String> {
        if update != proposal.update {
            return Err(format!("update {} is under way, not {update}", proposal.update));
        }
        let sent = self.measured(
            readings,
            |need| !is_per_update(need),
            "it was fixed before, by `propose`",
        )?;
        let complete = self.guard.is_complete(update, proposal.is_last);
        let mut readings = sent.clone();
        // The guard misses what is read at every update, and everything at a complete evaluation; the others that are
        // due now are missed here.
        for need in self.guard.needs() {
            let is_missed = complete || (is_fixed && need.moment == When::EveryUpdate);
            if !is_missed && self.is_due(need, &proposal, is_fixed) && !has(&sent, need) {
                readings.push(not_finite(need));
            }
        }
        let decision = self.guard.decide(update, &readings, complete);
        Ok(self.decided(proposal, &decision, &readings, &sent, complete))
    }

    /// Keeps the decision, says it, and goes on or ends.
    fn decided(
        &mut self,
        proposal: Proposal,
        decision: &Decision,
        readings: &[Measured],
        sent: &[Measured],
        complete: bool,
    ) -> Reply {
        let update = proposal.update;
        self.proposed = self.proposed.saturating_add(1);
        self.last_update = update;
        let entry = Entry::Update(Box::new(Update {
            update,
            epoch: Finite::new(proposal.epoch).unwrap_or(Finite::ZERO),
            rate: Finite::new(proposal.rate).unwrap_or(Finite::ZERO),
            loss: Number(proposal.loss.unwrap_or(meter::Reading::NotFinite)),
            tokens: proposal.tokens,
            tries: proposal.tries,
            readings: self.written(readings),
            complete,
            path: Vec::new(),
            suspect: None,
            decision: ledger::Decision::of(decision, self.policy),
        }));
        let mut reply = Reply::default();
        self.keep(&mut reply, &entry);
        let next = match decision.action {
            Act::Commit { .. } | Act::Skip if proposal.is_last => None,
            Act::Commit { .. } | Act::Skip => Some(update.saturating_add(1)),
            Act::Rollback { to } => Some(to.saturating_add(1)),
            Act::Stop { .. } => None,
        };
        self.tell(&mut reply, update, decision, sent, next);
        match (decision.action, next) {
            (Act::Stop { .. }, _) => return self.ended(Why::Stopped, reply),
            (_, Some(update)) => self.stage = Stage::Propose { update },
            (_, None) => self.stage = Stage::End,
        }
        reply
    }

    fn tell(&self, reply: &mut Reply, update: u64, decision: &Decision, sent: &[Measured], next: Option<u64>) {
        let breach = |breach: &crate::guard::Breach| {
            let was_sent = breach.quantity.row().moment == crate::quantity::Moment::Update
                || sent
                    .iter()
                    .any(|sent| (sent.quantity, sent.probe) == (breach.quantity, breach.probe));
            Breach::of(breach, was_sent, self.policy, self.sources)
        };
        let answer = Answer::Decision {
            update,
            action: ledger::Decision::of(decision, self.policy).action,
            rate_factor: self.rate_factor(),
            keep: decision.keep,
            stalled: decision.stalled,
            next,
            breaches: decision.breaches.iter().map(breach).collect(),
        };
        reply.lines.push(answer.line());
    }

    fn ended(&mut self, why: Why, mut reply: Reply) -> Reply {
        let began = self.start.is_none();
        let saved_from = (began && why != Why::NotStarted).then_some(self.guard.kept());
        if began {
            let end = Entry::End(End {
                why,
                update: self.last_update,
                saved_from,
            });
            self.keep(&mut reply, &end);
        }
        self.guard.end();
        let exit_code = if why == Why::Finished { FINISHED } else { ENDED };
        let summary = Answer::Summary {
            end: why,
            exit_code,
            proposed: self.proposed,
            saved_from,
            halvings: self.guard.halvings(),
            budgets: budgets(&self.guard, self.policy, self.sources),
            journal_head: self.journal.head(),
        };
        reply.lines.push(summary.line());
        reply.code = Some(exit_code);
        reply
    }

    fn keep(&mut self, reply: &mut Reply, entry: &Entry) {
        reply.record.push(self.journal.line(entry));
    }

    fn rate_factor(&self) -> f64 {
        0.5_f64.powi(i32::try_from(self.guard.halvings()).unwrap_or(i32::MAX))
    }

    /// Whether a need is read for `decide`: as training reads it, but of an unchanged state only at its evaluations.
    fn is_due(&self, need: &Need, proposal: &Proposal, is_fixed: bool) -> bool {
        let need = if is_fixed {
            *need
        } else {
            Need {
                moment: When::Evaluation,
                ..*need
            }
        };
        !is_per_update(&need) && self.guard.is_due(&need, proposal.update, proposal.is_last)
    }

    fn due(&self, which: impl Fn(&Need) -> bool) -> Vec<Due<'p>> {
        let needs = self.guard.needs().iter().filter(|need| which(need));
        needs.map(|need| Due::of(need, self.policy)).collect()
    }

    /// Readings as the guard takes them. Each answers a need for which `fits` holds; `else_why` says what is wrong with
    /// one that answers another need.
    fn measured(
        &self,
        readings: &[Reading],
        fits: impl Fn(&Need) -> bool,
        else_why: &str,
    ) -> Result<Vec<Measured>, String> {
        let mut all: Vec<Measured> = Vec::new();
        for reading in readings {
            let measured = reading.measured(self.policy)?;
            let named = || match measured.probe.and_then(|probe| self.policy.probes.get(probe)) {
                Some(probe) => format!("{} on {}", measured.quantity.name(), probe.name),
                None => measured.quantity.name().to_owned(),
            };
            let is_it = |need: &&Need| (need.quantity, need.probe) == (measured.quantity, measured.probe);
            let Some(need) = self.guard.needs().iter().find(is_it) else {
                return Err(format!("no limit under guard reads {}", named()));
            };
            if !fits(need) {
                return Err(format!("{} cannot be read here: {else_why}", named()));
            }
            if has(&all, need) {
                return Err(format!("{} is read twice", named()));
            }
            all.push(measured);
        }
        Ok(all)
    }

    fn written(&self, readings: &[Measured]) -> Vec<ledger::Reading> {
        readings
            .iter()
            .map(|measured| ledger::Reading::of(measured, self.policy))
            .collect()
    }
}

fn has(readings: &[Measured], need: &Need) -> bool {
    readings
        .iter()
        .any(|measured| (measured.quantity, measured.probe) == (need.quantity, need.probe))
}

fn not_finite(need: &Need) -> Measured {
    Measured::new(need.quantity, need.probe, meter::Reading::NotFinite)
}
