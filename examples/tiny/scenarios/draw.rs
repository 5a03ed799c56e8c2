//! The table and the picture, from the log.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ftrisk::ir::{Asks, Level, Line};
use ftrisk::quantity::Quantity;
use ftrisk::sema;
use ftrisk::source::Sources;

use super::Outcome;
use super::record::Record;
use super::scenario::SCENARIOS;

const BEGIN: &str = "<!-- the table: made by `cargo run --release --example tiny_scenarios` -->";
const END: &str = "<!-- the end of the table -->";

/// The runs of a scenario with one seed, ungoverned and governed.
pub fn pair<'r>(records: &'r [Record], name: &str, seed: u64) -> Outcome<[&'r Record; 2]> {
    let find = |governed: bool| {
        let found = records
            .iter()
            .find(|record| (record.scenario == name, record.seed, record.governed) == (true, seed, governed));
        found.ok_or_else(|| format!("the log has no {name}, seed {seed}, governed {governed}"))
    };
    Ok([find(false)?, find(true)?])
}

/// The page with the table between its marks made anew.
pub fn page(page: &str, records: &[Record], seed: u64) -> Outcome<String> {
    let (head, rest) = page
        .split_once(BEGIN)
        .ok_or("the page has no mark where the table begins")?;
    let (_, tail) = rest
        .split_once(END)
        .ok_or("the page has no mark where the table ends")?;
    Ok(format!("{head}{BEGIN}\n\n{}\n{END}{tail}", table(records, seed)?))
}

fn table(records: &[Record], seed: u64) -> Outcome<String> {
    let mut out = String::from(
        "| run | guard | drift (nats) | largest update (nats) | distinct-2 of base | flips | held-out loss (base) | training loss | saved from | what happened |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    for scenario in SCENARIOS {
        for record in pair(records, scenario.name, seed)? {
            let _ = writeln!(
                out,
                "| {} | {} | {:.4} | {} | {:.0} % | {:.0} % | {:.3} ({:.3}) | {:.3} | {} of {} | {} |",
                scenario.what,
                if record.governed { "on" } else { "off" },
                record.drift,
                if record.governed {
                    format!("{:.1e}", record.largest_update)
                } else {
                    "–".to_owned()
                },
                100.0 * record.distinct_2,
                100.0 * record.flips,
                record.held_out,
                record.held_out_base,
                record.loss,
                record.saved_from,
                record.planned,
                told(record),
            );
        }
    }
    let sound: Vec<&Record> = SCENARIOS
        .iter()
        .take(1)
        .flat_map(|scenario| {
            records
                .iter()
                .filter(|record| record.scenario == scenario.name && record.governed)
        })
        .filter(|record| record.seed != seed)
        .collect();
    let stopped = sound.iter().filter(|record| record.end == "stopped").count();
    let most = sound.iter().map(|record| record.drift).fold(f64::NAN, f64::max);
    let least = sound.iter().map(|record| record.distinct_2).fold(f64::NAN, f64::min);
    let _ = writeln!(
        out,
        "\nThe sound run under guard with {} other seeds: {stopped} stopped; the largest drift was {most:.4} nats, the lowest distinct-2 {:.0} % of the base's.",
        sound.len(),
        100.0 * least,
    );
    Ok(out)
}

/// What happened, in words.
fn told(record: &Record) -> String {
    if !record.governed {
        return match record.check.as_slice() {
            [] => "`check` finds nothing over".to_owned(),
            over => format!("`check` refuses it: {}", over.join(", ")),
        };
    }
    let times = |count: u64, what: &str| (count > 0).then(|| format!("{what} {count} ×"));
    let mut parts: Vec<String> = [
        times(record.scaled, "scaled"),
        times(record.skipped, "skipped"),
        times(record.rolled_back, "rolled back"),
        times(record.halvings, "rate halved"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let Some(first) = &record.first {
        parts.push(format!("first breach at {} ({})", first.update, first.quantity));
    }
    parts.push(match (&record.last, record.end.as_str()) {
        (Some(last), "stopped") => format!("stopped at {} ({})", last.update, last.quantity),
        (_, end) => end.to_owned(),
    });
    parts.join(", ")
}

/// One panel of the picture.
struct Panel {
    title: &'static str,
    of: fn(&Record) -> f64,
    /// The ends of the axis, and its ticks.
    from: f64,
    to: f64,
    ticks: &'static [f64],
    is_log: bool,
    /// The quantity whose bound in the policy is drawn, and what one of its measure is on the axis.
    bound: Option<(Quantity, f64)>,
}

const PANELS: &[Panel] = &[
    Panel {
        title: "drift from the base, nats",
        of: |record| record.drift,
        from: 0.005,
        to: 20.0,
        ticks: &[0.01, 0.1, 1.0, 10.0],
        is_log: true,
        bound: Some((Quantity::DriftTotal, 1.0)),
    },
    Panel {
        title: "distinct-2, % of base",
        of: |record| 100.0 * record.distinct_2,
        from: 0.0,
        to: 120.0,
        ticks: &[0.0, 50.0, 100.0],
        is_log: false,
        bound: Some((Quantity::DiversityDistinct2, 100.0)),
    },
    Panel {
        title: "flipped pairs, %",
        of: |record| 100.0 * record.flips,
        from: 0.0,
        to: 60.0,
        ticks: &[0.0, 20.0, 40.0],
        is_log: false,
        bound: None,
    },
    Panel {
        title: "loss on held-out rows, nats",
        of: |record| record.held_out,
        from: 1.0,
        to: 8.0,
        ticks: &[1.0, 2.0, 4.0, 8.0],
        is_log: true,
        bound: None,
    },
];

const LEFT: f64 = 250.0;
const WIDTH: f64 = 170.0;
const GAP: f64 = 30.0;
const TOP: f64 = 70.0;
const ROW: f64 = 34.0;

impl Panel {
    /// Where a value stands on the axis, in [0, 1]; what is beyond its ends stands at them.
    fn place(&self, value: f64) -> f64 {
        let scaled = |x: f64| if self.is_log { x.max(1e-12).ln() } else { x };
        let share = (scaled(value) - scaled(self.from)) / (scaled(self.to) - scaled(self.from));
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 1.0 }
    }
}

/// The one bound of each enforced limit that a policy has, a share of the base's reading where it says so.
pub fn bounds(policy: &str) -> Outcome<BTreeMap<Quantity, f64>> {
    let mut sources = Sources::default();
    let text = sources.add("policy.riskpolicy", policy.to_owned());
    let policy = sema::compile(text, &sources).policy.ok_or("the policy has a mistake")?;
    let bound = |line: &Line| match &line.asks {
        Asks::Limit(limit) if line.level != Level::Advise => {
            let bound = limit.max.as_ref().xor(limit.min.as_ref())?;
            Some((limit.quantity, bound.value.get()))
        }
        _ => None,
    };
    Ok(policy.lines.iter().filter_map(bound).collect())
}

/// The picture: for each run and quantity a grey ring without the guard and a filled dot with it.
pub fn picture(records: &[Record], seed: u64, bounds: &BTreeMap<Quantity, f64>) -> Outcome<String> {
    let height = TOP + ROW * SCENARIOS.len() as f64 + 50.0;
    let width = LEFT + (WIDTH + GAP) * PANELS.len() as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
         <title>Six runs on the tiny base, without the guard and with it</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <g fill=\"#333333\"><circle cx=\"22\" cy=\"22\" r=\"5\" fill=\"#ffffff\" stroke=\"#888888\" stroke-width=\"2\"/><text x=\"34\" y=\"26\">without the guard</text>\n\
         <circle cx=\"162\" cy=\"22\" r=\"5\" fill=\"#0b6e4f\"/><text x=\"174\" y=\"26\">under cautious-sft</text>\n\
         <line x1=\"310\" y1=\"14\" x2=\"310\" y2=\"30\" stroke=\"#c0392b\" stroke-dasharray=\"4 3\"/><text x=\"318\" y=\"26\">the policy's bound</text></g>\n"
    );
    let bottom = TOP + ROW * SCENARIOS.len() as f64;
    for (index, panel) in PANELS.iter().enumerate() {
        let left = LEFT + (WIDTH + GAP) * index as f64;
        let x = |value: f64| left + WIDTH * panel.place(value);
        let _ = writeln!(
            out,
            "<text x=\"{left:.0}\" y=\"{:.0}\" font-weight=\"600\" fill=\"#333333\">{}</text>",
            TOP - 12.0,
            panel.title
        );
        for tick in panel.ticks {
            let at = x(*tick);
            let _ = writeln!(
                out,
                "<line x1=\"{at:.1}\" y1=\"{TOP:.0}\" x2=\"{at:.1}\" y2=\"{bottom:.0}\" stroke=\"#e5e5e5\"/>\
                 <text x=\"{at:.1}\" y=\"{:.0}\" text-anchor=\"middle\" fill=\"#666666\" font-size=\"10\">{tick}</text>",
                bottom + 16.0
            );
        }
        if let Some((quantity, unit)) = panel.bound {
            let bound = bounds.get(&quantity);
            let bound = bound.ok_or_else(|| format!("the policy does not limit {}", quantity.name()))?;
            let at = x(unit * bound);
            let _ = writeln!(
                out,
                "<line x1=\"{at:.1}\" y1=\"{TOP:.0}\" x2=\"{at:.1}\" y2=\"{bottom:.0}\" stroke=\"#c0392b\" stroke-dasharray=\"4 3\"/>"
            );
        }
    }
    for (row, scenario) in SCENARIOS.iter().enumerate() {
        let y = TOP + ROW * (row as f64 + 0.5);
        let _ = writeln!(
            out,
            "<text x=\"16\" y=\"{:.0}\" fill=\"#333333\">{}</text>",
            y + 4.0,
            scenario.name
        );
        let [off, on] = pair(records, scenario.name, seed)?;
        for (index, panel) in PANELS.iter().enumerate() {
            let left = LEFT + (WIDTH + GAP) * index as f64;
            let x = |record: &Record| left + WIDTH * panel.place((panel.of)(record));
            let _ = writeln!(
                out,
                "<line x1=\"{0:.1}\" y1=\"{y:.1}\" x2=\"{1:.1}\" y2=\"{y:.1}\" stroke=\"#bbbbbb\"/>\
                 <circle cx=\"{0:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"#ffffff\" stroke=\"#888888\" stroke-width=\"2\"/>\
                 <circle cx=\"{1:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"#0b6e4f\"/>",
                x(off),
                x(on)
            );
        }
    }
    out.push_str("</svg>\n");
    Ok(out)
}
