//! Random numbers by counter: the same seed, subject and place give the same number, whatever was drawn before.

/// What a number is drawn for. Subjects never share numbers.
#[derive(Debug, Clone, Copy)]
pub enum Subject {
    Settings,
    Policy,
    Weights,
    Batch,
    Samples,
    Meter,
    Checks,
}

/// A stream of numbers.
#[derive(Debug, Clone)]
pub struct Random {
    key: u64,
    drawn: u64,
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Random {
    pub fn new(seed: u64, subject: Subject, place: u64) -> Random {
        let key = mix(mix(seed ^ mix(subject as u64 + 1)) ^ mix(place.wrapping_add(0x9e37_79b9)));
        Random { key, drawn: 0 }
    }

    pub fn bits(&mut self) -> u64 {
        self.drawn += 1;
        mix(self.key.wrapping_add(self.drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// In [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * 2.0_f64.powi(-53)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.bits() % n
    }

    /// Both ends included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    pub fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    pub fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// Uniform in the logarithm.
    pub fn magnitude(&mut self, least: f64, most: f64) -> f64 {
        (least.ln() + self.unit() * (most.ln() - least.ln())).exp()
    }

    /// Standard normal (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.unit()).ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }
}
