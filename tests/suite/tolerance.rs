//! Every tolerance of the suites, in one table: what is measured, how large it may be, and why so large.

/// Largest error of a `sir-full` bundle, reduced form 16,16, after a full training run: the specification's figure.
pub const SIR_FULL_REDUCED_MAX: f64 = 1e-4;

/// Its RMS error: the specification's figure.
pub const SIR_FULL_REDUCED_RMS: f64 = 1e-5;

/// LogLoss of `sir-single` by Levenberg-Marquardt: the specification's figure.
pub const SIR_SINGLE_LOGLOSS: f64 = -26.0;

/// Largest error of `sir-single` by Levenberg-Marquardt: the specification's figure.
pub const SIR_SINGLE_MAX: f64 = 1e-6;

/// LogLoss of `sir-single` by the thesis' Adam recipe: the specification's figure.
pub const SIR_SINGLE_ADAM_LOGLOSS: f64 = -15.0;

/// How much larger the error of 16-bit weights and activations may be than f32's, beyond three times of it: half a
/// unit of a 15-bit activation, amplified by a few weights.
pub const I16_EXTRA: f64 = 2e-4;

/// Median of a certificate's bound over the true error: the specification's figure.
pub const CERTIFICATE_RATIO: f64 = 3.0;

/// How far the median of estimated over true error may be from one.
pub const ESTIMATE_RATIO: f64 = 0.05;

/// RMS error of any system's bundle after 120 iterations of a 10-10 network. It shows that training works, nothing more.
pub const MOMENT_RMS: f64 = 0.1;

/// Least share of trusted answers whose error is below twice its estimate plus 1e-5, for forms without a bound.
pub const ESTIMATE_COVERS: f64 = 0.99;

/// Share of answers outside the domain that twice the estimate plus 1e-5 covers: the specification's figure.
pub const ESTIMATE_COVERED: f64 = 0.999;

/// Largest error of a corrected answer of `sir-full`, in f32 or 16-bit integers: f32 rounding of the state, and what
/// the certificate's own steps do not resolve.
pub const CORRECTED: f64 = 2e-7;
