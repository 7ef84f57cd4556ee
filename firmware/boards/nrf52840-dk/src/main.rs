//! Nordic nRF52840-DK: the protocol on UARTE0, wired to the serial port that the kit's own debug probe shows to the PC
//! (P0.06 transmits, P0.08 receives); the log over RTT.
#![no_std]
#![no_main]

mod port;

use embassy_nrf::config::{Config, HfclkSource};
use embassy_nrf::nvmc::Nvmc;

#[cortex_m_rt::entry]
fn main() -> ! {
    let mut config = Config::default();
    // The internal oscillator may be off by 6 %, too much for a serial line.
    config.hfclk_source = HfclkSource::ExternalXtal;
    let chip = embassy_nrf::init(config);
    let resources = port::Resources {
        uarte: chip.UARTE0,
        timer: chip.TIMER1,
        channels: (chip.PPI_CH0, chip.PPI_CH1),
        group: chip.PPI_GROUP0,
        receive: chip.P0_08,
        transmit: chip.P0_06,
    };
    // The flash begins at address 0. The processor stands still while a page is erased; DMA continues to receive.
    sirocco_device::run(env!("CARGO_PKG_NAME"), port::Port::new(resources), Nvmc::new(chip.NVMC), 0)
}
