//! A counter of clock cycles: DWT's cycle counter (32 bits) where it counts, else SysTick (24 bits).

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{Peripherals, SYST};
use sirocco_firmware::Clock;

/// Largest count of SysTick (Armv7-M ARM, B3.3.4).
const SYSTICK_MAX: u32 = 0x00FF_FFFF;

/// Starts a counter of core clock cycles. Only the first call of a program returns one.
///
/// QEMU's cycle counter stands still, so SysTick is used there; with `-icount shift=0` an instruction takes a nanosecond.
pub fn start() -> Option<Clock> {
    let mut core = Peripherals::take()?;
    // ARMv6-M, the only architecture here without atomic exchange, has no cycle counter either.
    #[cfg(target_has_atomic = "32")]
    {
        use cortex_m::peripheral::DWT;

        core.DCB.enable_trace();
        core.DWT.enable_cycle_counter();
        let start = DWT::cycle_count();
        cortex_m::asm::nop();
        if DWT::cycle_count() != start {
            return Some(Clock { read: DWT::cycle_count, bits: 32 });
        }
    }
    core.SYST.set_clock_source(SystClkSource::Core);
    core.SYST.set_reload(SYSTICK_MAX);
    core.SYST.clear_current();
    core.SYST.enable_counter();
    Some(Clock { read: systick, bits: 24 })
}

/// SysTick counts down; this reading of it counts up.
fn systick() -> u32 {
    SYSTICK_MAX - (SYST::get_current() & SYSTICK_MAX)
}
