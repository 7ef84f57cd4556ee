//! The CMSDK APB UART (Arm DDI 0479, chapter 4.3) as an `embedded-io` port that sleeps while it waits.

use crate::Image;
use crate::hardware::{self, Interrupt, Registers};
use core::convert::Infallible;
use embedded_io::{ErrorType, Read, Write};

/// STATE: the transmit buffer is full.
const TX_FULL: u32 = 1 << 0;
/// STATE: the receive buffer holds a byte.
const RX_FULL: u32 = 1 << 1;
/// CTRL: transmitter, receiver and receive interrupt on.
const ENABLE: u32 = 1 << 0 | 1 << 1 | 1 << 3;
/// INTSTATUS/INTCLEAR: the receive interrupt.
const RX_INTERRUPT: u32 = 1 << 1;
/// The smallest divider: core clock / 16. QEMU has no real line, so a larger one would only slow down the emulation.
const FASTEST: u32 = 16;

/// UART0, polled; its receive interrupt has no handler and only ends the sleep in [`Read::read`].
pub struct Uart {
    registers: &'static Registers,
    receive: Interrupt,
}

impl Uart {
    /// Switches the UART on.
    pub fn new(image: Image) -> Self {
        let (registers, receive) = (image.uart0(), image.uart0_receive());
        registers.baud_divider.write(FASTEST);
        registers.control.write(ENABLE);
        hardware::wake_on(receive);
        Uart { registers, receive }
    }

    fn full(&self, flag: u32) -> bool {
        self.registers.state.read() & flag != 0
    }

    /// Sleeps until the receive buffer holds a byte.
    fn wait(&self) {
        while !self.full(RX_FULL) {
            // Clear the interrupt of bytes already read, then check again: a byte that arrives later ends the sleep.
            self.registers.interrupt.write(RX_INTERRUPT);
            hardware::clear(self.receive);
            if !self.full(RX_FULL) {
                cortex_m::asm::wfi();
            }
        }
    }
}

impl ErrorType for Uart {
    type Error = Infallible;
}

impl Read for Uart {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.wait();
        let mut count = 0;
        for slot in buffer {
            if !self.full(RX_FULL) {
                break;
            }
            // The receiver delivers eight bits.
            *slot = self.registers.data.read() as u8;
            count += 1;
        }
        Ok(count)
    }
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for &byte in bytes {
            while self.full(TX_FULL) {}
            self.registers.data.write(u32::from(byte));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        while self.full(TX_FULL) {}
        Ok(())
    }
}
