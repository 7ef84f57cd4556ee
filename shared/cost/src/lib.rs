//! The instructions that an image costs a Cortex-M4, predicted from the architecture of the network alone.
//!
//! The loops in [`sirocco::layer`] do a few kinds of work: they unpack windows, multiply words, requantize outputs.
//! [`Work`] says exactly how often; [`Costs`] says how many instructions each kind takes on a [`Processor`]. The costs are
//! fitted by least squares to random networks, counted in QEMU. The prediction is the sum of the products.
//!
//! The costs lie in `tests/costs.csv`. After a change of the kernels,
//!
//! ```text
//! SIROCCO_FIT=1 cargo test -p sirocco-tests --test suites cost:: -- --nocapture
//! ```
//!
//! fits them anew. Model files state their prediction, so `SIROCCO_BLESS=1 cargo test -p sirocco-tests --test suites
//! seed_corpus::` has to follow. Without the variable, the same test compares predictions with the counts of
//! `tests/instructions.csv`, which the fit never saw: a whole network has to be within 2 %. Instructions are not cycles.

mod boards;
mod costs;
mod work;

pub use boards::{BOARDS, Board};
pub use costs::{Costs, Processor};
pub use work::Work;

use sirocco::image::architecture::{Architecture, Step};

/// The predicted instructions of one node.
pub fn instructions(step: &Step, processor: Processor) -> u64 {
    Work::of(step).cost(Costs::of(processor))
}

/// The predicted instructions of one image.
pub fn total(architecture: &Architecture, processor: Processor) -> u64 {
    architecture.steps.iter().map(|step| instructions(step, processor)).sum()
}
