//! Sums of bundle layers on 32-bit activations: a weight in two instructions, and one for every four activations that are
//! loaded. Bit for bit what `sirocco::layer::kernel::Portable` computes.

use core::arch::naked_asm;
use sirocco::layer::kernel::Portable;
use sirocco::layer::row_scale::wide_shift;
use sirocco::layer::rows::RowLoops;

/// Rows of weights on activations, from `x` to `end`, to sums, from `sums` to `last`.
type Loop<W> = unsafe extern "C" fn(*const W, *const i32, *const i32, *mut i32, *const i32);

/// See [`RowLoops::wide_i8`].
#[inline(always)]
pub fn wide_i8(weights: &[i8], x: &[i32], sums: &mut [i32]) {
    by([three_i8, five_i8, thirty_two_i8, eights_i8], weights, x, sums, Portable::wide_i8);
}

/// See [`RowLoops::wide_i16`].
#[inline(always)]
pub fn wide_i16(weights: &[i16], x: &[i32], sums: &mut [i32]) {
    by([three_i16, five_i16, thirty_two_i16, eights_i16], weights, x, sums, Portable::wide_i16);
}

/// By the loop for three, for five, for 32, or for a multiple of eight activations; else by `other`.
#[inline(always)]
fn by<W>(
    [three, five, thirty_two, eights]: [Loop<W>; 4],
    weights: &[W],
    x: &[i32],
    sums: &mut [i32],
    other: fn(&[W], &[i32], &mut [i32]),
) {
    let rows = match x.len() {
        3 => three,
        5 => five,
        32 => thirty_two,
        n if n & 7 == 0 => eights,
        _ => return other(weights, x, sums),
    };
    if weights.is_empty() || x.len().checked_mul(sums.len()) != Some(weights.len()) {
        return other(weights, x, sums);
    }
    let (x, sums) = (x.as_ptr_range(), sums.as_mut_ptr_range());
    // SAFETY: there are as many activations as the loop takes, at least one sum, and for every sum a weight for every
    // activation. Halfwords are aligned, and so are words.
    unsafe { rows(weights.as_ptr(), x.start, x.end, sums.start, sums.end) }
}

/// One row of weights on activations that stay in registers.
macro_rules! row_of_few {
    ($load:literal, $size:literal, $second:literal $($next:literal)*) => {
        concat!(
            $load, " lr, [r0], #", $size, "\n",
            "smull r2, r3, lr, r4\n",
            $load, " lr, [r0], #", $size, "\n",
            "smlal r2, r3, lr, ", $second, "\n",
            $(
                $load, " lr, [r0], #", $size, "\n",
                "smlal r2, r3, lr, ", $next, "\n",
            )*
            "lsr r2, #{shift}\n",
            "orr r2, r2, r3, lsl #32 - {shift}\n",
            "str r2, [r1], #4\n",
        )
    };
}

/// A loop for so many activations that they stay in registers; two rows at a turn, but an odd one first.
macro_rules! few {
    ($name:ident, $weight:ty, $load:literal, $size:literal, $x:literal, $($next:literal)*) => {
        /// # Safety
        /// From `x` on there are as many activations as this loop takes, up to `_end`; from `sums` to `last` there is room for
        /// at least one sum; from `weights` on there is a weight for every activation and sum.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            weights: *const $weight,
            x: *const i32,
            _end: *const i32,
            sums: *mut i32,
            last: *const i32,
        ) {
            // r0 weights, r1 sums, r12 their end, r2-r3 a sum, from r4 on activations, lr a weight.
            naked_asm!(
                "push {{r4-r8, lr}}",
                concat!("ldm r1, {{", $x, "}}"),
                "mov r1, r3",
                "ldr r12, [sp, #24]",
                "sub r2, r12, r1",
                "tst r2, #4",
                "beq 3f",
                row_of_few!($load, $size, $($next)*),
                "cmp r1, r12",
                "beq 4f",
                "3:",
                row_of_few!($load, $size, $($next)*),
                row_of_few!($load, $size, $($next)*),
                "cmp r1, r12",
                "bne 3b",
                "4:",
                "pop {{r4-r8, pc}}",
                shift = const wide_shift::<$weight>(),
            )
        }
    };
}

few!(three_i8, i8, "ldrsb", "1", "r4-r6", "r5" "r6");
few!(three_i16, i16, "ldrsh", "2", "r4-r6", "r5" "r6");
few!(five_i8, i8, "ldrsb", "1", "r4-r8", "r5" "r6" "r7" "r8");
few!(five_i16, i16, "ldrsh", "2", "r4-r8", "r5" "r6" "r7" "r8");

/// Four activations and the products of a row with them.
macro_rules! four {
    ($load:literal, $size:literal) => {
        concat!(
            "ldm r1!, {{r4-r7}}\n",
            four!($load, $size, "r4"),
            four!($load, $size, "r5"),
            four!($load, $size, "r6"),
            four!($load, $size, "r7"),
        )
    };
    ($load:literal, $size:literal, $x:literal) => {
        concat!($load, " lr, [r0], #", $size, "\nsmlal r2, r3, lr, ", $x, "\n")
    };
}

/// A loop over rows of so many weights that activations are loaded anew for each: `$row` makes a sum.
macro_rules! many {
    ($name:ident, $weight:ty, $($row:expr),*) => {
        /// # Safety
        /// From `x` to `end` there are as many activations as this loop takes; else as for the other loops.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            weights: *const $weight,
            x: *const i32,
            end: *const i32,
            sums: *mut i32,
            last: *const i32,
        ) {
            // r0 weights, r1 activations, r8 their start, r9 their end, r10 sums, r11 their end, r2-r3 a sum, r4-r7 four
            // activations, lr a weight.
            naked_asm!(
                "push {{r4-r11, lr}}",
                "mov r8, r1",
                "mov r9, r2",
                "mov r10, r3",
                "ldr r11, [sp, #36]",
                "2:", // a row
                "mov r1, r8",
                $($row,)*
                "lsr r2, #{shift}",
                "orr r2, r2, r3, lsl #32 - {shift}",
                "str r2, [r10], #4",
                "cmp r10, r11",
                "bne 2b",
                "pop {{r4-r11, pc}}",
                shift = const wide_shift::<$weight>(),
            )
        }
    };
}

/// Loops for a multiple of eight activations, and for 32.
macro_rules! eights {
    ($eights:ident, $thirty_two:ident, $weight:ty, $load:literal, $size:literal) => {
        many!(
            $eights,
            $weight,
            "mov r2, #0",
            "mov r3, #0",
            "3:",
            four!($load, $size),
            four!($load, $size),
            "cmp r1, r9",
            "bne 3b"
        );
        many!(
            $thirty_two,
            $weight,
            "ldm r1!, {{r4-r7}}",
            concat!($load, " lr, [r0], #", $size),
            "smull r2, r3, lr, r4",
            four!($load, $size, "r5"),
            four!($load, $size, "r6"),
            four!($load, $size, "r7"),
            four!($load, $size),
            four!($load, $size),
            four!($load, $size),
            four!($load, $size),
            four!($load, $size),
            four!($load, $size),
            four!($load, $size)
        );
    };
}

eights!(eights_i8, thirty_two_i8, i8, "ldrsb", "1");
eights!(eights_i16, thirty_two_i16, i16, "ldrsh", "2");
