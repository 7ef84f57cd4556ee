//! Classifies images on a serial line with as little memory as a small chip has: 64 KiB of flash for code and model, and
//! 16 KiB of RAM (`memory.x`). For QEMU's mps2-an386; another board brings its own serial port.
//!
//! It says first what it is, then answers every image; numbers are little-endian.
//!
//! | who | bytes |
//! | --- | --- |
//! | device, once | image size `u16` (0: no usable model in the slot), classes `u8`, format `u8` = 1 |
//! | host | an image: rows x columns x channels bytes |
//! | device | class `u8`, abstain `u8`, stack used at most since reset `u16`, probability `f32`, entropy `f32`, logits `f32` |
//!
//! There is no framing: a host that loses count resets the device. The firmware of `boards/` has a protocol that
//! survives noise, bundles, certificates, and models that are replaced over the line; this shows what evaluation takes.
#![no_std]
#![no_main]

use embedded_io::{Read, Write};
use sirocco::error::ModelError;
use sirocco::image::Network;
use sirocco::model::Model;
use sirocco_dsp::Dsp;
use sirocco_mps2::{Image, Uart};

/// Words that `lenet16` works in.
const ARENA: usize = 1050;
/// Bytes of the largest image that is taken.
const IMAGE: usize = 256;
/// Version of this exchange.
const FORMAT: u8 = 1;

#[cortex_m_rt::entry]
fn main() -> ! {
    let mut port = Uart::new(Image::An386);
    // Looked at where it was opened: the stack has no room for two.
    let answered = match &open() {
        Ok(network) => serve(&mut port, network),
        Err(_) => None,
    };
    if answered.is_none() {
        // A host that hears of no image sends none.
        let _ = port.write_all(&[0, 0, 0, FORMAT]);
    }
    loop {
        cortex_m::asm::wfi();
    }
}

/// The network in the model slot. What opening takes of the stack is free again for the arena.
#[inline(never)]
fn open() -> Result<Network<'static>, ModelError> {
    match &Model::open_prefix(sirocco_cortex_m::memory::read_only_slot()) {
        Ok(model) => Network::open(model),
        Err(defect) => Err(*defect),
    }
}

/// Answers for ever; returns if the network is too large or the line is gone.
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
