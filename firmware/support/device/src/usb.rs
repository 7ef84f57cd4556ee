//! A USB serial port (CDC-ACM) with `embedded-io` traits, for any chip with a `usb-device` driver.
//!
//! A board makes a `static` [`UsbSerial`], hands it the chip's USB bus once, and calls [`UsbSerial::interrupt`] from its USB
//! interrupt. The interrupt serves the host while the firmware computes.

pub use usb_device::bus::UsbBusAllocator;

use crate::Inbox;
use core::cell::RefCell;
use core::convert::Infallible;
use critical_section::Mutex;
use embedded_io::{ErrorType, Read, Write};
use static_cell::StaticCell;
use usb_device::UsbError;
use usb_device::bus::UsbBus;
use usb_device::device::{StringDescriptors, UsbDevice, UsbDeviceBuilder, UsbDeviceState, UsbVidPid};
use usbd_serial::{SerialPort, USB_CLASS_CDC};

/// Van Ooijen's vendor and product numbers, which any CDC-ACM device may use if it names its maker.
const IDS: UsbVidPid = UsbVidPid(0x16C0, 0x27DD);
const MAKER: &str = "github.com/sirocco-rs";
/// Cycles between two attempts to send.
const PAUSE: u32 = 1000;
/// Attempts before an answer that nobody fetches is dropped: about half a second at 125 MHz.
const ATTEMPTS: u32 = 62_500;

/// The USB port of a board, to be a `static`.
pub struct UsbSerial<B: UsbBus + 'static> {
    bus: StaticCell<UsbBusAllocator<B>>,
    connection: Mutex<RefCell<Option<Connection<B>>>>,
    received: Inbox<2048>,
}

struct Connection<B: UsbBus + 'static> {
    device: UsbDevice<'static, B>,
    serial: SerialPort<'static, B>,
}

impl<B: UsbBus> Connection<B> {
    /// Serves pending requests of the host.
    fn poll(&mut self) {
        self.device.poll(&mut [&mut self.serial]);
    }
}

impl<B: UsbBus> UsbSerial<B> {
    /// A port that is not connected yet.
    #[allow(clippy::new_without_default, reason = "a `static` needs a const function, which `default` is not")]
    pub const fn new() -> Self {
        UsbSerial { bus: StaticCell::new(), connection: Mutex::new(RefCell::new(None)), received: Inbox::new() }
    }

    /// Appears on the bus under this product name.
    ///
    /// # Panics
    /// If called twice: there is one place for a bus.
    pub fn start(&'static self, bus: UsbBusAllocator<B>, product: &'static str) -> Port<B> {
        let bus: &'static UsbBusAllocator<B> = self.bus.init(bus);
        let serial = SerialPort::new(bus);
        let names = StringDescriptors::default().manufacturer(MAKER).product(product);
        let device = UsbDeviceBuilder::new(bus, IDS).device_class(USB_CLASS_CDC);
        // One set of strings is allowed, and 64 bytes is a valid packet size: neither can fail.
        let Ok(device) = device.strings(&[names]) else { panic!("too many strings") };
        let Ok(device) = device.max_packet_size_0(64) else { panic!("no such packet size") };
        let connection = Connection { device: device.build(), serial };
        critical_section::with(|token| self.connection.replace(token, Some(connection)));
        Port(self)
    }

    /// Serves the host; to be called from the USB interrupt.
    pub fn interrupt(&self) {
        self.with(|connection| {
            connection.poll();
            let mut packet = [0; 64];
            // A packet that is not read would raise the interrupt again at once, so all are.
            while let Ok(count @ 1..) = connection.serial.read(&mut packet) {
                for &byte in packet.iter().take(count) {
                    self.received.put(byte);
                }
            }
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut Connection<B>) -> T) -> Option<T> {
        critical_section::with(|token| {
            let mut connection = self.connection.borrow(token).try_borrow_mut().ok()?;
            connection.as_mut().map(work)
        })
    }
}

/// The port once it has appeared on the bus.
pub struct Port<B: UsbBus + 'static>(&'static UsbSerial<B>);

/// The outcome of an attempt to send.
enum Sent {
    /// So many bytes were accepted.
    Bytes(usize),
    /// There is no room yet.
    Later,
    /// No host is connected.
    Disconnected,
}

impl<B: UsbBus> Port<B> {
    fn attempt(&self, work: impl FnOnce(&mut SerialPort<'static, B>) -> Result<usize, UsbError>) -> Sent {
        let sent = self.0.with(|connection| {
            connection.poll();
            if connection.device.state() != UsbDeviceState::Configured {
                return Sent::Disconnected;
            }
            match work(&mut connection.serial) {
                Ok(count) => Sent::Bytes(count),
                Err(UsbError::WouldBlock) => Sent::Later,
                Err(_) => Sent::Disconnected,
            }
        });
        sent.unwrap_or(Sent::Disconnected)
    }

    /// Repeats an attempt while there is no room. What still cannot be sent is dropped: a host that went away must not stop
    /// the device, and one that comes back asks again.
    fn retry(&self, mut work: impl FnMut(&mut SerialPort<'static, B>) -> Result<usize, UsbError>) -> Option<usize> {
        for _ in 0..ATTEMPTS {
            match self.attempt(&mut work) {
                Sent::Bytes(count) => return Some(count),
                Sent::Later => cortex_m::asm::delay(PAUSE),
                Sent::Disconnected => return None,
            }
        }
        None
    }
}

impl<B: UsbBus> ErrorType for Port<B> {
    type Error = Infallible;
}

impl<B: UsbBus> Read for Port<B> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        Ok(self.0.received.take(buffer))
    }
}

impl<B: UsbBus> Write for Port<B> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(self.retry(|serial| serial.write(bytes)).unwrap_or(bytes.len()))
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        self.retry(|serial| serial.flush().map(|()| 0));
        Ok(())
    }
}
