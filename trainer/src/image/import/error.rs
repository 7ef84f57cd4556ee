//! Why a network of another program cannot be imported.

use crate::image::export::ImageExportError;
use sirocco::error::ModelError;

/// Why a network of another program cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file is cut off, damaged, or of another format.
    #[error("this is not a whole {format} file: {what}; copy it again, or convert the network again")]
    Damaged {
        /// The format it should have.
        format: &'static str,
        /// What is missing.
        what: &'static str,
    },
    /// An operator cannot be computed by a device as the file has it.
    #[error("operator {index}, {name}: {what}; {remedy}")]
    Operator {
        /// Its place in the file, from 0 on.
        index: usize,
        /// Its name in the format.
        name: String,
        /// What a device cannot do.
        what: String,
        /// What to do instead.
        remedy: &'static str,
    },
    /// The network as a whole does not fit.
    #[error("the network {what}; {remedy}")]
    Network {
        /// What does not fit.
        what: String,
        /// What to do instead.
        remedy: &'static str,
    },
    /// A device would refuse the network.
    #[error("a device would refuse this network: {0}; use fewer or smaller layers")]
    Refused(#[from] ModelError),
    /// The file cannot be exported.
    #[error(transparent)]
    Export(#[from] ImageExportError),
}
