//! Keeps freed memory mapped: a training step frees all its tensors, and the next one asks for the same sizes again.

/// Makes glibc keep freed memory for the next step. Otherwise it returns it to the system and faults it in again, which
/// costs a quarter of the time. Its thresholds follow the largest mapping freed so far (mallopt(3), "dynamic mmap
/// threshold") up to 32 MiB, and it keeps twice that. With other allocators this is one allocation without effect.
pub fn keep_freed_memory() {
    const ALMOST: usize = (32 << 20) - (1 << 16);
    drop(std::hint::black_box(Vec::<u8>::with_capacity(ALMOST)));
}
