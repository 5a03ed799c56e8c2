//! The tables of the page, and the sentences that have a count in them.

use std::fmt::Write as _;

use super::record::{Limit, Only, Record, Story, Unknown, Values, Verdicts};
use super::{ALONE, EIGHT, Outcome, POLICIES, PROJECTS, WITH_ROWS};

/// The page with what stands between its marks made anew.
pub fn page(page: &str, records: &[Record]) -> Outcome<String> {
    let counts = Counts(records);
    let mut page = page.to_owned();
    for (name, table) in [
        ("verdicts", verdicts(&counts)?),
        ("limits", limits(&counts)?),
        ("unknowns", unknowns(&counts)),
    ] {
        let begin = format!("<!-- {name}: made by `cargo run --example corpus_audit` -->");
        let end = format!("<!-- the end of {name} -->");
        let (head, rest) = page
            .split_once(&begin)
            .ok_or_else(|| format!("no mark where {name} begin"))?;
        let (_, tail) = rest
            .split_once(&end)
            .ok_or_else(|| format!("no mark where {name} end"))?;
        page = format!("{head}{begin}\n\n{table}\n{end}{tail}");
    }
    Ok(page)
}

/// The log, to be asked.
pub struct Counts<'r>(pub &'r [Record]);

impl Counts<'_> {
    pub fn verdicts(&self, policy: &str, launch: &str, project: &str) -> Outcome<&Verdicts> {
        let found = self.0.iter().find_map(|record| match record {
            Record::Verdicts(found)
                if (&*found.policy, &*found.launch, &*found.project) == (policy, launch, project) =>
            {
                Some(found)
            }
            _ => None,
        });
        Ok(found.ok_or_else(|| format!("the log has no verdicts of {policy}, {launch}, {project}"))?)
    }

    /// The verdicts of a policy on every project together.
    pub fn all(&self, policy: &str, launch: &str) -> Outcome<Verdicts> {
        let mut sum = Verdicts::default();
        for (project, _) in PROJECTS {
            let one = self.verdicts(policy, launch, project)?;
            sum.files += one.files;
            sum.within += one.within;
            sum.over += one.over;
            sum.open += one.open;
            sum.not_covered += one.not_covered;
            sum.faulty += one.faulty;
        }
        Ok(sum)
    }

    /// The lines of a policy in its order.
    pub fn limits(&self, policy: &str, launch: &str) -> impl Iterator<Item = &Limit> {
        self.0.iter().filter_map(move |record| match record {
            Record::Limit(found) if (&*found.policy, &*found.launch) == (policy, launch) => Some(found),
            _ => None,
        })
    }

    /// The enforced line of a policy about a subject, which stands before the advice.
    pub fn limit(&self, policy: &str, launch: &str, subject: &str) -> Outcome<&Limit> {
        let found = self.limits(policy, launch).find(|limit| limit.subject == subject);
        Ok(found.ok_or_else(|| format!("the log has no {subject} of {policy}"))?)
    }

    fn unknowns(&self, policy: &str, launch: &str) -> impl Iterator<Item = &Unknown> {
        self.0.iter().filter_map(move |record| match record {
            Record::Unknown(found) if (&*found.policy, &*found.launch) == (policy, launch) => Some(found),
            _ => None,
        })
    }

    pub fn story(&self, name: &str, project: &str) -> Outcome<&Story> {
        let found = self.0.iter().find_map(|record| match record {
            Record::Story(found) if (&*found.story, &*found.project) == (name, project) => Some(found),
            _ => None,
        });
        Ok(found.ok_or_else(|| format!("the log has no story {name} of {project}"))?)
    }

    pub fn only(&self) -> impl Iterator<Item = &Only> {
        self.0.iter().filter_map(|record| match record {
            Record::Only(found) => Some(found),
            _ => None,
        })
    }

    /// The values of a quantity in the covered files of a project.
    pub fn values(&self, project: &str, quantity: &str) -> Outcome<&Values> {
        let found = self.0.iter().find_map(|record| match record {
            Record::Values(found) if (&*found.project, &*found.quantity) == (project, quantity) => Some(found),
            _ => None,
        });
        Ok(found.ok_or_else(|| format!("the log has no {quantity} of {project}"))?)
    }
}

fn verdicts(counts: &Counts) -> Outcome<String> {
    let mut out = String::from(
        "| project | files | cautious-sft: within | over | open | file at fault | not covered | exploratory: within | over | open | file at fault | not covered |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let cells = |of: &dyn Fn(&str) -> Outcome<Verdicts>| -> Outcome<String> {
        let mut row = String::new();
        for policy in POLICIES {
            let count = of(policy)?;
            let _ = write!(
                row,
                "{} | {} | {} | {} | {} | ",
                count.within, count.over, count.open, count.faulty, count.not_covered
            );
        }
        Ok(row.trim_end().to_owned())
    };
    for (project, name) in PROJECTS {
        let files = counts.verdicts(POLICIES[0], ALONE, project)?.files;
        let row = cells(&|policy| Ok(counts.verdicts(policy, ALONE, project)?.clone()))?;
        let _ = writeln!(out, "| {name} | {files} | {row}");
    }
    for (launch, name) in [
        (ALONE, "all"),
        (WITH_ROWS, "all, `--dataset-rows 10000`"),
        (EIGHT, "all, `--world-size 8`"),
    ] {
        let files = counts.all(POLICIES[0], launch)?.files;
        let row = cells(&|policy| counts.all(policy, launch))?;
        let _ = writeln!(out, "| {name} | {files} | {row}");
    }
    Ok(out)
}

fn limits(counts: &Counts) -> Outcome<String> {
    let mut out = String::from(
        "| policy | limit | within | over | the only one over | open | open with `--dataset-rows 10000` | over with `--world-size 8` |\n|---|---|---|---|---|---|---|---|\n",
    );
    for policy in POLICIES {
        let mut lines: Vec<&Limit> = counts
            .limits(policy, ALONE)
            .filter(|limit| limit.within + limit.over + limit.open > 0)
            .collect();
        lines.sort_by_key(|limit| (limit.advice, std::cmp::Reverse(limit.over), limit.line));
        for limit in lines {
            let again = |launch: &str| {
                let found = counts.limits(policy, launch).find(|other| other.line == limit.line);
                found.ok_or_else(|| format!("the log has no line {} of {policy}", limit.line))
            };
            let _ = writeln!(
                out,
                "| {policy} | {}{} | {} | {} | {} | {} | {} | {} |",
                if limit.advice { "advice: " } else { "" },
                limit.subject,
                limit.within,
                limit.over,
                limit.alone,
                limit.open,
                again(WITH_ROWS)?.open,
                again(EIGHT)?.over,
            );
        }
    }
    Ok(out)
}

fn unknowns(counts: &Counts) -> String {
    let mut out = String::from("| policy | fact | files | what answers it |\n|---|---|---|---|\n");
    for policy in POLICIES {
        let mut facts: Vec<&Unknown> = counts
            .unknowns(policy, ALONE)
            .filter(|unknown| unknown.files > 1)
            .collect();
        facts.sort_by_key(|unknown| (std::cmp::Reverse(unknown.files), &unknown.fact));
        for Unknown {
            fact, supply, files, ..
        } in facts
        {
            let answer = if supply.starts_with("--") {
                format!("`{supply}`")
            } else {
                supply.clone()
            };
            let _ = writeln!(out, "| {policy} | {fact} | {files} | {answer} |");
        }
    }
    out
}

/// How many files of a project have a value.
fn having(counts: &Counts, project: &str, quantity: &str, is: impl Fn(f64) -> bool) -> Outcome<usize> {
    let values = &counts.values(project, quantity)?.files;
    Ok(values
        .iter()
        .filter(|(value, _)| is(*value))
        .map(|(_, files)| files)
        .sum())
}

/// The sentences of the page that have a count in them.
pub fn phrases(records: &[Record]) -> Outcome<Vec<String>> {
    let counts = Counts(records);
    let mut phrases = of_verdicts(&counts)?;
    phrases.extend(of_limits(&counts)?);
    phrases.extend(of_stories(&counts)?);
    Ok(phrases)
}

fn of_verdicts(counts: &Counts) -> Outcome<Vec<String>> {
    let [cautious, exploratory] = [counts.all(POLICIES[0], ALONE)?, counts.all(POLICIES[1], ALONE)?];
    let [with_rows, sandbox] = [counts.all(POLICIES[0], WITH_ROWS)?, counts.all(POLICIES[1], WITH_ROWS)?];
    let covered = |verdicts: &Verdicts| verdicts.files - verdicts.not_covered;
    let over = |project| -> Outcome<usize> {
        let found = counts.verdicts(POLICIES[0], ALONE, project)?;
        let all = (found.within, found.faulty) == (0, 0) && found.over == covered(found) - found.open;
        Ok(all.then_some(found.over).ok_or("not all of them are over any more")?)
    };
    if (with_rows.over, sandbox.over) != (cautious.over, exploratory.over) {
        return Err("an open file is over when the rows are known".into());
    }
    let rate = |project, rate: f64| having(counts, project, "learning_rate", |value| value == rate);
    let rank = |project, rank: f64| having(counts, project, "lora.rank", |value| value == rank);
    Ok(vec![
        format!("{} run files of {} projects", cautious.files, PROJECTS.len()),
        format!("{} of {} train every weight", cautious.not_covered, cautious.files),
        format!(
            "Of the {} that it covers or may cover, {} are over and {} are within",
            covered(&cautious),
            cautious.over,
            cautious.within
        ),
        format!(
            "All {} covered files of Axolotl are over, all {} of torchtune and all {} of LitGPT",
            over("axolotl")?,
            over("torchtune")?,
            over("litgpt")?
        ),
        format!(
            "of the {} files that it covers or may cover {} is over",
            covered(&exploratory),
            exploratory.over
        ),
        format!(
            "{} of {} covered files of Axolotl have a rate of exactly 2e-4, the bound of the policy; {} of {} of torchtune have 3e-4",
            rate("axolotl", 2e-4)?,
            having(counts, "axolotl", "learning_rate", |_| true)?,
            rate("torchtune", 3e-4)?,
            having(counts, "torchtune", "learning_rate", |_| true)?,
        ),
        format!(
            "{} files of Axolotl have 32, and {} of torchtune 64",
            rank("axolotl", 32.0)?,
            rank("torchtune", 64.0)?
        ),
        format!(
            "with `--dataset-rows 10000`, {} of {} open files have an answer under `cautious-sft`, and {} of {} under `exploratory`",
            cautious.open - with_rows.open,
            cautious.open,
            exploratory.open - sandbox.open,
            exploratory.open
        ),
    ])
}

fn of_limits(counts: &Counts) -> Outcome<Vec<String>> {
    let limit = |subject| counts.limit(POLICIES[0], ALONE, subject);
    let [seed, clipping, rank] = [limit("seed")?, limit("clipping")?, limit("lora.rank")?];
    let [rate, scale, batch] = [
        limit("learning_rate")?,
        limit("update_scale")?,
        limit("batch.effective")?,
    ];
    let covered = |limit: &Limit| limit.within + limit.over + limit.open;
    let enforced = counts.limits(POLICIES[0], ALONE).filter(|limit| !limit.advice);
    if enforced.map(|limit| limit.over).max() != Some(seed.over) {
        return Err("another line is over more often than the seed".into());
    }
    let litgpt = counts.verdicts(POLICIES[0], ALONE, "litgpt")?;
    if clipping.over < litgpt.over {
        return Err("not every covered file of LitGPT can be without clipping".into());
    }
    let levers = limit("changed_levers")?;
    let sandbox = |subject| counts.limit(POLICIES[1], ALONE, subject);
    let wall = sandbox("learning_rate")?;
    let dora = counts.story("dora", "torchtune")?;
    Ok(vec![
        format!("is the line that is over most often**, in {} files", seed.over),
        format!(
            "{} files are over by nothing but a missing seed or clipping",
            counts.only().map(|only| only.by_requirement).sum::<usize>()
        ),
        format!(
            "All {} covered files are over; fine-tuning there does not clip",
            litgpt.over
        ),
        format!(
            "{} of {} covered files are over it, and {} of them over nothing else",
            rank.over,
            covered(rank),
            rank.alone
        ),
        format!(
            "{} files are over the first and {} over the second",
            rate.over, scale.over
        ),
        format!(
            "Of the {}, {} are at 3e-4 in torchtune with a scale of 2",
            rate.over,
            having(counts, "torchtune", "update_scale", |value| (value - 6e-4).abs() < 1e-9)?
        ),
        format!(
            "With 1 process {} files are outside, with 8 processes {}",
            batch.over,
            counts.limit(POLICIES[0], EIGHT, "batch.effective")?.over
        ),
        format!(
            "{} of NeMo Automodel are above 128 whatever is launched",
            having(counts, "nemo-automodel", "batch.effective", |value| value > 128.0)?
        ),
        format!("in all {} covered files it does not apply", levers.not_applicable),
        format!("{} of {} are within", wall.within, covered(wall)),
        format!("Its rank of 256 is another: {} are over", sandbox("lora.rank")?.over),
        format!("{} files of torchtune are refused as not covered", dora.files),
    ])
}

fn of_stories(counts: &Counts) -> Outcome<Vec<String>> {
    let story = |name, project| counts.story(name, project);
    let seeds = [story("no seed", "axolotl")?, story("no seed", "torchtune")?];
    let held = story("held out and never read", "axolotl")?;
    let off = story("held out and never read", "torchtune")?;
    let floor = story("a floor that nobody reads", "litgpt")?;
    let whole = story("an adapter without an adapter", "axolotl")?;
    let dropped = story("a key that is dropped", "axolotl")?;
    let both = [
        story("epochs and steps", "axolotl")?,
        story("epochs and steps", "nemo-automodel")?,
    ];
    let text = story("a rate that is text", "ms-swift")?;
    let alone = story("steps and no rows", "nemo-automodel")?;
    let mut scales: Vec<f64> = Vec::new();
    for (project, _) in PROJECTS.iter().filter(|(project, _)| *project != "mlx-lm") {
        scales.extend(
            counts
                .values(project, "lora.scale")?
                .files
                .iter()
                .map(|(value, _)| value),
        );
    }
    scales.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (scales.first(), scales.last()) else {
        return Err("no scales".into());
    };
    let example = |quantity| -> Outcome<f64> {
        let values = &counts.values("mlx-lm", quantity)?.files;
        Ok(values.first().ok_or("no value of mlx-lm")?.0)
    };
    let fast = having(counts, "torchtune", "learning_rate", |value| value == 0.002)?;
    let largest = |quantity, below: f64| -> Outcome<f64> {
        let values = counts.values("torchtune", quantity)?.files.iter();
        Ok(values
            .map(|(value, _)| *value)
            .filter(|value| *value < below)
            .fold(0.0, f64::max))
    };
    Ok(vec![
        format!("{} of {} files of Axolotl write no seed", seeds[0].files, seeds[0].of),
        format!("where it is `null`, as in {} of {} files.", seeds[1].files, seeds[1].of),
        format!(
            "Of {} files that hold rows out, {} never read them, {} of them for this reason",
            held.of,
            held.files,
            story("once per epoch of one", "axolotl")?.files
        ),
        format!("In torchtune it is {} of {} files", off.files, off.of),
        format!("{} of {} fine-tuning files of LitGPT", floor.files, floor.of),
        format!(
            "{} of {} files of Axolotl that train every weight",
            whole.files, whole.of
        ),
        format!("without a word: {} of {} files have one", dropped.files, dropped.of),
        format!(
            "{} of {} files of Axolotl and {} of {} of NeMo Automodel write both",
            both[0].files, both[0].of, both[1].files, both[1].of
        ),
        format!("A further {} files of NeMo Automodel", alone.files),
        format!("{} of {} files of ms-swift write rates", text.files, text.of),
        format!(
            "its example has {}; the other covered files have {least} to {most}",
            example("lora.scale")?
        ),
        format!(
            "At its rate of {:e} the product is {:e}",
            example("learning_rate")?,
            example("update_scale")?
        ),
        format!("belongs to {fast} files of torchtune with an ordinary scale of 2 and a rate of 0.002"),
        format!(
            "where its other covered files have {:e} at most: {}, five times",
            largest("learning_rate", 0.002)?,
            largest("update_scale", f64::INFINITY)?
        ),
    ])
}
