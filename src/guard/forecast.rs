//! When a budget will be used up, if the run goes on as it does.

use super::clock::Clock;
use crate::quantity::Finite;

/// So many of the latest readings are fitted: enough to average noise, few enough to follow a rate that was changed.
const LATEST: usize = 5;

/// Slower than a random walk at a falling rate, and faster than a straight line with LoRA's second order on top: what is
/// fitted outside of these is noise.
const EXPONENTS: (f64, f64) = (0.5, 2.5);

/// The update at which KL reaches `bound`, by the law KL ∝ time^γ through the latest readings, in the time of `clock`: least
/// squares in logarithms, γ held between 0.5 and 2.5. Never before the latest reading.
///
/// `readings` are updates with what was read at them, in the order in which they were taken. A reading at an update that the
/// run came past again after a rollback is of no state of the run any more, and is left out.
///
/// `None` with fewer than two positive readings, where they fall, and where the fit ends later than any update has a number,
/// or than the last dose of a schedule. It is a forecast and nothing else: it holds for an unchanged rate, or one that
/// follows the schedule of the clock, and no decision may depend on it.
pub fn forecast(readings: &[(u64, Finite)], bound: Finite, clock: &Clock) -> Option<u64> {
    let points = latest(readings, clock);
    let (last, ..) = *points.first()?;
    if points.len() < 2 {
        return None;
    }
    let n = points.len() as f64;
    let logs: Vec<(f64, f64)> = points
        .iter()
        .map(|(_, time, reading)| (time.ln(), reading.get().ln()))
        .collect();
    let (x, y) = (
        logs.iter().map(|(x, _)| x).sum::<f64>() / n,
        logs.iter().map(|(_, y)| y).sum::<f64>() / n,
    );
    let covered: f64 = logs.iter().map(|(at, of)| (at - x) * (of - y)).sum();
    let width: f64 = logs.iter().map(|(at, _)| (at - x) * (at - x)).sum();
    let slope = covered / width;
    // Also what is not a number: updates beyond 2^53, or behind the end of a schedule, can share a logarithm.
    if slope.is_nan() || slope <= 0.0 {
        return None;
    }
    // Through the middle of the readings: the least-squares line of a given slope.
    let end = ((bound.get().ln() - y) / slope.clamp(EXPONENTS.0, EXPONENTS.1) + x).exp();
    Some(clock.update_at(end)?.max(last))
}

/// The latest readings that can be fitted, the last one first, with their times: positive, of states that the run still
/// stands on, at a time after none.
fn latest(readings: &[(u64, Finite)], clock: &Clock) -> Vec<(u64, f64, Finite)> {
    let mut points = Vec::new();
    let mut before = u64::MAX;
    for &(update, reading) in readings.iter().rev() {
        if update >= before {
            continue;
        }
        before = update;
        let time = clock.time(update);
        if time > 0.0 && reading > Finite::ZERO {
            points.push((update, time, reading));
        }
        if points.len() == LATEST {
            break;
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn finite(value: f64) -> Finite {
        Finite::new(value).unwrap()
    }

    /// Readings of the law that reaches 0.05 nats at `end`.
    fn law(gamma: f64, end: f64, updates: impl IntoIterator<Item = u64>) -> Vec<(u64, Finite)> {
        let reading = |update: u64| finite(0.05 * (update as f64 / end).powf(gamma));
        updates.into_iter().map(|update| (update, reading(update))).collect()
    }

    const BOUND: f64 = 0.05;
    /// A run of which nobody said how long it is.
    const UPDATES: Clock = Clock::Updates(0);

    fn ends(readings: &[(u64, Finite)]) -> Option<u64> {
        forecast(readings, finite(BOUND), &UPDATES)
    }

    #[test]
    fn an_exact_law_is_met_exactly() {
        for gamma in [0.5, 1.0, 1.7, 2.0, 2.5] {
            for end in [812_u32, 1200, 100_000] {
                for readings in [
                    law(gamma, f64::from(end), [100, 200]),
                    law(gamma, f64::from(end), (1..=12).map(|n| 50 * n)),
                    law(gamma, f64::from(end), [1, 2, 5, 9, 20]),
                ] {
                    assert_eq!(ends(&readings), Some(u64::from(end)), "{gamma}: {readings:?}");
                }
            }
        }
    }

    #[test]
    fn the_latest_readings_count() {
        // A rate that was halved after update 300: what came before five readings ago is another run.
        let mut readings = law(2.0, 400.0, [10, 20, 30]);
        readings.extend(law(1.0, 900.0, [300, 350, 400, 450, 500]));
        assert_eq!(ends(&readings), Some(900));
        // Zeros and the base say nothing about a law.
        let mut readings = vec![(0, finite(0.0)), (10, finite(0.0)), (20, finite(0.0))];
        readings.extend(law(1.5, 700.0, [30, 40]));
        assert_eq!(ends(&readings), Some(700));
    }

    #[test]
    fn readings_that_a_rollback_took_back_are_left_out() {
        let mut readings = law(1.0, 800.0, [100, 200]);
        readings.extend(law(2.0, 300.0, [250, 280]));
        // Back at 200, with half the rate.
        readings.extend(law(1.0, 800.0, [250, 260]));
        assert_eq!(ends(&readings), Some(800));
    }

    #[test]
    fn the_exponent_is_held() {
        // As t^4: held at 2.5 through the middle of the readings, so the end is later than the fit has it.
        let steep = ends(&law(4.0, 1000.0, [200, 400])).unwrap();
        let middle = (200.0_f64 * 400.0).sqrt();
        assert_eq!(steep, (middle * (1000.0 / middle).powf(4.0 / 2.5)).round() as u64);
        // As t^0.1: held at 0.5, so it is earlier.
        let flat = ends(&law(0.1, 1e6, [200, 400])).unwrap();
        assert_eq!(flat, (middle * (1e6 / middle).powf(0.1 / 0.5)).round() as u64);
    }

    #[test]
    fn what_says_nothing_forecasts_nothing() {
        assert_eq!(ends(&[]), None);
        assert_eq!(ends(&law(1.0, 100.0, [10])), None);
        assert_eq!(ends(&[(10, finite(0.01)), (10, finite(0.02))]), None);
        assert_eq!(ends(&[(0, finite(0.01)), (10, finite(0.02))]), None);
        // Falling, and level.
        assert_eq!(ends(&[(10, finite(0.02)), (20, finite(0.01))]), None);
        assert_eq!(ends(&[(10, finite(0.01)), (20, finite(0.01))]), None);
        // Never within u64.
        assert_eq!(ends(&law(0.5, 1e25, [100, 200])), None);
        let far = u64::MAX;
        assert_eq!(ends(&[(far - 1, finite(0.01)), (far, finite(0.02))]), None);
    }

    #[test]
    fn a_budget_that_is_used_up_ends_with_the_latest_reading() {
        assert_eq!(ends(&law(1.0, 150.0, [100, 200])), Some(200));
        assert_eq!(
            forecast(&law(1.0, 150.0, [100, 200]), Finite::ZERO, &UPDATES),
            Some(200)
        );
        // A budget below none was never there.
        assert_eq!(forecast(&law(1.0, 150.0, [100, 200]), finite(-1.0), &UPDATES), None);
    }

    #[test]
    fn a_schedule_that_falls_is_followed() {
        use crate::quantity::{Course, Shape};
        let course = Course::new(Shape::Cosine, 1000, 100);
        let clock = Clock::Dose(course);
        // A straight line that has spent its budget of 0.05 nats at update 700.
        let reading = |update: u64| {
            let share = course.dose_until(update) / course.dose_until(700);
            (update, finite(0.05 * share * share))
        };
        let readings: Vec<_> = [1, 50, 100, 200, 300].map(reading).into();
        assert_eq!(forecast(&readings, finite(BOUND), &clock), Some(700));
        // At the rate of now it would have been far sooner.
        assert!(
            ends(&readings[1..]).is_some_and(|update| update < 650),
            "{:?}",
            ends(&readings[1..])
        );
        // What the whole dose does not spend is never spent.
        let whole = finite(reading(1000).1.get() * 1.01);
        assert_eq!(forecast(&readings, whole, &clock), None);
        assert!(ends(&readings).is_some());
    }

    proptest! {
        /// Five readings that are each up to 3 % off, and an end up to twice as far as they reach.
        #[test]
        fn noise_moves_it_little(
            gamma in 0.7..2.2_f64,
            end in 500.0..1000.0_f64,
            noise in prop::collection::vec(-0.03..0.03_f64, 5),
        ) {
            let mut readings = law(gamma, end, [100, 200, 300, 400, 500]);
            for ((_, reading), noise) in readings.iter_mut().zip(noise) {
                *reading = finite(reading.get() * (1.0 + noise));
            }
            let found = ends(&readings).unwrap() as f64;
            prop_assert!((found / end - 1.0).abs() < 0.15, "{} for {}", found, end);
        }

        /// A larger budget never ends sooner, nor does any before its latest reading.
        #[test]
        fn a_larger_budget_lasts_longer(
            readings in prop::collection::vec((1..2000_u64, 0.0..0.1_f64), 0..12),
            bound in 0.001..0.1_f64,
            more in 0.0..0.1_f64,
        ) {
            let readings: Vec<_> = readings.into_iter().map(|(update, value)| (update, finite(value))).collect();
            let (small, large) = (
                forecast(&readings, finite(bound), &UPDATES),
                forecast(&readings, finite(bound + more), &UPDATES),
            );
            if let (Some(small), Some(large)) = (small, large) {
                prop_assert!(small <= large);
            }
            prop_assert!(small.is_none_or(|small| readings.last().is_some_and(|(last, value)| small >= *last || value.get() == 0.0)));
            prop_assert!(small.is_some() || large.is_none());
        }
    }
}
