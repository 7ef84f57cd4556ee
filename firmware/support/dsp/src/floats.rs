//! Dense layers of bundles in floats, in the instructions of Cortex-M4F: eight weights come with one load, four rows of them
//! take 37 instructions for 32 multiply-accumulates. `VMLA` rounds the product and the sum, each in the order of the row: bit
//! for bit what safe Rust computes.

use core::arch::asm;
use sirocco::layer::rows::FLOATS;

/// Eight products of a row.
macro_rules! products {
    ($row:literal, $sum:literal) => {
        concat!(
            "vldmia {",
            $row,
            "}!, {{s8-s15}}\n",
            "vmla.f32 ",
            $sum,
            ", s8, s0\n",
            "vmla.f32 ",
            $sum,
            ", s9, s1\n",
            "vmla.f32 ",
            $sum,
            ", s10, s2\n",
            "vmla.f32 ",
            $sum,
            ", s11, s3\n",
            "vmla.f32 ",
            $sum,
            ", s12, s4\n",
            "vmla.f32 ",
            $sum,
            ", s13, s5\n",
            "vmla.f32 ",
            $sum,
            ", s14, s6\n",
            "vmla.f32 ",
            $sum,
            ", s15, s7\n",
        )
    };
}

/// See [`FOUR_ROWS_F32`](sirocco::layer::rows::RowLoops::FOUR_ROWS_F32). Leaves the sums where lengths do not fit.
pub fn four_rows(weights: &[f32], x: &[f32], sums: &mut [f32; 4]) {
    let n = x.len();
    if n == 0 || !n.is_multiple_of(FLOATS) || weights.len() != 4 * n {
        return;
    }
    let row = weights.as_ptr();
    // SAFETY: the loop reads eight numbers in a turn, of `x` and of four rows of its length, until `x` ends: there is a
    // multiple of eight, at least eight, and four times as many weights.
    unsafe {
        asm!(
            "vldm {sums}, {{s16-s19}}",
            "2:",
            "vldmia {x}!, {{s0-s7}}",
            products!("a", "s16"),
            products!("b", "s17"),
            products!("c", "s18"),
            products!("d", "s19"),
            "cmp {x}, {end}",
            "bne 2b",
            "vstm {sums}, {{s16-s19}}",
            a = inout(reg) row => _,
            b = inout(reg) row.wrapping_add(n) => _,
            c = inout(reg) row.wrapping_add(2 * n) => _,
            d = inout(reg) row.wrapping_add(3 * n) => _,
            x = inout(reg) x.as_ptr() => _,
            end = in(reg) x.as_ptr_range().end,
            sums = in(reg) sums,
            out("s0") _,
            out("s1") _,
            out("s2") _,
            out("s3") _,
            out("s4") _,
            out("s5") _,
            out("s6") _,
            out("s7") _,
            out("s8") _,
            out("s9") _,
            out("s10") _,
            out("s11") _,
            out("s12") _,
            out("s13") _,
            out("s14") _,
            out("s15") _,
            out("s16") _,
            out("s17") _,
            out("s18") _,
            out("s19") _,
            options(nostack),
        );
    }
}
