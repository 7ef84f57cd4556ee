//! UARTE0 as a blocking `embedded-io` port that sleeps while it waits. DMA fills the buffers, so no byte is lost while the
//! firmware computes.

use core::convert::Infallible;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use embassy_nrf::buffered_uarte::{BufferedUarte, InterruptHandler};
use embassy_nrf::peripherals::{P0_06, P0_08, PPI_CH0, PPI_CH1, PPI_GROUP0, TIMER1, UARTE0};
use embassy_nrf::{Peri, bind_interrupts, uarte};
use embedded_io::{ErrorType, Read, Write};
use static_cell::ConstStaticCell;

bind_interrupts!(struct Interrupts {
    UARTE0 => InterruptHandler<UARTE0>;
});

/// Bytes of a buffer; even, as the driver requires. A frame fits.
const BUFFER: usize = 1024;
static RECEIVED: ConstStaticCell<[u8; BUFFER]> = ConstStaticCell::new([0; BUFFER]);
static SENDING: ConstStaticCell<[u8; BUFFER]> = ConstStaticCell::new([0; BUFFER]);

/// Peripherals that the port owns.
pub struct Resources {
    /// The UART.
    pub uarte: Peri<'static, UARTE0>,
    /// Counts received bytes.
    pub timer: Peri<'static, TIMER1>,
    /// Connect the UART to the timer.
    pub channels: (Peri<'static, PPI_CH0>, Peri<'static, PPI_CH1>),
    /// Their group.
    pub group: Peri<'static, PPI_GROUP0>,
    /// The pin that receives.
    pub receive: Peri<'static, P0_08>,
    /// The pin that transmits.
    pub transmit: Peri<'static, P0_06>,
}

/// UARTE0, 115,200 baud, 8N1.
pub struct Port {
    uarte: BufferedUarte<'static>,
}

impl Port {
    /// Switches the UART on.
    pub fn new(resources: Resources) -> Self {
        let Resources { uarte, timer, channels, group, receive, transmit } = resources;
        // The driver's default is 115,200 baud, 8N1.
        let config = uarte::Config::default();
        let uarte = BufferedUarte::new(
            uarte,
            timer,
            channels.0,
            channels.1,
            group,
            receive,
            transmit,
            Interrupts,
            config,
            RECEIVED.take(),
            SENDING.take(),
        );
        Port { uarte }
    }
}

/// Runs a future to its end, asleep while it waits.
///
/// Every interrupt sets the event flag, which `wfe` checks, so one between the poll and the sleep is not missed.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(result) => return result,
            Poll::Pending => cortex_m::asm::wfe(),
        }
    }
}

impl ErrorType for Port {
    type Error = Infallible;
}

impl Read for Port {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        loop {
            // An overrun costs bytes, which the protocol detects.
            if let Ok(count) = wait(self.uarte.read(buffer)) {
                return Ok(count);
            }
        }
    }
}

impl Write for Port {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        loop {
            if let Ok(count) = wait(self.uarte.write(bytes)) {
                return Ok(count);
            }
        }
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        // What could not be sent is lost; the host asks again.
        let _ = wait(self.uarte.flush());
        Ok(())
    }
}
