//! Panics and faults: said in the log, then reset.
#![allow(unsafe_code, reason = "`cortex-m-rt` wants the handler of hard faults to be unsafe")]

use cortex_m::peripheral::SCB;

/// Loop iterations before a reset: about a second, in which a debug probe can fetch the log, and which keeps a device
/// that always fails from doing so at full speed.
const PATIENCE: u32 = 30_000_000;

/// Resets the chip, after a while.
pub fn reset() -> ! {
    cortex_m::asm::delay(PATIENCE);
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
