//! Every file under every policy and launch, counted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use ftrisk::adapt::{Launch, Read, read};
use ftrisk::builtin;
use ftrisk::check::judge;
use ftrisk::diag::has_errors;
use ftrisk::facts::{Derived, Facts, derive};
use ftrisk::ir::{Asks, Coverage, Judgement, Level, Line, Policy, Verdict};
use ftrisk::quantity::{Finite, Quantity};
use ftrisk::sema;
use ftrisk::source::Sources;

use super::record::{Limit, Only, Record, Story, Unknown, Values, Verdicts};
use super::{ALONE, EIGHT, LAUNCHES, Outcome, POLICIES, PROJECTS, ROWS, WITH_ROWS, stories};

/// The quantities whose values are kept: those of the picture, and the scale that a story is about.
const QUANTITIES: [Quantity; 5] = [
    Quantity::LearningRate,
    Quantity::UpdateScale,
    Quantity::LoraRank,
    Quantity::BatchEffective,
    Quantity::LoraScale,
];

/// A file of the corpus.
pub struct File {
    pub project: &'static str,
    pub text: String,
}

/// Every count over the run files of a corpus.
pub fn audit(corpus: &Path) -> Outcome<Vec<Record>> {
    let files = files(&corpus.join("configs"))?;
    let mut records = Vec::new();
    for launch in LAUNCHES {
        let (mut sources, mut runs) = (Sources::default(), Vec::new());
        for file in &files {
            let id = sources.add("run", file.text.clone());
            runs.push((file, read(id, &sources, flags(launch)?)));
        }
        for policy in POLICIES {
            let compiled = compiled(policy, &mut sources)?;
            let judged: Vec<(&File, &Read, Option<Judgement>)> = runs
                .iter()
                .map(|(file, read)| {
                    (
                        *file,
                        read,
                        read.facts
                            .as_ref()
                            .map(|facts| judge(&compiled, facts, &sources, false)),
                    )
                })
                .collect();
            records.extend(
                verdicts(policy, launch, &compiled, &judged)
                    .into_iter()
                    .map(Record::Verdicts),
            );
            records.extend(
                limits(policy, launch, &compiled, &judged)
                    .into_iter()
                    .map(Record::Limit),
            );
            records.extend(unknowns(policy, launch, &judged).into_iter().map(Record::Unknown));
            if (policy, launch) == (POLICIES[0], ALONE) {
                records.extend(values(&judged).into_iter().map(Record::Values));
                records.extend(only(&compiled, &judged).into_iter().map(Record::Only));
            }
        }
        if launch == ALONE {
            records.extend(told(&runs).into_iter().map(Record::Story));
        }
    }
    Ok(records)
}

fn flags(launch: &str) -> Outcome<Launch> {
    let (world_size, dataset_rows) = match launch {
        ALONE => (1, None),
        WITH_ROWS => (1, Some(ROWS)),
        EIGHT => (8, None),
        other => return Err(format!("no launch `{other}`").into()),
    };
    Ok(Launch {
        world_size: Some(world_size),
        dataset_rows,
        ..Launch::default()
    })
}

/// A shipped policy.
pub fn compiled(name: &str, sources: &mut Sources) -> Outcome<Policy> {
    let shipped = builtin::policy(name).ok_or_else(|| format!("no shipped policy `{name}`"))?;
    let source = sources.add(name, shipped.text);
    Ok(sema::compile(source, sources)
        .policy
        .ok_or("a shipped policy has a mistake")?)
}

/// The files of the projects, each project's in the order of their names.
fn files(configs: &Path) -> Outcome<Vec<File>> {
    let mut files = Vec::new();
    for (project, _) in PROJECTS {
        let mut paths = Vec::new();
        below(&configs.join(project), &mut paths)?;
        paths.sort();
        for path in paths {
            let text = String::from_utf8_lossy(&fs::read(path)?).into_owned();
            files.push(File { project, text });
        }
    }
    Ok(files)
}

fn below(folder: &Path, paths: &mut Vec<PathBuf>) -> Outcome<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            below(&path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

type Judged<'a> = (&'a File, &'a Read, Option<Judgement>);

fn is_enforced(line: Option<&Line>) -> bool {
    line.is_some_and(|line| line.level != Level::Advise)
}

/// The subjects of enforced lines that are over, as indices.
fn over<'a>(policy: &'a Policy, judgement: &'a Judgement) -> impl Iterator<Item = usize> + 'a {
    let lines = judgement.lines.iter();
    let over = lines.filter(|judged| matches!(judged.verdict, Verdict::Over { .. }));
    over.map(|judged| judged.line)
        .filter(|line| is_enforced(policy.lines.get(*line)))
}

fn is_open(policy: &Policy, judgement: &Judgement) -> bool {
    let open = |judged: &ftrisk::ir::Judged| matches!(judged.verdict, Verdict::Open { .. });
    let is_enforced = |line: usize| is_enforced(policy.lines.get(line));
    judgement.coverage == Coverage::Unknown
        || judgement
            .lines
            .iter()
            .any(|judged| open(judged) && is_enforced(judged.line))
}

fn verdicts(policy: &str, launch: &str, compiled: &Policy, judged: &[Judged]) -> Vec<Verdicts> {
    let mut all = Vec::new();
    for (project, _) in PROJECTS {
        let mut count = Verdicts {
            policy: policy.to_owned(),
            launch: launch.to_owned(),
            project: (*project).to_owned(),
            ..Verdicts::default()
        };
        for (_, read, judgement) in judged.iter().filter(|(file, ..)| file.project == *project) {
            count.files += 1;
            let column = match judgement {
                None => &mut count.faulty,
                Some(judgement) if judgement.coverage == Coverage::NotCovered => &mut count.not_covered,
                Some(judgement) if over(compiled, judgement).next().is_some() => &mut count.over,
                Some(judgement) if is_open(compiled, judgement) => &mut count.open,
                Some(_) if has_errors(&read.diagnostics) => &mut count.faulty,
                Some(_) => &mut count.within,
            };
            *column += 1;
        }
        all.push(count);
    }
    all
}

fn limits(policy: &str, launch: &str, compiled: &Policy, judged: &[Judged]) -> Vec<Limit> {
    let mut all: Vec<Limit> = Vec::new();
    for (index, line) in compiled.lines.iter().enumerate() {
        let mut count = Limit {
            policy: policy.to_owned(),
            launch: launch.to_owned(),
            line: index,
            subject: line.subject().to_owned(),
            advice: line.level == Level::Advise,
            ..Limit::default()
        };
        for judgement in judged.iter().filter_map(|(.., judgement)| judgement.as_ref()) {
            // A file of which it is not known whether it is covered is counted as open, and not line by line.
            if judgement.coverage != Coverage::Covered {
                continue;
            }
            let Some(found) = judgement.lines.iter().find(|judged| judged.line == index) else {
                continue;
            };
            match found.verdict {
                Verdict::Within { .. } => count.within += 1,
                Verdict::Over { .. } => count.over += 1,
                Verdict::Open { .. } => count.open += 1,
                Verdict::Later { .. } => count.later += 1,
                Verdict::NotApplicable { .. } => count.not_applicable += 1,
            }
            count.alone += usize::from(over(compiled, judgement).eq([index]));
        }
        all.push(count);
    }
    all
}

/// Facts that keep a file open; what supplies them is a flag, or a value in the file.
fn unknowns(policy: &str, launch: &str, judged: &[Judged]) -> Vec<Unknown> {
    let mut files: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for judgement in judged.iter().filter_map(|(.., judgement)| judgement.as_ref()) {
        let mut missing = BTreeSet::new();
        if judgement.coverage == Coverage::Unknown {
            for finding in &judgement.findings {
                let how = finding.help.as_deref().unwrap_or_default();
                missing.extend(finding.subject.clone().map(|subject| (subject, supply(how))));
            }
        } else {
            for judged in &judgement.lines {
                if let Verdict::Open { conditions, .. } = &judged.verdict {
                    let missed = conditions.iter();
                    missing.extend(missed.map(|condition| (condition.fact.clone(), supply(&condition.supply.how))));
                }
            }
        }
        for fact in missing {
            *files.entry(fact).or_default() += 1;
        }
    }
    let record = |((fact, supply), files): ((String, &str), usize)| Unknown {
        policy: policy.to_owned(),
        launch: launch.to_owned(),
        fact,
        supply: supply.to_owned(),
        files,
    };
    files.into_iter().map(record).collect()
}

/// What supplies a fact, of the sentence that says how.
fn supply(how: &str) -> &'static str {
    let flags = ["--dataset-rows", "--stage", "--world-size"];
    flags.into_iter().find(|flag| how.contains(flag)).unwrap_or("the file")
}

fn values(judged: &[Judged]) -> Vec<Values> {
    let mut all = Vec::new();
    for (project, _) in PROJECTS {
        let covered: Vec<&Facts> = judged
            .iter()
            .filter(|(file, _, judgement)| {
                let is_covered = |judgement: &Judgement| judgement.coverage == Coverage::Covered;
                file.project == *project && judgement.as_ref().is_some_and(is_covered)
            })
            .filter_map(|(_, read, _)| read.facts.as_ref())
            .collect();
        for quantity in QUANTITIES {
            let mut values: BTreeMap<Finite, usize> = BTreeMap::new();
            for value in covered.iter().filter_map(|facts| value(quantity, facts)) {
                *values.entry(value).or_default() += 1;
            }
            all.push(Values {
                project: (*project).to_owned(),
                quantity: quantity.name().to_owned(),
                files: values.into_iter().map(|(value, files)| (value.get(), files)).collect(),
            });
        }
    }
    all
}

/// The one value that a quantity has.
fn value(quantity: Quantity, facts: &Facts) -> Option<Finite> {
    match derive(quantity, facts) {
        Derived::Values { values, .. } if values.is_point() => Finite::new(values.lo()),
        _ => None,
    }
}

fn only(policy: &Policy, judged: &[Judged]) -> Vec<Only> {
    let is_required = |line: usize| {
        let line = policy.lines.get(line);
        line.is_some_and(|line| matches!(line.asks, Asks::Require(_)))
    };
    let count = |(project, _): &(&str, &str)| {
        let of_project = judged.iter().filter(|(file, ..)| file.project == *project);
        let (mut by_requirement, mut all) = (0, 0);
        for judgement in of_project.filter_map(|(.., judgement)| judgement.as_ref()) {
            let lines: Vec<usize> = over(policy, judgement).collect();
            all += usize::from(!lines.is_empty());
            by_requirement += usize::from(!lines.is_empty() && lines.into_iter().all(is_required));
        }
        Only {
            project: (*project).to_owned(),
            by_requirement,
            over: all,
        }
    };
    PROJECTS.iter().map(count).collect()
}

fn told(runs: &[(&File, Read)]) -> Vec<Story> {
    let count = |story: &stories::Story| {
        let of: Vec<&(&File, Read)> = runs
            .iter()
            .filter(|(file, read)| file.project == story.project && (story.of)(file, read))
            .collect();
        Story {
            story: story.name.to_owned(),
            project: story.project.to_owned(),
            files: of.iter().filter(|(file, read)| (story.is)(file, read)).count(),
            of: of.len(),
        }
    };
    stories::STORIES.iter().map(count).collect()
}
