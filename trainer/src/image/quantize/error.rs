//! Why a network cannot be quantized.

use crate::image::net::graph::GraphError;

/// Why a network cannot be quantized.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QuantizeError {
    /// The nodes do not make a network.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A weight or a value is not a finite number.
    #[error("node {node} holds or makes a number that is not finite; train again")]
    NotFinite {
        /// The node.
        node: usize,
    },
    /// There are no calibration images.
    #[error("calibration needs at least one image")]
    NoImages,
    /// A convolution has neither one group of channels nor as many as channels.
    #[error("node {node} has {groups} groups of channels; devices take 1, or one per channel with one output each")]
    Groups {
        /// The node.
        node: usize,
        /// Its groups.
        groups: usize,
    },
    /// A node without weights reads the image, whose normalization only weights can absorb.
    #[error("node {node} adds or averages the image itself; put a convolution before it")]
    BareImage {
        /// The node.
        node: usize,
    },
    /// The last node is not a dense layer without ReLU.
    #[error("the last layer has to be a dense one without ReLU: its outputs are the logits")]
    NoLogits,
}
