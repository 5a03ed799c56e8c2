//! Root Jensen-Shannon divergence, slopes and rank correlation, in f64.

/// The square root of the mean over positions, then prompts, of JS in nats; NaN when shapes differ.
///
/// With d = (q − p)/(p + q) = tanh((ln q − ln p)/2), JS = ½ Σ ½ (p + q) ((1 − d) ln(1 − d) + (1 + d) ln(1 + d)): no summand
/// is negative, so nothing cancels. The weighted root mean square of metrics is a metric, so paths are never shorter than
/// displacements.
pub fn root_js(before: &[Vec<f32>], now: &[Vec<f32>], vocab: usize) -> f64 {
    let prompts = before.iter().zip(now).map(|(before, now)| {
        if before.len() != now.len() {
            return f64::NAN;
        }
        let rows = before.chunks_exact(vocab).zip(now.chunks_exact(vocab));
        let positions = rows.len() as f64;
        rows.map(|(p, q)| js(p, q)).sum::<f64>() / positions
    });
    mean(&prompts.collect::<Vec<_>>()).sqrt()
}

fn js(p: &[f32], q: &[f32]) -> f64 {
    let (of_p, of_q) = (log_sum_exp(p), log_sum_exp(q));
    let terms = p.iter().zip(q).map(|(p, q)| {
        let (ln_p, ln_q) = (f64::from(*p) - of_p, f64::from(*q) - of_q);
        let d = ((ln_q - ln_p) / 2.0).tanh();
        // Below, the logarithms cancel to d² + d⁴/6.
        let entropy = if d.abs() < 1e-4 {
            d * d
        } else {
            let side = |x: f64| if x > 0.0 { x * x.ln() } else { 0.0 };
            side(1.0 - d) + side(1.0 + d)
        };
        0.25 * (ln_p.exp() + ln_q.exp()) * entropy
    });
    terms.sum()
}

fn log_sum_exp(row: &[f32]) -> f64 {
    let most = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    most + row.iter().map(|x| (f64::from(*x) - most).exp()).sum::<f64>().ln()
}

/// The mean; NaN of nothing.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The sample's standard deviation (n − 1).
pub fn deviation(values: &[f64]) -> f64 {
    let middle = mean(values);
    (values.iter().map(|x| (x - middle).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0)).sqrt()
}

/// Largest over smallest.
pub fn spread(values: &[f64]) -> f64 {
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    most / values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// The least-squares slope of ln y over ln x.
pub fn exponent(points: &[(f64, f64)]) -> f64 {
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let (xs, ys): (Vec<f64>, Vec<f64>) = logs.iter().copied().unzip();
    let (x, y) = (mean(&xs), mean(&ys));
    let both: f64 = logs.iter().map(|(a, b)| (a - x) * (b - y)).sum();
    both / xs.iter().map(|a| (a - x).powi(2)).sum::<f64>()
}

/// The share of the variance of y that the best a + b·x + c·x² explains: R².
pub fn explained(points: &[(f64, f64)]) -> f64 {
    let (xs, ys): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let centred = |of: &[f64]| of.iter().map(|x| x - mean(of)).collect::<Vec<f64>>();
    let (x, y) = (centred(&xs), centred(&ys));
    // x² without what 1 and x explain of it, so that the two shares add up.
    let square = centred(&x.iter().map(|x| x * x).collect::<Vec<f64>>());
    let along = dot(&square, &x) / dot(&x, &x);
    let square: Vec<f64> = square.iter().zip(&x).map(|(square, x)| square - along * x).collect();
    let share = |of: &[f64]| dot(of, &y).powi(2) / dot(of, of) / dot(&y, &y);
    share(&x) + share(&square)
}

/// Spearman's rank correlation; ties share their mean rank.
pub fn spearman(points: &[(f64, f64)]) -> f64 {
    let (xs, ys): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    let (xs, ys) = (ranks(&xs), ranks(&ys));
    let (x, y) = (mean(&xs), mean(&ys));
    let both: f64 = xs.iter().zip(&ys).map(|(a, b)| (a - x) * (b - y)).sum();
    let size = |of: &[f64], middle: f64| of.iter().map(|a| (a - middle).powi(2)).sum::<f64>();
    both / (size(&xs, x) * size(&ys, y)).sqrt()
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |value: &f64| {
        let below = values.iter().filter(|other| *other < value).count() as f64;
        let same = values.iter().filter(|other| *other == value).count() as f64;
        below + (same + 1.0) / 2.0
    };
    values.iter().map(rank).collect()
}
