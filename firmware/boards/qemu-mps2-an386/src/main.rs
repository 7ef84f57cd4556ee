//! Arm Cortex-M4F, single-precision FPU, DSP, on QEMU's mps2-an386.
#![no_std]
#![no_main]

#[cortex_m_rt::entry]
fn main() -> ! {
    sirocco_mps2::run(sirocco_mps2::Image::An386)
}
