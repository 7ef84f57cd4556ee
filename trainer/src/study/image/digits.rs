//! The arms of the digit studies: criteria by budgets, in rounds, and with subsets that are chosen anew.

use super::Study;
use crate::host::names::UnknownName;
use crate::image::adaptation::Arm;
use crate::image::select::{self, Criterion};

/// All of them.
pub const ALL: [Study; 3] = [
    Study {
        name: "mnist-usps",
        what: "every criterion at 10, 25 and 50 % of the labels, once, in rounds, and chosen anew",
        answer: budgets,
    },
    Study {
        name: "budget",
        what: "accuracy over 1, 2, 5, 10, 25, 50 and 100 % of the labels for the criteria that matter",
        answer: curves,
    },
    Study {
        name: "shift",
        what: "a quarter of the labels by the criteria that win and those that lose, under --shift",
        answer: quarter,
    },
];

/// Rounds of the arms that choose in rounds.
pub const ROUNDS: usize = 4;
/// Epochs after which the arms that choose anew do so.
pub const EPOCHS: usize = 5;

/// The whole table: the full set, then for each fraction every criterion once, some in rounds, some anew.
fn budgets(steps: usize) -> Result<Vec<Arm>, UnknownName> {
    let mut arms = vec![Arm::once(select::find("random")?, 1.0, steps)];
    for fraction in [0.1, 0.25, 0.5] {
        arms.extend(select::ALL.iter().map(|criterion| Arm::once(*criterion, fraction, steps)));
        arms.extend(in_rounds(fraction, steps)?);
        for name in ["random", "entropy-most", "error"] {
            arms.push(Arm::once(select::find(name)?, fraction, steps).recomputed(EPOCHS));
        }
    }
    Ok(arms)
}

/// Criteria in rounds: uncertain, diverse, and diverse in the first round but uncertain in the others.
fn in_rounds(fraction: f64, steps: usize) -> Result<Vec<Arm>, UnknownName> {
    let once = |criterion: Criterion| Arm::once(criterion, fraction, steps);
    let badge = select::find("badge")?;
    let margin = select::find("margin")?;
    let entropy = select::find("entropy-most")?;
    Ok(vec![
        once(entropy).in_rounds(ROUNDS),
        once(entropy).in_rounds(2 * ROUNDS),
        once(margin).in_rounds(ROUNDS),
        once(badge).in_rounds(ROUNDS),
        once(margin).in_rounds(ROUNDS).opened_by(badge),
        once(margin).in_rounds(2 * ROUNDS).opened_by(badge),
    ])
}

fn curves(steps: usize) -> Result<Vec<Arm>, UnknownName> {
    let mut arms = vec![Arm::once(select::find("random")?, 1.0, steps)];
    for fraction in [0.01, 0.02, 0.05, 0.1, 0.25, 0.5] {
        for name in ["random", "entropy-most", "margin"] {
            arms.push(Arm::once(select::find(name)?, fraction, steps));
        }
        arms.extend(in_rounds(fraction, steps)?);
    }
    Ok(arms)
}

/// A quarter of the labels, as on the slides of the thesis, and in rounds.
fn quarter(steps: usize) -> Result<Vec<Arm>, UnknownName> {
    let mut arms = vec![Arm::once(select::find("random")?, 1.0, steps)];
    let once = |name: &str| Ok(Arm::once(select::find(name)?, 0.25, steps));
    for name in ["random", "entropy-most", "entropy-least", "differential", "highest-loss"] {
        arms.push(once(name)?);
    }
    arms.push(once("entropy-most")?.in_rounds(ROUNDS));
    arms.push(once("margin")?.in_rounds(ROUNDS));
    Ok(arms)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_criterion_is_in_the_table_and_no_arm_occurs_twice() {
        for study in super::ALL {
            let arms = (study.answer)(800).unwrap();
            let names: std::collections::BTreeSet<String> =
                arms.iter().map(|a| format!("{} {}", a.name(), a.fraction)).collect();
            assert_eq!(names.len(), arms.len(), "{}", study.name);
        }
        let arms = super::budgets(800).unwrap();
        assert!(crate::image::select::ALL.iter().all(|c| arms.iter().any(|a| a.criterion == *c && a.fraction == 0.1)));
    }
}
