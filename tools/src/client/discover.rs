//! Finds the serial ports of this machine, and the ports on which a Sirocco board answers.
//!
//! A board with a USB port of its own is recognized by its maker's name. Other boards are connected through a debug probe or
//! an adapter, which is recognized by its USB numbers; only a request tells whether a board is behind it. Nothing is ever
//! sent to other ports.

use crate::client::transport::Transport;
use crate::client::{Client, ClientError, Patience};
use serialport::{SerialPortType, UsbPortInfo};
use sirocco::wire::{Info, ask};
use std::io::{self, ErrorKind};
use std::time::Duration;

/// Environment variable with further ports to ask, separated by commas. It is for ports without USB numbers, such as a UART
/// of the machine itself, a pty, or `tcp:HOST:PORT`.
pub const VARIABLE: &str = "SIROCCO_PORTS";

/// How long a port has for its answer, in each of four attempts. QEMU checks only once a second whether its pty has been
/// opened, and the ports are asked at the same time, so that a silent one rarely adds to the waiting time.
pub const PATIENCE: Patience = Patience { timeout: Duration::from_millis(500), retries: 3 };

/// A USB device that a board may be behind.
struct UsbDevice {
    vendor: u16,
    /// Any product of the vendor if empty.
    products: &'static [u16],
    /// The maker's name, if other makers use the same numbers.
    maker: Option<&'static str>,
    what: &'static str,
}

/// Sirocco boards first, then probes, then adapters. The numbers are from the driver tables of the Linux kernel
/// (`drivers/usb/serial`) and the documentation of the probes.
const USB_DEVICES: [UsbDevice; 9] = [
    // The numbers and the name that `firmware/support/device/src/usb.rs` states.
    device(0x16C0, &[0x27DD], Some("github.com/sirocco-rs"), "Sirocco board"),
    device(0x1366, &[], None, "J-Link probe"),
    device(0x0483, &[0x374B, 0x374E, 0x374F, 0x3752, 0x3753, 0x3754], None, "ST-Link probe"),
    device(0x2E8A, &[0x000C], None, "Raspberry Pi Debug Probe"),
    device(0x0D28, &[0x0204], None, "CMSIS-DAP probe"),
    device(0x0403, &[], None, "FTDI adapter"),
    device(0x10C4, &[0xEA60, 0xEA70, 0xEA71], None, "CP210x adapter"),
    device(0x1A86, &[], None, "CH34x adapter"),
    device(0x067B, &[], None, "PL2303 adapter"),
];

const fn device(vendor: u16, products: &'static [u16], maker: Option<&'static str>, what: &'static str) -> UsbDevice {
    UsbDevice { vendor, products, maker, what }
}

/// A serial port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its name, for `--port`.
    pub name: String,
    /// The USB description, if it is a USB device.
    pub usb: Option<UsbPortInfo>,
    /// The kind of device a board may be behind, such as a probe; `None` if it is unknown, and the port is not asked.
    pub what: Option<&'static str>,
}

impl Port {
    fn of(info: serialport::SerialPortInfo) -> Self {
        let usb = if let SerialPortType::UsbPort(usb) = info.port_type { Some(usb) } else { None };
        Port { name: info.port_name, what: usb.as_ref().and_then(recognize), usb }
    }

    /// A port that the user named.
    pub fn named(name: &str) -> Self {
        Port { name: name.to_owned(), usb: None, what: Some("named by SIROCCO_PORTS") }
    }
}

fn recognize(usb: &UsbPortInfo) -> Option<&'static str> {
    let maker = usb.manufacturer.as_deref().unwrap_or_default();
    let fits = |device: &&UsbDevice| {
        usb.vid == device.vendor
            && (device.products.is_empty() || device.products.contains(&usb.pid))
            && device.maker.is_none_or(|name| maker.contains(name))
    };
    USB_DEVICES.iter().find(fits).map(|device| device.what)
}

/// All serial ports of this machine in the order of their names, and those that [`VARIABLE`] names.
///
/// # Errors
/// The operating system cannot list the ports.
pub fn ports() -> io::Result<Vec<Port>> {
    let mut ports: Vec<Port> = serialport::available_ports()?.into_iter().map(Port::of).collect();
    // macOS shows each port twice; the one for calling out does not wait for a carrier.
    ports.retain(|port| !port.name.starts_with("/dev/tty.") || cfg!(not(target_os = "macos")));
    ports.sort_by(|a, b| a.name.cmp(&b.name));
    let named = std::env::var(VARIABLE).unwrap_or_default();
    ports.extend(named.split(',').map(str::trim).filter(|name| !name.is_empty()).map(Port::named));
    Ok(ports)
}

/// The result of asking one port.
pub enum Answer {
    /// A board answered; the open line to it.
    Board(Box<(Info, Client)>),
    /// A board answered that cannot be used, for example because of its protocol version.
    Unusable(ClientError),
    /// No board answered; the reason.
    NoBoard(String),
}

/// Asks all of these ports at the same time whether a board is there.
pub fn ask(ports: &[Port], open: impl Fn(&str) -> io::Result<Box<dyn Transport>> + Sync) -> Vec<Answer> {
    let open = &open;
    std::thread::scope(|scope| {
        let asked: Vec<_> = ports.iter().map(|port| scope.spawn(move || ask_one(&port.name, open))).collect();
        let lost = |_| Answer::NoBoard("it could not be asked".to_owned());
        asked.into_iter().map(|thread| thread.join().unwrap_or_else(lost)).collect()
    })
}

fn ask_one(name: &str, open: impl Fn(&str) -> io::Result<Box<dyn Transport>>) -> Answer {
    let transport = match open(name) {
        Ok(transport) => transport,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Answer::NoBoard("permission denied, join the group that owns it (dialout or uucp)".to_owned());
        }
        Err(error) => return Answer::NoBoard(error.to_string()),
    };
    let mut client = Client::new(transport, name, PATIENCE);
    match client.ask(ask::Info) {
        Ok(info) => Answer::Board(Box::new((info, client))),
        Err(error @ ClientError::Version { .. }) => Answer::Unusable(error),
        Err(ClientError::Line { source, .. }) => Answer::NoBoard(source.to_string()),
        Err(ClientError::Timeout { .. }) => Answer::NoBoard("no answer".to_owned()),
        Err(_) => Answer::NoBoard("no Sirocco board".to_owned()),
    }
}

/// Why no board was found.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    /// No port may have a board behind it.
    #[error(
        "there is no serial port that a board may be behind; connect a board, or name its port with --port; `sirocco ports` lists them"
    )]
    NoPort,
    /// No board answered.
    #[error("no board answers on {0}; connect or reset the board, or name its port with --port")]
    Silent(String),
    /// More than one board answered.
    #[error("several boards answer: {0}; say which with --port")]
    Several(String),
    /// The only board that answered cannot be used.
    #[error(transparent)]
    Unusable(ClientError),
    /// The ports cannot be listed.
    #[error("cannot list the serial ports: {0}; name one with --port")]
    List(io::Error),
}

/// Asks those of these ports that a board may be behind, and returns the one board that answers.
///
/// # Errors
/// [`Missing`] if no board answers, several do, or the only one cannot be used.
pub fn find(
    ports: &[Port],
    open: impl Fn(&str) -> io::Result<Box<dyn Transport>> + Sync,
) -> Result<(String, Client), Missing> {
    let ports: Vec<Port> = ports.iter().filter(|port| port.what.is_some()).cloned().collect();
    if ports.is_empty() {
        return Err(Missing::NoPort);
    }
    let (mut boards, mut unusable, mut silent) = (Vec::new(), None, Vec::new());
    for (port, answer) in ports.iter().zip(ask(&ports, open)) {
        match answer {
            Answer::Board(found) => boards.push((&port.name, found)),
            Answer::Unusable(error) => unusable = unusable.or(Some(error)),
            Answer::NoBoard(why) => silent.push(format!("{} ({why})", port.name)),
        }
    }
    match (boards.len(), unusable) {
        (1, _) => {
            let (name, found) = boards.remove(0);
            Ok((name.clone(), found.1))
        }
        (0, Some(error)) => Err(Missing::Unusable(error)),
        (0, None) => Err(Missing::Silent(silent.join(", "))),
        (_, _) => {
            let names = boards.iter().map(|(name, found)| format!("{name} ({})", found.0.board));
            Err(Missing::Several(names.collect::<Vec<_>>().join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usb(vid: u16, pid: u16, maker: Option<&str>) -> UsbPortInfo {
        let manufacturer = maker.map(str::to_owned);
        UsbPortInfo { vid, pid, serial_number: None, manufacturer, product: None }
    }

    #[test]
    fn boards_probes_and_adapters_are_recognized_and_nothing_else() {
        let own = Some("github.com/sirocco-rs");
        assert_eq!(recognize(&usb(0x16C0, 0x27DD, own)), Some("Sirocco board"));
        // Other makers use the same numbers for their devices.
        assert_eq!(recognize(&usb(0x16C0, 0x27DD, Some("example.org"))), None);
        assert_eq!(recognize(&usb(0x16C0, 0x27DD, None)), None);
        assert_eq!(recognize(&usb(0x1366, 0x1051, None)), Some("J-Link probe"));
        assert_eq!(recognize(&usb(0x0483, 0x374B, None)), Some("ST-Link probe"));
        // ST's virtual COM port, which any product may contain, such as a 3D printer.
        assert_eq!(recognize(&usb(0x0483, 0x5740, None)), None);
        assert_eq!(recognize(&usb(0x2341, 0x0043, None)), None);
    }

    #[test]
    fn the_firmware_states_the_numbers_and_the_name_that_are_recognized() {
        let text =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../firmware/support/device/src/usb.rs"))
                .unwrap();
        let UsbDevice { vendor, products, maker, .. } = USB_DEVICES[0];
        assert!(text.contains(&format!("UsbVidPid({vendor:#06X}, {:#06X})", products[0]).replace("0X", "0x")));
        assert!(text.contains(&format!("MAKER: &str = {:?}", maker.unwrap())));
    }

    #[test]
    fn ports_of_the_machine_can_be_listed() {
        for port in ports().unwrap() {
            assert!(!port.name.is_empty());
        }
    }
}
