//! The table of diagnostic codes: one code, one summary, one page.

use super::Severity;

macro_rules! codes {
    ($($variant:ident $name:literal $severity:ident $summary:literal;)*) => {
        /// What kind of thing a diagnostic is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $(#[doc = concat!("`", $name, "`: ", $summary, ".")] $variant),* }

        /// Every code, in the order of the reference page.
        pub const CODES: &[Code] = &[$(Code::$variant),*];

        impl Code {
            /// The name that people see and may search for.
            pub fn name(self) -> &'static str {
                match self { $(Code::$variant => $name),* }
            }

            /// One line that says what it means.
            pub fn summary(self) -> &'static str {
                match self { $(Code::$variant => $summary),* }
            }

            /// Its usual weight.
            pub fn severity(self) -> Severity {
                match self { $(Code::$variant => Severity::$severity),* }
            }

            /// The page that `ftrisk explain` prints.
            pub fn page(self) -> &'static str {
                match self {
                    $(Code::$variant => include_str!(concat!("../../docs/reference/codes/", $name, ".md"))),*
                }
            }
        }
    };
}

codes! {
    Over "over" Error "every value the run can still have breaks the limit";
    Open "open" Error "some values the run can still have keep the limit and some break it";
    NotCovered "not-covered" Error "the policy does not speak about this run, so nobody judged it";

    CannotRead "cannot-read" Error "a file cannot be read";
    NotText "not-text" Error "a file is not UTF-8 text";
    TooLarge "too-large" Error "a file is larger than ftrisk reads";
    HiddenText "hidden-text" Error "a character that people cannot see or would mistake for another";

    Syntax "syntax" Error "a statement that is not understood";
    Number "number" Error "a number that is not written as ftrisk reads numbers";
    Header "header" Error "a policy has exactly one header, first in the file";
    EmptyPolicy "empty-policy" Error "a policy without a limit would accept every run";
    NotBuilt "not-built" Error "a statement or quantity that this version does not judge yet";

    UnknownName "unknown-name" Error "a name that is no quantity or fact of the kind that is asked for here";
    UnknownWord "unknown-word" Error "a word that the fact cannot have";
    UnitMissing "unit-missing" Error "a number that needs its unit";
    UnitMismatch "unit-mismatch" Error "a unit that does not measure this quantity";
    Direction "direction" Error "a limit on the side where it makes no sense";
    Domain "domain" Error "a bound that the quantity cannot have, or a range that is empty";
    Base "base" Error "`of base` where it means nothing or the base itself would break the limit";
    Confidence "confidence" Error "`at ... confidence` where no finite probe can certify a pass";
    Until "until" Error "`until` belongs to a limit on epochs";
    Response "response" Error "a response that cannot act here";
    Pace "pace" Error "`paced` where there is no budget that could be spread over the run";
    ProbeUnknown "probe-unknown" Error "which probe a limit reads is not clear";
    ProbeKind "probe-kind" Error "a probe of a kind that the quantity cannot be read on";
    ProbeRepeated "probe-repeated" Error "two probes of one name";
    ProbeUnpinned "probe-unpinned" Warning "a probe without a hash: runs are only comparable on the same probe";
    ProbeHash "probe-hash" Error "a probe whose hash is not the pinned one, or no hash at all";
    ProbePath "probe-path" Error "a probe outside the policy's root";
    Assume "assume" Error "a premise about something that may not be assumed, or premises that exclude each other";
    Scope "scope" Error "a statement or a name that a `for` cannot hold";
    NeverBinds "never-binds" Error "a limit that can never bind";
    Waiver "waiver" Error "a waiver that relaxes nothing, matches no run or reaches too far";
    WaiverExpired "waiver-expired" Warning "a waiver whose last day is over";

    Yaml "yaml" Error "a run file that is not well-formed";
    DuplicateKey "duplicate-key" Error "a key written twice";
    NotARun "not-a-run" Error "a file that trains nothing";
    Contradiction "contradiction" Error "two files, or a file and the command line, that say different things about one run";
    UnknownFormat "unknown-format" Error "a run file in a layout of no framework that ftrisk reads";
    UnknownKey "unknown-key" Error "a key that the framework does not take";
    ValueType "value-type" Error "a value that the framework cannot use for this key";
    ValueUnresolved "value-unresolved" Error "a placeholder that is filled in later";
    NotTrained "not-trained" Error "a key that changes the run and that this trainer does not honour";
    TrainInput "train-input" Error "a model, data set or probe that cannot be trained or measured with";
    ProbeResolution "probe-resolution" Error "a limit that its probe cannot resolve";
    RunDirectory "run-directory" Error "a run directory that already holds something, or none at all";

    LoaderText "loader-text" Warning "a number that some versions of the framework's loader read as text";
}

impl Code {
    /// The code of that exact name.
    pub fn named(name: &str) -> Option<Code> {
        CODES.iter().copied().find(|code| code.name() == name)
    }

    /// Whether it is a verdict on a run rather than a mistake in a text.
    pub fn is_verdict(self) -> bool {
        matches!(self, Code::Over | Code::Open | Code::NotCovered)
    }
}
