//! What an answer means, in sentences.

use super::answer::{Answer, Estimate};
use super::draws::Spread;
use super::interval::Interval;
use super::question::Plan;
use sirocco::math::sqrt;
use sirocco::outbreak::Noise;

/// A number with three significant digits, and large ones with four.
pub fn number(value: f32) -> String {
    match value.abs() {
        v if !v.is_finite() => "unknown".to_owned(),
        v if v >= 1000.0 => {
            let mut unit = 1.0f64;
            while f64::from(v) >= 1e4 * unit {
                unit *= 10.0;
            }
            let digits = format!("{:.0}", (f64::from(value) / unit).round() * unit);
            let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |rest| ("-", rest));
            let mut grouped = String::new();
            for (place, digit) in digits.chars().enumerate() {
                if place > 0 && (digits.len() - place) % 3 == 0 {
                    grouped.push(',');
                }
                grouped.push(digit);
            }
            format!("{sign}{grouped}")
        }
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        v if v >= 0.1 => format!("{value:.3}"),
        v if v >= 0.01 => format!("{value:.4}"),
        v if v >= 0.001 => format!("{value:.5}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.1e}"),
    }
}

/// An interval in words.
pub fn interval(interval: &Interval) -> String {
    match (interval.low, interval.high) {
        (Some(low), Some(high)) => format!("{} to {}", number(low), number(high)),
        (Some(low), None) => format!("at least {}", number(low)),
        (None, Some(high)) => format!("at most {}", number(high)),
        (None, None) => "no limits".to_owned(),
    }
}

fn spread(spread: &Spread) -> String {
    format!("{} (95 %: {} to {})", number(spread.median), number(spread.most.0), number(spread.most.1))
}

fn of<'a, T>(all: &'a [(String, T)], name: &str) -> Option<&'a T> {
    all.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// The summary of an answer, a sentence each.
pub fn summary(plan: &Plan, answer: &Answer) -> Vec<String> {
    let mut sentences = Vec::new();
    let unit = plan.unit.to_string();
    let at = |t: f32| plan.date(t).map_or_else(|| format!("{unit} {}", number(t)), |date| date.to_string());
    let within = |estimate: &Estimate| match (&estimate.most, estimate.known) {
        (_, true) => " (given)".to_owned(),
        (Some(most), _) => format!(" (95 % interval: {})", interval(most)),
        (None, _) => String::new(),
    };
    let pieces: Vec<&Estimate> = answer
        .estimates
        .iter()
        .filter(|(name, _)| name.starts_with("reproduction_number"))
        .map(|(_, estimate)| estimate)
        .collect();
    if let Some(first) = pieces.first() {
        sentences.push(if first.identified {
            format!(
                "One infected person infected about {} others at first, when everyone could be infected{}.",
                number(first.value),
                within(first)
            )
        } else {
            format!("These counts do not tell how many others one infected person infected at first{}.", within(first))
        });
    }
    for (change, estimate) in answer.changes.iter().zip(pieces.iter().skip(1)) {
        sentences.push(format!(
            "From {} on that number is {}{}.",
            at(change.t),
            number(estimate.value),
            within(estimate)
        ));
    }
    let ratios = answer.estimates.iter().filter(|(name, _)| name.starts_with("reporting_ratio"));
    for (change, (_, estimate)) in answer.reporting_changes.iter().zip(ratios) {
        sentences.push(format!(
            "From {} on, {} times as many of the cases are counted as at first{}.",
            at(change.t),
            number(estimate.value),
            within(estimate)
        ));
    }
    if let Some(period) = of(&answer.estimates, "infectious_period") {
        sentences.push(if period.identified {
            format!("People were infectious for {} {unit}s on average{}.", number(period.value), within(period))
        } else {
            format!("These counts do not tell for how many {unit}s people were infectious{}.", within(period))
        });
        if period.at_bound {
            sentences.push(format!(
                "The best fit has an infectious period of {} {unit}s, the end of what is thought possible, and this limits the other \
                 intervals, too; if it is known, give --fix gamma, which is 1 / period.",
                number(period.value)
            ));
        }
    }
    let told = ["reproduction_number", "infectious_period"];
    let open: Vec<String> = answer
        .estimates
        .iter()
        .filter(|(name, estimate)| {
            !estimate.identified && !told.contains(&name.as_str()) && !name.starts_with("reporting_ratio")
        })
        .map(|(name, _)| name.replace('_', " "))
        .collect();
    if !open.is_empty() {
        sentences.push(format!("These counts do not tell {}: very different values fit as well.", open.join(", ")));
    }
    if answer.estimates.iter().any(|(name, estimate)| !estimate.identified && name != "infected_at_start") {
        sentences.push("What they do tell is how fast cases grew.".to_owned());
    }
    if let Some(Some(growth)) = of(&answer.derived, "growth_rate") {
        let doubling = of(&answer.derived, "doubling_time").and_then(Option::as_ref);
        sentences.push(match doubling.filter(|_| growth.median > 0.0) {
            Some(doubling) => format!(
                "At first cases grew by a rate of {} per {unit}, and doubled every {} {unit}s.",
                spread(growth),
                spread(doubling)
            ),
            None => format!("Cases changed by a rate of {} per {unit} at first.", spread(growth)),
        });
    }
    if let Some(Some(now)) = of(&answer.derived, "reproduction_number_at_the_end") {
        let trend = match now.most {
            (_, high) if high < 1.0 => "the outbreak is falling",
            (low, _) if low > 1.0 => "the outbreak is still growing",
            _ => "it cannot be said whether the outbreak grows or falls",
        };
        sentences
            .push(format!("At the end of the counts one infected person infects {} others: {trend}.", spread(now)));
    }
    if let Some(Some(total)) = of(&answer.derived, "counted_in_the_end") {
        let flows = answer.setting.series.first().is_some_and(|series| series.observable.is_flow());
        let done = if flows { "counted" } else { "infected" };
        sentences.push(format!("If nothing changes any more, {} will have been {done} in the end.", spread(total)));
    }
    if answer.fit.misfits {
        sentences.push(format!(
            "THIS MODEL DOES NOT FIT: the counts lie on one side of the curve for too long ({} standard deviations fewer runs than by \
             chance), so that the intervals are too narrow.{}",
            number(-answer.fit.runs),
            if answer.changes.is_empty() && answer.reporting_changes.is_empty() {
                " Perhaps the reproduction number changed: try --find-changes. Or another fraction was counted: --reporting-change."
            } else {
                ""
            }
        ));
    }
    if answer.fit.worst_residual.abs() > 4.0 {
        sentences.push(format!(
            "The count of line {} is {} standard deviations from what is expected.",
            answer.fit.worst_line,
            number(answer.fit.worst_residual.abs())
        ));
    }
    let scattered = answer.fit.pearson > 2.0 * f32::from(answer.fit.freedom.max(1));
    let told = matches!(answer.setting.noise, Noise::Poisson | Noise::Gaussian { sigma: Some(_) });
    if scattered && told {
        let times = sqrt(answer.fit.pearson / f32::from(answer.fit.freedom.max(1)));
        sentences.push(format!(
            "THIS MODEL DOES NOT FIT: residuals are {} times as large as the given scatter allows; leave out {} to estimate it.",
            number(times),
            if matches!(answer.setting.noise, Noise::Poisson) { "--noise poisson" } else { "--sigma" }
        ));
    }
    if !answer.fit.converged {
        sentences.push("The search did not settle: take the estimates as a first guess.".to_owned());
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_matter() {
        for (value, text) in [
            (0.0, "0"),
            (0.097_94, "0.0979"),
            (0.1318, "0.132"),
            (3.924, "3.92"),
            (12.34, "12.3"),
            (187.2, "187"),
            (2_985.0, "2,985"),
            (11_241.0, "11,240"),
            (-59_782_768.0, "-59,780,000"),
            (0.001_34, "0.00134"),
            (3.2e-7, "3.2e-7"),
            (f32::INFINITY, "unknown"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn intervals_without_an_end_say_so() {
        let words = |low, high| interval(&Interval { low, high });
        assert_eq!(words(Some(5.6), None), "at least 5.60");
        assert_eq!(words(None, Some(0.37)), "at most 0.370");
        assert_eq!(words(None, None), "no limits");
    }
}
