//! USART1 as an `embedded-io` port: received by interrupt, sent byte by byte.
#![allow(unsafe_code, reason = "unmasking an interrupt is unsafe")]

use core::cell::RefCell;
use core::convert::Infallible;
use critical_section::Mutex;
use embedded_io::{ErrorType, Read, Write};
use sirocco_device::Inbox;
use stm32f4xx_hal::gpio::{PA9, PA10};
use stm32f4xx_hal::nb;
use stm32f4xx_hal::pac::{Interrupt, NVIC, USART1, interrupt};
use stm32f4xx_hal::prelude::*;
use stm32f4xx_hal::rcc::Rcc;
use stm32f4xx_hal::serial::{Config, Event, Rx1, Serial1, Tx1};

static INBOX: Inbox<1024> = Inbox::new();
/// Used only by the interrupt, once it is unmasked.
static RECEIVER: Mutex<RefCell<Option<Rx1>>> = Mutex::new(RefCell::new(None));

/// USART1 on PA9 (transmits) and PA10 (receives), 115,200 baud, 8N1.
pub struct Usart {
    transmitter: Tx1,
}

impl Usart {
    /// Switches the port on.
    pub fn new(usart: USART1, tx: PA9, rx: PA10, rcc: &mut Rcc) -> Self {
        let config = Config::default().baudrate(115_200.bps());
        // Every clock of this program can be divided down to this rate.
        let Ok(mut serial) = Serial1::new(usart, (tx, rx), config, rcc) else { panic!("no such baud rate") };
        serial.listen(Event::RxNotEmpty);
        let (transmitter, receiver) = serial.split();
        critical_section::with(|token| RECEIVER.replace(token, Some(receiver)));
        // SAFETY: no critical section is active here that unmasking could break.
        unsafe { NVIC::unmask(Interrupt::USART1) };
        Usart { transmitter }
    }
}

#[interrupt]
fn USART1() {
    critical_section::with(|token| {
        if let Some(receiver) = RECEIVER.borrow_ref_mut(token).as_mut() {
            // An error (overrun, noise) costs a byte, which the protocol detects; reading has cleared it.
            if let Ok(byte) = receiver.read() {
                INBOX.put(byte);
            }
        }
    });
}

impl ErrorType for Usart {
    type Error = Infallible;
}

impl Read for Usart {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        Ok(INBOX.take(buffer))
    }
}

impl Write for Usart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for &byte in bytes {
            while let Err(nb::Error::WouldBlock) = self.transmitter.write(byte) {}
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        while let Err(nb::Error::WouldBlock) = self.transmitter.flush() {}
        Ok(())
    }
}
