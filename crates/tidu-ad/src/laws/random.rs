//! Random numbers that are the same in every run, so that a failure can be looked at again.

/// A source of random numbers with a seed: SplitMix64 (Steele, Lea, Flood 2014).
///
/// Not for statistics or secrets. [`Laws`](super::Laws) hands one to whatever draws operands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A source with this seed.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A number below `limit`; 0 if that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.bits() % (limit.max(1) as u64)) as usize
    }

    /// A number in [0, 1).
    pub fn fraction(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number in [`low`, `high`).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.fraction()
    }

    /// Numbers in [`low`, `high`).
    pub fn many_between(&mut self, count: usize, low: f64, high: f64) -> Vec<f64> {
        (0..count).map(|_| self.between(low, high)).collect()
    }

    /// A source that depends on what was asked of this one so far and on `branch`, and on nothing
    /// that is asked of this one later.
    pub(super) fn fork(&self, branch: u64) -> Self {
        Self::new(mix(
            self.state ^ mix(branch.wrapping_add(0x9e37_79b9_7f4a_7c15))
        ))
    }
}

fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
