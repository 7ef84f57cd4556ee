//! Dates as tables have them. All dates of a column are read together, as one of them can tell in which order the others
//! have day and month.

use crate::table::number::shown;
use jiff::civil::{Date, ISOWeekDate, Weekday};

/// The order of day and month where both are numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DateOrder {
    /// Day, month, year.
    Dmy,
    /// Month, day, year.
    Mdy,
}

/// The dates of a column.
#[derive(Debug, Clone, PartialEq)]
pub struct Dates {
    /// One for each field; a week, as `2017-W40`, is its Monday.
    pub dates: Vec<Date>,
    /// Whether the fields are weeks.
    pub weeks: bool,
    /// The order of day and month, if all depends on it.
    pub order: Option<DateOrder>,
}

/// Why a field is not a date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadDate {
    /// Neither a date nor a week.
    #[error("`{0}` is not a date; write dates as 1978-01-22, or name another column with --time")]
    Odd(String),
    /// Day and month cannot be told apart in the whole column.
    #[error("`{0}` may be day/month or month/day; say which with --date-order dmy or --date-order mdy")]
    Ambiguous(String),
    /// A day that the calendar does not have, in the order that other dates or the user state.
    #[error("`{field}` is not a date with the {first} first; write dates as 1978-01-22")]
    Impossible {
        /// The field.
        field: String,
        /// What comes first.
        first: &'static str,
    },
}

/// What a field says.
enum Parsed {
    Date(Date),
    /// The Monday of a week.
    Week(Date),
    /// Two numbers of which one is the month, and the year.
    Parts([i8; 2], i16),
}

/// Whether a field can be a date.
pub fn is_date(field: &str) -> bool {
    parse(field).is_some()
}

/// Reads the dates of a column.
///
/// # Errors
/// The place of the field that is wrong, and what is wrong with it.
pub fn read(fields: &[&str], order: Option<DateOrder>) -> Result<Dates, (usize, BadDate)> {
    let mut parsed = Vec::new();
    for (place, field) in fields.iter().enumerate() {
        parsed.push(parse(field).ok_or_else(|| (place, BadDate::Odd(shown(field))))?);
    }
    let above_twelve = |part: usize| {
        parsed
            .iter()
            .any(|p| matches!(p, Parsed::Parts(parts, _) if parts.get(part).is_some_and(|number| *number > 12)))
    };
    let order = order.or(match (above_twelve(0), above_twelve(1)) {
        (true, _) => Some(DateOrder::Dmy),
        (false, true) => Some(DateOrder::Mdy),
        (false, false) => None,
    });
    let weeks = !parsed.is_empty() && parsed.iter().all(|p| matches!(p, Parsed::Week(_)));
    let (mut dates, mut used) = (Vec::new(), None);
    for ((place, field), parsed) in fields.iter().enumerate().zip(parsed) {
        let (day, month, year, first) = match (parsed, order) {
            (Parsed::Date(date) | Parsed::Week(date), _) => {
                dates.push(date);
                continue;
            }
            (Parsed::Parts(..), None) => return Err((place, BadDate::Ambiguous(shown(field)))),
            (Parsed::Parts([day, month], year), Some(DateOrder::Dmy)) => (day, month, year, "day"),
            (Parsed::Parts([month, day], year), Some(DateOrder::Mdy)) => (day, month, year, "month"),
        };
        used = order;
        let impossible = |_| (place, BadDate::Impossible { field: shown(field), first });
        dates.push(Date::new(year, month, day).map_err(impossible)?);
    }
    Ok(Dates { dates, weeks, order: used })
}

fn parse(field: &str) -> Option<Parsed> {
    // A time of day follows after a blank or a T.
    let with_time = field.split_once(['T', ' ']).filter(|(_, time)| time.contains(':'));
    let field = with_time.map_or(field, |(date, _)| date);
    if field.len() == 8 && field.bytes().all(|byte| byte.is_ascii_digit()) {
        return Date::strptime("%Y%m%d", field).ok().map(Parsed::Date);
    }
    if let Some((year, week)) = field.split_once("-W").or_else(|| field.split_once('W')) {
        return week_of(year.parse().ok()?, week.parse().ok()?).map(Parsed::Week);
    }
    let parts: Vec<&str> = field.split(['-', '/', '.']).collect();
    let numeric = parts.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    if let ([first, second, third], true) = (parts.as_slice(), numeric) {
        let second: i8 = second.parse().ok()?;
        if first.len() == 4 {
            return Date::new(first.parse().ok()?, second, third.parse().ok()?).ok().map(Parsed::Date);
        }
        let (first, year): (i8, i16) = (first.parse().ok()?, third.parse().ok()?);
        let year = match third.len() {
            4 => year,
            2 if year < 69 => 2000 + year,
            2 => 1900 + year,
            _ => return None,
        };
        // Where points stand in dates, the day comes first.
        return match field.contains('.') {
            true => Date::new(year, second, first).ok().map(Parsed::Date),
            false if (1..=31).contains(&first) && (1..=31).contains(&second) => {
                Some(Parsed::Parts([first, second], year))
            }
            false => None,
        };
    }
    // Years of two digits come first: `%Y` would take 78 for the year 78.
    let formats =
        ["%d-%b-%y", "%d %b %y", "%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y"];
    formats.iter().find_map(|format| Date::strptime(format, field).ok()).map(Parsed::Date)
}

/// The Monday of an ISO week; None if the year has no such week.
pub fn week_of(year: i16, week: i8) -> Option<Date> {
    ISOWeekDate::new(year, week, Weekday::Monday).ok().map(Date::from_iso_week_date)
}

/// The number of a day: days since 1 January 1970.
pub fn number(date: Date) -> f64 {
    let hours = jiff::civil::date(1970, 1, 1).duration_until(date).as_hours();
    (hours / 24) as f64
}

/// The day with a number, if the calendar reaches so far.
pub fn from_number(number: f64) -> Option<Date> {
    let days = jiff::Span::new().try_days(number as i64).ok()?;
    jiff::civil::date(1970, 1, 1).checked_add(days).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn dates_of_many_forms_are_the_same_day() {
        for field in [
            "1978-01-22",
            "1978-1-22",
            "1978/01/22",
            "19780122",
            "22/01/1978",
            "1/22/78",
            "22.1.1978",
            "1978-01-22T18:00:00",
            "1978-01-22 18:00:00",
            "22 Jan 1978",
            "22-Jan-78",
            "January 22, 1978",
        ] {
            assert_eq!(read(&[field], None).unwrap().dates, [date(1978, 1, 22)], "{field}");
        }
        assert_eq!(read(&["12/31/99", "1/1/00"], None).unwrap().dates, [date(1999, 12, 31), date(2000, 1, 1)]);
        let weeks = read(&["2017-W52", "2018-W01"], None).unwrap();
        assert_eq!((weeks.dates, weeks.weeks), (vec![date(2017, 12, 25), date(2018, 1, 1)], true));
    }

    #[test]
    fn a_day_above_twelve_tells_the_order_for_the_whole_column() {
        let dates = read(&["3/4/20", "12/4/20", "13/4/20"], None).unwrap();
        assert_eq!((dates.dates[0], dates.order), (date(2020, 4, 3), Some(DateOrder::Dmy)));
        assert_eq!(read(&["3/4/20", "3/13/20"], None).unwrap().dates[0], date(2020, 3, 4));
        assert_eq!(read(&["3/4/20"], Some(DateOrder::Mdy)).unwrap().dates, [date(2020, 3, 4)]);
        assert_eq!(read(&["2020-04-03"], Some(DateOrder::Mdy)).unwrap().order, None);
    }

    #[test]
    fn what_is_not_a_date_is_refused_with_its_place() {
        assert_eq!(read(&["3/4/20", "5/4/20"], None), Err((0, BadDate::Ambiguous("3/4/20".into()))));
        for field in ["soon", "12", "2020-13-01", "2020-02-30", "40/1/20", "2021-W53", "1/2/3", "", "5.x", "€-1-1"] {
            assert_eq!(read(&["2020-01-01", field], None), Err((1, BadDate::Odd(field.into()))), "{field}");
        }
        let mixed = read(&["13/4/20", "4/13/20"], None).unwrap_err();
        assert_eq!(mixed, (1, BadDate::Impossible { field: "4/13/20".into(), first: "day" }));
        for error in [BadDate::Odd(String::new()), BadDate::Ambiguous(String::new()), mixed.1] {
            assert!(error.to_string().contains("; "));
        }
    }

    #[test]
    fn days_have_numbers() {
        for day in [date(1911, 1, 1), date(1970, 1, 1), date(2020, 2, 29), date(1861, 10, 30)] {
            assert_eq!(from_number(number(day)), Some(day));
        }
        assert_eq!(number(date(2020, 3, 1)) - number(date(2020, 2, 28)), 2.0);
        assert_eq!(from_number(1e12), None);
    }
}
