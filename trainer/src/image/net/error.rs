//! Why a network could not be made, computed or folded.

/// Why a network could not be made, computed or folded.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A layer does not fit its input.
    #[error("layer {layer} of `{network}` does not fit its input {input:?}: {what}")]
    Layer {
        /// The network.
        network: String,
        /// Its description.
        layer: String,
        /// Shape of the input.
        input: Vec<usize>,
        /// What does not fit.
        what: &'static str,
    },
    /// The last value is not one logit per class.
    #[error("`{network}` ends with {outputs:?}, not with one number for each of {classes} classes")]
    Classes {
        /// The network.
        network: String,
        /// Shape of the last value.
        outputs: Vec<usize>,
        /// Classes.
        classes: usize,
    },
    /// A normalization has no convolution of its own before it.
    #[error("batch normalization folds into the convolution right before it, and here there is none; reorder `{0}`")]
    Normalization(String),
    /// The tensor library or the device refuses.
    #[error("the network cannot be computed: {0}; if memory ran out, use a smaller batch")]
    Tensor(#[from] candle_core::Error),
}
