//! The description of a board, as the request loop needs it.

use sirocco::held::Open;
use sirocco::wire::Memory;

/// A board as a set of functions, so that tests on the host can stand in for it.
#[derive(Debug, Clone, Copy)]
pub struct Board {
    /// Name of the board: its folder under `firmware/boards`.
    pub name: &'static str,
    /// Memory use; `None` where the board cannot measure it.
    pub memory: fn() -> Option<Memory>,
    /// Milliseconds since reset, if the board counts them.
    pub uptime: Option<fn() -> u32>,
    /// A clock, if the board has one.
    pub clock: Option<Clock>,
    /// Opens models to be evaluated with the inner loops of the board's processor.
    pub open: Open,
}

impl Board {
    /// Starts to measure: calling the result returns the ticks since. `None` without a clock.
    pub(crate) fn stopwatch(&self) -> Option<impl Fn() -> u32 + use<>> {
        let clock = self.clock?;
        let start = (clock.read)();
        Some(move || clock.since(start))
    }
}

/// A clock that counts up and wraps.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// Ticks, modulo 2^`bits`.
    pub read: fn() -> u32,
    /// Bits of the counter, 1 to 32.
    pub bits: u32,
}

impl Clock {
    /// Ticks since an earlier reading, less than one period of the counter ago.
    fn since(&self, earlier: u32) -> u32 {
        (self.read)().wrapping_sub(earlier) & (u32::MAX >> (u32::BITS - self.bits.clamp(1, u32::BITS)))
    }
}
