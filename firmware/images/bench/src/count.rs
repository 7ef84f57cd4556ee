//! Counts executed instructions: with QEMU's `-icount shift=0` an instruction takes a nanosecond, and SysTick counts at the
//! 25 MHz of the core clock, so a tick is 40 instructions.

use sirocco_firmware::Clock;

/// Instructions per tick.
const PER_TICK: u32 = 40;
/// Repetitions of a short piece of work; 40 of them make a tick one instruction.
const REPEATS: u32 = 40;

/// A counter of instructions.
pub struct Counter(Clock);

impl Counter {
    /// Starts counting.
    pub fn start() -> Option<Self> {
        sirocco_cortex_m::clock::start().map(Counter)
    }

    /// Ticks so far.
    pub fn now(&self) -> u32 {
        (self.0.read)()
    }

    /// Instructions between two readings, to the nearest 40.
    pub fn instructions(&self, from: u32, to: u32) -> u32 {
        let wrap = if self.0.bits >= 32 { u32::MAX } else { (1 << self.0.bits) - 1 };
        (to.wrapping_sub(from) & wrap) * PER_TICK
    }

    /// Instructions of one call of `work`, including the call and the loop.
    pub fn mean<T>(&self, mut work: impl FnMut() -> T) -> u32 {
        let start = self.now();
        for _ in 0..REPEATS {
            core::hint::black_box(work());
        }
        self.instructions(start, self.now()) / REPEATS
    }
}
