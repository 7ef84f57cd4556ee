//! What freed memory costs: a training step frees all its tensors, and the next one asks for the same ones.

/// Makes glibc keep freed memory for the next step instead of returning it to the system and faulting it in again,
/// which costs a quarter of the time: its thresholds follow the largest mapping freed so far (mallopt(3), "dynamic
/// mmap threshold"). It follows up to 32 MiB, and twice that is kept. Elsewhere this is one allocation without effect.
pub fn keep() {
    const ALMOST: usize = (32 << 20) - (1 << 16);
    drop(std::hint::black_box(Vec::<u8>::with_capacity(ALMOST)));
}
