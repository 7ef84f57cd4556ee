//! From a trained image network to the integers of its file: [`range`] finds the range of each activation, [`forms`] the
//! integers of each layer, [`winograd`] which convolutions are stored in Winograd's form.

pub mod error;
pub mod forms;
pub mod range;
pub mod winograd;
