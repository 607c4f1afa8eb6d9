//! Reproducible random numbers, where a property-testing framework would be too much, and over how many cases a test
//! goes.

/// How many a test takes of this many random cases, or operations of a large graph: all of them where the environment
/// says `TIDU_ALL_CASES=1`, as `cargo xtask test --full` has it, and otherwise a tenth.
pub fn cases(all: usize) -> usize {
    match std::env::var("TIDU_ALL_CASES").as_deref() {
        Ok("1") => all,
        _ => all.div_ceil(10),
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct Random(pub u64);

impl Random {
    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.bits() % limit as u64) as usize
    }

    /// A number in [-1, 1).
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}
