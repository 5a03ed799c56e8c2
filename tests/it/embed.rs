//! The guard around somebody's candle loop: what is scaled, taken back to the bit, stopped and refused.

use candle_core::{DType, Device, Tensor, Var};
use ftrisk::adapt::Launch;
use ftrisk::embed::{Builder, Governed, Stepped};
use ftrisk::guard::{Act, Cause};
use ftrisk::meter::Estimate;
use ftrisk::meter::kl::{Logits, forward_kl};
use ftrisk::quantity::Quantity;
use ftrisk::train::Result;
use ftrisk::train::optim::{AdamW, Matrices};

/// The example is a program of its own; here it has to end well.
#[path = "../../examples/embed.rs"]
mod example;

const RUN: &str = "model_name_or_path: table\nstage: sft\ndo_train: true\nfinetuning_type: lora\n";

fn policy(lines: &str) -> String {
    format!("policy \"p\" for stage sft\nprobe text general \"g.jsonl\" every 2 updates\n{lines}\n")
}

/// A table of logits with two rows; its gradient is whatever a test wants.
struct Model {
    table: Var,
}

impl Model {
    fn new() -> Model {
        let numbers = Tensor::new(&[[0.1f32, -0.2, 0.3], [0.0, 0.5, -0.5]], &Device::Cpu).unwrap();
        Model {
            table: Var::from_tensor(&numbers).unwrap(),
        }
    }

    fn values(&self) -> Vec<f32> {
        self.table.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn bits(&self) -> Vec<u32> {
        self.values().iter().map(|value| value.to_bits()).collect()
    }

    fn governed(&self, lines: &str, rate: f64, updates: u64) -> Result<Governed<'_>> {
        Builder::new(&policy(lines), RUN, Launch::default())?
            .rate(rate)
            .updates(updates)
            .optimizer(AdamW {
                beta2: 0.99,
                ..AdamW::default()
            })
            .text("general", || {
                Ok(vec![self.table.as_tensor().clone(), self.table.narrow(0, 0, 1)?])
            })
            .reading(Quantity::LoraEffectiveRank, None, || Ok(Estimate::exact(1.5.into())))
            .build(vec![self.table.clone()])
    }

    /// Σ weight × logit: the gradient is the weights.
    fn step(&self, governed: &mut Governed<'_>, weights: &[f32; 6]) -> Stepped {
        let weights = Tensor::from_slice(weights, (2, 3), &Device::Cpu).unwrap();
        let loss = (self.table.as_tensor() * weights).unwrap().sum_all().unwrap();
        governed.step(&loss.backward().unwrap()).unwrap()
    }
}

const GRADIENT: [f32; 6] = [1.0, -2.0, 0.5, 3.0, -0.25, 0.125];

fn bits(matrices: &Matrices) -> Vec<u32> {
    matrices.values().flatten().map(|value| value.to_bits()).collect()
}

/// The mean over the two texts of the probe: the whole table, and its first row.
fn drift(before: &[f32], now: &[f32]) -> f64 {
    let logits = |values| Logits { vocab: 3, values };
    let kl = |to: usize| forward_kl(logits(&before[..to]), logits(&now[..to]));
    (kl(6) + kl(3)) / 2.0
}

#[test]
fn the_example_runs_inside_its_budgets() {
    example::main().unwrap();
}

#[test]
fn inside_of_every_budget_it_is_adam_and_nothing_else() {
    let model = Model::new();
    let mut governed = model.governed("max drift.total 9 nats on general", 0.05, 3).unwrap();
    let (adam, mut moments, mut parameters) = (
        AdamW {
            beta2: 0.99,
            ..AdamW::default()
        },
        governed.moments().clone(),
        Matrices::from([("w".to_owned(), model.values())]),
    );
    for update in 1..=3 {
        assert_eq!(governed.next_update(), Some(update));
        let gradient = GRADIENT.map(|g| g / update as f32);
        let proposal = adam.propose(
            &moments,
            &parameters,
            &Matrices::from([("w".to_owned(), gradient.to_vec())]),
            0.05,
        );
        for (value, delta) in parameters.get_mut("w").unwrap().iter_mut().zip(&proposal.deltas["w"]) {
            *value = (f64::from(*value) + f64::from(*delta)) as f32;
        }
        moments = proposal.moments;
        assert_eq!(model.step(&mut governed, &gradient), Stepped::Committed { scale: 1.0 });
        assert_eq!(model.bits(), bits(&parameters));
        assert_eq!(bits(&governed.moments().second), bits(&moments.second));
    }
    assert_eq!(governed.next_update(), None);
    // The last update is evaluated, whatever the cadence.
    assert_eq!(governed.kept().unwrap(), 3);
    assert_eq!(model.bits(), bits(&parameters));
    let store = model.table.sum_all().unwrap().backward().unwrap();
    assert_eq!(governed.step(&store).unwrap_err().message, "the run is over");
}

#[test]
fn a_part_is_committed_where_the_whole_is_too_much() {
    let model = Model::new();
    let before = model.values();
    let bound = 0.001;
    let mut governed = model
        .governed(
            "max drift.per_update 0.001 nats on general else scale\nmax drift.total 1 nats on general",
            0.5,
            10,
        )
        .unwrap();
    let Stepped::Committed { scale } = model.step(&mut governed, &GRADIENT) else {
        panic!("{:?}", governed.decision())
    };
    assert!((1.0 / 64.0..1.0).contains(&scale), "{scale}");
    // AdamW's first step is the rate against the sign of the gradient.
    for ((old, new), gradient) in before.iter().zip(model.values()).zip(GRADIENT) {
        let expected = f64::from(*old) - scale * 0.5 * f64::from(gradient.signum());
        assert!((f64::from(new) - expected).abs() < 1e-6, "{new} {expected}");
    }
    let spent = |governed: &Governed<'_>, limit: usize| governed.guard().limits()[limit].spent.unwrap().last.as_f64();
    let moved = drift(&before, &model.values());
    assert!(moved <= bound && 4.5 * moved > bound, "{moved}");
    assert_eq!((spent(&governed, 0), spent(&governed, 1)), (moved, moved));
    // The next step is measured against where this one ended, the total against the base.
    let middle = model.values();
    model.step(&mut governed, &GRADIENT);
    assert_eq!(spent(&governed, 0), drift(&middle, &model.values()));
    assert_eq!(spent(&governed, 1), drift(&before, &model.values()));
    assert_eq!(governed.moments().step, 2);
}

#[test]
fn a_rollback_restores_variables_moments_and_the_place_to_the_bit() {
    let model = Model::new();
    let mut governed = model
        .governed(
            "max drift.per_update 9 nats on general\nmax drift.total 0.02 nats on general else rollback and slow 2 times then stop",
            0.05,
            1000,
        )
        .unwrap();
    let base = model.bits();
    let mut kept = (base.clone(), governed.moments().clone(), 0);
    let mut rollbacks = 0;
    let ended = loop {
        let update = governed.next_update().unwrap();
        let stepped = model.step(&mut governed, &GRADIENT);
        match stepped {
            Stepped::Committed { .. } if governed.decision().unwrap().keep => {
                kept = (model.bits(), governed.moments().clone(), update);
            }
            Stepped::Committed { .. } | Stepped::Skipped => {}
            Stepped::RolledBack { to } => {
                rollbacks += 1;
                assert_eq!(to, kept.2);
                assert_eq!(model.bits(), kept.0);
                assert_eq!(bits(&governed.moments().first), bits(&kept.1.first));
                assert_eq!(bits(&governed.moments().second), bits(&kept.1.second));
                assert_eq!(governed.moments().step, kept.1.step);
                assert_eq!(governed.next_update(), Some(to + 1));
                assert_eq!(governed.guard().halvings(), rollbacks);
            }
            Stepped::Stopped { to, not_finite } => break (to, not_finite),
        }
    };
    assert_eq!((ended, rollbacks), ((kept.2, false), 2));
    assert!(kept.2 >= 2, "{}", kept.2);
    assert_eq!((model.bits(), governed.next_update()), (kept.0, None));
    assert_ne!(model.bits(), base);
    assert_eq!(governed.kept().unwrap(), kept.2);
    // The same readings again after going back: the base and the kept state answer as they did.
    let spent = governed.guard().limits()[1].spent.unwrap().last.as_f64();
    let first: Vec<f32> = base.iter().map(|bits| f32::from_bits(*bits)).collect();
    assert_eq!(spent, drift(&first, &model.values()));
}

#[test]
fn a_gradient_that_is_not_finite_moves_nothing() {
    for bad in [f32::NAN, f32::INFINITY] {
        let model = Model::new();
        let before = model.bits();
        let mut governed = model
            .governed(
                "max drift.per_update 1 nats on general else skip 1 times then stop",
                0.1,
                10,
            )
            .unwrap();
        let mut gradient = GRADIENT;
        gradient[3] = bad;
        assert_eq!(model.step(&mut governed, &gradient), Stepped::Skipped);
        assert_eq!(governed.decision().unwrap().breaches[0].cause, Cause::NotFinite);
        assert_eq!((model.bits(), governed.moments().step), (before.clone(), 0));
        assert_eq!(model.step(&mut governed, &GRADIENT), Stepped::Committed { scale: 1.0 });
        let after = model.bits();
        let stopped = Stepped::Stopped {
            to: 2,
            not_finite: false,
        };
        assert_eq!(model.step(&mut governed, &gradient), stopped);
        assert!(matches!(governed.decision().unwrap().action, Act::Stop { to: 2 }));
        assert_eq!(model.bits(), after);
        // Nothing is read of an update here, so nothing answers it: the run ends.
        let mut governed = model.governed("max drift.total 1 nats on general", 0.1, 10).unwrap();
        let stopped = Stepped::Stopped {
            to: 0,
            not_finite: true,
        };
        assert_eq!(model.step(&mut governed, &gradient), stopped);
        assert_eq!((model.bits(), governed.next_update()), (after, None));
    }
}

#[test]
fn a_model_that_cannot_be_run_leaves_the_variables_as_they_were() {
    let model = Model::new();
    let before = model.bits();
    let mut calls = 0;
    let table = model.table.clone();
    let mut governed = Builder::new(
        &policy("max drift.per_update 1 nats on general"),
        RUN,
        Launch::default(),
    )
    .unwrap()
    .text("general", move || {
        calls += 1;
        if calls == 2 {
            candle_core::bail!("out of memory")
        } else {
            Ok(vec![table.as_tensor().clone()])
        }
    })
    .build(vec![model.table.clone()])
    .unwrap();
    let store = model.table.sqr().unwrap().sum_all().unwrap().backward().unwrap();
    let error = governed.step(&store).unwrap_err();
    assert!(error.message.contains("out of memory"), "{error}");
    assert_eq!((model.bits(), governed.next_update()), (before, Some(1)));
    // The same step can be tried again.
    assert_eq!(governed.step(&store).unwrap(), Stepped::Committed { scale: 1.0 });
    let none = Tensor::new(1f32, &Device::Cpu).unwrap().backward().unwrap();
    let error = governed.step(&none).unwrap_err();
    assert_eq!(error.message, "no governed variable has a gradient");
}

#[test]
fn what_cannot_be_governed_is_refused_before_the_first_update() {
    let model = Model::new();
    let refused = |lines: &str| match model.governed(lines, 0.1, 10) {
        Ok(_) => panic!("{lines} is governed"),
        Err(error) => error.message,
    };
    let said = refused("max drift.totl 1 nats on general");
    assert!(
        said.starts_with("the policy is wrong\nthe policy:3:5: error[unknown-name]"),
        "{said}"
    );
    let said = refused("require seed\nmax batch.effective 4");
    assert!(
        said.starts_with("the run cannot be judged\n") || said.starts_with("the run is over"),
        "{said}"
    );
    let said = refused("probe prompts \"p.jsonl\"\nmin diversity.distinct_2 10%");
    assert_eq!(said, "nothing reads diversity.distinct_2 on prompts");
    let said = refused("max lora.effective_rank 1");
    assert_eq!(
        said,
        "the run does not start: lora.effective_rank is 1.5 before the first update"
    );
    model.governed("max lora.effective_rank 1.5", 0.1, 10).unwrap();

    let builder = |lines: &str| Builder::new(&policy(lines), RUN, Launch::default()).unwrap();
    let error = |built: Result<Governed<'_>>| built.err().unwrap().message;
    let drift = "max drift.total 1 nats on general";
    let answers = || Ok(vec![model.table.as_tensor().clone()]);
    let vars = || vec![model.table.clone()];
    assert_eq!(
        error(builder(drift).build(vars())),
        "nothing reads drift.total on general"
    );
    let unknown = builder(drift).text("genral", answers).build(vars());
    assert_eq!(error(unknown), "the policy has no probe `genral`");
    assert_eq!(
        error(builder(drift).text("general", answers).build(vec![])),
        "there is no variable to train"
    );
    let double = Var::zeros(2, DType::F64, &Device::Cpu).unwrap();
    assert_eq!(
        error(builder(drift).text("general", answers).build(vec![double])),
        "a variable is F64"
    );
    let flat = builder(drift)
        .text("general", || Ok(vec![model.table.flatten_all()?]))
        .build(vars());
    assert_eq!(error(flat), "the logits of a text are positions × vocabulary, not [6]");
    // A probe without a text measures nothing, and that is no small drift.
    let empty = builder(drift).text("general", || Ok(vec![])).build(vars());
    assert_eq!(
        error(empty),
        "the run does not start: drift.total is not finite before the first update"
    );
    assert!(Builder::strict(&policy("advise max lora.effective_rank 1"), RUN, Launch::default()).is_ok());
}

#[test]
fn paced_limits_go_by_the_schedule_that_the_loop_names() {
    use ftrisk::guard::Clock;
    use ftrisk::quantity::{Course, Shape};
    let model = Model::new();
    let clock = |tell: &dyn Fn(Builder<'static>) -> Builder<'static>| {
        let table = model.table.clone();
        let policy = policy("max drift.total 9 nats on general paced else stop");
        let builder = Builder::new(&policy, RUN, Launch::default()).unwrap();
        let builder = builder
            .text("general", move || Ok(vec![table.as_tensor().clone()]))
            .reading(Quantity::LoraEffectiveRank, None, || Ok(Estimate::exact(1.5.into())));
        let governed = tell(builder).build(vec![model.table.clone()]).unwrap();
        *governed.guard().clock()
    };
    let course = Course::new(Shape::Cosine, 40, 4);
    assert_eq!(clock(&|builder| builder.course(course)), Clock::Dose(course));
    assert_eq!(clock(&|builder| builder.updates(40)), Clock::Updates(40));
    // Without an end there is nothing to be spread over, and nothing is slowed.
    assert_eq!(clock(&|builder| builder), Clock::Updates(0));
}
