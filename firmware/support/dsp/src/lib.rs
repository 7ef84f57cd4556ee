//! The inner loops of image networks and of bundles in the DSP instructions of Cortex-M4 and M7: two 16-bit products in one
//! `SMLAD`, two bytes unpacked in one `SXTB16`. Bit for bit what `sirocco::layer::kernel::Portable` computes.
//!
//! `images.rs` has the layers of image networks, `tiles.rs` Winograd's convolutions; `dense.rs`, `wide.rs`, `tanh.rs` and
//! `floats.rs` have the layers of bundles. All unsafe code of the evaluator is in these files.
//!
//! A board whose core lacks these instructions does not depend on this crate: it uses `Portable`. A Cortex-M33 has
//! them as an option that the target `thumbv8m.main` leaves out: there this needs `-C target-feature=+dsp`.
#![no_std]
#![cfg(target_arch = "arm")]
#![allow(unsafe_code)]

/// Two products of 16 bits, added up: begin a sum, or add to it.
macro_rules! two_products {
    (begin $sum:literal, $a:literal, $b:literal) => {
        concat!("smuad ", $sum, ", ", $a, ", ", $b, "\n")
    };
    (add $sum:literal, $a:literal, $b:literal) => {
        concat!("smlad ", $sum, ", ", $a, ", ", $b, ", ", $sum, "\n")
    };
}

/// Two weights of A in r2 and of B in r3, with four pixels or tiles from r1 on, which moves on by as much as `$next`: 16
/// products.
macro_rules! sixteen_products {
    ($how:tt, $next:literal) => {
        concat!(
            "ldrd r12, lr, [r1], #8\n",
            two_products!($how "r4", "r2", "r12"),
            two_products!($how "r8", "r3", "r12"),
            two_products!($how "r5", "r2", "lr"),
            two_products!($how "r9", "r3", "lr"),
            "ldrd r12, lr, [r1], #",
            $next,
            "\n",
            two_products!($how "r6", "r2", "r12"),
            two_products!($how "r10", "r3", "r12"),
            two_products!($how "r7", "r2", "lr"),
            two_products!($how "r11", "r3", "lr"),
        )
    };
}

mod dense;
mod floats;
mod images;
mod tanh;
mod tiles;
mod wide;

use sirocco::layer::rows::{Constants, FourRows, RowLoops};

/// The kernel of processors with DSP instructions.
#[derive(Debug, Clone, Copy)]
pub struct Dsp;

impl RowLoops for Dsp {
    const FOUR_ROWS_F32: Option<FourRows> = Some(floats::four_rows);

    fn wide_i8(weights: &[i8], x: &[i32], sums: &mut [i32]) {
        wide::wide_i8(weights, x, sums);
    }

    fn wide_i16(weights: &[i16], x: &[i32], sums: &mut [i32]) {
        wide::wide_i16(weights, x, sums);
    }

    fn tanh(sums: &mut [i32], constants: Constants<'_>) {
        tanh::tanh(sums, constants);
    }

    fn narrow_tanh(sums: &mut [i32], constants: Constants<'_>) {
        tanh::narrow_tanh(sums, constants);
    }

    fn unpacked_tanh(sums: &mut [i32], constants: Constants<'_>) {
        tanh::unpacked_tanh(sums, constants);
    }

    fn rows_i8(weights: &[i8], x: &[i16], sums: &mut [i32]) {
        dense::rows_i8(weights, x, sums);
    }

    fn short_rows_i16(weights: &[i16], x: &[i16], sums: &mut [i32]) {
        dense::short_rows_i16(weights, x, sums);
    }

    fn rows_i16(weights: &[i16], x: &[i16], sums: &mut [i32]) {
        dense::rows_i16(weights, x, sums);
    }
}
