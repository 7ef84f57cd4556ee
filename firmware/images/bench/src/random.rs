//! Pseudorandom numbers, the same in every run.

/// Marsaglia's xorshift.
pub struct Random(pub u32);

impl Random {
    /// The next 32 bits.
    pub fn word(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }
}
