//! Flash that models live in. A board asks for the features of what it has:
//!
//! | feature | what |
//! | --- | --- |
//! | `nor` | areas for the model store from any driver that implements `embedded-storage`'s `NorFlash` |
//! | `rp` | such a driver for the RP2040 and the RP2350, by the routines in their ROM |
//! | `ram` | areas in an emulator's RAM |
#![no_std]

#[cfg(feature = "nor")]
pub mod nor;
#[cfg(feature = "ram")]
pub mod ram;
#[cfg(feature = "rp")]
pub mod rp;
