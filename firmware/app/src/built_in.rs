//! The model that is part of the firmware: what a board answers with when its slot is empty or refused.

/// Tensor data are read in place, so the file must lie at a multiple of 8.
#[repr(C, align(8))]
struct Aligned<B: ?Sized>(B);

static FILE: &Aligned<[u8]> = &Aligned(*include_bytes!("../assets/sir-full.safetensors"));

/// The bytes of the built-in model file.
pub fn built_in() -> &'static [u8] {
    &FILE.0
}
