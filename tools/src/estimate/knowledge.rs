//! What a person knows of an outbreak beside its table, as options of the command line.

use crate::Error;
use crate::input::outbreak::Outbreak;
use clap::ValueEnum;
use jiff::civil::Date;

/// How counts scatter around what is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NoiseKind {
    /// All with the same standard deviation: --sigma, or what the residuals tell.
    Gaussian,
    /// As independent events do: the variance is the mean.
    Poisson,
    /// More than independent events do, as reported cases usually do: by how much is estimated.
    NegativeBinomial,
}

/// A time: a number of days or weeks, or a date.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Moment {
    /// In the unit of the table's times.
    Time(f32),
    /// A day, at its beginning.
    Day(Date),
}

impl std::str::FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let time = text.parse().ok().filter(|time: &f32| time.is_finite() && *time >= 0.0).map(Moment::Time);
        let day = || text.parse().ok().map(Moment::Day);
        time.or_else(day).ok_or_else(|| format!("`{text}` is neither a time nor a date; give 14 or 2020-03-09"))
    }
}

impl Moment {
    /// The time of an outbreak.
    ///
    /// # Errors
    /// [`Error::Usage`] for a date if the table has none.
    pub fn of(self, outbreak: &Outbreak) -> Result<f32, Error> {
        match (self, outbreak.start) {
            (Moment::Time(time), _) => Ok(time),
            (Moment::Day(day), Some(start)) => {
                let days = (day - start).get_days() as f64;
                Ok((days / outbreak.unit.days()) as f32)
            }
            (Moment::Day(day), None) => Err(Error::Usage(format!(
                "{day} is a date, but the table has none; give a time in {}s, or --start",
                outbreak.unit
            ))),
        }
    }
}

/// What is known beside the table.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "What is known of the outbreak")]
pub struct Knowledge {
    /// Fraction of all cases (or, with deaths, of all who are infected) that the table counts, or `free`. If left out: 1 for people
    /// who are infected at a time, free for new cases and deaths
    #[arg(long, value_name = "FRACTION|free")]
    pub reporting: Option<Reporting>,
    /// Time or date from which on another fraction is counted, as when testing began, and that fraction if it is known; may be
    /// given twice. A count belongs to what holds at its end
    #[arg(long, value_name = "TIME|DATE[=FRACTION]")]
    pub reporting_change: Vec<ReportingChange>,
    /// How counts scatter. If left out: negative-binomial for what is counted in intervals, gaussian for people at a time
    #[arg(long, value_enum)]
    pub noise: Option<NoiseKind>,
    /// What is counted each day or week without any outbreak, or `free`; 0 if left out
    #[arg(long, value_name = "COUNT|free")]
    pub background: Option<Background>,
    /// Time or date at which the reproduction number changes, as by a lockdown; may be given up to four times
    #[arg(long, value_name = "TIME|DATE")]
    pub change: Vec<Moment>,
    /// Find up to four such times, as long as each improves the fit more than chance would
    #[arg(long, conflicts_with = "change")]
    pub find_changes: bool,
    /// Last time or date whose counts are used; the rest shows how good the forecast is
    #[arg(long, value_name = "TIME|DATE")]
    pub until: Option<Moment>,
}

/// The fraction that is counted; `None` if it is unknown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reporting(pub Option<f32>);

/// From when on another fraction is counted, and which.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReportingChange {
    /// From when on.
    pub from: Moment,
    /// The fraction that is counted from then on.
    pub fraction: Reporting,
}

/// What is counted without any outbreak; `None` if it is unknown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Background(pub Option<f32>);

/// A number for which `holds`, or `None` for `free`.
fn known_or_free(text: &str, holds: impl Fn(f32) -> bool) -> Option<Option<f32>> {
    if text == "free" { Some(None) } else { text.parse().ok().filter(|number| holds(*number)).map(Some) }
}

impl std::str::FromStr for Reporting {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let given = known_or_free(text, |fraction| fraction > 0.0 && fraction <= 1.0);
        given.map(Reporting).ok_or("give a fraction above 0 and up to 1, or `free`")
    }
}

impl std::str::FromStr for ReportingChange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (from, fraction) = text.split_once('=').unwrap_or((text, "free"));
        Ok(ReportingChange { from: from.parse()?, fraction: fraction.parse()? })
    }
}

impl std::str::FromStr for Background {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let given = known_or_free(text, |count| count >= 0.0 && count.is_finite());
        given.map(Background).ok_or("give a count of 0 or more, or `free`")
    }
}
