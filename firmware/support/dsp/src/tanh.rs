//! From a bundle layer's sums to its activations: two in 24 or 28 instructions. Bit for bit what
//! `sirocco::layer::kernel::Portable` computes.

use core::arch::naked_asm;
use sirocco::layer::activation::{TANH_CUBICS, TANH_MIDDLE};
use sirocco::layer::kernel::Portable;
use sirocco::layer::rows::{Constants, RowLoops};

/// See [`RowLoops::tanh`].
#[inline(always)]
pub fn tanh(sums: &mut [i32], constants: Constants<'_>) {
    by(wide, sums, constants, Portable::tanh);
}

/// See [`RowLoops::narrow_tanh`].
#[inline(always)]
pub fn narrow_tanh(sums: &mut [i32], constants: Constants<'_>) {
    by(narrow, sums, constants, Portable::narrow_tanh);
}

/// See [`RowLoops::unpacked_tanh`].
#[inline(always)]
pub fn unpacked_tanh(sums: &mut [i32], constants: Constants<'_>) {
    by(unpacked, sums, constants, Portable::unpacked_tanh);
}

/// A loop over sums, in place.
type Loop = unsafe extern "C" fn(*mut i32, *const i32, *const i32, *mut i32, *const [i32; 4]);

/// By the loop, if it takes these; else by `other`.
#[inline(always)]
fn by(tanh: Loop, sums: &mut [i32], constants: Constants<'_>, other: fn(&mut [i32], Constants<'_>)) {
    if !fits(sums, constants) {
        return other(sums, constants);
    }
    let range = sums.as_mut_ptr_range();
    // SAFETY: as `fits` says, there are as many multipliers and biases as sums, a multiple of four, at least four; a node of
    // the table lies at most 64 nodes from the middle one.
    unsafe { tanh(range.start, constants.multiplier.as_ptr(), constants.bias.as_ptr(), range.end, middle()) }
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

/// The preactivation in `$z` becomes tanh in units of 2^-30; r6 to r9 are overwritten. The nearest node is a product with
/// 2^16 in r3, of which the upper word is kept, rounded.
macro_rules! cubic {
    ($z:literal) => {
        concat!(
            "ssat ",
            $z,
            ", #23, ",
            $z,
            ", lsl #1\n",
            "smmulr r6, ",
            $z,
            ", r3\n",
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

/// Two activations of 16 bits in one register.
macro_rules! two_narrow {
    ($to:literal) => {
        concat!(
            two!(),
            "
            add r4, r12, r4, asr #14
            add r5, r12, r5, asr #14
            ssat r4, #16, r4, asr #1
            ssat r5, #16, r5, asr #1
            pkhbt ",
            $to,
            ", r4, r5, lsl #16\n"
        )
    };
}

/// A loop over four sums at a turn; `$end` compares with the end.
macro_rules! four_at_a_turn {
    ($name:ident, $end:literal, $($turn:expr),*) => {
        /// # Safety
        /// From `sums` to `end` there is a multiple of four sums, at least four, and as many multipliers and biases; `middle`
        /// is the node of zero.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            sums: *mut i32,
            multiplier: *const i32,
            bias: *const i32,
            end: *mut i32,
            middle: *const [i32; 4],
        ) {
            // r0 sums, r1 multipliers, r2 biases, r3 2^16, r10 the table's middle, r11 activations, r12 one, lr two
            // activations or, where there are none, the end. On the stack: the end.
            naked_asm!(
                "push {{r3-r11, lr}}",
                "ldr r10, [sp, #40]",
                "mov lr, r3",
                "mov r3, #0x10000",
                "mov r11, r0",
                "mov r12, #1",
                "2:",
                $($turn,)*
                $end,
                "bne 2b",
                "pop {{r3-r11, pc}}",
            )
        }
    };
}

four_at_a_turn!(wide, "cmp r0, lr", two_wide!(), two_wide!());
four_at_a_turn!(narrow, "ldr r6, [sp]\ncmp r0, r6", two_narrow!("lr"), two_narrow!("r5"), "strd lr, r5, [r11], #8");
four_at_a_turn!(
    unpacked,
    "ldr r6, [sp]\ncmp r0, r6",
    two_narrow!("lr"),
    two_narrow!("r4"),
    "pkhtb r5, r4, lr, asr #16", // 3 and 1
    "pkhbt r4, lr, r4, lsl #16", // 2 and 0
    "strd r4, r5, [r11], #8"
);
