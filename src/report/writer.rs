//! A report written as it comes: a head, what there is to say about each file, a tail, in any of the formats.

use super::{CheckReport, FileReport, Totals, github, json, junit, sarif};
use crate::source::Sources;

/// What a report is written in.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// For people.
    #[cfg(feature = "cli")]
    Text {
        /// How to draw.
        style: crate::diag::render::Style,
        /// Whether every line of the policy is listed with its verdict.
        verbose: bool,
        /// Whether only runs that are not within get a line, and nothing is drawn.
        quiet: bool,
    },
    /// One JSON document.
    Json,
    /// One SARIF 2.1.0 log.
    Sarif,
    /// One JUnit document.
    Junit,
    /// Workflow commands of GitHub.
    Github,
}

/// Writes a report piece by piece. Pieces come from any thread; their order is the caller's.
#[derive(Debug, Clone, Copy)]
pub struct Writer<'p> {
    /// What is written.
    pub form: Form,
    /// The policies that are asked, without runs.
    pub policies: &'p [CheckReport],
    /// Their texts.
    pub sources: &'p Sources,
    /// Whether there may be more than one run file.
    pub several: bool,
}

impl Writer<'_> {
    /// Whether every policy can judge; otherwise none does.
    pub fn judges(&self) -> bool {
        self.policies.iter().all(|report| report.judging().is_some())
    }

    /// What comes before the first file. `code` is the exit code of the whole, where it is known already.
    pub fn head(&self, code: Option<u8>) -> String {
        match self.form {
            #[cfg(feature = "cli")]
            Form::Text { style, .. } => super::text::head(self.policies, self.sources, style),
            Form::Json => json::head(self.policies, code, self.sources),
            Form::Sarif => sarif::head(self.policies, self.sources),
            Form::Junit => junit::head(),
            Form::Github => String::new(),
        }
    }

    /// What is said about the policies in the form of findings about files.
    pub fn about_policies(&self) -> Vec<String> {
        match self.form {
            #[cfg(feature = "cli")]
            Form::Text { .. } => Vec::new(),
            Form::Json => Vec::new(),
            Form::Sarif => sarif::policies(self.policies, self.sources),
            Form::Junit => junit::policies(self.policies, self.sources),
            Form::Github => github::policies(self.policies, self.sources),
        }
    }

    /// What is said about one run file.
    pub fn file(&self, report: &FileReport<'_>, sources: &Sources) -> Vec<String> {
        match self.form {
            #[cfg(feature = "cli")]
            Form::Text { style, verbose, quiet } => {
                vec![if quiet {
                    super::text::in_a_line(report, self.several)
                } else {
                    super::text::file(report, sources, style, verbose, self.several)
                }]
            }
            Form::Json => vec![json::file(report, sources)],
            Form::Sarif => sarif::file(report, self.policies, sources),
            Form::Junit => vec![junit::file(report, self.policies, sources)],
            Form::Github => github::file(report, self.policies, sources),
        }
    }

    /// What is said about a file below a named folder that is no run.
    pub fn no_run(&self, file: &str, why: &str) -> String {
        match self.form {
            #[cfg(feature = "cli")]
            Form::Text {
                verbose: true,
                quiet: false,
                ..
            } => format!("{file}: no run: {why}\n\n"),
            _ => String::new(),
        }
    }

    /// What stands between two pieces.
    pub fn between(&self) -> &'static str {
        match self.form {
            Form::Json | Form::Sarif => ",",
            _ => "",
        }
    }

    /// What comes after the last file. `code` is the exit code of the whole; `some` says whether any piece was written.
    pub fn tail(&self, totals: &Totals, code: u8, in_head: bool, some: bool) -> String {
        match self.form {
            #[cfg(feature = "cli")]
            Form::Text { quiet, verbose, .. } => super::text::tail(self.policies, totals, self.several, verbose, quiet),
            Form::Json => json::tail(self.policies, totals, (!in_head).then_some(code), some),
            Form::Sarif => sarif::tail(totals, code, some),
            Form::Junit => junit::tail(),
            Form::Github => String::new(),
        }
    }
}
