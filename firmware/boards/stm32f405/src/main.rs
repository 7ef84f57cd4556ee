//! Any board with an STM32F405RG that brings out two pins: the protocol on USART1 (PA9 transmits, PA10 receives), the
//! log over RTT.
//!
//! Boards with this chip carry crystals of 8, 12, 16 or 25 MHz or none, so unless [`CRYSTAL`] is stated, all clocks come from
//! the internal oscillator. It is within 1 % at 25 °C but only within 4 % from -10 to 85 °C (datasheet DS8626, table 40), and
//! a serial line tolerates about 3 %: state the crystal for use outdoors.
#![no_std]
#![no_main]

mod flash;
mod port;

use stm32f4xx_hal::pac::Peripherals;
use stm32f4xx_hal::prelude::*;
use stm32f4xx_hal::rcc::Config;

/// The board's crystal in Hz, if it has one.
const CRYSTAL: Option<u32> = None;

#[cortex_m_rt::entry]
fn main() -> ! {
    // The first call of a program returns them.
    let Some(chip) = Peripherals::take() else { panic!("peripherals taken") };
    // After reset the internal oscillator of a chip is ready (RM0090, 7.3.1). If it is not, this is an emulator without a clock
    // tree, on which waiting for the PLL would never end, and without a flash controller.
    let emulated = chip.RCC.cr().read().hsirdy().bit_is_clear();
    let mut rcc = chip.RCC.constrain();
    if !emulated {
        let source = CRYSTAL.map_or_else(Config::hsi, |hz| Config::hse(hz.Hz()));
        rcc = rcc.freeze(source.sysclk(168.MHz()));
    }
    let pins = chip.GPIOA.split(&mut rcc);
    let port = port::Usart::new(chip.USART1, pins.pa9, pins.pa10, &mut rcc);
    let name = env!("CARGO_PKG_NAME");
    if emulated {
        sirocco_device::run_read_only(name, port)
    } else {
        sirocco_device::run(name, port, flash::Flash(chip.FLASH), flash::ORIGIN)
    }
}
