//! The panic handler of programs that must not link if it can be reached.

unsafe extern "C" {
    /// Exists nowhere.
    fn a_panic_can_be_reached() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: a program that contains this call cannot be linked.
    unsafe { a_panic_can_be_reached() }
}
