//! `ftrisk facts`

use super::args::{Color, FactsArgs, Format};
use super::{BAD_INPUT, Outcome, files, terminal};
use crate::diag::Diagnostic;
use crate::diag::render::render;
use crate::source::Sources;
use crate::{adapt, check, report};

pub(super) fn run(args: &FactsArgs, color: Color) -> Outcome {
    let mut sources = Sources::default();
    let run = args.run.as_ref().map(|run| files::run(run, &mut sources)).transpose();
    let named = run.and_then(|run| {
        let beside = files::beside(&args.launch.start.with, args.facts.as_deref(), &mut sources)?;
        Ok((run, beside))
    });
    let read = match named {
        Ok((run, beside)) => adapt::read_beside(run, &sources, args.launch.launch(), &beside),
        Err(finding) => {
            complain(&[*finding], &sources, color);
            return Ok(BAD_INPUT);
        }
    };
    // What was wrong goes to the other stream: what is printed is the facts alone.
    complain(&read.diagnostics, &sources, color);
    let Some(facts) = read.facts else {
        return Ok(BAD_INPUT);
    };
    let known = check::known(&facts);
    terminal::print(&match args.format {
        Format::Text => report::facts::text(&known, &sources),
        Format::Json => report::facts::json(&known, &sources),
    })?;
    Ok(if crate::diag::has_errors(&read.diagnostics) {
        BAD_INPUT
    } else {
        0
    })
}

fn complain(diagnostics: &[Diagnostic], sources: &Sources, color: Color) {
    for diagnostic in diagnostics {
        terminal::note(&render(diagnostic, sources, terminal::style(color)));
    }
}
