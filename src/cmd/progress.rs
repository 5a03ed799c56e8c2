//! What people see while a run trains: a bar with gauges on a terminal, plain lines elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::guard::{Armed, Guard};
use crate::quantity::Finite;

/// Without a terminal a line comes this often, and at every evaluation.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Cells of a gauge.
const CELLS: usize = 10;
/// What a bar is drawn with, from full to empty.
const BLOCKS: &str = "█▉▊▋▌▍▎▏ ";

/// Shows how far a run is.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    began: Instant,
    last_line: Instant,
    tokens: u64,
    updates: u64,
}

impl Progress {
    /// Progress over so many updates, on standard error.
    pub(super) fn new(updates: u64) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(updates), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{bar:24} {pos}/{len} updates  {elapsed} (left {eta})  {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style.progress_chars(BLOCKS));
            bar.enable_steady_tick(Duration::from_millis(500));
            bar
        });
        let now = Instant::now();
        Progress {
            bar,
            began: now,
            last_line: now,
            tokens: 0,
            updates,
        }
    }

    /// The first update comes: what it took to get here says nothing about the rate.
    pub(super) fn begin(&mut self) {
        self.began = Instant::now();
        if let Some(bar) = &self.bar {
            bar.reset_elapsed();
            bar.reset_eta();
        }
    }

    /// An update was decided.
    pub(super) fn update(&mut self, update: u64, loss: f64, tokens: u64, is_evaluated: bool, guard: &Guard) {
        self.tokens += tokens;
        let per_second = self.tokens as f64 / self.began.elapsed().as_secs_f64().max(1e-3);
        let head = format!("loss {loss:.3}  {per_second:.0} tokens/s");
        match &self.bar {
            Some(bar) => {
                bar.set_position(update);
                let gauges: Vec<String> = guard
                    .limits()
                    .iter()
                    .filter_map(|limit| Some(gauge(limit)? + &self.forecast(limit, guard)))
                    .collect();
                bar.set_message(format!("{head}\n{}", gauges.join("\n")));
            }
            None => {
                if is_evaluated || self.last_line.elapsed() >= LINE_EVERY || update == self.updates {
                    self.last_line = Instant::now();
                    let gauges: Vec<String> = guard
                        .limits()
                        .iter()
                        .filter_map(|limit| Some(plain(limit)? + &self.forecast(limit, guard)))
                        .collect();
                    self.say(&format!(
                        "update {update}/{}  {head}  {}",
                        self.updates,
                        gauges.join(", ")
                    ));
                }
            }
        }
    }

    /// Where a budget would end before the run does.
    fn forecast(&self, limit: &Armed, guard: &Guard) -> String {
        match limit.forecast(guard.clock()).filter(|update| *update < self.updates) {
            Some(update) => format!(
                " (at this pace the budget ends near update {update} of {})",
                self.updates
            ),
            None => String::new(),
        }
    }

    /// A line that stays.
    pub(super) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => {
                let _ = writeln!(std::io::stderr(), "{line}");
            }
        }
    }

    /// The run has ended: the bar goes.
    pub(super) fn close(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Shows how much of something that can be counted is done.
pub(super) struct Counted(Option<ProgressBar>);

impl Counted {
    /// Nothing yet of so many `things`, on standard error; without a terminal only that it begins.
    pub(super) fn new(count: u64, things: &str) -> Counted {
        if !std::io::stderr().is_terminal() {
            let _ = writeln!(std::io::stderr(), "{count} {things}");
            return Counted(None);
        }
        let bar = ProgressBar::with_draw_target(Some(count), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {msg}  {elapsed} (left {eta})")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars(BLOCKS));
        bar.set_message(things.to_owned());
        bar.enable_steady_tick(Duration::from_millis(500));
        Counted(Some(bar))
    }

    /// So many are done.
    pub(super) fn at(&self, done: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(done);
        }
    }

    /// All are done: the bar goes.
    pub(super) fn close(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// The last reading beside its bound.
fn plain(limit: &Armed) -> Option<String> {
    let (last, bound) = (limit.spent?.last, limit.bound_now()?);
    let relation = if limit.max.is_none() { "at least" } else { "of" };
    Some(format!(
        "{} {} {relation} {}",
        limit.quantity.name(),
        last.value().map_or_else(
            || "not finite".to_owned(),
            |value| Finite::beside(value.get(), bound.get())
        ),
        Finite::shortest(rounded(bound.get())),
    ))
}

/// How much of a budget is spent, as a bar: full is at the limit.
fn gauge(limit: &Armed) -> Option<String> {
    let (last, bound) = (limit.spent?.last, limit.bound_now()?);
    let spent = match last.value() {
        None => 1.0,
        // A floor is spent as the reading falls from the base's to the bound.
        Some(value) if limit.max.is_none() => {
            let base = limit.base.map_or(value.get(), Finite::get);
            ((base - value.get()) / (base - bound.get())).clamp(0.0, 1.0)
        }
        Some(value) if bound.get() > 0.0 => (value.get() / bound.get()).clamp(0.0, 1.0),
        Some(_) => 1.0,
    };
    let filled = (spent * CELLS as f64).round() as usize;
    Some(format!(
        "  {}{}  {}",
        "■".repeat(filled),
        "·".repeat(CELLS - filled.min(CELLS)),
        plain(limit)?
    ))
}

fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}
