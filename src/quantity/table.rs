//! The one table of quantities.
//!
//! The reference page, completion, `explain` and every type check come from here; no other file says what a quantity is.

use super::unit::Dimension;
use super::{Domain, Finite, Interval};

/// Which of the four levers of risk a quantity belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lever {
    /// How far one update may move behaviour.
    Step,
    /// How far an update follows the average of the data, or a single sample.
    Averaging,
    /// How long the model is pushed in one direction.
    Commitment,
    /// The size of the subspace in which the model may leave the base.
    Reach,
    /// More than one of them.
    All,
    /// None: a fact of the launch.
    Launch,
}

impl Lever {
    /// The word that reports use.
    pub fn word(self) -> &'static str {
        match self {
            Lever::Step => "step",
            Lever::Averaging => "averaging",
            Lever::Commitment => "commitment",
            Lever::Reach => "reach",
            Lever::All => "all",
            Lever::Launch => "launch",
        }
    }
}

/// When a quantity is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before training, from the run file (and flags).
    Config,
    /// Before training, from the way the run is launched; what `assume` may speak about.
    Launch,
    /// At every update, before it is committed; never at evaluations alone.
    Update,
    /// At evaluations, and at every update where a per-update limit reads the same probe.
    UpdateOrEvaluation,
    /// At evaluations.
    Evaluation,
}

impl Moment {
    /// Whether `check` decides it, so that no reading is ever waited for.
    pub fn is_before_training(self) -> bool {
        matches!(self, Moment::Config | Moment::Launch)
    }

    /// The words that the reference page uses.
    pub fn words(self) -> &'static str {
        match self {
            Moment::Config => "before training, from the run file",
            Moment::Launch => "before training, from the launch",
            Moment::Update => "at every update, before it is committed",
            Moment::UpdateOrEvaluation => {
                "at evaluations; at every update when a per-update limit reads the same probe"
            }
            Moment::Evaluation => "at evaluations",
        }
    }
}

/// On which side a limit makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Only `max`.
    Ceiling,
    /// Only `min`.
    Floor,
    /// `max`, `min` and `range`.
    Both,
}

/// What a probe file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProbeKind {
    /// Given texts.
    Text,
    /// Prompts that samples are drawn from.
    Prompts,
    /// Questions with two answers each.
    Pairs,
    /// A lexicon that replaces the shipped one.
    Words,
}

impl ProbeKind {
    /// Every kind.
    pub const ALL: [ProbeKind; 4] = [ProbeKind::Text, ProbeKind::Prompts, ProbeKind::Pairs, ProbeKind::Words];

    /// The word in a policy.
    pub fn word(self) -> &'static str {
        match self {
            ProbeKind::Text => "text",
            ProbeKind::Prompts => "prompts",
            ProbeKind::Pairs => "pairs",
            ProbeKind::Words => "words",
        }
    }
}

/// One row of the table.
#[derive(Debug)]
pub struct Row {
    /// The name in a policy.
    pub name: &'static str,
    /// What its bounds are written in.
    pub dimension: Dimension,
    /// The lever it belongs to.
    pub lever: Lever,
    /// When it is known.
    pub moment: Moment,
    /// On which side a limit makes sense.
    pub direction: Direction,
    /// Values it can have at all.
    pub domain: Domain,
    /// Kinds of probe it can be read on; empty when it needs none.
    pub probes: &'static [ProbeKind],
    /// Whether `of base` means something.
    pub base: bool,
    /// Whether it is a mean over prompts of values in [0, [`top`](Quantity::top)], so that `at … confidence` can be
    /// certified.
    pub bounded: bool,
    /// Whether it is a share of the probe's rows, so that n of them read in steps of 1/n.
    pub counted: bool,
    /// Whether this version derives it (config and launch quantities only; meters are built with the training engine).
    pub derived: bool,
    /// What it would take to derive it, where this version does not.
    pub takes: &'static str,
    /// What the standard error of a reading is; of quantities that are known before training there is none.
    pub error: &'static str,
    /// Names that frameworks and people give it, for suggestions.
    pub also: &'static [&'static str],
    /// What it is, in a sentence or two: formula and estimator.
    pub meaning: &'static str,
    /// Where the formula or the rule comes from.
    pub source: &'static str,
}

macro_rules! quantities {
    ($($variant:ident $name:literal { $($field:ident: $value:expr),* $(,)? })*) => {
        /// A quantity that a policy can limit.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Quantity { $(#[doc = concat!("`", $name, "`")] $variant),* }

        /// Every quantity, in the order of the reference page.
        pub const QUANTITIES: &[Quantity] = &[$(Quantity::$variant),*];

        impl Quantity {
            /// Its row of the table.
            pub fn row(self) -> &'static Row {
                match self {
                    $(Quantity::$variant => {
                        static ROW: Row = Row { name: $name, $($field: $value,)* ..ROW_DEFAULTS };
                        &ROW
                    })*
                }
            }
        }
    };
}

impl Quantity {
    /// Its name in a policy.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The largest value that it can have, where there is one.
    pub fn top(self) -> Option<Finite> {
        Finite::new(self.row().domain.interval.hi())
    }

    /// The quantity of that exact name.
    pub fn named(name: &str) -> Option<Quantity> {
        QUANTITIES.iter().copied().find(|q| q.name() == name)
    }
}

const ROW_DEFAULTS: Row = Row {
    name: "",
    dimension: Dimension::Number,
    lever: Lever::All,
    moment: Moment::Evaluation,
    direction: Direction::Ceiling,
    domain: NON_NEGATIVE,
    probes: &[],
    base: false,
    bounded: false,
    counted: false,
    derived: false,
    takes: "",
    error: "",
    also: &[],
    meaning: "",
    source: "",
};

const NON_NEGATIVE: Domain = Domain::reals(0.0, f64::INFINITY);
const RATIO: Domain = Domain::RATIO;
/// What drift is clipped at, per prompt. A lower top lets fewer prompts certify a small mean; beyond this one the drift of
/// a prompt is far over any sensible budget, and how far adds nothing.
const CLIPPED: Domain = Domain::reals(0.0, 0.1);
const SIGNED: Domain = Domain {
    interval: Interval::ALL,
    integer: false,
};
const COUNT: Domain = Domain::COUNT;
const DRIFT: &[ProbeKind] = &[ProbeKind::Text, ProbeKind::Prompts];
const TEXT: &[ProbeKind] = &[ProbeKind::Text];
const PROMPTS: &[ProbeKind] = &[ProbeKind::Prompts];
const PAIRS: &[ProbeKind] = &[ProbeKind::Pairs];

use Dimension::{Information, Ratio};
use Direction::{Both, Floor};
use Lever::{Averaging, Commitment, Launch, Reach, Step};
use Moment::Config;

quantities! {
    LearningRate "learning_rate" {
        lever: Step, moment: Config, derived: true, also: &["lr", "peak_lr", "max_lr"],
        meaning: "The peak of the learning-rate schedule as the trainer will run it. Under LoRA+ the larger rate of the B matrices counts.",
        source: "the framework's optimizer arguments",
    }
    LearningRateFinal "learning_rate.final" {
        lever: Step, moment: Config, derived: true, also: &["min_lr"],
        meaning: "The learning rate of the last update of the schedule.",
        source: "transformers get_scheduler: the multiplier at update N-1 of N",
    }
    LearningRateArea "learning_rate.area" {
        lever: Step, moment: Config, derived: true, also: &["dose"],
        meaning: "The dose: the sum of the learning rate over all updates. Drift is mostly a function of it.",
        source: "sum over t < N of lr(t)",
    }
    WarmupFraction "warmup_fraction" {
        lever: Step, moment: Config, direction: Floor, dimension: Ratio, domain: RATIO, derived: true,
        also: &["warmup_ratio", "warmup_steps", "warmup"],
        meaning: "The share of all updates in which the learning rate still rises.",
        source: "warmup ratio as given, or warmup steps / updates",
    }
    UpdateScale "update_scale" {
        lever: Step, moment: Config, derived: true, also: &["effective_lr"],
        meaning: "Learning rate times LoRA scale: what may be compared between configs, unlike alpha. Where no LoRA scale applies it is the learning rate.",
        source: "lr x alpha/r, or lr x alpha/sqrt(r) for rsLoRA (Kalajdzievski 2023)",
    }
    MovementBound "movement.bound" {
        lever: Step, moment: Config, derived: true,
        meaning: "The furthest that any one trained weight can be moved under Adam, whatever the gradients are, in the weight's own unit; under LoRA the weights are those of A and B. Proven, and loose: a run moves a weight by a fraction of it. What weight decay takes of a weight is no part of it.",
        source: "Cauchy-Schwarz bound on Adam's step with bias correction, times the rate, summed over the schedule",
    }
    ClipNorm "clip_norm" {
        lever: Step, moment: Config, direction: Both, derived: true, also: &["max_grad_norm", "gradient_clipping", "clip_grad_norm"],
        meaning: "The gradient norm that updates are clipped to. Where clipping is off it is infinite, so a ceiling is over.",
        source: "the framework's max_grad_norm",
    }
    WeightDecay "weight_decay" {
        lever: Step, moment: Config, direction: Both, derived: true, also: &["wd"],
        meaning: "The optimizer's decoupled weight decay.",
        source: "the framework's optimizer arguments",
    }
    PreferenceBeta "preference.beta" {
        lever: Step, moment: Config, direction: Floor, derived: true, also: &["beta", "pref_beta", "dpo_beta", "kl_beta"],
        meaning: "The strength of the pull to the reference model in preference tuning (DPO, KTO, ...). A run that is no preference tuning has none.",
        source: "Rafailov et al. 2023, beta",
    }
    BatchEffective "batch.effective" {
        lever: Averaging, moment: Config, direction: Both, domain: COUNT, derived: true,
        also: &["batch_size", "effective_batch_size", "global_batch_size", "per_device_train_batch_size", "batch"],
        meaning: "Samples per optimizer update: per device x accumulation x data-parallel world size.",
        source: "transformers Trainer: per_device x accumulation x world",
    }
    BatchTokens "batch.tokens" {
        lever: Averaging, moment: Config, direction: Both, domain: COUNT,
        takes: "how many tokens of a sample bear a loss, which the data decide, and whether the framework cuts samples at its sequence length",
        meaning: "Tokens per optimizer update that a loss is taken on.",
        source: "effective batch x tokens per sample",
    }
    Epochs "epochs" {
        lever: Commitment, moment: Config, derived: true, also: &["num_train_epochs", "num_epochs", "n_epochs"],
        meaning: "Passes over the data as the trainer will make them. With max_steps: the samples those updates take, partial last window of each pass included, over the rows.",
        source: "transformers Trainer: ceil(ceil(rows / (per_device x world)) / accumulation) updates a pass",
    }
    Updates "updates" {
        lever: Commitment, moment: Config, domain: COUNT, derived: true, also: &["max_steps", "steps", "iterations", "train_iters"],
        meaning: "Optimizer updates that the trainer will make: max_steps where it is set, else what the epochs take.",
        source: "transformers Trainer: ceil(epochs x updates a pass)",
    }
    Samples "samples" {
        lever: Commitment, moment: Config, derived: true,
        meaning: "Samples that the updates take, each pass counted.",
        source: "epochs x rows",
    }
    LoraRank "lora.rank" {
        lever: Reach, moment: Config, domain: COUNT, derived: true, also: &["lora_rank", "lora_r", "rank", "r"],
        meaning: "The nominal LoRA rank; rank patterns count by their largest.",
        source: "Hu et al. 2021, r",
    }
    LoraAlpha "lora.alpha" {
        lever: Reach, moment: Config, direction: Both, derived: true, also: &["lora_alpha", "alpha"],
        meaning: "The numerator of the LoRA scale. Alone it says little: see lora.scale and update_scale.",
        source: "Hu et al. 2021, alpha",
    }
    LoraScale "lora.scale" {
        lever: Reach, moment: Config, direction: Both, derived: true, also: &["scale", "lora_scale", "alpha_over_r"],
        meaning: "The factor before the product BA: alpha/r, or alpha/sqrt(r) for rsLoRA.",
        source: "Hu et al. 2021; Kalajdzievski 2023",
    }
    LoraTrainableFraction "lora.trainable_fraction" {
        lever: Reach, moment: Config, direction: Both, dimension: Ratio, domain: RATIO,
        takes: "the shape of the model, which stands in its config.json and in no run file",
        meaning: "Trained parameters over all parameters, from the rank, the targets and the model's shape.",
        source: "parameter count",
    }
    ChangedLevers "changed_levers" {
        lever: Lever::All, moment: Config, domain: Domain::integers(0.0, 4.0),
        meaning: "How many of the four levers differ, as written, from the parent's run file. Without a parent the limit does not apply.",
        source: "change one lever at a time against a fixed evaluation set",
    }
    WorldSize "world_size" {
        lever: Launch, moment: Moment::Launch, direction: Both, domain: Domain::WORLD, derived: true,
        also: &["num_processes", "gpus", "nproc_per_node"],
        meaning: "Training processes of the launch, one a device.",
        source: "--world-size, or the launcher",
    }
    DatasetRows "dataset.rows" {
        lever: Launch, moment: Moment::Launch, direction: Both, domain: COUNT, derived: true, also: &["rows", "dataset_rows", "num_rows"],
        meaning: "Rows that one pass walks: after any cap on samples and without a held-out part; packed sequences where packing is on.",
        source: "--dataset-rows",
    }
    DriftPerUpdate "drift.per_update" {
        lever: Step, moment: Moment::Update, dimension: Information, probes: DRIFT, also: &["kl_per_step", "kl_per_update"],
        error: "over prompts: the standard deviation of their values over the root of their number",
        meaning: "Forward KL between the next-token distributions before and after this update, on the probe, in nats per token. A spike guard: per-update KLs do not add up to the total.",
        source: "KL(p_before || p_after), exact over the vocabulary; mean over positions, then over prompts",
    }
    DriftTotal "drift.total" {
        moment: Moment::UpdateOrEvaluation, dimension: Information, probes: DRIFT, also: &["kl", "kl_to_base", "drift"],
        error: "over prompts: the standard deviation of their values over the root of their number",
        meaning: "Forward KL from the base to now, on the probe, in nats per token: the displacement, which rollback or shrinking refunds.",
        source: "KL(p_base || p_now), exact over the vocabulary; mean over positions, then over prompts",
    }
    DriftTail "drift.tail" {
        moment: Moment::UpdateOrEvaluation, dimension: Information, probes: DRIFT,
        error: "none: a quantile near the end of a small sample has no usable one",
        meaning: "The 0.99 quantile over prompts (nearest rank) of the forward KL from the base to now.",
        source: "nearest-rank quantile of the per-prompt KL",
    }
    DriftClipped "drift.clipped" {
        moment: Moment::UpdateOrEvaluation, dimension: Ratio, domain: CLIPPED, probes: DRIFT, bounded: true,
        error: "over prompts: the standard deviation of their values over the root of their number",
        meaning: "Jensen-Shannon divergence over ln 2, clipped at 10% for each prompt, so never above 10%: the part of drift that a finite probe can certify.",
        source: "min(JS(p_base, p_now) / ln 2, 0.1); mean over positions before the clip, over prompts after it",
    }
    DriftSpread "drift.spread" {
        lever: Reach, dimension: Information, probes: DRIFT,
        error: "over prompts, by the delete-one jackknife (Efron 1982)",
        meaning: "How widely drift varies over prompts: the standard deviation of the per-prompt KL.",
        source: "standard deviation over prompts",
    }
    MovementRelative "movement.relative" {
        lever: Step, moment: Moment::Update, dimension: Ratio, also: &["update_ratio"],
        error: "none: it is of the weights, not of a sample",
        meaning: "Norm of this one update over the norm of the weights, over all trained matrices; under LoRA the change of the product counts.",
        source: "||dW||_F / ||W||_F",
    }
    LoraEffectiveRank "lora.effective_rank" {
        lever: Reach, also: &["effective_rank", "erank"],
        error: "none: it is of the weights, not of a sample",
        meaning: "Effective rank of the product BA, the largest over the adapted matrices; never above the nominal rank.",
        source: "Roy and Vetterli 2007: exp of the entropy of the normalised singular values",
    }
    LoraStableRank "lora.stable_rank" {
        lever: Reach, also: &["stable_rank"],
        error: "none: it is of the weights, not of a sample",
        meaning: "Squared Frobenius norm over squared spectral norm of the product BA, the largest over the adapted matrices; never above the nominal rank.",
        source: "||BA||_F^2 / ||BA||_2^2",
    }
    DiversityDistinct1 "diversity.distinct_1" {
        lever: Commitment, direction: Floor, dimension: Ratio, domain: RATIO, probes: PROMPTS, base: true, also: &["distinct_1"],
        error: "over prompts, by the delete-one jackknife (Efron 1982)",
        meaning: "Distinct words over all words of samples drawn from fixed prompts, number and length fixed; characters where a script has no words.",
        source: "Li et al. 2016, distinct-1",
    }
    DiversityDistinct2 "diversity.distinct_2" {
        lever: Commitment, direction: Floor, dimension: Ratio, domain: RATIO, probes: PROMPTS, base: true, also: &["distinct_2"],
        error: "over prompts, by the delete-one jackknife (Efron 1982)",
        meaning: "Distinct word pairs over all word pairs of samples drawn from fixed prompts, number and length fixed.",
        source: "Li et al. 2016, distinct-2",
    }
    DiversityDistinct3 "diversity.distinct_3" {
        lever: Commitment, direction: Floor, dimension: Ratio, domain: RATIO, probes: PROMPTS, base: true, also: &["distinct_3"],
        error: "over prompts, by the delete-one jackknife (Efron 1982)",
        meaning: "Distinct word triples over all word triples of samples drawn from fixed prompts, number and length fixed.",
        source: "Li et al. 2016, distinct-n",
    }
    DiversitySelfBleu "diversity.self_bleu" {
        lever: Commitment, dimension: Ratio, domain: RATIO, probes: PROMPTS, base: true, also: &["self_bleu"],
        error: "over prompts, by the delete-one jackknife (Efron 1982)",
        meaning: "Mean BLEU of each sample against the others: higher is less diverse.",
        source: "Zhu et al. 2018, self-BLEU",
    }
    DiversityEntropy "diversity.entropy" {
        lever: Commitment, direction: Floor, dimension: Information, probes: PROMPTS, base: true,
        error: "over prompts: the standard deviation of their values over the root of their number",
        meaning: "Entropy of the next-token distribution along the samples, in nats per token.",
        source: "mean over positions of H(p)",
    }
    DiversityCompression "diversity.compression" {
        lever: Commitment, probes: PROMPTS, base: true, also: &["compression_ratio"],
        error: "over prompts, by the delete-one jackknife (Efron 1982)",
        meaning: "Bytes of the samples over their compressed bytes: higher is more repetitive.",
        source: "Shaib et al. 2024, compression ratio",
    }
    TemplateShare "template.share" {
        lever: Commitment, dimension: Ratio, domain: RATIO, probes: PROMPTS, counted: true,
        error: "over prompts, by the delete-one jackknife (Efron 1982)",
        meaning: "Share of samples that open with, or repeat, the same phrasing. Which phrasing is found by looking at the samples, so this is no mean over prompts and no confidence can be asked of it.",
        source: "largest group of samples with one opening",
    }
    ToneAbsolutes "tone.absolutes" {
        lever: Step, dimension: Ratio, domain: RATIO, probes: PROMPTS, base: true, bounded: true,
        error: "over prompts: the standard deviation of their values over the root of their number",
        meaning: "Share of absolute or extreme words in samples, by a lexicon that a `words` probe may replace.",
        source: "lexicon count over words",
    }
    ConfidenceTop1 "confidence.top1" {
        lever: Step, dimension: Ratio, domain: RATIO, probes: TEXT, base: true,
        error: "over prompts: the standard deviation of their values over the root of their number",
        meaning: "Mean probability of the most likely next token on given text.",
        source: "mean over positions of max p",
    }
    ConfidenceEntropy "confidence.entropy" {
        lever: Step, direction: Floor, dimension: Information, probes: TEXT, base: true,
        error: "over prompts: the standard deviation of their values over the root of their number",
        meaning: "Mean entropy of the next-token distribution on given text, in nats per token.",
        source: "mean over positions of H(p)",
    }
    ConfidenceEce "confidence.ece" {
        lever: Step, dimension: Ratio, domain: RATIO, probes: TEXT, base: true, also: &["ece"],
        error: "over prompts, by the delete-one jackknife (Efron 1982)",
        meaning: "Expected calibration error of the next token on given text, less what a perfectly calibrated model would show.",
        source: "15 equal-width bins, minus the simulated null",
    }
    BoundaryFlips "boundary.flips" {
        lever: Step, dimension: Ratio, domain: RATIO, probes: PAIRS, bounded: true, counted: true,
        error: "over prompts: the standard deviation of their values over the root of their number",
        meaning: "Share of paired items whose preferred answer differs from the base's.",
        source: "sign of the log-probability margin, now against base",
    }
    BatchNoiseScale "batch.noise_scale" {
        lever: Averaging, direction: Both,
        error: "none: of one batch it cannot be told",
        meaning: "Gradient noise scale in samples: the batch size at which noise and signal of the gradient are equal.",
        source: "McCandlish et al. 2018, simple noise scale",
    }
    BatchTopShare "batch.top_share" {
        lever: Averaging, dimension: Ratio, domain: RATIO,
        error: "none: of one batch it cannot be told",
        meaning: "Largest share of one sample in the update.",
        source: "per-sample contribution over the sum, Adam-preconditioned",
    }
    BiasAmplification "bias.amplification" {
        lever: Averaging, dimension: Ratio,
        error: "none: of one batch it cannot be told",
        meaning: "A data group's share of the update over its share of the data, the largest over groups.",
        source: "share of update / share of data",
    }
    MemorisationGap "memorisation.gap" {
        lever: Commitment, direction: Both, dimension: Information, domain: SIGNED, probes: TEXT, also: &["generalization_gap"],
        error: "over rows: the root of the sum of the squared errors of both means",
        meaning: "Held-out loss minus training loss, in nats per token; it can be negative.",
        source: "held-out minus training cross-entropy",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_complete() {
        for quantity in QUANTITIES {
            let row = quantity.row();
            assert!(!row.meaning.is_empty() && row.meaning.ends_with('.'), "{}", row.name);
            assert!(!row.source.is_empty(), "{}", row.name);
            assert_eq!(row.error.is_empty(), row.moment.is_before_training(), "{}", row.name);
            assert!(row.also.iter().all(|name| *name != row.name), "{}", row.name);
            assert_eq!(Quantity::named(row.name), Some(*quantity));
            if row.derived {
                assert!(row.moment.is_before_training(), "{}", row.name);
            }
            if row.bounded {
                let top = quantity.top().unwrap();
                assert!(
                    RATIO.interval.contains(row.domain.interval),
                    "{} is bounded, so it is a share",
                    row.name
                );
                assert!(row.domain.interval.lo() == 0.0 && top > Finite::ZERO, "{}", row.name);
                assert_eq!(
                    row.direction,
                    Direction::Ceiling,
                    "only ceilings are certified: {}",
                    row.name
                );
                assert_ne!(row.moment, Moment::Update, "{} is judged at evaluations", row.name);
                assert!(!row.probes.is_empty(), "{}", row.name);
            }
        }
    }

    #[test]
    fn what_is_bounded_has_a_top() {
        let bounded = QUANTITIES.iter().filter(|quantity| quantity.row().bounded);
        let tops: Vec<(&str, f64)> = bounded.map(|q| (q.name(), q.top().unwrap().get())).collect();
        assert_eq!(
            tops,
            [("drift.clipped", 0.1), ("tone.absolutes", 1.0), ("boundary.flips", 1.0)]
        );
        assert_eq!(Quantity::DriftTotal.top(), None);
    }

    #[test]
    fn directions_are_those_of_the_design() {
        let of = |direction| -> Vec<&str> {
            QUANTITIES
                .iter()
                .map(|q| q.row())
                .filter(|row| row.direction == direction)
                .map(|row| row.name)
                .collect()
        };
        assert_eq!(
            of(Direction::Floor),
            [
                "warmup_fraction",
                "preference.beta",
                "diversity.distinct_1",
                "diversity.distinct_2",
                "diversity.distinct_3",
                "diversity.entropy",
                "confidence.entropy"
            ]
        );
        assert_eq!(
            of(Direction::Both),
            [
                "clip_norm",
                "weight_decay",
                "batch.effective",
                "batch.tokens",
                "lora.alpha",
                "lora.scale",
                "lora.trainable_fraction",
                "world_size",
                "dataset.rows",
                "batch.noise_scale",
                "memorisation.gap"
            ]
        );
    }
}
