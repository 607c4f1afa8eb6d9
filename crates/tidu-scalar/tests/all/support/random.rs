//! Numbers at random, the same in every run.

/// A generator by xorshift (Marsaglia 2003).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// In [low, high), evenly.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        let unit = (self.bits() >> 11) as f64 / (1_u64 << 53) as f64;
        low + (high - low) * unit
    }

    /// In [low, high), evenly by magnitude.
    pub fn magnitude(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    /// By magnitude, of either sign.
    pub fn signed(&mut self, low: f64, high: f64) -> f64 {
        let magnitude = self.magnitude(low, high);
        if self.bits() & 1 == 0 {
            magnitude
        } else {
            -magnitude
        }
    }
}
