//! The inner loop of Winograd's convolutions: two channels of four transformed tiles, all 16 places. Bit for bit what
//! `Portable::places` computes.
//!
//! Two places of the depth make 16 products of 16 bits, in 11 instructions. Rows of whole turns, that is channels in
//! sixteens, begin with products instead of zeros.

use core::arch::naked_asm;
use sirocco::layer::kernel::{Kernel, PIXELS, PLACES, Portable, Tiles};

/// Words of the depth that the longer loop takes at a turn.
const TURN: usize = 8;

/// See [`Kernel::places`].
pub fn places(weights: &[[u32; 2]], columns: &[[[u32; PIXELS]; PLACES]], sums: &mut Tiles) {
    let words = columns.len();
    if words == 0 || !words.is_multiple_of(2) || weights.len() != PLACES * words {
        return Portable::places(weights, columns, sums);
    }
    let task = Task { words: 8 * words, last: weights.as_ptr_range().end };
    // SAFETY: as checked, `columns` has a positive even number of rows, and `weights` 16 times as many pairs; the loop over
    // whole turns is taken for whole turns alone.
    unsafe {
        match words.is_multiple_of(TURN) {
            true => turns(weights.as_ptr(), columns.as_ptr(), sums, &task),
            false => steps(weights.as_ptr(), columns.as_ptr(), sums, &task),
        }
    }
}

/// What the loops work on, in the order in which their instructions address it.
#[repr(C)]
struct Task {
    /// Bytes of the weights of a place.
    words: usize,
    /// Where the weights end.
    last: *const [u32; 2],
}

/// One word of the depth, 16 products: `SMUAD` begins sums, `SMLAD` adds to them.
macro_rules! one_word {
    (begin) => {
        "
        ldrd r2, r3, [r0], #8
        ldrd r12, lr, [r1], #8
        smuad r4, r2, r12
        smuad r8, r3, r12
        smuad r5, r2, lr
        smuad r9, r3, lr
        ldrd r12, lr, [r1], #248
        smuad r6, r2, r12
        smuad r10, r3, r12
        smuad r7, r2, lr
        smuad r11, r3, lr
        "
    };
    (add) => {
        "
        ldrd r2, r3, [r0], #8
        ldrd r12, lr, [r1], #8
        smlad r4, r2, r12, r4
        smlad r8, r3, r12, r8
        smlad r5, r2, lr, r5
        smlad r9, r3, lr, r9
        ldrd r12, lr, [r1], #248
        smlad r6, r2, r12, r6
        smlad r10, r3, r12, r10
        smlad r7, r2, lr, r7
        smlad r11, r3, lr, r11
        "
    };
}

/// A function over all places: the words of a place, of which the first begin the sums, then as many turns of the others as
/// there are.
///
/// r0 weights, r1 columns, r4-r7 sums of A, r8-r11 sums of B; r2, r3 weights of A and B; r12, lr two tiles. On the stack,
/// from sp: where the weights of this place end, columns, sums, words, last.
macro_rules! all_places {
    ($($words:expr),* ; $($turn:expr),*) => {
        naked_asm!(
            "push {{r4-r11, lr}}",
            "ldrd r4, r5, [r3]", // words, last
            "push {{r0-r2, r4, r5}}",
            "2:", // a place
            "ldrd r2, r3, [sp, #8]", // sums, words
            "ldr r12, [sp]",
            "add r12, r3",
            "str r12, [sp]",
            $($words,)*
            "ldr r2, [sp]",
            "cmp r0, r2",
            "beq 4f",
            "3:",
            $($turn,)*
            "ldr r2, [sp]",
            "cmp r0, r2",
            "bne 3b",
            "4:",
            "ldrd r1, r2, [sp, #4]",
            "stm r2!, {{r4-r11}}",
            "adds r1, #16",
            "strd r1, r2, [sp, #4]",
            "ldr r3, [sp, #16]",
            "cmp r0, r3",
            "bne 2b",
            "add sp, #20",
            "pop {{r4-r11, pc}}",
        )
    };
}

/// sums = weights times columns, place by place.
///
/// # Safety
/// From `weights` to `task.last` there are 16 times as many pairs as `columns` has rows, `task.words` bytes each; they are
/// a positive multiple of [`TURN`].
#[unsafe(naked)]
unsafe extern "C" fn turns(
    weights: *const [u32; 2],
    columns: *const [[u32; PIXELS]; PLACES],
    sums: &mut Tiles,
    task: &Task,
) {
    all_places!(
        one_word!(begin), one_word!(add), one_word!(add), one_word!(add),
        one_word!(add), one_word!(add), one_word!(add), one_word!(add);
        one_word!(add), one_word!(add), one_word!(add), one_word!(add),
        one_word!(add), one_word!(add), one_word!(add), one_word!(add)
    )
}

/// The same.
///
/// # Safety
/// As for [`turns`], but a positive multiple of two.
#[unsafe(naked)]
unsafe extern "C" fn steps(
    weights: *const [u32; 2],
    columns: *const [[u32; PIXELS]; PLACES],
    sums: &mut Tiles,
    task: &Task,
) {
    all_places!(one_word!(begin), one_word!(add); one_word!(add), one_word!(add))
}
