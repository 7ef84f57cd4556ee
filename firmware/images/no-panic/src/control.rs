//! The control: it must not link, because its function can panic. It is a program of its own, so that Cargo, which repeats a
//! failed link every time, need not repeat that of the proof.
#![no_std]
#![no_main]
#![allow(unsafe_code, reason = "a symbol that the linker is told about, and one that must not exist")]

mod panic;

// SAFETY: the name is used once.
#[unsafe(no_mangle)]
fn control_index(numbers: &[f32], index: usize) -> f32 {
    numbers[index]
}
