//! Every way in which training, exporting or measuring a bundle can fail, each with its remedy after the semicolon.

use crate::host::atomic::WriteError;
use crate::host::model_file::ModelFileError;
use sirocco::error::ModelError;
use sirocco::query::{Query, QueryError};

/// Why a bundle could not be trained, exported or measured.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// There is no preset of that name.
    #[error("no preset is called `{name}`; there are {known}")]
    UnknownPreset {
        /// The name as given.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A domain has another number of quantities than its system.
    #[error("the domain names {got} quantities, `{ode}` has {expected}: {names}")]
    Quantities {
        /// Name of the system.
        ode: &'static str,
        /// Quantities of the system.
        expected: usize,
        /// Intervals given.
        got: usize,
        /// Names of the system's quantities.
        names: String,
    },
    /// An interval is empty or not finite, or the interval of time is negative or has no length.
    #[error("the range {lo}:{hi} of `{name}` is not an interval of finite numbers{}", if name == "t" { " with 0 <= lo < hi" } else { "" })]
    Range {
        /// Name of the quantity.
        name: String,
        /// Its lower end.
        lo: f64,
        /// Its upper end.
        hi: f64,
    },
    /// A corner of the domain is not a problem of this system.
    #[error("the domain holds impossible problems of `{ode}`, for example {corner:?}; narrow its ranges")]
    Inadmissible {
        /// Name of the system.
        ode: &'static str,
        /// The offending initial coordinates and rates.
        corner: Vec<f64>,
    },
    /// The form does not exist for this system.
    #[error("the form `{form}` does not exist for the system `{ode}`; use `generic`")]
    Form {
        /// Name of the form.
        form: &'static str,
        /// Name of the system.
        ode: &'static str,
    },
    /// The networks of two problems answer different questions.
    #[error(
        "a network of system `{from}`, form `{from_form}`, cannot be taken to `{to}`, form `{to_form}`; train afresh"
    )]
    Transfer {
        /// System of the trained network.
        from: &'static str,
        /// Its form.
        from_form: &'static str,
        /// System it should move to.
        to: &'static str,
        /// Form it should move to.
        to_form: &'static str,
    },
    /// The tensor library or the GPU failed.
    #[error("the tensor library failed: {0}; try `--device cpu`")]
    Tensor(#[from] candle_core::Error),
    /// The loss of Adam became non-finite.
    #[error("the loss became non-finite at step {step}; try another --seed or a narrower domain")]
    Diverged {
        /// Steps done.
        step: usize,
    },
    /// A weight or bias is too large for the integers of a number format, even at the coarsest scale.
    #[error(
        "layer {layer}, row {row}: weight or bias {value:e} does not fit the integers of this format; export as f32, \
         or train with another seed"
    )]
    TooLarge {
        /// Layer, counted from the input.
        layer: usize,
        /// Output row.
        row: usize,
        /// The offending number.
        value: f64,
    },
    /// A weight is not a finite number.
    #[error("layer {layer} holds a weight that is not finite; train again")]
    NotFinite {
        /// Layer, counted from the input.
        layer: usize,
    },
    /// A model file cannot be read or put together.
    #[error(transparent)]
    File(#[from] ModelFileError),
    /// The device evaluator refuses bytes that the exporter made.
    #[error("the exported bytes fail the device's own check: {0}; this is a defect of the exporter")]
    Refused(#[from] ModelError),
    /// The device evaluator cannot answer a query of the bundle's domain.
    #[error("the bundle cannot answer {query:?} of its own domain: {source}; the network is not usable, train again")]
    Unanswered {
        /// The query.
        query: Query,
        /// Why it has no answer.
        source: QueryError,
    },
    /// The device evaluator disagrees with the trained network.
    #[error(
        "the device evaluator differs from the trained network by {difference:e}, more than {tolerance:e}: \
         the weights are too large for this number format; train longer or with another seed"
    )]
    Disagrees {
        /// Largest absolute difference of a state component.
        difference: f64,
        /// The difference that rounding can explain.
        tolerance: f64,
    },
    /// The golden answers do not repeat.
    #[error("the golden answers of the exported bytes do not repeat; this is a defect of the exporter")]
    Golden,
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}
