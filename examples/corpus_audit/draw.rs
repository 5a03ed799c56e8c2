//! The picture, from the log.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ftrisk::ir::{Asks, Level, Line};
use ftrisk::quantity::{Interval, Quantity};
use ftrisk::source::Sources;

use super::page::Counts;
use super::record::Record;
use super::{ALONE, Outcome, POLICIES, PROJECTS, judge};

/// One panel of values.
struct Panel {
    title: &'static str,
    quantity: Quantity,
    /// The ends of the axis, which is logarithmic, and its ticks.
    from: f64,
    to: f64,
    ticks: &'static [(f64, &'static str)],
}

/// Ticks of the scales on which rates stand.
const RATES: &[(f64, &str)] = &[
    (1e-6, "1e-6"),
    (1e-5, "1e-5"),
    (1e-4, "1e-4"),
    (1e-3, "1e-3"),
    (1e-2, "1e-2"),
];

const PANELS: &[Panel] = &[
    Panel {
        title: "learning rate",
        quantity: Quantity::LearningRate,
        from: 1e-6,
        to: 1e-2,
        ticks: RATES,
    },
    Panel {
        title: "rate × LoRA scale",
        quantity: Quantity::UpdateScale,
        from: 1e-6,
        to: 1e-2,
        ticks: RATES,
    },
    Panel {
        title: "LoRA rank",
        quantity: Quantity::LoraRank,
        from: 4.0,
        to: 128.0,
        ticks: &[
            (4.0, "4"),
            (8.0, "8"),
            (16.0, "16"),
            (32.0, "32"),
            (64.0, "64"),
            (128.0, "128"),
        ],
    },
    Panel {
        title: "batch, one process",
        quantity: Quantity::BatchEffective,
        from: 1.0,
        to: 2048.0,
        ticks: &[
            (1.0, "1"),
            (4.0, "4"),
            (16.0, "16"),
            (64.0, "64"),
            (256.0, "256"),
            (1024.0, "1024"),
        ],
    },
];

const INK: &str = "#333333";
const INSIDE: &str = "#0b6e4f";
const OUTSIDE: &str = "#c0392b";
const OPEN: &str = "#e0a030";
const FAULTY: &str = "#8e6bb0";
const NOBODY: &str = "#d5d5d5";

const NAMES: f64 = 16.0;
const BARS: f64 = 180.0;
const BAR_WIDTH: f64 = 200.0;
const LEFT: f64 = 420.0;
const WIDTH: f64 = 190.0;
const GAP: f64 = 34.0;
const TOP: f64 = 78.0;
const ROW: f64 = 42.0;

impl Panel {
    /// Where a value stands on the axis, in [0, 1]; `None` beyond its ends.
    fn place(&self, value: f64) -> Option<f64> {
        let share = (value / self.from).ln() / (self.to / self.from).ln();
        (-1e-9..=1.0 + 1e-9).contains(&share).then_some(share)
    }
}

/// What each enforced limit of the first policy accepts.
pub fn bounds() -> Outcome<BTreeMap<Quantity, Interval>> {
    let policy = judge::compiled(POLICIES[0], &mut Sources::default())?;
    let accepts = |line: &Line| match &line.asks {
        Asks::Limit(limit) if line.level != Level::Advise => Some((limit.quantity, limit.accepts())),
        _ => None,
    };
    Ok(policy.lines.iter().filter_map(accepts).collect())
}

/// A dot's area is the number of files.
fn radius(files: usize) -> f64 {
    2.1 * (files as f64).sqrt()
}

/// The picture: a row a project, its verdicts as a bar and the values of its covered files as dots.
pub fn picture(records: &[Record], bounds: &BTreeMap<Quantity, Interval>) -> Outcome<String> {
    let counts = Counts(records);
    let bottom = TOP + ROW * PROJECTS.len() as f64;
    let (width, height) = (LEFT + (WIDTH + GAP) * PANELS.len() as f64, bottom + 34.0);
    // A ground of its own: the picture is read the same on a light page and on a dark one.
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
         <title>Real run files under cautious-sft: verdicts, and the values behind them</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    legend(&mut out);
    title(&mut out, BARS, "files by verdict");
    for panel in 0..PANELS.len() {
        axis(&mut out, panel, bottom, bounds)?;
    }
    for (row, (project, name)) in PROJECTS.iter().enumerate() {
        let y = TOP + ROW * (row as f64 + 0.5);
        let verdicts = counts.verdicts(POLICIES[0], ALONE, project)?;
        let _ = writeln!(
            out,
            "<text x=\"{NAMES:.0}\" y=\"{:.0}\" fill=\"{INK}\">{name} ({})</text>",
            y + 4.0,
            verdicts.files
        );
        bar(
            &mut out,
            y,
            verdicts.files,
            &[
                (verdicts.within, INSIDE, "#ffffff"),
                (verdicts.over, OUTSIDE, "#ffffff"),
                (verdicts.open, OPEN, INK),
                (verdicts.faulty, FAULTY, "#ffffff"),
                (verdicts.not_covered, NOBODY, INK),
            ],
        );
        for (index, panel) in PANELS.iter().enumerate() {
            let accepts = accepted(bounds, panel.quantity)?;
            for &(value, files) in &counts.values(project, panel.quantity.name())?.files {
                let share = panel.place(value);
                let share = share.ok_or_else(|| format!("{value} is beyond the axis of {}", panel.title))?;
                let is_inside = accepts.lo() <= value && value <= accepts.hi();
                let _ = writeln!(
                    out,
                    "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"{:.1}\" fill=\"{}\" fill-opacity=\"0.75\"/>",
                    left(index) + WIDTH * share,
                    radius(files),
                    if is_inside { INSIDE } else { OUTSIDE }
                );
            }
        }
    }
    out.push_str("</svg>\n");
    Ok(out)
}

fn left(panel: usize) -> f64 {
    LEFT + (WIDTH + GAP) * panel as f64
}

fn accepted(bounds: &BTreeMap<Quantity, Interval>, quantity: Quantity) -> Outcome<Interval> {
    let found = bounds.get(&quantity).copied();
    Ok(found.ok_or_else(|| format!("the policy does not limit {}", quantity.name()))?)
}

fn title(out: &mut String, x: f64, text: &str) {
    let _ = writeln!(
        out,
        "<text x=\"{x:.0}\" y=\"{:.0}\" font-weight=\"600\" fill=\"{INK}\">{text}</text>",
        TOP - 16.0
    );
}

fn legend(out: &mut String) {
    let mut x = NAMES;
    for (colour, text) in [
        (INSIDE, "within"),
        (OUTSIDE, "over"),
        (OPEN, "open"),
        (FAULTY, "an error in the file"),
        (NOBODY, "not covered"),
    ] {
        let _ = writeln!(
            out,
            "<rect x=\"{x:.0}\" y=\"14\" width=\"12\" height=\"12\" fill=\"{colour}\"/><text x=\"{:.0}\" y=\"24\" fill=\"{INK}\">{text}</text>",
            x + 18.0
        );
        x += 44.0 + 5.8 * text.len() as f64;
    }
    x = LEFT + 110.0;
    for files in [1, 10, 50] {
        let _ = writeln!(
            out,
            "<circle cx=\"{x:.0}\" cy=\"20\" r=\"{:.1}\" fill=\"#888888\" fill-opacity=\"0.75\"/><text x=\"{:.0}\" y=\"24\" fill=\"{INK}\">{files}</text>",
            radius(files),
            x + radius(files) + 5.0
        );
        x += 34.0 + 2.0 * radius(files);
    }
    let (line, text) = (x + 205.0, x + 213.0);
    let _ = writeln!(
        out,
        "<text x=\"{x:.0}\" y=\"24\" fill=\"{INK}\">covered files at a value, by area</text>\
         <line x1=\"{line:.0}\" y1=\"12\" x2=\"{line:.0}\" y2=\"28\" stroke=\"{OUTSIDE}\" stroke-dasharray=\"4 3\"/>\
         <text x=\"{text:.0}\" y=\"24\" fill=\"{INK}\">the policy's bound</text>"
    );
}

fn axis(out: &mut String, panel: usize, bottom: f64, bounds: &BTreeMap<Quantity, Interval>) -> Outcome<()> {
    let x = left(panel);
    let Some(panel) = PANELS.get(panel) else { return Ok(()) };
    title(out, x, panel.title);
    for (tick, text) in panel.ticks {
        let at = x + WIDTH * panel.place(*tick).unwrap_or_default();
        let _ = writeln!(
            out,
            "<line x1=\"{at:.1}\" y1=\"{TOP:.0}\" x2=\"{at:.1}\" y2=\"{bottom:.0}\" stroke=\"#e5e5e5\"/>\
             <text x=\"{at:.1}\" y=\"{:.0}\" text-anchor=\"middle\" fill=\"#666666\" font-size=\"10\">{text}</text>",
            bottom + 16.0
        );
    }
    let accepts = accepted(bounds, panel.quantity)?;
    for share in [accepts.lo(), accepts.hi()]
        .into_iter()
        .filter_map(|bound| panel.place(bound))
    {
        let at = x + WIDTH * share;
        let _ = writeln!(
            out,
            "<line x1=\"{at:.1}\" y1=\"{TOP:.0}\" x2=\"{at:.1}\" y2=\"{bottom:.0}\" stroke=\"{OUTSIDE}\" stroke-dasharray=\"4 3\"/>"
        );
    }
    Ok(())
}

/// Verdicts side by side; a number stands in each part that is wide enough for it.
fn bar(out: &mut String, y: f64, files: usize, parts: &[(usize, &str, &str)]) {
    let mut x = BARS;
    for (count, colour, ink) in parts.iter().filter(|(count, ..)| *count > 0) {
        let width = BAR_WIDTH * *count as f64 / files.max(1) as f64;
        let _ = write!(
            out,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"18\" fill=\"{colour}\"/>",
            y - 9.0
        );
        if width >= 6.5 * count.to_string().len() as f64 + 1.0 {
            let _ = write!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"{ink}\" font-size=\"11\">{count}</text>",
                x + width / 2.0,
                y + 4.0
            );
        }
        out.push('\n');
        x += width;
    }
}
