//! Random numbers that depend on nothing but what they are for.
//!
//! A stream is keyed by the seed, its purpose, the step and an index. Streams are independent of each other and of the order
//! in which they are made, so a resumed or rolled-back run draws what an uninterrupted one would.

use std::f64::consts::TAU;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

/// What the numbers are for. Two purposes never share numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Initial weights.
    Init,
    /// The order of the rows.
    Order,
    /// Sampling of text.
    Sample,
    /// The order in which prompts are evaluated.
    Prompts,
    /// Splitting rows into a training and a held-out part.
    Split,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Purpose::Init => "init",
            Purpose::Order => "order",
            Purpose::Sample => "sample",
            Purpose::Prompts => "prompts",
            Purpose::Split => "split",
        }
    }
}

/// A stream of random numbers: ChaCha8 with a key hashed from what the stream is for.
#[derive(Debug, Clone)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of `seed` and `purpose` at one `step` and `index`, whose meaning the purpose gives.
    pub fn new(seed: u64, purpose: Purpose, step: u64, index: u64) -> Stream {
        // The name comes last: everything before it has a fixed length, so no two keys hash the same bytes.
        let key = Sha256::new()
            .chain_update(seed.to_le_bytes())
            .chain_update(step.to_le_bytes())
            .chain_update(index.to_le_bytes())
            .chain_update(purpose.name());
        Stream(ChaCha8Rng::from_seed(key.finalize().into()))
    }

    /// Uniform in `[0, 1)`, a multiple of 2^-53.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * 2f64.powi(-53)
    }

    /// Uniform below `n`, without bias; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        let n = (n as u64).max(1);
        // 2^64 mod n: the numbers of the last, incomplete run would favour small results.
        let incomplete = (u64::MAX % n + 1) % n;
        loop {
            let drawn = self.0.next_u64();
            if drawn <= u64::MAX - incomplete {
                return (drawn % n) as usize;
            }
        }
    }

    /// Normal with mean 0 and variance 1 (Box and Muller 1958).
    pub fn normal(&mut self) -> f64 {
        // 1 - unit is never 0, so its logarithm is finite.
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (TAU * self.unit()).cos()
    }

    /// Puts `items` into an order in which every permutation is equally likely (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(mut stream: Stream) -> Vec<f64> {
        (0..8).map(|_| stream.unit()).collect()
    }

    #[test]
    fn a_stream_depends_on_its_key_alone() {
        let first = units(Stream::new(1, Purpose::Init, 2, 3));
        assert_eq!(first, units(Stream::new(1, Purpose::Init, 2, 3)));
        for other in [
            Stream::new(2, Purpose::Init, 2, 3),
            Stream::new(1, Purpose::Order, 2, 3),
            Stream::new(1, Purpose::Init, 3, 2),
            Stream::new(1, Purpose::Init, 2, 4),
        ] {
            assert_ne!(first, units(other));
        }
        assert!(first.iter().all(|unit| (0.0..1.0).contains(unit)));
    }

    #[test]
    fn normal_numbers_have_mean_0_and_variance_1() {
        let mut stream = Stream::new(7, Purpose::Init, 0, 0);
        let drawn: Vec<f64> = (0..40_000).map(|_| stream.normal()).collect();
        let moment = |power: i32| drawn.iter().map(|x| x.powi(power)).sum::<f64>() / drawn.len() as f64;
        assert!(moment(1).abs() < 0.02, "mean {}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.03, "variance {}", moment(2));
        assert!((moment(4) - 3.0).abs() < 0.2, "fourth moment {}", moment(4));
    }

    #[test]
    fn below_is_uniform_and_inside() {
        let mut stream = Stream::new(3, Purpose::Order, 0, 0);
        let mut counts = [0u32; 5];
        for _ in 0..10_000 {
            counts[stream.below(5)] += 1;
        }
        assert!(counts.iter().all(|count| (1850..2150).contains(count)), "{counts:?}");
        assert_eq!(stream.below(1), 0);
        assert_eq!(stream.below(0), 0);
    }

    #[test]
    fn a_shuffle_is_a_permutation() {
        let mut items: Vec<u32> = (0..100).collect();
        Stream::new(3, Purpose::Order, 1, 0).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
