//! The experiments of the thesis on image networks, by one protocol, and again with the defects of public code for them: which
//! conclusions does each defect change?
//!
//! A [`Part`] is one pair of domains. Its arms are trained as everywhere ([`super`]), with several seeds and equal steps. Then one
//! [`Defect`] at a time is switched on, and the same [`Statement`]s are judged again.

pub mod defect;
pub mod findings;
pub mod run;

use super::digits::EPOCHS;
use crate::host::names::UnknownName;
use crate::image::adaptation::Arm;
use crate::image::select;
use defect::Defect;

/// One pair of domains.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// Its name, and that of its folder.
    pub name: &'static str,
    /// What it is, as a heading.
    pub what: &'static str,
    /// Data set that networks are trained on first.
    pub source: &'static str,
    /// Data set of the other domain. If it is the same, one half is the source and the other half, shifted, the target.
    pub target: &'static str,
    /// The network.
    pub network: &'static str,
    /// The shift of the target.
    pub shift: &'static str,
    /// Share of the target's labels.
    pub fraction: f64,
    /// Whether samples are also chosen anew every few epochs.
    pub anew: bool,
}

const CIFAR: Part = Part {
    name: "cifar10-embedding-0",
    what: "CIFAR-10 to its reconstruction by an autoencoder, a quarter of the labels",
    source: "cifar10",
    target: "cifar10",
    network: "thesis-cifar",
    shift: "embedding:0",
    fraction: 0.25,
    anew: false,
};

const USPS: Part = Part {
    name: "mnist-usps",
    what: "MNIST to USPS, half of the labels, chosen once or anew every five epochs",
    source: "mnist",
    target: "usps",
    network: "thesis-digits",
    shift: "none",
    fraction: 0.5,
    anew: true,
};

const NOISE: Part = Part {
    name: "mnist-noise",
    what: "MNIST to MNIST under white Gaussian noise, a quarter of the labels",
    source: "mnist",
    target: "mnist",
    network: "thesis-digits",
    shift: "awgn:0,0.5",
    fraction: 0.25,
    anew: false,
};

/// All parts.
pub const PARTS: [Part; 5] = [
    CIFAR,
    Part {
        name: "cifar10-embedding-2",
        what: "CIFAR-10 to images decoded from shifted embeddings, a quarter of the labels",
        shift: "embedding:2",
        ..CIFAR
    },
    USPS,
    NOISE,
    Part {
        name: "mnist-blur",
        what: "MNIST to MNIST under Gaussian blur, a quarter of the labels",
        shift: "blur:2.5",
        ..NOISE
    },
];

/// The same questions on the digits inside the program, in a minute or two.
pub const SHORT: [Part; 4] = [
    Part { source: "fixture-mnist", target: "fixture-usps", network: "lenet16", ..USPS },
    Part { source: "fixture-mnist", target: "fixture-mnist", network: "lenet16", ..NOISE },
    Part {
        name: "mnist-blur",
        what: "MNIST to MNIST under Gaussian blur, a quarter of the labels",
        source: "fixture-mnist",
        target: "fixture-mnist",
        network: "lenet16",
        shift: "blur:2.5",
        ..NOISE
    },
    Part {
        name: "mnist-embedding-2",
        what: "MNIST to images decoded from shifted embeddings, a quarter of the labels",
        source: "fixture-mnist",
        target: "fixture-mnist",
        network: "lenet16",
        shift: "embedding:2,300",
        ..NOISE
    },
];

/// The arm of every comparison that names no other.
const RANDOM: &str = "random";
/// Arms that choose once.
const ONCE: [&str; 4] = [RANDOM, "entropy-most", "entropy-least", "differential"];

impl Part {
    /// Its arms; with a defect, those whose statements the defect may change.
    ///
    /// # Errors
    /// [`UnknownName`] never, for the criteria are known.
    pub fn arms(&self, steps: usize) -> Result<Vec<Arm>, UnknownName> {
        let once = |name: &str| Ok(Arm::once(select::find(name)?, self.fraction, steps));
        let mut arms = ONCE.into_iter().map(once).collect::<Result<Vec<_>, _>>()?;
        if self.anew {
            arms.push(once("entropy-most")?.recomputed(EPOCHS));
        }
        Ok(arms)
    }

    /// The protocol, then every defect that this part can have.
    pub fn variants(&self) -> Vec<Option<Defect>> {
        [None].into_iter().chain(defect::ALL.into_iter().filter(|d| d.applies(self)).map(Some)).collect()
    }
}

/// What a statement is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Accuracy in percent, as the variant would report it.
    Accuracy,
    /// Cross-entropy of the samples that are trained on.
    TrainingLoss,
}

/// A conclusion that an experiment may support: one arm is above another, or below.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statement {
    /// The conclusion in words.
    pub text: &'static str,
    /// The arm.
    pub arm: &'static str,
    /// The other.
    pub against: &'static str,
    /// Of what.
    pub measure: Measure,
    /// 1 for above, -1 for below.
    pub sign: f64,
}

/// All of them.
pub const STATEMENTS: [Statement; 5] = [
    Statement {
        text: "The most uncertain samples are worth more than random ones",
        arm: "entropy-most",
        against: RANDOM,
        measure: Measure::Accuracy,
        sign: 1.0,
    },
    Statement {
        text: "The most certain samples are worth less than random ones",
        arm: "entropy-least",
        against: RANDOM,
        measure: Measure::Accuracy,
        sign: -1.0,
    },
    Statement {
        text: "Samples that should lower the validation loss are fitted better than random ones",
        arm: "differential",
        against: RANDOM,
        measure: Measure::TrainingLoss,
        sign: -1.0,
    },
    Statement {
        text: "Samples that should lower the validation loss are worth less than random ones",
        arm: "differential",
        against: RANDOM,
        measure: Measure::Accuracy,
        sign: -1.0,
    },
    Statement {
        text: "Choosing the most uncertain samples anew is worth more than choosing them once",
        arm: "entropy-most, every 5 epochs",
        against: "entropy-most",
        measure: Measure::Accuracy,
        sign: 1.0,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::shift::Shift;

    #[test]
    fn parts_are_complete_and_statements_name_their_arms() {
        for part in PARTS.into_iter().chain(SHORT) {
            assert!(part.shift.parse::<Shift>().is_ok(), "{}", part.name);
            let arms: Vec<String> = part.arms(10).unwrap().iter().map(Arm::name).collect();
            let named = |name: &str| arms.iter().any(|arm| arm == name);
            let judged = STATEMENTS.iter().filter(|s| named(s.arm) && named(s.against)).count();
            assert_eq!(judged, if part.anew { 5 } else { 4 }, "{arms:?}");
        }
        // Every defect changes some part, of the thesis and of the short form.
        for parts in [&PARTS[..], &SHORT[..]] {
            assert!(defect::ALL.iter().all(|defect| parts.iter().any(|part| defect.applies(part))));
        }
    }
}
