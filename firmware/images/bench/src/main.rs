//! Counts the instructions that the model in the model slot executes, layer by layer, with the portable kernel and, if the
//! core has DSP instructions, with the DSP kernel; both must agree in every bit. For QEMU's mps2-an386 and mps2-an385 with
//! `-icount shift=0`.
//!
//! Prints lines of words: `kernel NAME`, `layer INDEX OPERATION HxWxC MACS INSTRUCTIONS`, `total MACS INSTRUCTIONS`;
//! for a bundle `bundle OPERATION MACS INSTRUCTIONS`, and `rk4 NUMBERS STEPS INSTRUCTIONS` for its problem;
//! `mismatch WHAT` for every difference; and finally `done`.
#![no_std]
#![no_main]

/// The thumbv7em target has DSP instructions.
#[cfg(target_abi = "eabihf")]
mod agree;
mod bundles;
mod calibration;
mod count;
mod outbreak;
mod random;

use core::cell::RefCell;
use cortex_m::interrupt::Mutex;
use count::Counter;
use defmt_semihosting as _;
use semihosting::println;
use sirocco::bundle::Bundle;
use sirocco::image::Network;
use sirocco::image::golden::Golden;
use sirocco::layer::kernel::{Kernel, Portable};
use sirocco::limits::MAX_NODES;
use sirocco::model::Model;

/// Words for values and scratch: ResNet-8 needs 53 KiB, MobileNet 74.
const ARENA: usize = 24 * 1024;
/// Largest image: 96x96x3.
const IMAGE: usize = 96 * 96 * 3;

/// The inner loops for this core.
#[cfg(target_abi = "eabihf")]
type Inner = sirocco_dsp::Dsp;
/// The inner loops for this core.
#[cfg(not(target_abi = "eabihf"))]
type Inner = Portable;

static ARENA_MEMORY: Mutex<RefCell<[u32; ARENA]>> = Mutex::new(RefCell::new([0; ARENA]));

#[cortex_m_rt::entry]
fn main() -> ! {
    let status = cortex_m::interrupt::free(|free| run(&mut *ARENA_MEMORY.borrow(free).borrow_mut()));
    match status {
        Ok(()) => println!("done"),
        Err(why) => println!("error {why}"),
    }
    semihosting::process::exit(i32::from(status.is_err()))
}

fn run(arena: &mut [u32]) -> Result<(), &'static str> {
    let counter = Counter::start().ok_or("no clock")?;
    #[cfg(target_abi = "eabihf")]
    agree::check();
    let model = Model::open_prefix(sirocco_cortex_m::memory::read_only_slot()).map_err(|_| "no model in the slot")?;
    if let Ok(bundle) = Bundle::from_model::<Inner>(&model) {
        bundles::count(&bundle, &counter);
        return Ok(());
    }
    let network = Network::open(&model).map_err(|_| "neither a bundle nor an image network")?;
    measure::<Portable>("portable", &network, arena, &counter)?;
    replay::<Portable>(&model, &network, arena)?;
    #[cfg(target_abi = "eabihf")]
    {
        measure::<sirocco_dsp::Dsp>("dsp", &network, arena, &counter)?;
        replay::<sirocco_dsp::Dsp>(&model, &network, arena)?;
    }
    Ok(())
}

/// Checks the logits of the golden images.
fn replay<K: Kernel>(model: &Model<'_>, network: &Network<'_>, arena: &mut [u32]) -> Result<(), &'static str> {
    if let Ok(Some(golden)) = Golden::open(model, network)
        && golden.replay::<K>(network, arena).map_err(|_| "the arena is too small")?.0 != 0
    {
        println!("mismatch golden");
    }
    Ok(())
}

/// Counts the instructions of every layer and of the whole network.
fn measure<K: Kernel>(
    name: &str,
    network: &Network<'_>,
    arena: &mut [u32],
    counter: &Counter,
) -> Result<(), &'static str> {
    // The work does not depend on the image's content.
    let mut image = [0u8; IMAGE];
    for (k, byte) in image.iter_mut().enumerate() {
        *byte = (k * 37) as u8;
    }
    let image = image.get(..network.image().size()).ok_or("the image is too large")?;
    let mut marks = [0u32; MAX_NODES];
    let start = counter.now();
    let logits = network.logits_with_progress::<K>(image, arena, |node| {
        if let Some(mark) = marks.get_mut(node) {
            *mark = counter.now();
        }
    });
    logits.map_err(|_| "the arena is too small")?;
    println!("kernel {name}");
    let (mut before, mut total) = (start, 0);
    for ((index, (operation, shape, macs)), mark) in network.nodes().enumerate().zip(marks) {
        let instructions = counter.instructions(before, mark);
        let (operation, sirocco::layer::shape::Shape { height, width, channels }) = (operation.name(), shape);
        println!("layer {index} {operation} {height}x{width}x{channels} {macs} {instructions}");
        (before, total) = (mark, total + instructions);
    }
    println!("total {} {total}", network.macs());
    Ok(())
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    println!("error {info}");
    semihosting::process::exit(101)
}
