//! From a table of an outbreak to a question: which counts to fit, what is known, and within which ranges the rest is sought.

use super::knowledge::{Knowledge, NoiseKind};
use crate::Error;
use crate::input::outbreak::{self as table, Outbreak, Unit};
use jiff::civil::Date;
use sirocco::bundle::Range;
use sirocco::limits::{MAX_CHANGES, MAX_COUNTS, MAX_REPORTING_CHANGES};
use sirocco::outbreak::{Count, Noise, Observable, ReportingChange, Series, Setting};

/// Infectious periods that are thought possible, in days.
const PERIOD: (f32, f32) = (0.2, 60.0);
/// Reproduction numbers that are thought possible. The form by phase answers up to 20.
const REPRODUCTION: (f32, f32) = (0.1, 19.9);
/// The smallest fraction of cases that is thought to be reported.
const REPORTED: f32 = 1e-3;
/// The factor by which reporting is thought to change at most, where nothing else limits it.
const RATIO: f32 = 1000.0;
/// The largest share that is thought to be infected at the beginning, and the smallest, in people.
const INFECTED: (f32, f32) = (0.01, 0.5);

/// A question with what its numbers mean.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The counts of all series, up to the last one to be used.
    pub counts: Vec<Count>,
    /// The question.
    pub setting: Setting,
    /// The counts after the last one used, by series, as the table has them.
    pub rest: Vec<Vec<Count>>,
    /// The columns of the series.
    pub columns: Vec<String>,
    /// The line of each count; 0 where there is none.
    pub lines: Vec<usize>,
    /// Size of the population, if it is known.
    pub population: Option<f32>,
    /// The date of time 0.
    pub start: Option<Date>,
    /// The unit of times.
    pub unit: Unit,
    /// What was assumed.
    pub remarks: Vec<String>,
}

/// A series that is fitted, as the evaluator has it.
fn chosen(outbreak: &Outbreak) -> Vec<(Observable, &table::Series)> {
    use table::Observable as Seen;
    let of = |seen: Seen, counted: Observable| outbreak.series(seen).map(|series| (counted, series));
    let infected = of(Seen::Infected, Observable::Infected);
    let removed = of(Seen::Removed, Observable::Removed);
    match infected {
        Some(infected) => std::iter::once(infected).chain(removed).collect(),
        None => of(Seen::NewCases, Observable::NewCases)
            .or(of(Seen::Susceptible, Observable::Susceptible))
            .or(removed)
            .or(of(Seen::NewRemoved, Observable::NewRemovals))
            .or(of(Seen::Deaths, Observable::NewRemovals))
            .into_iter()
            .collect(),
    }
}

/// The counts of a series, each with its line; a gap is a count that is not a number.
fn consecutive(observable: Observable, series: &table::Series) -> (f32, Vec<(Count, usize)>) {
    let start = series.points.first().map_or(0.0, |point| point.from);
    let mut counts: Vec<(Count, usize)> = Vec::new();
    let mut end = start;
    for point in &series.points {
        if observable.is_flow() && point.from > end {
            counts.push((Count { t: point.from, value: f32::NAN }, 0));
        }
        counts.push((Count { t: point.to, value: point.value }, point.line));
        end = point.to;
    }
    (start, counts)
}

/// Joins `every` counts to one: flows are added up, of people at a time one of them stays.
fn joined(observable: Observable, counts: &[(Count, usize)], every: usize) -> Vec<(Count, usize)> {
    let join = |part: &[(Count, usize)]| {
        let (last, line) = *part.last()?;
        let value = if observable.is_flow() { part.iter().map(|(count, _)| count.value).sum() } else { last.value };
        Some((Count { value, ..last }, line))
    };
    counts.chunks(every).filter_map(join).collect()
}

impl Plan {
    /// The question that a table raises. `fixed` are known quantities: I0 and R0 (shares infected and immune at time 0), R (the
    /// reproduction number), beta, gamma.
    ///
    /// # Errors
    /// [`Error::Usage`] for quantities that do not exist or contradict each other, and for times outside the table.
    pub fn new(
        outbreak: &Outbreak,
        knowledge: &Knowledge,
        fixed: &[(String, f32)],
        population: Option<f32>,
        sigma: Option<f32>,
    ) -> Result<Self, Error> {
        let mut remarks = Vec::new();
        let series = chosen(outbreak);
        let unused = outbreak.series.iter().filter(|other| !series.iter().any(|(_, used)| std::ptr::eq(*used, *other)));
        for other in unused {
            remarks.push(format!("The column `{}` ({}) is not used for the fit.", other.column, other.observable));
        }
        let until = knowledge.until.map(|moment| moment.of(outbreak)).transpose()?.unwrap_or(f32::INFINITY);
        remarks.extend(outbreak.overruled(population));
        let population = population.or(outbreak.population);
        let mut plan = Plan {
            counts: Vec::new(),
            setting: empty(),
            rest: Vec::new(),
            columns: Vec::new(),
            lines: Vec::new(),
            population,
            start: outbreak.start,
            unit: outbreak.unit,
            remarks: Vec::new(),
        };
        let all: Vec<_> = series.iter().map(|(observable, series)| consecutive(*observable, series)).collect();
        let used = |counts: &[(Count, usize)]| counts.iter().filter(|(count, _)| count.t <= until).count();
        let number: usize = all.iter().map(|(_, counts)| used(counts)).sum();
        let every = number.div_ceil(MAX_COUNTS).max(1);
        if every > 1 {
            remarks.push(format!(
                "A device keeps {MAX_COUNTS} counts, and there are {number}, so {every} consecutive ones are joined to one."
            ));
        }
        for ((observable, series), (start, counts)) in series.iter().zip(&all) {
            let (kept, rest) = counts.split_at(used(counts));
            let kept = joined(*observable, kept, every);
            let counts = kept.len() as u16;
            // There is room: at most two series are chosen.
            let _ = plan.setting.series.push(Series { observable: *observable, start: *start, counts });
            plan.columns.push(series.column.clone());
            plan.counts.extend(kept.iter().map(|(count, _)| *count));
            plan.lines.extend(kept.iter().map(|(_, line)| *line));
            plan.rest.push(rest.iter().map(|(count, _)| *count).collect());
        }
        if plan.counts.is_empty() {
            return Err(Error::Usage("no count is left to fit; give a later --until".into()));
        }
        plan.know(outbreak, knowledge, fixed, sigma)?;
        remarks.append(&mut plan.remarks);
        plan.remarks = remarks;
        Ok(plan)
    }

    /// Sets noise, ranges and changes.
    fn know(
        &mut self,
        outbreak: &Outbreak,
        knowledge: &Knowledge,
        fixed: &[(String, f32)],
        sigma: Option<f32>,
    ) -> Result<(), Error> {
        let flows = self.setting.series.first().is_some_and(|series| series.observable.is_flow());
        let usual = if flows { NoiseKind::NegativeBinomial } else { NoiseKind::Gaussian };
        let noise = knowledge.noise.unwrap_or(if sigma.is_some() { NoiseKind::Gaussian } else { usual });
        self.setting.noise = match noise {
            NoiseKind::Gaussian => Noise::Gaussian { sigma },
            NoiseKind::Poisson => Noise::Poisson,
            NoiseKind::NegativeBinomial => Noise::NegativeBinomial { dispersion: None },
        };
        let counted = self.counts.iter().map(|count| count.value).filter(|value| !value.is_nan());
        let (total, largest) = counted.fold((0.0f32, 0.0f32), |(sum, most), value| (sum + value, most.max(value)));
        let least = if flows { total } else { largest };
        if total <= 0.0 {
            return Err(Error::Usage("all counts are zero; there is no outbreak to fit".into()));
        }
        let reporting = knowledge.reporting.map_or(if flows { None } else { Some(1.0) }, |reporting| reporting.0);
        self.setting.scale = match (self.population, reporting) {
            (Some(population), _) if largest > population => {
                return Err(Error::Usage(format!(
                    "a count of {largest} is more than the population of {population}; give a larger --population"
                )));
            }
            (Some(population), Some(fraction)) => known(population * fraction),
            (Some(population), None) => {
                Range { lo: (population * REPORTED).max(0.5 * least).min(population), hi: population }
            }
            (None, _) => {
                self.remarks.push(
                    "The population is not known, so it is estimated together with the fraction that is counted; --population \
                     gives it."
                        .into(),
                );
                Range { lo: 0.5 * least, hi: 1e4 * least.max(1.0) }
            }
        };
        self.setting.background = match knowledge.background.map_or(Some(0.0), |background| background.0) {
            Some(count) => known(count),
            None => Range { lo: 1e-3, hi: largest.max(0.1) },
        };
        let days = outbreak.unit.days() as f32;
        self.setting.recovery = Range { lo: days / PERIOD.1, hi: days / PERIOD.0 };
        self.setting.infected = Range { lo: (INFECTED.0 / self.setting.scale.hi).clamp(1e-12, 1e-6), hi: INFECTED.1 };
        let (possible, removed) = (Range { lo: REPRODUCTION.0, hi: REPRODUCTION.1 }, self.removed_at_first());
        self.setting.removed = removed;
        self.setting.reproduction = std::iter::once(possible).collect();
        self.know_reporting(outbreak, knowledge, reporting)?;
        self.fix(fixed)?;
        let mut changes = Vec::new();
        for moment in &knowledge.change {
            changes.push(moment.of(outbreak)?);
        }
        changes.sort_by(f32::total_cmp);
        let last = self.last();
        if let Some(change) = changes.iter().find(|change| !(**change > 0.0 && **change < last)) {
            return Err(Error::Usage(format!(
                "a change at {change} lies outside the counts, which end at {last}; give --change within them"
            )));
        }
        for change in changes {
            let piece = self.setting.reproduction.first().copied().unwrap_or(possible);
            if self
                .setting
                .changes
                .push(change)
                .and_then(|()| self.setting.reproduction.push(piece).map_err(|_| 0.0))
                .is_err()
            {
                return Err(Error::Usage(format!(
                    "the reproduction number may change {MAX_CHANGES} times; give fewer --change"
                )));
            }
        }
        Ok(())
    }

    /// Sets from when on which other fractions are counted. `reporting` is that at the beginning.
    fn know_reporting(
        &mut self,
        outbreak: &Outbreak,
        knowledge: &Knowledge,
        reporting: Option<f32>,
    ) -> Result<(), Error> {
        let mut changes = Vec::new();
        for change in &knowledge.reporting_change {
            let from = change.from.of(outbreak)?;
            if !(from > 0.0 && from < self.last()) {
                return Err(Error::Usage(format!(
                    "the reporting change at {from} lies outside the counts, which end at {}; give --reporting-change within them",
                    self.last()
                )));
            }
            let ratio = match (change.fraction.0, reporting) {
                (Some(fraction), Some(reporting)) => known(fraction / reporting),
                (Some(fraction), None) => {
                    return Err(Error::Usage(format!(
                        "the fraction {fraction} from {from} on needs the one before; give --reporting FRACTION, or                          --reporting-change {from} without a fraction"
                    )));
                }
                (None, Some(reporting)) => Range { lo: REPORTED.min(1.0 / RATIO), hi: 1.0 / reporting },
                (None, None) => Range { lo: 1.0 / RATIO, hi: RATIO },
            };
            changes.push(ReportingChange { from, ratio });
        }
        changes.sort_by(|a, b| a.from.total_cmp(&b.from));
        if changes.len() > MAX_REPORTING_CHANGES
            || changes.windows(2).any(|pair| matches!(pair, [a, b] if a.from == b.from))
        {
            return Err(Error::Usage(format!(
                "the fraction that is counted may change at {MAX_REPORTING_CHANGES} different times; give fewer --reporting-change"
            )));
        }
        self.setting.reporting = changes.into_iter().collect();
        Ok(())
    }

    /// The time of the last count.
    fn last(&self) -> f32 {
        self.counts.iter().fold(0.0f32, |last, count| last.max(count.t))
    }

    /// The share that is removed at time 0, if the table counts it from there.
    fn removed_at_first(&self) -> f32 {
        let mut parts =
            self.setting.parts(&self.counts).filter(|(series, ..)| series.observable == Observable::Removed);
        let first = parts.find_map(|(.., counts)| counts.first().filter(|count| count.t == 0.0 && count.value > 0.0));
        first.map_or(0.0, |count| (count.value / self.setting.scale.hi).min(0.9))
    }

    fn fix(&mut self, fixed: &[(String, f32)]) -> Result<(), Error> {
        let of = |name: &str| fixed.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
        for (name, value) in fixed {
            match name.as_str() {
                "I0" | "R0" if *value > 1.0 => {
                    let number =
                        if name == "R0" { "; the reproduction number is called R: --fix R=" } else { "; as --fix I0=" };
                    let share = match (name.as_str(), self.population) {
                        ("R0", _) => *value,
                        (_, Some(population)) => value / population,
                        _ => 0.001,
                    };
                    let what = if name == "R0" { "immune" } else { "infected" };
                    return Err(Error::Usage(format!(
                        "{name}={value} is not a share of people who are {what} at time 0{number}{share}"
                    )));
                }
                "I0" | "R0" | "R" | "beta" | "gamma" if value.is_finite() && *value >= 0.0 => {}
                "I0" | "R0" | "R" | "beta" | "gamma" => {
                    return Err(Error::Usage(format!("{name}={value} is impossible; give a number of 0 or more")));
                }
                _ => {
                    return Err(Error::Usage(format!(
                        "there is no quantity `{name}`; --fix takes I0, R0 (shares infected and immune at time 0), R (the reproduction \
                         number), beta, gamma"
                    )));
                }
            }
        }
        if let Some(share) = of("I0") {
            self.setting.infected = known(share);
        }
        if let Some(share) = of("R0") {
            self.setting.removed = share;
        }
        self.setting.infected.hi = self.setting.infected.hi.min(1.0 - self.setting.removed);
        let rate = match (of("gamma"), of("beta"), of("R")) {
            (Some(_), Some(_), Some(_)) => {
                return Err(Error::Usage("beta, gamma and R are one too many; R is beta / gamma".into()));
            }
            (Some(gamma), beta, number) => Some((Some(gamma), beta.map(|beta| beta / gamma).or(number))),
            (None, Some(beta), Some(number)) => Some((Some(beta / number), Some(number))),
            (None, Some(_), None) => {
                return Err(Error::Usage("beta alone cannot be known; give --fix gamma or R with it".into()));
            }
            (None, None, Some(number)) => Some((None, Some(number))),
            (None, None, None) => None,
        };
        if let Some((gamma, number)) = rate {
            if let Some(gamma) = gamma {
                self.setting.recovery = known(gamma);
            }
            if let Some(number) = number {
                self.setting.reproduction = std::iter::once(known(number)).collect();
            }
        }
        Ok(())
    }
}

fn known(value: f32) -> Range {
    Range { lo: value, hi: value }
}

fn empty() -> Setting {
    let nothing = known(0.0);
    Setting {
        series: Default::default(),
        noise: Noise::Poisson,
        infected: nothing,
        recovery: nothing,
        scale: nothing,
        background: nothing,
        reproduction: Default::default(),
        changes: Default::default(),
        removed: 0.0,
        reporting: Default::default(),
    }
}
