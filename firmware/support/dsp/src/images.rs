//! The inner loops of image layers: [`block`] takes 13 instructions for 16 multiply-accumulates, [`pair`] 18 for 16, and 3
//! and 2 per turn of their loops; sums stay in registers.

use crate::Dsp;
use core::arch::{asm, naked_asm};
use sirocco::layer::kernel::{ImageLoops, Portable};
use sirocco::layer::pack::PIXELS;
use sirocco::layer::requantize::Channels;

/// Four bytes to two words of a column.
macro_rules! unpacked_word {
    () => {
        "
        ldr {odd}, [{input}], #4
        uxtb16 {even}, {odd}
        uxtb16 {odd}, {odd}, ror #8
        str {even}, [{column}], #16
        str {odd}, [{column}], #16
        "
    };
}

impl ImageLoops for Dsp {
    fn block(weights: &[u32], columns: &[[u32; PIXELS]], sums: &mut [[i32; PIXELS]; 2]) {
        let words = weights.len().min(columns.len());
        let whole = words & !1;
        // SAFETY: the range from `weights` on has `whole` words, so has `columns` rows of four, and `whole` is even.
        unsafe { block(weights.as_ptr(), columns.as_ptr(), weights.as_ptr().wrapping_add(whole), sums) };
        if let (Some(weights), Some(columns)) = (weights.get(whole..words), columns.get(whole..words)) {
            Portable::block(weights, columns, sums);
        }
    }

    fn pair(weights: &[u32], column: &[u32], sums: &mut [i32; 2]) {
        let words = weights.len().min(column.len());
        let whole = words & !3;
        // SAFETY: both ranges have `whole` words, a multiple of four.
        unsafe { pair(weights.as_ptr(), column.as_ptr(), weights.as_ptr().wrapping_add(whole), sums) };
        if let (Some(weights), Some(column)) = (weights.get(whole..words), column.get(whole..words)) {
            Portable::pair(weights, column, sums);
        }
    }

    fn group(weights: &[u32], columns: &[[u32; PIXELS]], channels: &Channels<'_>, group: &mut [u8]) {
        let words = columns.len();
        let stride = channels.len();
        let whole = words > 0 && words.is_multiple_of(2) && stride > 0 && stride.is_multiple_of(2);
        if !whole || weights.len() != stride / 2 * words || group.len() != PIXELS * stride {
            return Tail::group(weights, columns, channels, group);
        }
        let task = Task {
            columns: columns.as_ptr(),
            end: columns.as_ptr().wrapping_add(words),
            bias: channels.bias().as_ptr(),
            multiplier: channels.multiplier().as_ptr(),
            zero: channels.zero().into(),
            out: group.as_mut_ptr(),
            stride,
            last: weights.as_ptr().wrapping_add(weights.len()),
        };
        // SAFETY: as checked, `weights` has an even number of words, as many as `columns` has rows, for every two of
        // `stride` channels; `Channels` has as many biases and multipliers; `group` has four times as many bytes.
        unsafe { self::group(weights.as_ptr(), &task) }
    }

    fn window(input: &[u8], run: usize, stride: usize, place: usize, columns: &mut [[u32; PIXELS]]) {
        let words = run / 2;
        if words == 0 || !run.is_multiple_of(4) || !columns.len().is_multiple_of(words) || columns.is_empty() {
            return Tail::window(input, run, stride, place, columns);
        }
        let last = (columns.len() / words - 1).checked_mul(stride).and_then(|last| last.checked_add(run));
        if last.is_none_or(|last| last > input.len()) {
            return Tail::window(input, run, stride, place, columns);
        }
        let column = columns.as_mut_ptr().cast::<u32>().wrapping_add(place % PIXELS);
        // SAFETY: there is at least one run, the last one ends within `input`, and a run has a positive multiple of four
        // bytes. Every four bytes make two words, a row of `columns` apart, and `columns` has as many rows; the stores'
        // addresses begin within the first row.
        unsafe {
            asm!(
                "2:",
                "add {stop}, {input}, {run}",
                "tst {run}, #4", // a word beyond pairs of words
                "beq 3f",
                unpacked_word!(),
                "cmp {input}, {stop}",
                "beq 4f",
                "3:",
                unpacked_word!(),
                unpacked_word!(),
                "cmp {input}, {stop}",
                "bne 3b",
                "4:",
                "add {input}, {skip}",
                "cmp {column}, {end}",
                "bne 2b",
                input = inout(reg) input.as_ptr() => _,
                column = inout(reg) column => _,
                end = in(reg) column.wrapping_add(columns.len() * PIXELS),
                run = in(reg) run,
                skip = in(reg) stride.wrapping_sub(run),
                stop = out(reg) _,
                even = out(reg) _,
                odd = out(reg) _,
                options(nostack),
            );
        }
    }

    fn max(largest: &mut [u8], other: &[u8]) {
        let whole = (largest.len() / 4).min(other.len() / 4);
        for (a, b) in largest.as_chunks_mut::<4>().0.iter_mut().zip(other.as_chunks::<4>().0) {
            *a = max_of_four(u32::from_ne_bytes(*a), u32::from_ne_bytes(*b)).to_ne_bytes();
        }
        // Of slices that differ in length, the longer may have whole words where the shorter has but a rest.
        if let (Some(a), Some(b)) = (largest.get_mut(4 * whole..), other.get(4 * whole..)) {
            Portable::max(a, b);
        }
    }
}

/// The definition over [`Dsp`]'s blocks, for what its other loops do not take: groups of fewer than four pixels or of an odd
/// number of channels, windows that are not whole.
struct Tail;

impl ImageLoops for Tail {
    fn block(weights: &[u32], columns: &[[u32; PIXELS]], sums: &mut [[i32; PIXELS]; 2]) {
        Dsp::block(weights, columns, sums);
    }

    fn pair(weights: &[u32], column: &[u32], sums: &mut [i32; 2]) {
        Dsp::pair(weights, column, sums);
    }

    fn max(largest: &mut [u8], other: &[u8]) {
        Dsp::max(largest, other);
    }
}

/// What [`group`] works on, in the order in which its instructions address it.
#[repr(C)]
struct Task {
    columns: *const [u32; PIXELS],
    end: *const [u32; PIXELS],
    bias: *const i32,
    multiplier: *const i32,
    zero: u32,
    out: *mut u8,
    stride: usize,
    last: *const u32,
}

/// The largest of two bytes, four times: `USUB8` notes which of the first are not smaller, `SEL` takes those.
fn max_of_four(a: u32, b: u32) -> u32 {
    let mut largest = a;
    // SAFETY: registers and flags only.
    unsafe {
        asm!(
            "usub8 {scratch}, {a}, {b}",
            "sel {a}, {a}, {b}",
            a = inout(reg) largest,
            b = in(reg) b,
            scratch = out(reg) _,
            options(pure, nomem, nostack),
        );
    }
    largest
}

/// One word of weights: two places of the depth.
macro_rules! one_word {
    () => {
        concat!("ldr r3, [r0], #4\n", "sxtb16 r2, r3\n", "sxtb16 r3, r3, ror #8\n", sixteen_products!(add, "8"),)
    };
}

/// sums += weights times columns, for weights from `weights` to `end`.
///
/// # Safety
/// From `weights` to `end` there is an even number of readable words, perhaps none, and from `columns` on as many
/// rows of four.
#[unsafe(naked)]
unsafe extern "C" fn block(
    weights: *const u32,
    columns: *const [u32; PIXELS],
    end: *const u32,
    sums: &mut [[i32; PIXELS]; 2],
) {
    // r0 weights, r1 columns, r4-r7 sums of A, r8-r11 sums of B; r2, r3 weights of A and B; r12, lr two pixels.
    // `end` is at sp, `sums` at sp + 4.
    naked_asm!(
        "push {{r2-r11, lr}}",
        "ldm r3, {{r4-r11}}",
        "sub r12, r2, r0",
        "tst r12, #8", // two words beyond whole turns of four
        "beq 2f",
        one_word!(),
        one_word!(),
        "ldr r2, [sp]",
        "2:",
        "cmp r0, r2",
        "beq 4f",
        "3:",
        one_word!(),
        one_word!(),
        one_word!(),
        one_word!(),
        "ldr r2, [sp]",
        "cmp r0, r2",
        "bne 3b",
        "4:",
        "ldr r3, [sp, #4]",
        "stm r3, {{r4-r11}}",
        "pop {{r2-r11, pc}}",
    )
}

/// Two sums of a pixel to two bytes, and on to the next pixel.
macro_rules! bytes_of_pixel {
    ($a:literal, $b:literal) => {
        concat!(
            "smmlar ",
            $a,
            ", ",
            $a,
            ", r2, r12\n",
            "smmlar ",
            $b,
            ", ",
            $b,
            ", r3, r12\n",
            "usat ",
            $a,
            ", #8, ",
            $a,
            "\n",
            "usat ",
            $b,
            ", #8, ",
            $b,
            "\n",
            "strb ",
            $b,
            ", [lr, #1]\n",
            "strb ",
            $a,
            ", [lr]\n",
            "add lr, r1\n",
        )
    };
}

/// All pairs of channels of four pixels, from biases to bytes.
///
/// # Safety
/// From `task.columns` to `task.end` there is an even number of rows, at least two; from `weights` to `task.last` as
/// many words for each pair of channels, at least one pair; `bias` and `multiplier` have two numbers per pair; `out`
/// has four times `stride` bytes, `stride` two per pair.
#[unsafe(naked)]
unsafe extern "C" fn group(weights: *const u32, task: &Task) {
    // As in `block`. On the stack, from sp: columns, end, bias, multiplier, zero, out, stride, last.
    naked_asm!(
        "push {{r4-r11, lr}}",
        "ldm r1, {{r4-r11}}",
        "sub sp, #32",
        "stm sp, {{r4-r11}}",
        "2:", // a pair of channels
        "ldr r12, [sp, #8]",
        "ldrd r4, r8, [r12], #8",
        "str r12, [sp, #8]",
        "mov r5, r4",
        "mov r6, r4",
        "mov r7, r4",
        "mov r9, r8",
        "mov r10, r8",
        "mov r11, r8",
        "ldrd r1, r2, [sp]",
        "sub r3, r2, r1",
        "tst r3, #32", // two rows beyond whole turns of eight
        "beq 3f",
        one_word!(),
        one_word!(),
        "ldr r2, [sp, #4]",
        "sub r3, r2, r1",
        "3:",
        "tst r3, #64", // four rows
        "beq 4f",
        one_word!(),
        one_word!(),
        one_word!(),
        one_word!(),
        "ldr r2, [sp, #4]",
        "4:",
        "cmp r1, r2",
        "beq 6f",
        "5:",
        one_word!(),
        one_word!(),
        one_word!(),
        one_word!(),
        one_word!(),
        one_word!(),
        one_word!(),
        one_word!(),
        "ldr r2, [sp, #4]",
        "cmp r1, r2",
        "bne 5b",
        "6:", // sums to bytes: r2, r3 multipliers, r12 zero, lr out, r1 stride
        "ldr r12, [sp, #12]",
        "ldrd r2, r3, [r12], #8",
        "str r12, [sp, #12]",
        "ldrd r12, lr, [sp, #16]",
        "ldr r1, [sp, #24]",
        bytes_of_pixel!("r4", "r8"),
        bytes_of_pixel!("r5", "r9"),
        bytes_of_pixel!("r6", "r10"),
        bytes_of_pixel!("r7", "r11"),
        "ldr lr, [sp, #20]",
        "add lr, #2",
        "str lr, [sp, #20]",
        "ldr r2, [sp, #28]",
        "cmp r0, r2",
        "bne 2b",
        "add sp, #32",
        "pop {{r4-r11, pc}}",
    )
}

/// sums += weights times column, for weights from `weights` to `end`.
///
/// # Safety
/// From `weights` to `end` there is a readable multiple of four words, perhaps none, and from `column` on as many.
#[unsafe(naked)]
unsafe extern "C" fn pair(weights: *const u32, column: *const u32, end: *const u32, sums: &mut [i32; 2]) {
    // r0 weights, r1 column, r3 end; r4-r7 weights, r8-r11 pixels, r2 weights of A; r12, lr sums. `sums` is at sp.
    naked_asm!(
        "push {{r3-r11, lr}}",
        "ldrd r12, lr, [r3]",
        "mov r3, r2",
        "cmp r0, r3",
        "beq 3f",
        "2:",
        "ldm r0!, {{r4-r7}}",
        "ldm r1!, {{r8-r11}}",
        "sxtb16 r2, r4",
        "sxtb16 r4, r4, ror #8",
        "smlad r12, r2, r8, r12",
        "smlad lr, r4, r8, lr",
        "sxtb16 r2, r5",
        "sxtb16 r5, r5, ror #8",
        "smlad r12, r2, r9, r12",
        "smlad lr, r5, r9, lr",
        "sxtb16 r2, r6",
        "sxtb16 r6, r6, ror #8",
        "smlad r12, r2, r10, r12",
        "smlad lr, r6, r10, lr",
        "sxtb16 r2, r7",
        "sxtb16 r7, r7, ror #8",
        "smlad r12, r2, r11, r12",
        "smlad lr, r7, r11, lr",
        "cmp r0, r3",
        "bne 2b",
        "3:",
        "ldr r3, [sp]",
        "strd r12, lr, [r3]",
        "pop {{r3-r11, pc}}",
    )
}
