//! Arm Cortex-M33, single-precision FPU, DSP, TrustZone, on QEMU's mps2-an505.
#![no_std]
#![no_main]

#[cortex_m_rt::entry]
fn main() -> ! {
    sirocco_mps2::run(sirocco_mps2::Image::An505)
}
