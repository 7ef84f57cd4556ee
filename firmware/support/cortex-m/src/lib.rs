//! Shared firmware of all Cortex-M boards: a clock, a stack painted to measure its use, memory and inner loops for image networks, and
//! the models' flash where the linker script puts it.
//!
//! [`memory`] is the only file with unsafe code.
#![no_std]

pub mod clock;
pub mod memory;

use sirocco::held::Held;
use sirocco_firmware::Board;

/// The inner loops for this core.
#[cfg(not(dsp))]
type Kernel = sirocco::layer::kernel::Portable;
/// The inner loops for this core.
#[cfg(dsp)]
type Kernel = sirocco_dsp::Dsp;

/// The description of the board called `name`. The core's clock counts from here on.
pub fn board(name: &'static str) -> Board {
    Board {
        name,
        memory: || Some(memory::usage()),
        uptime: None,
        clock: clock::start(),
        open: |file| Held::open_prefix::<Kernel>(file),
    }
}
