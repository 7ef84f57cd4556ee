//! From a bundle layer's sums to its activations: two in 29 instructions. Bit for bit what
//! `sirocco::layer::kernel::Portable` computes.

use core::arch::naked_asm;
use sirocco::layer::activation::{TANH_CUBICS, TANH_MIDDLE};
use sirocco::layer::kernel::{Constants, Kernel, Portable};

/// See [`Kernel::tanh`].
#[inline(always)]
pub fn tanh(sums: &mut [i32], constants: Constants<'_>) {
    if !fits(sums, constants) {
        return Portable::tanh(sums, constants);
    }
    let range = sums.as_mut_ptr_range();
    // SAFETY: as `fits` says, there are as many multipliers and biases as sums, a multiple of four, at least four; a node of
    // the table lies at most 64 nodes from the middle one.
    unsafe { wide(range.start, constants.multiplier.as_ptr(), constants.bias.as_ptr(), range.end, middle()) }
}

/// See [`Kernel::narrow_tanh`].
#[inline(always)]
pub fn narrow_tanh(sums: &[i32], constants: Constants<'_>, out: &mut [i16]) {
    if !fits(sums, constants) || out.len() != sums.len() || out.as_ptr() as usize & 3 != 0 {
        return Portable::narrow_tanh(sums, constants, out);
    }
    let range = sums.as_ptr_range();
    let (multiplier, bias) = (constants.multiplier.as_ptr(), constants.bias.as_ptr());
    // SAFETY: as for `tanh`, and there is room for as many activations, aligned as words.
    unsafe { narrow(range.start, multiplier, bias, out.as_mut_ptr(), range.end, middle()) }
}

fn middle() -> *const [i32; 4] {
    TANH_CUBICS.as_ptr().wrapping_add(TANH_MIDDLE)
}

/// Whether the loops, which take four sums in a turn, take these.
#[inline(always)]
fn fits(sums: &[i32], constants: Constants<'_>) -> bool {
    let n = sums.len();
    n > 0 && n & 3 == 0 && constants.multiplier.len() == n && constants.bias.len() == n
}

/// The preactivation in `$z` becomes tanh in units of 2^-30; r6 to r9 are overwritten.
macro_rules! cubic {
    ($z:literal) => {
        concat!(
            "ssat ",
            $z,
            ", #23, ",
            $z,
            ", lsl #1\n",
            "add r6, ",
            $z,
            ", #0x8000\n",
            "asr r6, r6, #16\n",
            "add r6, r10, r6, lsl #4\n",
            "ldm r6, {{r6-r9}}\n",
            "smlawb r8, r9, ",
            $z,
            ", r8\n",
            "smlawb r7, r8, ",
            $z,
            ", r7\n",
            "smlawb ",
            $z,
            ", r7, ",
            $z,
            ", r6\n",
        )
    };
}

/// Two sums from r0 on to r4 and r5, as tanh in units of 2^-30.
macro_rules! two {
    () => {
        concat!(
            "
            ldrd r4, r5, [r0], #8
            ldrd r6, r7, [r1], #8
            ldrd r8, r9, [r2], #8
            asr r8, r8, #6
            asr r9, r9, #6
            smmlar r4, r4, r6, r8
            smmlar r5, r5, r7, r9
            ",
            cubic!("r4"),
            cubic!("r5"),
        )
    };
}

/// Two activations of 32 bits in place of their sums.
macro_rules! two_wide {
    () => {
        concat!(two!(), "asr r4, r4, #6\n", "asr r5, r5, #6\n", "strd r4, r5, [r0, #-8]\n")
    };
}

/// Two activations of 16 bits.
macro_rules! two_narrow {
    () => {
        concat!(
            two!(),
            "
            add r4, r12, r4, asr #14
            add r5, r12, r5, asr #14
            ssat r4, #16, r4, asr #1
            ssat r5, #16, r5, asr #1
            pkhbt r4, r4, r5, lsl #16
            str r4, [r3], #4
            "
        )
    };
}

/// # Safety
/// From `sums` to `end` there is a multiple of four sums, at least four, and as many multipliers and biases; `middle` is the
/// node of zero.
#[unsafe(naked)]
unsafe extern "C" fn wide(
    sums: *mut i32,
    multiplier: *const i32,
    bias: *const i32,
    end: *mut i32,
    middle: *const [i32; 4],
) {
    // r0 sums, r1 multipliers, r2 biases, r3 the end, r10 the table's middle.
    naked_asm!(
        "push {{r4-r10, lr}}",
        "ldr r10, [sp, #32]",
        "2:",
        two_wide!(),
        two_wide!(),
        "cmp r0, r3",
        "bne 2b",
        "pop {{r4-r10, pc}}",
    )
}

/// # Safety
/// As for [`wide`], and from `out` on there is room for as many numbers, at a multiple of four.
#[unsafe(naked)]
unsafe extern "C" fn narrow(
    sums: *const i32,
    multiplier: *const i32,
    bias: *const i32,
    out: *mut i16,
    end: *const i32,
    middle: *const [i32; 4],
) {
    // r0 sums, r1 multipliers, r2 biases, r3 activations, r10 the table's middle, r11 the end, r12 one.
    naked_asm!(
        "push {{r4-r11, lr}}",
        "ldrd r11, r10, [sp, #36]",
        "mov r12, #1",
        "2:",
        two_narrow!(),
        two_narrow!(),
        "cmp r0, r11",
        "bne 2b",
        "pop {{r4-r11, pc}}",
    )
}
