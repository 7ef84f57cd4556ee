//! Shared firmware of real chips: the log over RTT, handlers of panics and faults, a receive buffer, and, behind a feature, a
//! USB serial port.
//!
//! Nobody presses the reset button of a device in the field, so whatever stops the main loop is logged and followed by a reset.
//! After the reset the built-in model answers, if no other is valid.
#![no_std]

mod fault;
mod inbox;
mod partition;
#[cfg(feature = "usb")]
pub mod usb;

pub use inbox::Inbox;

use core::cell::RefCell;
use defmt_rtt as _;
use embedded_io::{Read, Write};
use embedded_storage::nor_flash::NorFlash;
use sirocco_cortex_m::memory;
use sirocco_firmware::flash::ReadOnly;
use sirocco_firmware::{Arena, Store};

/// Runs the firmware of the board called `name` on `port`, with its models in the flash of `driver`, whose first byte the
/// processor reads at `origin`.
///
/// Nothing else may use that flash where `memory.x` has the models' regions.
pub fn run(name: &'static str, port: impl Read + Write, driver: impl NorFlash, origin: u32) -> ! {
    let driver = RefCell::new(driver);
    let memory::ModelFlash { slots: [first, second], records } = memory::model_flash();
    let part = |range| partition::of(&driver, origin, range);
    let (mut first, mut second, mut records) = (part(first), part(second), part(records));
    serve(name, port, Store::new([&mut first, &mut second], &mut records))
}

/// Runs the firmware of the board called `name` on `port`, where flash cannot be written: a model that a probe wrote into
/// slot 0 is only read.
pub fn run_read_only(name: &'static str, port: impl Read + Write) -> ! {
    let (mut first, mut second) = (ReadOnly(memory::read_only_slot()), ReadOnly(&[]));
    let mut records = ReadOnly(&[]);
    serve(name, port, Store::new([&mut first, &mut second], &mut records))
}

fn serve(name: &'static str, port: impl Read + Write, store: Store<'_>) -> ! {
    // It returns only if no request can be answered any more; the log says why.
    let arena = Arena::new(memory::arena());
    sirocco_firmware::serve(sirocco_cortex_m::board(name), store, sirocco_firmware::built_in(), arena, port);
    fault::reset()
}
