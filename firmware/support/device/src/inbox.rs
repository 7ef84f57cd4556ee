//! Bytes between the interrupt that receives them and the main loop that reads them.

use core::cell::RefCell;
use critical_section::Mutex;
use heapless::Deque;

/// A first-in, first-out buffer of `N` bytes, to be a `static`.
///
/// It must hold what arrives while the firmware computes: clients wait for an answer before they ask again, so one frame is
/// enough. Bytes that do not fit are lost, which the protocol detects.
pub struct Inbox<const N: usize>(Mutex<RefCell<Deque<u8, N>>>);

impl<const N: usize> Inbox<N> {
    /// An empty one.
    #[allow(clippy::new_without_default, reason = "a `static` needs a const function, which `default` is not")]
    pub const fn new() -> Self {
        Inbox(Mutex::new(RefCell::new(Deque::new())))
    }

    /// Adds a received byte; for interrupt handlers.
    pub fn put(&self, byte: u8) {
        critical_section::with(|token| {
            if let Ok(mut bytes) = self.0.borrow(token).try_borrow_mut() {
                // A full buffer drops the byte.
                let _ = bytes.push_back(byte);
            }
        });
    }

    /// Sleeps until there is a byte, then takes as many as there are and fit. Returns 0 only if `buffer` is empty.
    pub fn take(&self, buffer: &mut [u8]) -> usize {
        loop {
            let count = critical_section::with(|token| {
                let Ok(mut bytes) = self.0.borrow(token).try_borrow_mut() else { return 0 };
                if bytes.is_empty() {
                    // Interrupts are masked here. A pending one ends this sleep and is served after it, so none is missed
                    // between the check and the sleep.
                    cortex_m::asm::wfi();
                }
                let mut count = 0;
                for (slot, byte) in buffer.iter_mut().zip(core::iter::from_fn(|| bytes.pop_front())) {
                    *slot = byte;
                    count += 1;
                }
                count
            });
            if count > 0 || buffer.is_empty() {
                return count;
            }
        }
    }
}
