//! Dense layers of bundles: four rows of 8-bit weights in 23 instructions for 16 multiply-accumulates, two rows of 16-bit
//! weights in 7 for 8. Bit for bit what `sirocco::layer::kernel::Portable` computes.

use core::arch::naked_asm;
use sirocco::layer::kernel::{Kernel, Portable, WIDE_SUM_SHIFT};

/// Four numbers as a function of C returns them: in memory of the caller's.
#[repr(C)]
struct Four([i32; 4]);

/// See [`Kernel::four_rows_i8`].
#[inline(always)]
pub fn four_rows_i8(rows: &[i8], x: &[i16]) -> [i32; 4] {
    if !fits(rows.len(), x) {
        return any_four_rows_i8(rows, x);
    }
    // SAFETY: as `fits` says, there is a multiple of eight activations, at least eight, aligned as words, and four times as
    // many weights, which may lie anywhere.
    unsafe { sum_i8(rows.as_ptr(), x.as_ptr(), x.len()) }.0
}

/// See [`Kernel::four_rows_i16`].
#[inline(always)]
pub fn four_rows_i16(rows: &[i16], x: &[i16]) -> [i32; 4] {
    if !fits(rows.len(), x) || rows.as_ptr() as usize & 3 != 0 {
        return any_four_rows_i16(rows, x);
    }
    // SAFETY: as for `four_rows_i8`, and the weights are aligned as words.
    unsafe { sum_i16(rows.as_ptr(), x.as_ptr(), x.len()) }.0
}

/// Of its own, so that the usual way has no stack frame.
#[cold]
#[inline(never)]
fn any_four_rows_i8(rows: &[i8], x: &[i16]) -> [i32; 4] {
    Portable::four_rows_i8(rows, x)
}

/// The same.
#[cold]
#[inline(never)]
fn any_four_rows_i16(rows: &[i16], x: &[i16]) -> [i32; 4] {
    Portable::four_rows_i16(rows, x)
}

/// Whether the loops, which take eight activations in a turn, take these.
#[inline(always)]
fn fits(weights: usize, x: &[i16]) -> bool {
    x.as_ptr() as usize & 3 | x.len() & 7 == 0 && weights == 4 * x.len() && !x.is_empty()
}

/// Four activations to their even and odd places, as `SXTB16` unpacks weights.
macro_rules! activations {
    () => {
        "
        ldrd r10, r11, [r2], #8
        pkhbt r12, r10, r11, lsl #16
        pkhtb r11, r11, r10, asr #16
        "
    };
}

/// Four products of a row.
macro_rules! products {
    ($row:literal, $sum:literal) => {
        concat!(
            "ldr r10, [",
            $row,
            "], #4\n",
            "sxtb16 lr, r10\n",
            "sxtb16 r10, r10, ror #8\n",
            "smlad ",
            $sum,
            ", lr, r12, ",
            $sum,
            "\n",
            "smlad ",
            $sum,
            ", r10, r11, ",
            $sum,
            "\n",
        )
    };
}

/// sums\[r\] = sum over i of rows\[r, i\] x\[i\], for `n` activations.
///
/// # Safety
/// From `x` on there are `n` activations, a multiple of eight, at least eight, at a multiple of four; from `rows` on four
/// times as many weights.
#[unsafe(naked)]
unsafe extern "C" fn sum_i8(rows: *const i8, x: *const i16, n: usize) -> Four {
    // The result goes to r0; the arguments are in r1 to r3. From then on: r1, r0, r8, r3 the rows, r2 x, r9 its end, r4-r7
    // sums, r12 and r11 even and odd activations, r10 and lr weights.
    naked_asm!(
        "push {{r0, r4-r11, lr}}",
        "add r0, r1, r3",
        "add r9, r2, r3, lsl #1",
        "add r8, r0, r3",
        "lsls r4, r3, #28", // negative: eight activations beyond whole turns of sixteen
        "add.w r3, r8, r3",
        "mov r4, #0",
        "mov r5, #0",
        "mov r6, #0",
        "mov r7, #0",
        "bmi 3f",
        "2:",
        activations!(),
        products!("r1", "r4"),
        products!("r0", "r5"),
        products!("r8", "r6"),
        products!("r3", "r7"),
        activations!(),
        products!("r1", "r4"),
        products!("r0", "r5"),
        products!("r8", "r6"),
        products!("r3", "r7"),
        "3:",
        activations!(),
        products!("r1", "r4"),
        products!("r0", "r5"),
        products!("r8", "r6"),
        products!("r3", "r7"),
        activations!(),
        products!("r1", "r4"),
        products!("r0", "r5"),
        products!("r8", "r6"),
        products!("r3", "r7"),
        "cmp r2, r9",
        "bne 2b",
        "ldr r0, [sp]",
        "stm r0, {{r4-r7}}",
        "pop {{r0, r4-r11, pc}}",
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

/// The same for 16-bit weights, all but the last [`WIDE_SUM_SHIFT`] bits of every sum.
///
/// # Safety
/// As for [`sum_i8`], and the weights lie at a multiple of four.
#[unsafe(naked)]
unsafe extern "C" fn sum_i16(rows: *const i16, x: *const i16, n: usize) -> Four {
    // The result goes to r0; the arguments are in r1 to r3. From then on: r0 and r9 two rows, r1 x, r8 its end, r4-r5 and
    // r6-r7 sums, r2-r3 activations, r10-r12 and lr weights. On the stack: result, the rows' end, bytes of a row.
    naked_asm!(
        "push {{r0, r4-r11, lr}}",
        "lsls r3, #1",
        "add r4, r1, r3, lsl #2",
        "push {{r0, r3, r4, r5}}",
        "mov r0, r1",
        "mov r1, r2",
        "add r8, r1, r3",
        "add r9, r0, r3",
        "2:", // two rows
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
        "ldrd r2, r3, [sp]",
        "strd r4, r6, [r2], #8",
        "str r2, [sp]",
        "ldr r2, [sp, #8]",
        "mov r0, r9", // the second row has ended where the third begins
        "sub r1, r8, r3",
        "add r9, r0, r3",
        "cmp r0, r2",
        "bne 2b",
        "add sp, #16",
        "pop {{r0, r4-r11, pc}}",
        shift = const WIDE_SUM_SHIFT,
    )
}
