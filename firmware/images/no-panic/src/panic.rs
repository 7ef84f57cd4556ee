//! A panic handler that makes the link fail if it can be reached.

unsafe extern "C" {
    /// Does not exist.
    fn a_panic_can_be_reached() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: a program that contains this call cannot be linked.
    unsafe { a_panic_can_be_reached() }
}
