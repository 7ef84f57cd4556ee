//! Arm Cortex-M3, no FPU, no DSP, on QEMU's mps2-an385.
#![no_std]
#![no_main]

#[cortex_m_rt::entry]
fn main() -> ! {
    sirocco_mps2::run(sirocco_mps2::Image::An385)
}
