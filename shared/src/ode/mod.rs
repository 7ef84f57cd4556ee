//! ODE systems: one file each, right-hand side written once over [`Scalar`].
//!
//! To add a system, write a file with a type that implements [`System`] and name both in the `systems!` list at the
//! end of this file. Trainer, reference, evaluator, tools and device pick it up from there, with a preset of its name.

use crate::limits::{MAX_RATES, MAX_STATE};
use crate::scalar::{Dual, Scalar};

/// State of a system, padded with zeros to [`MAX_STATE`] components.
pub type State<S> = [S; MAX_STATE];
/// Rates of a system, padded with zeros to [`MAX_RATES`].
pub type Rates<S> = [S; MAX_RATES];

/// An autonomous initial-value problem y' = g(y, p), y(0) = y0(c).
///
/// The initial coordinates c are the free ones: SIR's are (I0, R0), because S0 = 1 - I0 - R0.
pub trait System {
    /// Name in model files and on the command line.
    const NAME: &'static str;
    /// One line for people: what it is, and [`Self::DOMAIN`] in words.
    const WHAT: &'static str;
    /// Names of the state's components.
    const STATE: &'static [&'static str];
    /// Names of the free initial coordinates.
    const INITIAL: &'static [&'static str];
    /// Names of the rates.
    const RATES: &'static [&'static str];
    /// Whether the components' sum is constant in time. A trial solution may then conserve it exactly.
    const CONSERVED: bool;
    /// A domain worth a bundle: (lo, hi) of time, initial coordinates and rates, in their order; lo == hi where fixed.
    const DOMAIN: &'static [(f64, f64)];

    /// The initial state y0 from the free initial coordinates.
    fn initial<S: Scalar>(coordinates: &State<S>) -> State<S>;
    /// The right-hand side g(y, p), per unit of time.
    fn rhs<S: Scalar>(state: &State<S>, rates: &Rates<S>) -> State<S>;
    /// Whether finite initial coordinates and rates make a problem that means anything.
    fn admissible(coordinates: &State<f32>, rates: &Rates<f32>) -> bool;
    /// Whether a solution that starts at the state `initial` can pass through `state`, up to `slack` per component.
    fn plausible(initial: &State<f32>, rates: &Rates<f32>, state: &State<f32>, slack: f32) -> bool;
}

macro_rules! systems {
    ($($(#[$doc:meta])* $variant:ident => $module:ident),+ $(,)?) => {
        // Unseen by `cargo fmt`, being named here: tests/run formats these files one by one.
        $(pub mod $module;)+

        /// The systems this build knows, chosen at run time by the model file.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Ode { $($(#[$doc])* $variant),+ }

        impl Ode {
            /// Every system.
            pub const ALL: &'static [Ode] = &[$(Ode::$variant),+];

            /// Name in model files and on the command line.
            pub fn name(self) -> &'static str { match self { $(Ode::$variant => <$module::$variant as System>::NAME),+ } }
            /// See [`System::WHAT`].
            pub fn what(self) -> &'static str { match self { $(Ode::$variant => <$module::$variant as System>::WHAT),+ } }
            /// Names of the state's components, at most [`MAX_STATE`].
            pub fn state_names(self) -> &'static [&'static str] { match self { $(Ode::$variant => <$module::$variant as System>::STATE),+ } }
            /// Names of the free initial coordinates, at most [`MAX_STATE`].
            pub fn initial_names(self) -> &'static [&'static str] { match self { $(Ode::$variant => <$module::$variant as System>::INITIAL),+ } }
            /// Names of the rates, at most [`MAX_RATES`].
            pub fn rate_names(self) -> &'static [&'static str] { match self { $(Ode::$variant => <$module::$variant as System>::RATES),+ } }
            /// Whether the components' sum is constant in time.
            pub fn conserved(self) -> bool { match self { $(Ode::$variant => <$module::$variant as System>::CONSERVED),+ } }
            /// See [`System::DOMAIN`].
            pub fn domain(self) -> &'static [(f64, f64)] { match self { $(Ode::$variant => <$module::$variant as System>::DOMAIN),+ } }
            /// See [`System::initial`].
            pub fn initial<S: Scalar>(self, coordinates: &State<S>) -> State<S> { match self { $(Ode::$variant => <$module::$variant as System>::initial(coordinates)),+ } }
            /// See [`System::rhs`].
            pub fn rhs<S: Scalar>(self, state: &State<S>, rates: &Rates<S>) -> State<S> { match self { $(Ode::$variant => <$module::$variant as System>::rhs(state, rates)),+ } }
            /// See [`System::admissible`].
            pub fn admissible(self, coordinates: &State<f32>, rates: &Rates<f32>) -> bool { match self { $(Ode::$variant => <$module::$variant as System>::admissible(coordinates, rates)),+ } }
            /// See [`System::plausible`].
            pub fn plausible(self, initial: &State<f32>, rates: &Rates<f32>, state: &State<f32>, slack: f32) -> bool { match self { $(Ode::$variant => <$module::$variant as System>::plausible(initial, rates, state, slack)),+ } }
        }
    };
}

impl Ode {
    /// The system of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|o| o.name() == name)
    }

    /// Names of a query's quantities in their order: `t`, initial coordinates, rates.
    pub fn quantity_names(self) -> impl Iterator<Item = &'static str> {
        core::iter::once("t").chain(self.initial_names().iter().copied()).chain(self.rate_names().iter().copied())
    }

    /// The Jacobian of the right-hand side, `jacobian[i][j]` = d g_i / d y_j, exact by dual numbers.
    pub fn jacobian<S: Scalar>(self, state: &State<S>, rates: &Rates<S>) -> [State<S>; MAX_STATE] {
        let mut jacobian = [[S::zero(); MAX_STATE]; MAX_STATE];
        let rates = rates.map(|value| Dual { value, derivative: S::zero() });
        for j in 0..self.state_names().len().min(MAX_STATE) {
            let mut seeded = state.map(|value| Dual { value, derivative: S::zero() });
            if let Some(component) = seeded.get_mut(j) {
                component.derivative = S::one();
            }
            for (row, g) in jacobian.iter_mut().zip(self.rhs(&seeded, &rates)) {
                if let Some(entry) = row.get_mut(j) {
                    *entry = g.derivative;
                }
            }
        }
        jacobian
    }
}

systems! {
    /// Susceptible, infected, recovered.
    Sir => sir,
    /// Susceptible, exposed, infected, recovered.
    Seir => seir,
    /// Susceptible, infected, recovered for a while.
    Sirs => sirs,
    /// Exponential decay.
    Decay => decay,
    /// Oscillator with a hardening spring.
    Duffing => duffing,
    /// Prey and predators.
    LotkaVolterra => lotka_volterra,
}
