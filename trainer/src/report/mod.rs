//! Results for readers: plots, one self-contained HTML page, CSV tables and JSON.
//!
//! Nothing here knows how a network is trained: this draws and writes plain data. [`crate::bundle::report`] makes the
//! section of a page that shows a bundle.

pub mod csv;
pub mod html;
pub mod json;

pub use sirocco_plot as plot;

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] crate::host::atomic::WriteError),
    /// A contact sheet cannot be encoded as PNG.
    #[error("cannot draw the sheet `{title}`: {source}; give it at least one image")]
    Png {
        /// The sheet's title.
        title: String,
        /// The error of the encoder.
        source: png::EncodingError,
    },
    /// A value cannot be expressed in JSON.
    #[error("cannot express the results of `{file}` as JSON: {source}; report this as a defect")]
    Json {
        /// The file that was not written.
        file: std::path::PathBuf,
        /// The error of serde_json.
        source: serde_json::Error,
    },
    /// No query had both an answer and a reference.
    #[error("no query of the {0} could be evaluated; check that the model's domain is the preset's")]
    NothingToShow(&'static str),
}

/// A number for readers, with three or four significant digits, such as `0.0213` or `3.10e-5`.
pub fn figure(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if !value.is_finite() {
        "not finite".to_owned()
    } else if (1e-3..1e5).contains(&value.abs()) {
        let decimals = (3 - value.abs().log10().floor() as i32).clamp(0, 6) as usize;
        let text = format!("{value:.decimals$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    } else {
        format!("{value:.2e}")
    }
}

#[cfg(test)]
mod tests {
    use super::figure;

    #[test]
    fn figures_read_well() {
        assert_eq!(figure(-25.7), "-25.7");
        assert_eq!(figure(2.6e-5), "2.60e-5");
        assert_eq!(figure(0.0213), "0.0213");
        assert_eq!(figure(353.0), "353");
        assert_eq!(figure(1200.0), "1200");
        assert_eq!(figure(0.0), "0");
        assert_eq!(figure(f64::NAN), "not finite");
    }
}
