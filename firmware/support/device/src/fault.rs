//! Panics and faults: logged, then the chip is reset.
#![allow(unsafe_code, reason = "`cortex-m-rt` requires the handler of hard faults to be unsafe")]

use cortex_m::peripheral::SCB;

/// Loop iterations before a reset: about a second. A debug probe can read the log in it, and a device that fails again and
/// again does not do so at full speed.
const DELAY: u32 = 30_000_000;

/// Resets the chip after about a second.
pub fn reset() -> ! {
    cortex_m::asm::delay(DELAY);
    SCB::sys_reset()
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    match info.location() {
        Some(location) => defmt::error!("panic at {=str}:{=u32}", location.file(), location.line()),
        None => defmt::error!("panic"),
    }
    reset()
}

#[cortex_m_rt::exception]
unsafe fn HardFault(frame: &cortex_m_rt::ExceptionFrame) -> ! {
    defmt::error!("hard fault at {=u32:#010x}", frame.pc());
    reset()
}
