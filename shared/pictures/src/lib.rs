//! From a picture file to the bytes that an image network takes: decode, turn upright, lay over a background, cut or pad,
//! resample, invert.
//!
//! Training and the programs that ask a board use this crate, so that a network sees a picture in the field exactly as it
//! saw its kind in training. How pictures are prepared is one line of text ([`Preparation`]) in the network's file.
//!
//! A [`Picture`] has 8 bits per channel and is gray or in color. Sizes are checked before memory is taken.

pub mod background;
pub mod decode;
pub mod preparation;
pub mod resample;

pub use background::Background;
pub use decode::{Picture, PictureError};
pub use preparation::{Fit, Fitting, Part, Preparation};
