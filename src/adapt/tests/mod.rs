//! Small run files, what they say, and where.

// The attributes tell the house test that these are tests too.
#[cfg(test)]
mod axolotl;
#[cfg(test)]
mod beside;
#[cfg(test)]
mod command;
#[cfg(test)]
mod files;
#[cfg(test)]
mod interpolate;
#[cfg(test)]
mod litgpt;
#[cfg(test)]
mod llama_factory;
#[cfg(test)]
mod llama_factory_v1;
#[cfg(test)]
mod mlx_lm;
#[cfg(test)]
mod nemo;
#[cfg(test)]
mod peft;
#[cfg(test)]
mod robust;
#[cfg(test)]
mod swift;
#[cfg(test)]
mod torchtune;
#[cfg(test)]
mod trl;
#[cfg(test)]
mod unsloth;
#[cfg(test)]
mod yaml;

use super::{Launch, read};
use crate::diag::{Code, Diagnostic, Severity};
use crate::facts::{Facts, Input, NumberFact, Origin, Words};
use crate::quantity::Category;
use crate::source::{Place, Sources};

/// The numbers that every reader tells, but these: the decays of Adam are read where they stand at the top level alone.
fn told(but: &[Input]) -> impl Iterator<Item = Input> {
    let but = [but, &[Input::Beta1, Input::Beta2]].concat();
    Input::ALL.iter().copied().filter(move |input| !but.contains(input))
}

/// A run file that was read, with its text.
struct Case {
    sources: Sources,
    facts: Option<Facts>,
    diagnostics: Vec<Diagnostic>,
}

/// Reads a text as it would be read without any flag.
fn case(text: &str) -> Case {
    launched(text, Launch::default())
}

fn launched(text: &str, launch: Launch) -> Case {
    let mut sources = Sources::default();
    let id = sources.add("run.yaml", text);
    let read = read(id, &sources, launch);
    Case {
        sources,
        facts: read.facts,
        diagnostics: read.diagnostics,
    }
}

/// A LoRA run with `more` lines.
fn lora(more: &str) -> Case {
    case(&format!("{LORA}{more}"))
}

const LORA: &str = "\
model_name_or_path: Qwen/Qwen3-4B
stage: sft
do_train: true
finetuning_type: lora
dataset: identity, alpaca_en_demo
template: qwen3
";

impl Case {
    fn facts(&self) -> &Facts {
        self.facts
            .as_ref()
            .unwrap_or_else(|| panic!("no facts: {:#?}", self.diagnostics))
    }

    fn number(&self, input: Input) -> &NumberFact {
        self.facts()
            .number(input)
            .unwrap_or_else(|| panic!("{input:?} is not set"))
    }

    /// The one value of an input.
    fn value(&self, input: Input) -> Option<f64> {
        self.number(input)
            .values
            .filter(|values| values.is_point())
            .map(|values| values.lo())
    }

    fn words(&self, category: Category) -> &Words {
        &self.facts().word(category).unwrap().words
    }

    fn word(&self, category: Category) -> &str {
        match self.words(category) {
            Words::One(word) => word,
            other => panic!("{category:?} is {other:?}"),
        }
    }

    /// The text under a place.
    fn under(&self, place: Place) -> &str {
        self.sources.get(place.source).slice(place.span)
    }

    /// The text from which an input is given.
    fn given(&self, input: Input) -> &str {
        match &self.number(input).origin {
            Origin::Given(place) => self.under(*place),
            other => panic!("{input:?} is not given: {other:?}"),
        }
    }

    fn rule(&self, input: Input) -> &str {
        match &self.number(input).origin {
            Origin::Default { rule } => rule,
            other => panic!("{input:?} is no default: {other:?}"),
        }
    }

    /// Whether nothing is known of an input, with the text that leaves it open.
    fn open(&self, input: Input) -> Option<&str> {
        let fact = self.number(input);
        match &fact.origin {
            Origin::Unknown { place, .. } => {
                assert_eq!(fact.values, Some(input.domain().interval), "{input:?}");
                Some(place.map_or("", |place| self.under(place)))
            }
            _ => None,
        }
    }

    /// The line after which a missing key would go.
    fn goes_after(&self, input: Input) -> &str {
        let place = self.number(input).key.goes.unwrap();
        assert!(place.span.is_empty());
        let file = self.sources.get(place.source);
        let line = file.line_span(file.line(place.span.start));
        assert_eq!(line.end, place.span.start, "not the end of a line");
        file.slice(line)
    }

    /// Each finding as `code: text under it -> text to write instead`.
    fn told(&self) -> Vec<String> {
        self.diagnostics
            .iter()
            .map(|found| {
                let under = found.place().map_or("", |place| self.under(place));
                let instead = found.instead.as_deref().map(|text| format!(" -> {text}"));
                format!("{}: {under}{}", found.code.name(), instead.unwrap_or_default())
            })
            .collect()
    }

    fn codes(&self) -> Vec<Code> {
        self.diagnostics.iter().map(|found| found.code).collect()
    }

    /// Asserts that the file is refused with exactly this error.
    fn refused(&self, code: Code) -> &Diagnostic {
        assert!(self.facts.is_none(), "it has facts");
        let errors: Vec<_> = self
            .diagnostics
            .iter()
            .filter(|found| found.severity == Severity::Error)
            .collect();
        assert!(errors.iter().any(|found| found.code == code), "{:?}", self.told());
        errors.into_iter().find(|found| found.code == code).unwrap()
    }

    /// Asserts that nothing is wrong.
    fn clean(&self) {
        assert_eq!(self.told(), [""; 0]);
    }
}
