//! Solution bundles: one network solves a whole family of initial-value problems.
//!
//! Trial solution (Lagaris, Likas, Fotiadis 1998; Mattheakis et al. 2020): y(t) = y0 + f(t) NN(u), f(t) = 1 - e^-t,
//! so that the initial condition holds exactly. See [`Form`] for the variants.

pub mod certificate;
mod domain;
pub mod golden;
mod probe;
pub(crate) mod sensitivity;
mod solution;

pub use certificate::{Certificate, TRUST_LIMIT};
pub use domain::{Form, Input, Range, Source, named_range};
pub use probe::Probes;
pub use sensitivity::{Free, Gradient};
pub use solution::Solution;

use crate::error::{Key, ModelError};
use crate::layer::kernel::Portable;
use crate::layer::rows::RowLoops;
use crate::limits::{MAX_QUANTITIES, MAX_STATE, collect};
use crate::math::{all_finite, exp};
use crate::model::Model;
use crate::network::{Inputs, Network, Scheme};
use crate::ode::sir::{FixedReduced, Reduced};
use crate::ode::{Ode, State};
use crate::query::{Prediction, Query, QueryError};
use crate::summary::{BundleInfo, Content, ModelInfo, ModelKind, SelfTest, name};
use domain::{parse_inputs, parse_ranges};
use heapless::Vec;

/// Version of the bundle format that this build reads and writes. Earlier versions had other elementary functions and other
/// integer layers, so the bits of their golden answers differ.
pub const FORMAT_VERSION: u16 = 4;

/// How far a state may lie outside the possible states before [`Prediction::plausible`] is false, in stated largest errors of the
/// bundle; and at least and at most. The least is for rounding, the most is the error of the poorest bundle worth shipping.
const PLAUSIBLE_ERRORS: f32 = 4.0;
const PLAUSIBLE_SLACK: (f32, f32) = (1e-5, 1e-2);

/// A state, its derivative and its residual.
type Answer = (State<f32>, State<f32>, State<f32>);

/// A bundle that borrows everything from its file. Once it is open, only a query can make an evaluation fail.
#[derive(Debug, Clone)]
pub struct Bundle<'a> {
    ode: Ode,
    form: Form,
    domain: Vec<Range, MAX_QUANTITIES>,
    inputs: Vec<Input, MAX_QUANTITIES>,
    network: Network<'a>,
    golden: golden::Golden<'a>,
    bytes: u32,
    crc32: u32,
    max_error: f32,
    /// In the form by phase, a proven bound of the error of exact evaluation.
    proven_error: Option<f32>,
    /// Whether states are computed in fixed point: a network in integers in the reduced form.
    fixed: bool,
}

impl<'a> Bundle<'a> {
    /// Opens, for any processor, a bundle file that fills `bytes` exactly and starts at a multiple of 8.
    ///
    /// # Errors
    /// The first defect found; see [`ModelError`].
    pub fn open(bytes: &'a [u8]) -> Result<Self, ModelError> {
        Self::from_model::<Portable>(&Model::open(bytes)?)
    }

    /// Validates everything once: version, system, form, domain, inputs, architecture, numbers, golden queries. The bundle is
    /// evaluated with the inner loops of `K`, to the same bits with any.
    ///
    /// # Errors
    /// The first defect found; see [`ModelError`].
    #[inline(never)]
    pub fn from_model<K: RowLoops>(model: &Model<'a>) -> Result<Self, ModelError> {
        if model.require(Key::Format)?.parse() != Ok(FORMAT_VERSION) {
            return Err(ModelError::Version { supported: FORMAT_VERSION });
        }
        if model.require(Key::Kind)? != ModelKind::Bundle.name() {
            return Err(ModelError::Metadata(Key::Kind));
        }
        let ode = Ode::from_name(model.require(Key::Ode)?).ok_or(ModelError::Metadata(Key::Ode))?;
        let form = Form::from_name(model.require(Key::Form)?).ok_or(ModelError::Metadata(Key::Form))?;
        if !form.fits(ode) {
            return Err(ModelError::Metadata(Key::Form));
        }
        let domain = parse_ranges(model.require(Key::Domain)?, ode).ok_or(ModelError::Metadata(Key::Domain))?;
        let inputs = parse_inputs(model.require(Key::Inputs)?, ode, form).ok_or(ModelError::Metadata(Key::Inputs))?;
        let network = Network::open::<K>(model)?;
        let ends = (network.widths().first().copied(), network.widths().last().copied());
        if ends != (Some(inputs.len()), Some(form.outputs(ode))) {
            return Err(ModelError::Metadata(Key::Layers));
        }
        let max_error = non_negative(model, Key::MaxError)?;
        non_negative(model, Key::Rounding)?;
        let proven_error = non_negative(model, Key::ProvenError)?;
        let proven_error =
            (form == Form::Phase && model.entry(Key::ProvenError.key()).is_some()).then_some(proven_error);
        let golden = golden::Golden::open(model, ode)?;
        let bytes = model.file().len() as u32;
        let fixed = form == Form::Reduced && network.scheme() != Scheme::F32 && inputs.iter().all(Input::is_fixed);
        Ok(Bundle {
            ode,
            form,
            domain,
            inputs,
            network,
            golden,
            bytes,
            crc32: model.crc32(),
            max_error,
            proven_error,
            fixed,
        })
    }

    /// The ODE system.
    pub fn ode(&self) -> Ode {
        self.ode
    }

    /// Form of the trial solution.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The training domain, per quantity in the system's order.
    pub fn domain(&self) -> &[Range] {
        &self.domain
    }

    /// The network's inputs.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// A bound of the largest error that exact evaluation would have, proven over all epidemics; only in the form by phase,
    /// and only if the file states one.
    pub fn proven_error(&self) -> Option<f32> {
        self.proven_error
    }

    /// The network.
    pub fn network(&self) -> &Network<'a> {
        &self.network
    }

    /// Whether every quantity lies in the training domain. In the form by phase, that is wherever a problem has an answer.
    pub fn in_domain(&self, query: &Query) -> bool {
        match self.form {
            Form::Phase => !self.epidemic(query).too_large(),
            _ => self.domain.iter().zip(query.quantities(self.ode)).all(|(range, value)| range.contains(value)),
        }
    }

    /// Answers a query: state, derivative, residual, and flags that tell how far to trust them.
    ///
    /// A query outside the domain is answered with a flag. Cost: one evaluation of the network with its tangent.
    ///
    /// # Errors
    /// [`QueryError`] if the query is not a problem of the system, or the answer would not be finite.
    pub fn predict(&self, query: &Query) -> Result<Prediction, QueryError> {
        query.check(self.ode)?;
        let answer = match self.form {
            Form::Generic | Form::Conserved => self.predict_generic(query),
            Form::Reduced => self.predict_reduced(query),
            Form::Phase => self.predict_phase(query, &self.course(query)?),
        };
        self.prediction(query, answer)
    }

    /// A finite answer with its flags.
    #[inline]
    fn prediction(&self, query: &Query, answer: Answer) -> Result<Prediction, QueryError> {
        let (state, derivative, residual) = answer;
        if !state.iter().chain(&derivative).chain(&residual).all(|v| v.is_finite()) {
            return Err(QueryError::Overflow);
        }
        let initial = self.ode.initial(&query.initial);
        let slack = (PLAUSIBLE_ERRORS * self.max_error).clamp(PLAUSIBLE_SLACK.0, PLAUSIBLE_SLACK.1);
        let plausible = self.ode.plausible(&initial, &query.rates, &state, slack);
        Ok(Prediction { state, derivative, residual, in_domain: self.in_domain(query), plausible })
    }

    /// Only the state, with the same bits as in [`Self::predict`], at about a third of the cost: for `sir-full` on a
    /// Cortex-M4F, 1,760 instructions in f32 and 2,360 with 16-bit weights, the latter without a float operation.
    ///
    /// # Errors
    /// As for [`Self::predict`].
    pub fn state(&self, query: &Query) -> Result<State<f32>, QueryError> {
        if let Some(state) = self.fixed_state(query) {
            return Ok(state);
        }
        query.check(self.ode)?;
        let state = match self.form {
            Form::Generic | Form::Conserved => {
                let input = self.scale(|source| source.of_query(query));
                let f = 1.0 - exp(-query.t);
                let nn = self.expand(self.network.value(&input));
                offset(&self.ode.initial(&query.initial), f, &nn)
            }
            Form::Reduced => {
                let (reduced, tau) = reduce(query);
                let input = self.scale(|source| source.of_reduced(&reduced, tau));
                let [nn, ..] = self.network.value(&input);
                reduced.state((1.0 - exp(-tau)) * nn)
            }
            Form::Phase => self.phase_state(query, &self.course(query)?),
        };
        if all_finite(&state) { Ok(state) } else { Err(QueryError::Overflow) }
    }

    /// The state without any float operation except conversions, if this bundle and the query's numbers allow it.
    #[inline(always)]
    fn fixed_state(&self, query: &Query) -> Option<State<f32>> {
        let (problem, inputs) = self.fixed_inputs(query)?;
        let [nn, ..] = self.network.value(&inputs);
        problem.state(nn)
    }

    /// A query's problem and the network's inputs without any float operation except conversions, if this bundle and the
    /// query's numbers allow it.
    #[inline(always)]
    fn fixed_inputs(&self, query: &Query) -> Option<(FixedReduced, Inputs)> {
        let problem = if self.fixed { FixedReduced::new(query.t, &query.initial, &query.rates)? } else { return None };
        Some((problem, collect(self.inputs.iter().map(|input| input.scale_fixed(&problem).unwrap_or_default()))))
    }

    fn predict_generic(&self, query: &Query) -> Answer {
        let (input, direction) = self.scale_moving(|source| source.of_query(query));
        let (nn, dnn) = self.network.tangent(&input, &direction);
        let (nn, dnn) = (self.expand(nn), self.expand(dnn));
        let e = exp(-query.t);
        let f = 1.0 - e;
        let state = offset(&self.ode.initial(&query.initial), f, &nn);
        let mut derivative = [0.0; MAX_STATE];
        for (dy, (nn, dnn)) in derivative.iter_mut().zip(nn.iter().zip(&dnn)) {
            *dy = e * nn + f * dnn;
        }
        let mut residual = derivative;
        for (r, g) in residual.iter_mut().zip(self.ode.rhs(&state, &query.rates)) {
            *r -= g;
        }
        (state, derivative, residual)
    }

    fn predict_reduced(&self, query: &Query) -> Answer {
        let (reduced, tau) = reduce(query);
        let (x, dx) = self.unknown(&reduced, tau);
        // The map from x to (S, I, R) is linear in dx, so the residual of x maps exactly to those of S, I, R.
        let state = self.fixed_state(query).unwrap_or_else(|| reduced.state(x));
        (state, reduced.derivative(x, dx), reduced.derivative(x, dx - reduced.rhs(x)))
    }

    /// x and dx/dtau of the reduced form.
    fn unknown(&self, reduced: &Reduced<f32>, tau: f32) -> (f32, f32) {
        let (input, direction) = self.scale_moving(|source| source.of_reduced(reduced, tau));
        let ([nn, ..], [dnn, ..]) = self.network.tangent(&input, &direction);
        let e = exp(-tau);
        let f = 1.0 - e;
        (f * nn, e * nn + f * dnn)
    }

    /// The network's inputs, scaled to [-1, 1] over the domain.
    #[inline(always)]
    fn scale(&self, value: impl Fn(Source) -> f32) -> Inputs {
        collect(self.inputs.iter().map(|input| input.scale(value(input.source()))))
    }

    /// The scaled inputs, and their derivatives with respect to (scaled) time.
    fn scale_moving(&self, value: impl Fn(Source) -> f32) -> (Inputs, Inputs) {
        let slope = |input: &Input| if input.source().is_time() { input.slope() } else { 0.0 };
        (self.scale(value), collect(self.inputs.iter().map(slope)))
    }

    /// The network's outputs as components of the state. Where the sum is conserved, component 0 is minus the sum of the
    /// others.
    fn expand(&self, outputs: State<f32>) -> State<f32> {
        let [a, b, c, d] = outputs;
        match self.form {
            Form::Conserved => [-(a + b + c), a, b, c],
            Form::Generic | Form::Reduced | Form::Phase => [a, b, c, d],
        }
    }

    /// Replays the file's golden queries and compares bits.
    pub fn self_test(&self) -> SelfTest {
        self.golden.replay(self)
    }

    /// Golden queries in the file.
    pub fn golden_queries(&self) -> impl Iterator<Item = Query> + '_ {
        self.golden.queries(self.ode)
    }

    /// The summary of the bundle.
    pub fn model_info(&self, from_slot: bool) -> ModelInfo {
        let mut domain = [(0.0, 0.0); MAX_QUANTITIES];
        for (to, from) in domain.iter_mut().zip(&self.domain) {
            *to = (from.lo, from.hi);
        }
        let (ode, form) = (name(self.ode.name()), name(self.form.name()));
        ModelInfo {
            from_slot,
            scheme: name(self.network.scheme().name()),
            bytes: self.bytes,
            crc32: self.crc32,
            parameters: self.network.parameters(),
            macs: self.network.macs(),
            golden: self.golden.len() as u16,
            content: Content::Bundle(BundleInfo { ode, form, max_error: self.max_error, domain }),
        }
    }
}

/// An error stated in the metadata: a finite number that is not negative; zero if the file does not state it.
fn non_negative(model: &Model<'_>, key: Key) -> Result<f32, ModelError> {
    let value = model.entry(key.key()).map_or(Some(0.0), crate::text::number);
    value.filter(|v| v.is_finite() && *v >= 0.0).ok_or(ModelError::Metadata(key))
}

/// y0 + f nn.
fn offset(initial: &State<f32>, f: f32, nn: &State<f32>) -> State<f32> {
    let mut state = *initial;
    for (y, nn) in state.iter_mut().zip(nn) {
        *y += f * nn;
    }
    state
}

/// The reduced problem and its time tau = k t.
fn reduce(query: &Query) -> (Reduced<f32>, f32) {
    let reduced = Reduced::new(&query.initial, &query.rates);
    (reduced, reduced.k * query.t)
}
