//! Finds the checkout of the repository that firmware is built from.

use crate::Error;
use std::path::{Path, PathBuf};

/// The folder `firmware`: of the checkout that these tools were built in, or else of the first one found in the current
/// folder and those above it.
///
/// # Errors
/// [`Error::NoRepository`] if none of them has a folder `firmware/boards`.
pub fn firmware() -> Result<PathBuf, Error> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned);
    let here = std::env::current_dir().ok();
    let above = here.iter().flat_map(|path| path.ancestors()).map(Path::to_owned);
    let mut candidates = built.into_iter().chain(above).map(|root| root.join("firmware"));
    candidates.find(|firmware| firmware.join("boards").is_dir()).ok_or(Error::NoRepository)
}
