//! ODE systems: one file each, with the right-hand side written once over [`Scalar`].
//!
//! To add a system, write a file with a type that implements [`System`], and add two lines below: `pub mod` and an entry of
//! `systems!`. Trainer, reference, evaluator, tools and device pick it up from there, with a preset of its name.

pub mod decay;
pub mod duffing;
pub mod lotka_volterra;
pub mod seir;
pub mod sir;
pub mod sirs;

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
    /// Whether finite initial coordinates and rates make a meaningful problem.
    fn admissible(coordinates: &State<f32>, rates: &Rates<f32>) -> bool;
    /// Whether a solution that starts at the state `initial` can pass through `state`, up to `slack` per component.
    fn plausible(initial: &State<f32>, rates: &Rates<f32>, state: &State<f32>, slack: f32) -> bool;
}

/// Declares [`Ode`] with one variant for each type of system, and the macro `each!` that goes from the variant to the type.
/// `$d` is a dollar sign: a macro that another one writes cannot hold one of its own.
macro_rules! systems {
    ($d:tt $($(#[$doc:meta])* $variant:ident => $system:ty),+ $(,)?) => {
        /// The systems this build knows, chosen at run time by the model file.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Ode {
            $($(#[$doc])* $variant),+
        }

        impl Ode {
            /// Every system.
            pub const ALL: &'static [Ode] = &[$(Ode::$variant),+];
        }

        /// `each!(ode, S => value)` is `value` with `S` as the type of the system `ode`.
        macro_rules! each {
            ($d ode:expr, $d S:ident => $d value:expr) => {
                match $d ode {
                    $(Ode::$variant => {
                        type $d S = $system;
                        $d value
                    })+
                }
            };
        }
    };
}

systems! { $
    /// Susceptible, infected, recovered.
    Sir => sir::Sir,
    /// Susceptible, exposed, infected, recovered.
    Seir => seir::Seir,
    /// Susceptible, infected, recovered for a while.
    Sirs => sirs::Sirs,
    /// Exponential decay.
    Decay => decay::Decay,
    /// Oscillator with a hardening spring.
    Duffing => duffing::Duffing,
    /// Prey and predators.
    LotkaVolterra => lotka_volterra::LotkaVolterra,
}

impl Ode {
    /// The system of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|o| o.name() == name)
    }

    /// Name in model files and on the command line.
    pub fn name(self) -> &'static str {
        each!(self, S => S::NAME)
    }

    /// One line for people: what it is, and [`Self::domain`] in words.
    pub fn what(self) -> &'static str {
        each!(self, S => S::WHAT)
    }

    /// Names of the state's components, at most [`MAX_STATE`].
    pub fn state_names(self) -> &'static [&'static str] {
        each!(self, S => S::STATE)
    }

    /// Names of the free initial coordinates, at most [`MAX_STATE`].
    pub fn initial_names(self) -> &'static [&'static str] {
        each!(self, S => S::INITIAL)
    }

    /// Names of the rates, at most [`MAX_RATES`].
    pub fn rate_names(self) -> &'static [&'static str] {
        each!(self, S => S::RATES)
    }

    /// Whether the components' sum is constant in time.
    pub fn conserved(self) -> bool {
        each!(self, S => S::CONSERVED)
    }

    /// The ranges of time, initial coordinates and rates that a bundle is usually trained on; see [`System::DOMAIN`].
    pub fn domain(self) -> &'static [(f64, f64)] {
        each!(self, S => S::DOMAIN)
    }

    /// The initial state y0 from the free initial coordinates.
    pub fn initial<T: Scalar>(self, coordinates: &State<T>) -> State<T> {
        each!(self, S => S::initial(coordinates))
    }

    /// The right-hand side g(y, p), per unit of time.
    pub fn rhs<T: Scalar>(self, state: &State<T>, rates: &Rates<T>) -> State<T> {
        each!(self, S => S::rhs(state, rates))
    }

    /// Whether finite initial coordinates and rates make a meaningful problem.
    pub fn admissible(self, coordinates: &State<f32>, rates: &Rates<f32>) -> bool {
        each!(self, S => S::admissible(coordinates, rates))
    }

    /// Whether a solution that starts at the state `initial` can pass through `state`, up to `slack` per component.
    pub fn plausible(self, initial: &State<f32>, rates: &Rates<f32>, state: &State<f32>, slack: f32) -> bool {
        each!(self, S => S::plausible(initial, rates, state, slack))
    }

    /// Names of a query's quantities in their order: `t`, initial coordinates, rates.
    pub fn quantity_names(self) -> impl Iterator<Item = &'static str> {
        core::iter::once("t").chain(self.initial_names().iter().copied()).chain(self.rate_names().iter().copied())
    }

    /// The Jacobian of the right-hand side, `jacobian[i][j]` = d g_i / d y_j, exact by dual numbers.
    pub fn jacobian<S: Scalar>(self, state: &State<S>, rates: &Rates<S>) -> [State<S>; MAX_STATE] {
        let mut jacobian = [[S::zero(); MAX_STATE]; MAX_STATE];
        let rates = rates.map(Dual::<S, 1>::fixed);
        for j in 0..self.state_names().len().min(MAX_STATE) {
            let mut seeded = state.map(Dual::fixed);
            if let Some(component) = seeded.get_mut(j) {
                component.derivatives = [S::one()];
            }
            for (row, g) in jacobian.iter_mut().zip(self.rhs(&seeded, &rates)) {
                if let Some(entry) = row.get_mut(j) {
                    [*entry] = g.derivatives;
                }
            }
        }
        jacobian
    }
}
