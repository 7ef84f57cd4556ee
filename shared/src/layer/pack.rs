//! How bytes and 16-bit numbers are packed into the words that the inner loops read.
//!
//! Weights of image layers are packed for two output channels A and B: a word holds the bytes A\[i\], B\[i\], A\[j\],
//! B\[j\], lowest first, for two places i and j of the depth. A word of an unpacked column of activations holds x\[i\] in
//! its low and x\[j\] in its high half. Of every four places 0, 1, 2, 3 of the depth the first word takes 0 and 2, the second
//! 1 and 3, because that is how one instruction unpacks four bytes.

/// Pixels that are convolved at once.
pub const PIXELS: usize = 4;

/// Four bytes as the two words of an unpacked column: places 0 and 2, then 1 and 3.
pub fn unpack(bytes: [u8; 4]) -> [u32; 2] {
    let word = u32::from_le_bytes(bytes);
    [word & 0x00ff_00ff, word >> 8 & 0x00ff_00ff]
}

/// A\[i\], A\[j\], B\[i\], B\[j\] of a word of weights.
pub(super) fn weights_of(word: u32) -> [[i32; 2]; 2] {
    let [a0, b0, a1, b1] = word.to_le_bytes().map(|byte| i32::from(byte as i8));
    [[a0, a1], [b0, b1]]
}

/// The order of 16-bit activations in memory, two to a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// One after the other.
    Plain,
    /// The order in which one instruction unpacks 8-bit weights: of every four, 0 with 2 and then 1 with 3. What is left over
    /// after the last four stays in plain order.
    Unpacked,
}

impl Order {
    /// The index in memory of activation `k` of `n`.
    pub fn place(self, k: usize, n: usize) -> usize {
        match (self, k % 4) {
            (Order::Unpacked, 1) if k / 4 < n / 4 => k + 1,
            (Order::Unpacked, 2) if k / 4 < n / 4 => k - 1,
            _ => k,
        }
    }
}
