//! The inner loops of Winograd's convolutions, bit for bit what `Portable` computes: [`transform`] of pixels, 205
//! instructions for four channels of a tile; [`places`], 11 for 16 products of 16 bits; [`tiles`] back to bytes, 60 for the
//! four outputs of a channel.

use crate::Dsp;
use core::arch::naked_asm;
use sirocco::layer::kernel::Portable;
use sirocco::layer::pack::PIXELS;
use sirocco::layer::tiles::{Column, Group, PLACES, Sums, Tile, Tiles};

/// Words of the depth that the longer loop takes at a turn.
const TURN: usize = 8;

impl Tiles for Dsp {
    fn places(weights: &[[u32; 2]], columns: &[Column], sums: &mut Sums) {
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

    fn transform(input: &[u8], channels: usize, row: usize, place: usize, columns: &mut [Column]) {
        let last = row.checked_mul(3).and_then(|last| last.checked_add(channels.checked_mul(4)?));
        let whole = channels > 0 && channels.is_multiple_of(4) && columns.len() == channels / 2;
        if !whole || last.is_none_or(|last| last > input.len()) {
            return Portable::transform(input, channels, row, place, columns);
        }
        let column = columns.as_mut_ptr().cast::<u32>().wrapping_add(place % PIXELS);
        // SAFETY: the last of four rows of four pixels ends within `input`; `columns` has two rows for every four channels, of
        // which there are some; the stores' addresses begin within the first one.
        unsafe { transform_words(input.as_ptr(), column, row, channels) };
    }

    fn tiles(group: &Group<'_>, output: &mut [u8]) {
        let Group { columns, channels, tiles, row, .. } = *group;
        let pixel = channels.len();
        let inside = |tile: &Tile| {
            let end = row.checked_add(2 * pixel).and_then(|size| size.checked_add(tile.at));
            tile.rows == 2 && tile.columns == 2 && end.is_some_and(|end| end <= output.len())
        };
        let (Ok(whole), true) = (<&[Tile; PIXELS]>::try_from(tiles), tiles.iter().all(inside)) else {
            return Tail::tiles(group, output);
        };
        let mut sums = Sums::default();
        let mut task = Outputs {
            bias: 0,
            multiplier: 0,
            zero: channels.zero().into(),
            pixel,
            row,
            diagonal: row + pixel,
            out: whole.map(|tile| output.as_mut_ptr().wrapping_add(tile.at)),
        };
        let mut constants = channels.iter();
        for weights in group.pairs() {
            Dsp::places(weights, columns, &mut sums);
            for (channel, (bias, multiplier)) in (0..2).zip(&mut constants) {
                (task.bias, task.multiplier) = (bias, multiplier);
                // SAFETY: `sums` has those of two channels, and every tile's four outputs lie within `output`, all channels of
                // them: as checked, `at` + `row` + two pixels is no more than its length. `out` moves on by a byte for every
                // channel.
                unsafe { outputs(sums.as_ptr().cast::<i32>().wrapping_add(channel * PIXELS), &task) };
                task.out = task.out.map(|out| out.wrapping_add(1));
            }
        }
    }
}

/// The definition over [`Dsp`]'s places, for fewer than four tiles and tiles at the border.
struct Tail;

impl Tiles for Tail {
    fn places(weights: &[[u32; 2]], columns: &[Column], sums: &mut Sums) {
        Dsp::places(weights, columns, sums);
    }
}

/// What [`outputs`] works on, in the order in which its instructions address it.
#[repr(C)]
struct Outputs {
    bias: i32,
    multiplier: i32,
    zero: u32,
    /// From an output to the one beside it, to the one below, and to the one below that.
    pixel: usize,
    row: usize,
    diagonal: usize,
    /// The first output of every tile.
    out: [*mut u8; PIXELS],
}

/// What the loops over places work on, in the order in which their instructions address it.
#[repr(C)]
struct Task {
    /// Bytes of the weights of a place.
    words: usize,
    /// Where the weights end.
    last: *const [u32; 2],
}

/// One word of the depth: two weights of A and of B.
macro_rules! one_word {
    ($how:tt) => {
        concat!("ldrd r2, r3, [r0], #8\n", sixteen_products!($how, "248"))
    };
}

/// sums = weights times columns, place by place: the words of a place, of which the first begin the sums, then as many turns
/// of the others as there are.
macro_rules! all_places {
    ($name:ident; $($words:expr),*; $($turn:expr),*) => {
        /// # Safety
        /// From `weights` to `task.last` there are 16 times as many pairs as `columns` has rows, `task.words` bytes each; they
        /// are as many as this loop begins with, and perhaps whole turns.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(weights: *const [u32; 2], columns: *const Column, sums: &mut Sums, task: &Task) {
            // r0 weights, r1 columns, r4-r7 sums of A, r8-r11 sums of B; r2, r3 weights of A and B; r12, lr two tiles. On
            // the stack, from sp: where the weights of this place end, columns, sums, words, last.
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
        }
    };
}

all_places!(
    turns;
    one_word!(begin), one_word!(add), one_word!(add), one_word!(add),
    one_word!(add), one_word!(add), one_word!(add), one_word!(add);
    one_word!(add), one_word!(add), one_word!(add), one_word!(add),
    one_word!(add), one_word!(add), one_word!(add), one_word!(add)
);
all_places!(steps; one_word!(begin), one_word!(add); one_word!(add), one_word!(add));

/// One row of four pixels: B' along it for even and for odd channels, to the stack in the order 0, 2, 3, 1.
macro_rules! row_of_pixels {
    ($at:literal) => {
        concat!(
            "ldr r4, [r0]\n",
            "ldr r5, [r0, r3]\n",
            "ldr r6, [r0, r3, lsl #1]\n",
            "ldr r7, [r0, r12]\n",
            "add r0, r2\n",
            "uxtb16 r8, r4\n",
            "uxtb16 r9, r5\n",
            "uxtb16 r10, r6\n",
            "uxtb16 r11, r7\n",
            "sadd16 lr, r9, r10\n",
            "ssub16 r8, r8, r10\n",
            "ssub16 r11, r9, r11\n",
            "ssub16 r10, r10, r9\n",
            "strd r8, r10, [sp, #(",
            $at,
            ")]\n",
            "strd r11, lr, [sp, #(",
            $at,
            " + 8)]\n",
            "uxtb16 r8, r4, ror #8\n",
            "uxtb16 r9, r5, ror #8\n",
            "uxtb16 r10, r6, ror #8\n",
            "uxtb16 r11, r7, ror #8\n",
            "sadd16 lr, r9, r10\n",
            "ssub16 r8, r8, r10\n",
            "ssub16 r11, r9, r11\n",
            "ssub16 r10, r10, r9\n",
            "strd r8, r10, [sp, #(",
            $at,
            " + 16)]\n",
            "strd r11, lr, [sp, #(",
            $at,
            " + 24)]\n",
        )
    };
}

/// One column of what [`row_of_pixels`] left `at` this place: B' along it, to the places of column `to`.
macro_rules! column_of_rows {
    ($at:literal, $to:literal) => {
        concat!(
            "ldr r4, [sp, #(",
            $at,
            ")]\n",
            "ldr r5, [sp, #(",
            $at,
            " + 32)]\n",
            "ldr r6, [sp, #(",
            $at,
            " + 64)]\n",
            "ldr r7, [sp, #(",
            $at,
            " + 96)]\n",
            "ssub16 r8, r4, r6\n",
            "sadd16 r9, r5, r6\n",
            "ssub16 r10, r6, r5\n",
            "ssub16 r11, r5, r7\n",
            "str r8, [r1, #(",
            $to,
            ")]\n",
            "str r9, [r1, #(",
            $to,
            " + 64)]\n",
            "str r10, [r1, #(",
            $to,
            " + 128)]\n",
            "str r11, [r1, #(",
            $to,
            " + 192)]\n",
        )
    };
}

/// V = B' d B of a tile, four channels at a turn.
///
/// # Safety
/// Of four rows, `row` bytes apart, four pixels of `channels` bytes can be read, a positive multiple of four; from
/// `column` on there is a row of 16 times four words for every two of them.
#[unsafe(naked)]
unsafe extern "C" fn transform_words(input: *const u8, column: *mut u32, row: usize, channels: usize) {
    // r12 three pixels. On the stack, from sp: 32 numbers, and where the first pixel ends.
    naked_asm!(
        "push {{r4-r11, lr}}",
        "sub sp, #132",
        "add r12, r0, r3",
        "str r12, [sp, #128]",
        "add r12, r3, r3, lsl #1",
        "2:",
        row_of_pixels!(0),
        row_of_pixels!(32),
        row_of_pixels!(64),
        row_of_pixels!(96),
        "sub r0, r0, r2, lsl #2",
        column_of_rows!(0, 0),
        column_of_rows!(4, 32),
        column_of_rows!(8, 48),
        column_of_rows!(12, 16),
        column_of_rows!(16, 256),
        column_of_rows!(20, 288),
        column_of_rows!(24, 304),
        column_of_rows!(28, 272),
        "add r1, #512",
        "add r0, #4",
        "ldr lr, [sp, #128]",
        "cmp r0, lr",
        "bne 2b",
        "add sp, #132",
        "pop {{r4-r11, pc}}",
    )
}

/// One column of sums: A' along it, to two registers.
macro_rules! column_of_sums {
    ($at:literal, $upper:literal, $lower:literal) => {
        concat!(
            "ldr r12, [r0, #(",
            $at,
            ")]\n",
            "ldr r2, [r0, #(",
            $at,
            " + 128)]\n",
            "ldr r3, [r0, #(",
            $at,
            " + 256)]\n",
            "ldr lr, [r0, #(",
            $at,
            " + 384)]\n",
            "add ",
            $upper,
            ", r12, r2\n",
            "add ",
            $upper,
            ", r3\n",
            "sub ",
            $lower,
            ", r2, r3\n",
            "sub ",
            $lower,
            ", lr\n",
        )
    };
}

/// One tile: its sums to four outputs, to bytes.
macro_rules! tile {
    ($out:literal) => {
        concat!(
            column_of_sums!(0, "r4", "r8"),
            column_of_sums!(32, "r5", "r9"),
            column_of_sums!(64, "r6", "r10"),
            column_of_sums!(96, "r7", "r11"),
            "add r4, r5\n",
            "add r4, r6\n",
            "sub r2, r5, r6\n",
            "sub r2, r7\n",
            "add r8, r9\n",
            "add r8, r10\n",
            "sub r3, r9, r10\n",
            "sub r3, r11\n",
            "ldm r1, {{r5, r6, r7, r10, r11, r12}}\n", // bias, multiplier, zero, pixel, row, diagonal
            "ldr lr, [r1, #",
            $out,
            "]\n",
            "add r4, r5, r4, asr #2\n",
            "add r2, r5, r2, asr #2\n",
            "add r8, r5, r8, asr #2\n",
            "add r3, r5, r3, asr #2\n",
            "smmlar r4, r4, r6, r7\n",
            "smmlar r2, r2, r6, r7\n",
            "smmlar r8, r8, r6, r7\n",
            "smmlar r3, r3, r6, r7\n",
            "usat r4, #8, r4\n",
            "usat r2, #8, r2\n",
            "usat r8, #8, r8\n",
            "usat r3, #8, r3\n",
            "strb r4, [lr]\n",
            "strb r2, [lr, r10]\n",
            "strb r8, [lr, r11]\n",
            "strb r3, [lr, r12]\n",
            "add r0, #4\n",
        )
    };
}

/// The outputs of one channel of four tiles.
///
/// # Safety
/// `sums` are those of four tiles, every 32 bytes those of another place; the four outputs of every tile can be written.
#[unsafe(naked)]
unsafe extern "C" fn outputs(sums: *const i32, task: &Outputs) {
    naked_asm!("push {{r4-r11, lr}}", tile!(24), tile!(28), tile!(32), tile!(36), "pop {{r4-r11, pc}}",)
}
