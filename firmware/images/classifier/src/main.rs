//! Classifies images on a serial line within the memory of a small chip: 64 KiB of flash for code and model, and 16 KiB of RAM
//! (`memory.x`). For QEMU's mps2-an386; on another board only the serial port would differ.
//!
//! It first describes itself, then answers every image; numbers are little-endian.
//!
//! | who | bytes |
//! | --- | --- |
//! | device, once | image size `u16` (0: no usable model in the slot), classes `u8`, format `u8` = 1 |
//! | host | an image: rows x columns x channels bytes |
//! | device | class `u8`, abstain `u8`, most stack used since reset `u16`, probability `f32`, entropy `f32`, logits `f32` |
//!
//! There is no framing: a host that loses count resets the device. The firmware in `boards/` has a protocol that survives
//! noise, bundles, certificates, and models that are replaced over the line; this program shows how little evaluation needs.
#![no_std]
#![no_main]

use embedded_io::{Read, Write};
use sirocco::error::ModelError;
use sirocco::image::Network;
use sirocco::model::Model;
use sirocco_dsp::Dsp;
use sirocco_mps2::{Image, Uart};

/// Words of working memory that `lenet16` needs.
const ARENA: usize = 1050;
/// Bytes of the largest image that is accepted.
const IMAGE: usize = 256;
/// Version of this exchange.
const FORMAT: u8 = 1;

#[cortex_m_rt::entry]
fn main() -> ! {
    let mut port = Uart::new(Image::An386);
    // Matched by reference: the stack has no room for a second copy of the network.
    let answered = match &open() {
        Ok(network) => serve(&mut port, network),
        Err(_) => None,
    };
    if answered.is_none() {
        // An image size of zero tells the host to send no images.
        let _ = port.write_all(&[0, 0, 0, FORMAT]);
    }
    loop {
        cortex_m::asm::wfi();
    }
}

/// Opens the network in the model slot. Not inlined, so that the stack it uses is free again for the arena.
#[inline(never)]
fn open() -> Result<Network<'static>, ModelError> {
    match &Model::open_prefix(sirocco_cortex_m::memory::read_only_slot()) {
        Ok(model) => Network::open(model),
        Err(defect) => Err(*defect),
    }
}

/// Answers until the port fails; returns at once if the network is too large.
#[inline(never)]
fn serve(port: &mut Uart, network: &Network<'_>) -> Option<()> {
    let (mut arena, mut buffer) = ([0; ARENA], [0; IMAGE]);
    let image = buffer.get_mut(..network.image().size())?;
    if network.arena() > arena.len() {
        return None;
    }
    let classes = network.classes().count() as u8;
    let [low, high] = (image.len() as u16).to_le_bytes();
    port.write_all(&[low, high, classes, FORMAT]).ok()?;
    loop {
        port.read_exact(image).ok()?;
        let logits = network.logits::<Dsp>(image, &mut arena).ok()?;
        let answer = logits.classify(network.abstain());
        let stack = sirocco_cortex_m::memory::usage().stack_high_water as u16;
        port.write_all(&[answer.class as u8, answer.abstain.into()]).ok()?;
        port.write_all(&stack.to_le_bytes()).ok()?;
        port.write_all(&answer.probability.to_le_bytes()).ok()?;
        port.write_all(&answer.entropy.to_le_bytes()).ok()?;
        for logit in logits.values() {
            port.write_all(&logit.to_le_bytes()).ok()?;
        }
    }
}
