//! The control: it must not link, for its function can panic. A program of its own, since a link that fails is tried anew
//! every time, and the proof's own links are found done if nothing changed.
#![no_std]
#![no_main]
#![allow(unsafe_code, reason = "a symbol that the linker is told about, and one that must not exist")]

mod panic;

// SAFETY: the name is used once.
#[unsafe(no_mangle)]
fn control_index(numbers: &[f32], index: usize) -> f32 {
    numbers[index]
}
