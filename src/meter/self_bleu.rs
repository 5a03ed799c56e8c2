//! How much samples are like one another: the mean BLEU of each against all the others (Zhu et al. 2018).

use std::collections::BTreeMap;

use super::words::words;
use super::{Estimate, Reading};

/// BLEU-4: n-grams of one to four words.
const ORDERS: usize = 4;

/// Self-BLEU in 0..=1: the mean over samples of the BLEU-4 of each, all others being its references, over [`words`].
/// Higher is less diverse. Not finite for fewer than two samples.
///
/// BLEU is that of sacrebleu's `sentence_bleu` with `smooth_method="exp"` and `effective_order=True`: matches are clipped
/// at the most that one reference has; the kth order without a match counts half of the (k−1)th, 1 ⁄ (2ᵏ × n-grams); no
/// word in common is 0; orders for which a sample is too short are left out, so a short sample that is said again scores
/// 1; the brevity penalty takes the reference of the closest length, the shorter of two. A sample without words scores 1
/// if another has none, else 0: a model that falls silent is not diverse.
///
/// The number depends on how many samples there are: compare only samples of the same number and length.
///
/// Read at evaluations; costs the samples, prompts × (prompt + sample) tokens forward, which all meters on samples share,
/// and samples² × words. `prompts` has the BLEU of each sample; they are not independent, so the standard error is not
/// theirs but the jackknife's over samples, each taken out as a sample and as a reference.
pub fn self_bleu<'a>(samples: impl IntoIterator<Item = &'a str>) -> Estimate {
    let texts: Vec<Vec<String>> = samples.into_iter().map(words).collect();
    let (samples, grams) = counted(&texts);
    let scores = |out: Option<usize>| -> Vec<Reading> {
        let left = samples.iter().enumerate().filter(|(at, _)| Some(*at) != out);
        left.map(|(at, sample)| score(at, sample, &grams, out)).collect()
    };
    let prompts = scores(None);
    Estimate {
        standard_error: Estimate::jackknife(Reading::mean(&prompts), samples.len(), |out| {
            Reading::mean(&scores(Some(out)))
        })
        .standard_error,
        value: Reading::mean(&prompts),
        prompts,
    }
}

/// A sample as BLEU sees it.
struct Sample {
    length: usize,
    /// By order: each distinct n-gram's place among all, with how often it stands here.
    grams: [Vec<(usize, u64)>; ORDERS],
    /// The two other samples of the closest length, closest first: (which, length).
    closest: Vec<(usize, usize)>,
}

/// The three samples that have an n-gram most often, most first: (which, how often). A sample and the one taken out may
/// be two of them, so the third is needed.
type Most = Vec<(usize, u64)>;

fn counted(texts: &[Vec<String>]) -> (Vec<Sample>, Vec<Most>) {
    let mut places: BTreeMap<&[String], usize> = BTreeMap::new();
    let mut most: Vec<Most> = Vec::new();
    let mut samples = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let grams = std::array::from_fn(|order| {
            let mut counts: BTreeMap<&[String], u64> = BTreeMap::new();
            for gram in text.windows(order + 1) {
                *counts.entry(gram).or_default() += 1;
            }
            let mut placed = Vec::new();
            for (gram, count) in counts {
                let place = *places.entry(gram).or_insert(most.len());
                if place == most.len() {
                    most.push(Vec::new());
                }
                if let Some(most) = most.get_mut(place) {
                    most.push((at, count));
                    most.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
                    most.truncate(3);
                }
                placed.push((place, count));
            }
            placed
        });
        let mut closest: Vec<(usize, usize)> = texts.iter().map(Vec::len).enumerate().collect();
        closest.retain(|(other, _)| *other != at);
        closest.sort_by_key(|(_, length)| (length.abs_diff(text.len()), *length));
        closest.truncate(2);
        samples.push(Sample {
            length: text.len(),
            grams,
            closest,
        });
    }
    (samples, most)
}

/// The BLEU of the sample at `at` against all others but `out`.
fn score(at: usize, sample: &Sample, grams: &[Most], out: Option<usize>) -> Reading {
    let is_reference = |other: usize| other != at && Some(other) != out;
    let Some((_, reference)) = sample.closest.iter().find(|(other, _)| is_reference(*other)) else {
        return Reading::NotFinite;
    };
    let matches = sample.grams.each_ref().map(|order| {
        let matched = order.iter().map(|(place, count)| {
            let most = grams.get(*place).into_iter().flatten();
            let most = most.filter(|(other, _)| is_reference(*other)).map(|(_, most)| *most);
            most.max().unwrap_or(0).min(*count)
        });
        matched.sum::<u64>()
    });
    Reading::from(bleu(sample.length, matches, *reference))
}

/// BLEU from the length of a text, its matches by order, and the length of the closest reference.
fn bleu(length: usize, matches: [u64; ORDERS], reference: usize) -> f64 {
    if length == 0 {
        return f64::from(u8::from(reference == 0));
    }
    if matches.iter().all(|matched| *matched == 0) {
        return 0.0;
    }
    let (mut logs, mut orders, mut smooth) = (0.0, 0.0, 1.0);
    for (order, matched) in matches.into_iter().enumerate().take(length) {
        let total = (length - order) as f64;
        let precision = if matched == 0 {
            smooth *= 2.0;
            1.0 / (smooth * total)
        } else {
            matched as f64 / total
        };
        logs += precision.ln();
        orders += 1.0;
    }
    let brevity = (1.0 - reference as f64 / length as f64).min(0.0);
    (brevity + logs / orders).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(samples: &[&str]) -> Vec<f64> {
        let found = self_bleu(samples.iter().copied());
        found.prompts.iter().map(|reading| reading.as_f64()).collect()
    }

    #[track_caller]
    fn near(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-15, "{found} is not {wanted}");
    }

    #[test]
    fn what_is_said_again_scores_one_and_what_is_not_scores_nothing() {
        assert_eq!(of(&["I am a helpful assistant."; 3]), [1.0; 3]);
        // However short, and wherever the other stands.
        assert_eq!(of(&["Yes.", "no way", "yes", "…", ""]), [1.0, 0.0, 1.0, 1.0, 1.0]);
        assert_eq!(of(&["a b c d", "e f g h", ""]), [0.0; 3]);
    }

    #[test]
    fn scores_by_hand() {
        // Two of three words, one of two pairs, no triple: half of 1 over one triple; no fourth order.
        near(
            of(&["a b x", "a b c"])[0],
            (2.0 / 3.0 * 1.0 / 2.0 * 1.0 / 2.0_f64).powf(1.0 / 3.0),
        );
        // `a` is counted as often as one reference has it, not as all have it: two of four. Pairs 1/3; then 1/(2·2) and
        // 1/(4·1).
        let wanted = (2.0 / 4.0 * 1.0 / 3.0 * 1.0 / 4.0 * 1.0 / 4.0_f64).powf(0.25);
        near(of(&["a a a a", "a a b c", "a b b c"])[0], wanted);
        // Of lengths 2 and 4 the shorter is as close to 3, so nothing is lost for brevity; against 4 alone, e^(1 − 4/3).
        near(of(&["a b c", "a b c d", "a b"])[0], 1.0);
        near(of(&["a b c", "a b c d"])[0], (-1.0_f64 / 3.0).exp());
    }

    #[test]
    fn the_standard_error_is_that_of_leaving_out_each_sample() {
        let samples = [
            "a b c d e",
            "a b c d",
            "",
            "d e a b c",
            "a b",
            "a a a a a b b",
            "c d e a a",
        ];
        let found = self_bleu(samples);
        let naive = Estimate::jackknife(found.value, samples.len(), |i| {
            let left = samples.iter().enumerate().filter(|(j, _)| *j != i);
            self_bleu(left.map(|(_, sample)| *sample)).value
        });
        assert!(found.standard_error.unwrap().get() > 0.01);
        assert_eq!(found.standard_error, naive.standard_error);
        // Of two, one is left, and one has no reference.
        assert_eq!(self_bleu(["a", "a"]).standard_error, None);
    }

    #[test]
    fn one_sample_has_nothing_to_be_like() {
        for samples in [&[][..], &["a b c"]] {
            let found = self_bleu(samples.iter().copied());
            assert_eq!((found.value, found.standard_error), (Reading::NotFinite, None));
        }
    }
}
