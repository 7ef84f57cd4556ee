//! Memory that the linker script lays out: the models' flash, the arena and the stack. All unsafe code of this crate.
#![allow(unsafe_code)]

use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering};
use sirocco::wire::Memory;

unsafe extern "C" {
    static mut _arena_start: u32;
    static mut _arena_end: u32;
    static mut _model_slot_start: u8;
    static mut _model_slot_end: u8;
    static mut _model_slot_1_start: u8;
    static mut _model_slot_1_end: u8;
    static mut _model_records_start: u8;
    static mut _model_records_end: u8;
    static _ram_bytes: u8;
    static _ram_start: u8;
    static _stack_start: u32;
    static _stack_end: u32;
}

/// The addresses of the models' flash, as the processor reads it.
#[derive(Debug, Clone)]
pub struct ModelFlash {
    /// Slots 0 and 1.
    pub slots: [Range<*mut u8>; 2],
    /// Activation records.
    pub records: Range<*mut u8>,
}

/// The addresses of the models' flash. `memory.x` keeps code and variables out of it.
pub fn model_flash() -> ModelFlash {
    ModelFlash {
        slots: [
            &raw mut _model_slot_start..&raw mut _model_slot_end,
            &raw mut _model_slot_1_start..&raw mut _model_slot_1_end,
        ],
        records: &raw mut _model_records_start..&raw mut _model_records_end,
    }
}

/// Slot 0 as memory that is never written: for boards whose firmware cannot write their flash.
pub fn read_only_slot() -> &'static [u8] {
    let [Range { start, end }, _] = model_flash().slots;
    // SAFETY: `memory.x` reserves this range for a model. A program that writes to `model_flash` does not call this.
    unsafe { core::slice::from_raw_parts(start, end as usize - start as usize) }
}

/// The memory that image networks work in, zeroed. Only the first call returns it; later ones return an empty slice.
pub fn arena() -> &'static mut [u32] {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    // Cores without atomic exchange have loads and stores, and nothing interrupts this.
    let taken = cortex_m::interrupt::free(|_| {
        let taken = TAKEN.load(Ordering::Relaxed);
        TAKEN.store(true, Ordering::Relaxed);
        taken
    });
    if taken {
        return &mut [];
    }
    let (start, end) = (&raw mut _arena_start, &raw mut _arena_end);
    let words = (end as usize - start as usize) / size_of::<u32>();
    // SAFETY: `memory.x` reserves this range of RAM for this use alone, aligned to four bytes, and it is returned once; it is
    // written before it becomes a slice.
    unsafe {
        start.write_bytes(0, words);
        core::slice::from_raw_parts_mut(start, words)
    }
}

/// Memory use. Static variables end where the stack may begin.
pub fn usage() -> Memory {
    let statics = &raw const _stack_end as usize - &raw const _ram_start as usize;
    Memory { ram: &raw const _ram_bytes as usize as u32, statics: statics as u32, stack_high_water: stack_high_water() }
}

/// The most bytes of stack used since reset: all but the paint that was never overwritten.
fn stack_high_water() -> u32 {
    let (mut at, top) = (&raw const _stack_end, &raw const _stack_start);
    // SAFETY: the stack lies between these symbols, in RAM; `at` stays below `top`.
    while at < top && unsafe { at.read_volatile() } == cortex_m_rt::STACK_PAINT_VALUE {
        at = at.wrapping_add(1);
    }
    (top as usize - at as usize) as u32
}
