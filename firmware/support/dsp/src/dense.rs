//! Dense layers of bundles: four rows of 8-bit weights in 21 instructions for 16 multiply-accumulates, on 32 activations in
//! 18 and a half; of 16-bit weights in 13, or two rows with sums of 64 bits in 7 for 8. Bit for bit what
//! `sirocco::layer::kernel::Portable` computes.

use core::arch::naked_asm;
use sirocco::layer::kernel::Portable;
use sirocco::layer::rows::{BYTE_SUM_SHIFT, RowLoops, WIDE_SUM_SHIFT};

/// Rows of weights on so many activations, to sums, from the first to the last's end.
type Loop<W> = unsafe extern "C" fn(*const W, *const i16, usize, *mut i32, *mut i32);
/// The same in safe Rust.
type Rows<W> = fn(&[W], &[i16], &mut [i32]);

/// See [`RowLoops::rows_i8`].
#[inline(always)]
pub fn rows_i8(weights: &[i8], x: &[i16], sums: &mut [i32]) {
    let rows = if x.len() == 32 && weights.as_ptr() as usize & 3 == 0 { sum_i8_of_32 } else { sum_i8 };
    by(rows, weights, x, sums, Portable::rows_i8);
}

/// See [`RowLoops::rows_i16`].
#[inline(always)]
pub fn rows_i16(weights: &[i16], x: &[i16], sums: &mut [i32]) {
    by(sum_i16, weights, x, sums, Portable::rows_i16);
}

/// See [`RowLoops::short_rows_i16`].
#[inline(always)]
pub fn short_rows_i16(weights: &[i16], x: &[i16], sums: &mut [i32]) {
    by(short_i16, weights, x, sums, Portable::short_rows_i16);
}

/// By one of the loops here, if it takes these; else by `other`.
#[inline(always)]
fn by<W>(rows: Loop<W>, weights: &[W], x: &[i16], sums: &mut [i32], other: Rows<W>) {
    let aligned = size_of::<W>() == 1 || weights.as_ptr() as usize & 3 == 0;
    if !aligned || !fits(weights.len(), x, sums) {
        return otherwise(other, weights, x, sums);
    }
    let sums = sums.as_mut_ptr_range();
    // SAFETY: as `fits` says, there is a multiple of eight activations, at least eight, aligned as words, as many weights for
    // every sum, which lie anywhere if they are bytes and else aligned as words, and a multiple of four sums, at least four.
    unsafe { rows(weights.as_ptr(), x.as_ptr(), x.len(), sums.start, sums.end) }
}

/// Of its own, so that the usual way has no stack frame.
#[cold]
#[inline(never)]
fn otherwise<W>(other: Rows<W>, weights: &[W], x: &[i16], sums: &mut [i32]) {
    other(weights, x, sums);
}

/// Whether the loops, which take eight activations in a turn and four rows at a time, take these.
#[inline(always)]
fn fits(weights: usize, x: &[i16], sums: &[i32]) -> bool {
    let whole = x.as_ptr() as usize & 3 | x.len() & 7 | sums.len() & 3 == 0;
    whole && weights > 0 && x.len().checked_mul(sums.len()) == Some(weights)
}

/// Four products of a row, of activations as `SXTB16` unpacks weights.
macro_rules! products {
    ($row:literal, $sum:literal) => {
        concat!(
            "ldr r10, [",
            $row,
            "], #4\n",
            "sxtb16 r11, r10\n",
            "sxtb16 r10, r10, ror #8\n",
            "smlad ",
            $sum,
            ", r11, r12, ",
            $sum,
            "\n",
            "smlad ",
            $sum,
            ", r10, lr, ",
            $sum,
            "\n",
        )
    };
}

/// Four activations.
macro_rules! pairs {
    () => {
        "ldrd r12, lr, [r1], #8\n"
    };
}

/// Four products of a row.
macro_rules! half_products {
    ($row:literal, $sum:literal) => {
        concat!(
            "ldrd r10, r11, [",
            $row,
            "], #8\n",
            "smlad ",
            $sum,
            ", r10, r12, ",
            $sum,
            "\n",
            "smlad ",
            $sum,
            ", r11, lr, ",
            $sum,
            "\n",
        )
    };
}

/// Four rows at a time: from `n` activations, loaded four by four, and the products of every row, to sums, moved at the end.
macro_rules! four_rows {
    ($name:ident, $weight:ty, $row:literal, $activations:ident, $products:ident, $move:literal, $shift:ident) => {
        /// # Safety
        /// From `x` on there are `n` activations, a multiple of eight, at least eight, at a multiple of four; from `sums` to
        /// `end` a multiple of four sums, at least four; from `weights` on `n` weights for each of them, at a multiple of
        /// four if they have 16 bits.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(weights: *const $weight, x: *const i16, n: usize, sums: *mut i32, end: *mut i32) {
            // r0, r2, r8, r3 four rows, r1 x, r9 its end, r4-r7 sums, r10-r12 and lr activations and weights. On the stack
            // from sp: two zeros, x, n, sums; end at sp + 56.
            naked_asm!(
                "push {{r1-r11, lr}}",
                "add r9, r1, r2, lsl #1",
                "mov r4, #0",
                "mov r5, #0",
                "push {{r4, r5}}",
                "2:",
                "ldrd r1, r12, [sp, #8]",
                concat!("add r2, r0, ", $row),
                concat!("add r8, r2, ", $row),
                concat!("add r3, r8, ", $row),
                "ldrd r4, r5, [sp]",
                "ldrd r6, r7, [sp]",
                "lsls r12, r12, #28", // negative: eight activations beyond whole turns of sixteen
                "bmi 4f",
                "3:",
                four_rows!(@turn $activations $products),
                four_rows!(@turn $activations $products),
                "4:",
                four_rows!(@turn $activations $products),
                four_rows!(@turn $activations $products),
                "cmp r1, r9",
                "bne 3b",
                concat!($move, " r4, #{shift}"),
                concat!($move, " r5, #{shift}"),
                concat!($move, " r6, #{shift}"),
                concat!($move, " r7, #{shift}"),
                "ldr r2, [sp, #16]",
                "mov r0, r3", // where the last row has ended
                "stm r2!, {{r4-r7}}",
                "str r2, [sp, #16]",
                "ldr r3, [sp, #56]",
                "cmp r2, r3",
                "bne 2b",
                "add sp, #8",
                "pop {{r1-r11, pc}}",
                shift = const $shift,
            )
        }
    };
    (@turn $activations:ident $products:ident) => {
        concat!(
            $activations!(),
            $products!("r0", "r4"),
            $products!("r2", "r5"),
            $products!("r8", "r6"),
            $products!("r3", "r7"),
        )
    };
}

four_rows!(sum_i8, i8, "r12", pairs, products, "lsl", BYTE_SUM_SHIFT);
four_rows!(short_i16, i16, "r12, lsl #1", pairs, half_products, "asr", WIDE_SUM_SHIFT);

/// Eight products of a row, whose weights are `at` this place; the first two may begin the sum.
macro_rules! eight_products {
    ($how:tt $sum:literal, $at:expr) => {
        concat!(
            "ldrd r2, r3, [r0, #(",
            $at,
            ")]\n",
            "sxtb16 r12, r2\n",
            "sxtb16 r2, r2, ror #8\n",
            two_products!($how $sum, "r12", "r8"),
            two_products!(add $sum, "r2", "r9"),
            "sxtb16 r12, r3\n",
            "sxtb16 r3, r3, ror #8\n",
            two_products!(add $sum, "r12", "r10"),
            two_products!(add $sum, "r3", "r11"),
        )
    };
}

/// Eight activations, and their products with four rows of 32 weights.
macro_rules! eight_activations {
    ($how:tt, $at:literal) => {
        concat!(
            "ldm r1!, {{r8-r11}}\n",
            eight_products!($how "r4", concat!($at, " + 0")),
            eight_products!($how "r5", concat!($at, " + 32")),
            eight_products!($how "r6", concat!($at, " + 64")),
            eight_products!($how "r7", concat!($at, " + 96")),
        )
    };
}

/// [`sum_i8`] on 32 activations, its loop over them unrolled.
///
/// # Safety
/// As for [`sum_i8`], with `n` = 32, and the weights at a multiple of four.
#[unsafe(naked)]
unsafe extern "C" fn sum_i8_of_32(weights: *const i8, x: *const i16, n: usize, sums: *mut i32, end: *mut i32) {
    // r0 weights, r1 x, lr sums, r4-r7 sums, r8-r11 activations, r2, r3, r12 weights. End at sp + 36.
    naked_asm!(
        "push {{r4-r11, lr}}",
        "mov lr, r3",
        "2:",
        eight_activations!(begin, "0"),
        eight_activations!(add, "8"),
        eight_activations!(add, "16"),
        eight_activations!(add, "24"),
        "lsl r4, #{shift}",
        "lsl r5, #{shift}",
        "lsl r6, #{shift}",
        "lsl r7, #{shift}",
        "stm lr!, {{r4-r7}}",
        "ldr r2, [sp, #36]",
        "sub r1, #64",
        "add r0, #128",
        "cmp lr, r2",
        "bne 2b",
        "pop {{r4-r11, pc}}",
        shift = const BYTE_SUM_SHIFT,
    )
}

/// Four products of each of two rows.
macro_rules! wide_products {
    () => {
        "
        ldrd r2, r3, [r1], #8
        ldrd r10, r11, [r0], #8
        ldrd r12, lr, [r9], #8
        smlald r4, r5, r10, r2
        smlald r6, r7, r12, r2
        smlald r4, r5, r11, r3
        smlald r6, r7, lr, r3
        "
    };
}

/// Two rows of 16-bit weights at a time, in sums of 64 bits, all but the last [`WIDE_SUM_SHIFT`] of them.
///
/// # Safety
/// As for [`short_i16`].
#[unsafe(naked)]
unsafe extern "C" fn sum_i16(weights: *const i16, x: *const i16, n: usize, sums: *mut i32, end: *mut i32) {
    // r0 and r9 two rows, r1 x, r8 its end, r4-r5 and r6-r7 sums, r2-r3 activations, r10-r12 and lr weights. On the stack
    // from sp: x, n, sums; end at sp + 48.
    naked_asm!(
        "push {{r1-r11, lr}}",
        "add r8, r1, r2, lsl #1",
        "2:", // two rows
        "add r9, r0, r2, lsl #1",
        "mov r4, #0",
        "mov r5, #0",
        "mov r6, #0",
        "mov r7, #0",
        "3:",
        wide_products!(),
        wide_products!(),
        "cmp r1, r8",
        "bne 3b",
        "lsrs r4, #{shift}",
        "orr r4, r4, r5, lsl #32 - {shift}",
        "lsrs r6, #{shift}",
        "orr r6, r6, r7, lsl #32 - {shift}",
        "ldr r3, [sp, #8]",
        "ldrd r1, r2, [sp]",
        "strd r4, r6, [r3], #8",
        "str r3, [sp, #8]",
        "mov r0, r9", // where the second row has ended
        "ldr r4, [sp, #48]",
        "cmp r3, r4",
        "bne 2b",
        "pop {{r1-r11, pc}}",
        shift = const WIDE_SUM_SHIFT,
    )
}
