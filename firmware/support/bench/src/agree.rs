//! The DSP kernel against the portable one, on random words of every length up to a few turns of the loops.

use crate::random::Random;
use semihosting::println;
use sirocco::layer::kernel::{Kernel, PIXELS, Portable};
use sirocco_dsp::Dsp;

/// Longest row: four turns of the longest loop, and every rest.
const LONGEST: usize = 21;
/// Draws per length.
const DRAWS: usize = 20;

/// Two unsigned bytes, as columns hold them.
fn pixels(random: &mut Random) -> u32 {
    random.word() & 0x00ff_00ff
}

/// Prints what differs.
pub fn check() {
    let mut random = Random(0x9e37_79b9);
    for length in 0..=LONGEST {
        for _ in 0..DRAWS {
            let weights: [u32; LONGEST] = core::array::from_fn(|_| random.word());
            let columns: [[u32; PIXELS]; LONGEST] = core::array::from_fn(|_| core::array::from_fn(|_| pixels(&mut random)));
            let column = columns.map(|pixels| pixels[0]);
            let weights = &weights[..length];
            let start: [[i32; PIXELS]; 2] = core::array::from_fn(|_| core::array::from_fn(|_| random.word() as i32));
            let (mut portable, mut dsp) = (start, start);
            Portable::block(weights, &columns, &mut portable);
            Dsp::block(weights, &columns, &mut dsp);
            let (mut portable_pair, mut dsp_pair) = ([start[0][0], start[1][0]], [start[0][0], start[1][0]]);
            Portable::pair(weights, &column, &mut portable_pair);
            Dsp::pair(weights, &column, &mut dsp_pair);
            let (mut a, b) = (columns.map(|p| p[1] as u8), columns.map(|p| (p[1] >> 16) as u8));
            let mut largest = a;
            Portable::max(&mut a[..length], &b);
            Dsp::max(&mut largest[..length], &b);
            for (same, what) in [(portable == dsp, "block"), (portable_pair == dsp_pair, "pair"), (a == largest, "max")]
            {
                if !same {
                    println!("mismatch {what} of {length}");
                }
            }
        }
    }
}
