//! The model that is part of the firmware. It answers if no slot holds a valid model.

/// Tensor data are read in place, so the file must be aligned to 8 bytes.
#[repr(C, align(8))]
struct Aligned<B: ?Sized>(B);

static FILE: &Aligned<[u8]> = &Aligned(*include_bytes!("../assets/sir.safetensors"));

/// The bytes of the built-in model file.
pub fn built_in() -> &'static [u8] {
    &FILE.0
}
