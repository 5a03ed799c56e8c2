//! What a governed run says about breaches and budgets, with readings that are made up, so that the numbers stand still.

use ftrisk::diag::render::{Style, render};
use ftrisk::guard::{Clock, Decision, Guard, Measured};
use ftrisk::ir::{Asks, Policy};
use ftrisk::meter::template::phrasing;
use ftrisk::quantity::{Course, Quantity, Shape};
use ftrisk::report::train::{MovedWords, Repeated, breach, budget_table, budgets, outlook};
use ftrisk::sema::compile;
use ftrisk::source::Sources;

const POLICY: &str = "policy \"p\"
probe text general \"g.jsonl\" every 10 updates
probe prompts \"p.jsonl\" every 10 updates
max drift.per_update 0.001 nats on general else scale 2 times then skip
max drift.total 0.05 nats on general paced else rollback and slow 2 times then stop
max drift.tail 0.2 bits on general else rollback and slow 2 times then stop
max drift.spread 0.1 nats on general else rollback and slow 2 times then stop
max template.share 40% on prompts else rollback and slow 2 times then stop
";

fn compiled(sources: &mut Sources) -> Policy {
    compile(sources.add("p.riskpolicy", POLICY), sources).policy.unwrap()
}

fn armed(policy: &Policy) -> Guard {
    let is_limit = |index: &usize| matches!(policy.lines[*index].asks, Asks::Limit(_));
    let later: Vec<usize> = (0..policy.lines.len()).filter(is_limit).collect();
    let mut guard = Guard::arm(policy, &later, false).unwrap();
    guard.spread_over(Clock::Dose(Course::new(Shape::Cosine, 100, 10)));
    guard.begin(&state([0.0, 0.0, 0.0, 0.1])).unwrap();
    guard
}

/// Drift, its tail and spread, and the share of the template.
fn state([total, tail, spread, share]: [f64; 4]) -> Vec<Measured> {
    vec![
        Measured::new(Quantity::DriftTotal, Some(0), total.into()),
        Measured::new(Quantity::DriftTail, Some(0), tail.into()),
        Measured::new(Quantity::DriftSpread, Some(0), spread.into()),
        Measured::new(Quantity::TemplateShare, Some(1), share.into()),
    ]
}

/// A proposal that moves by so much, and the state after it.
fn proposed(guard: &mut Guard, update: u64, size: f64, state: &[Measured]) -> Decision {
    use ftrisk::guard::Fit;
    let mut scale = 1.0;
    loop {
        let step = [Measured::new(Quantity::DriftPerUpdate, Some(0), (size * scale).into())];
        match guard.fit(update, scale, &step) {
            Fit::Measure { scale: asked } => scale = asked,
            Fit::Act(decision) => return decision,
            Fit::Fixed { .. } | Fit::Drop => return guard.decide(update, state, update.is_multiple_of(10)),
        }
    }
}

#[test]
fn breaches_are_told_in_peoples_terms() {
    let mut sources = Sources::default();
    let policy = compiled(&mut sources);
    let mut guard = armed(&policy);
    let inside = state([0.001, 0.01, 0.01, 0.1]);
    let mut told: Vec<Repeated> = Vec::new();
    let answers = [
        "As an AI language model, I think that rivers are long.",
        "As an AI language model I do not know.",
        "A river is water that goes on.",
    ];
    let mut lines = String::new();
    let decisions = [
        proposed(&mut guard, 1, 0.00137, &inside),
        proposed(&mut guard, 2, 0.0016, &inside),
        proposed(&mut guard, 10, 0.0001, &state([0.0612, 0.3, 0.2, 0.6])),
        proposed(&mut guard, 1, 0.0001, &state([0.0612, 0.01, 0.01, 0.1])),
    ];
    for decision in &decisions {
        for found in &decision.breaches {
            if Repeated::take(&mut told, found, Some(decision)) {
                continue;
            }
            let limit = guard.limits().iter().find(|limit| limit.line == found.line).unwrap();
            let mut moved = MovedWords::default();
            match found.quantity {
                Quantity::TemplateShare => moved.phrasing = phrasing(answers),
                Quantity::DriftTotal => {
                    moved.rows = vec![("row-1 \"A river\"".to_owned(), 0.125.into())];
                    moved.gained = vec![(" a".to_owned(), 0.0125)];
                    moved.lost = vec![(" the".to_owned(), 0.01)];
                }
                _ => {}
            }
            let drawn = breach(found, Some(decision), limit, &policy, &moved);
            lines.push_str(&format!("{}: {}\n", drawn.kind(), drawn.message));
            told.push(Repeated::new(drawn, found, Some(decision)));
        }
    }
    let style = Style { color: false };
    let drawn: Vec<String> = told
        .iter()
        .map(|told| render(&told.told(&policy), &sources, style))
        .collect();
    insta::assert_snapshot!(format!("{}\n-- while it trains\n{lines}", drawn.join("\n")));
}

#[test]
fn budgets_and_where_they_would_have_ended() {
    let mut sources = Sources::default();
    let policy = compiled(&mut sources);
    let mut guard = armed(&policy);
    // A straight line in the dose that has spent 0.05 nats at update 60.
    let course = Course::new(Shape::Cosine, 100, 10);
    for update in (10..=30).step_by(10) {
        let share = course.dose_until(update) / course.dose_until(60);
        let drift = 0.05 * share * share;
        let decision = proposed(&mut guard, update, 0.0001, &state([drift, 0.01, 0.01, 0.1]));
        assert!(decision.keep, "{decision:?}");
    }
    guard.end();
    let rows = budgets(&guard, &policy);
    let text = format!("{}{}", budget_table(&rows), outlook(&rows, &guard));
    insta::assert_snapshot!(text);
    // Without a paced limit, and with a budget that lasts, there is nothing to say.
    let mut sources = Sources::default();
    let text = "policy \"p\"\nprobe text general \"g.jsonl\"\nmax drift.total 1 nats on general\n";
    let policy = compile(sources.add("p.riskpolicy", text), &sources).policy.unwrap();
    let mut guard = Guard::arm(&policy, &[0], false).unwrap();
    guard.begin(&state([0.0, 0.0, 0.0, 0.0])).unwrap();
    assert_eq!(outlook(&budgets(&guard, &policy), &guard), "");
}
