//! Numbers as people and programs write them in tables.

/// Why a field is not a number that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotNumber {
    /// It is not a number at all.
    #[error("`{0}` is not a number")]
    Word(String),
    /// NaN, an infinity, or a number that is too large.
    #[error("`{0}` is not a finite number")]
    Infinite(String),
    /// Digits in groups, or a comma or point that may stand for that.
    #[error("`{0}` may have a mark of thousands")]
    Thousands(String),
}

/// A field as messages show it: its beginning, if it is long.
pub fn shown(field: &str) -> String {
    let end = field.char_indices().nth(60).map(|(end, _)| end);
    end.map_or_else(|| field.to_owned(), |end| format!("{}...", field.get(..end).unwrap_or_default()))
}

/// Marks of a value that is not known. NaN is none of them: it may come from a calculation that failed.
const MISSING: [&str; 13] = ["", "na", "n/a", "#n/a", "x", ".", "..", "-", "--", "–", "—", "null", "none"];

/// Whether a field says that its value is not known.
pub fn is_missing(field: &str) -> bool {
    MISSING.contains(&field.to_lowercase().as_str())
}

/// The number in a field. `comma`: whether the field may have a decimal comma, as it may where fields are not separated by
/// commas.
///
/// # Errors
/// [`NotNumber`] with the field.
pub fn parse(field: &str, comma: bool) -> Result<f64, NotNumber> {
    let digits = |text: &str| text.bytes().any(|byte| byte.is_ascii_digit());
    let grouping = |c: char| c.is_whitespace() || matches!(c, '\'' | '’' | '_');
    let (commas, points) = (field.matches(',').count(), field.matches('.').count());
    let only_digits = field.chars().all(|c| c.is_ascii_digit() || grouping(c) || matches!(c, ',' | '.' | '+' | '-'));
    let grouped = field.chars().any(grouping) || commas + points > 1 || (commas == 1 && !comma);
    if digits(field) && only_digits && grouped {
        return Err(NotNumber::Thousands(shown(field)));
    }
    let number: f64 = field.replace(',', ".").parse().map_err(|_| NotNumber::Word(shown(field)))?;
    // What does not fit into the numbers that answers are computed with is refused, too.
    if (number as f32).is_finite() { Ok(number) } else { Err(NotNumber::Infinite(shown(field))) }
}

/// The count in a field: as [`parse`], but where a decimal comma may stand, a comma or point before three digits could also
/// mark thousands, and a count is then wrong by that factor.
///
/// # Errors
/// [`NotNumber`] with the field.
pub fn parse_count(field: &str, comma: bool) -> Result<f64, NotNumber> {
    let number = parse(field, comma)?;
    let group = |part: &str| part.len() == 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts = field.trim_start_matches(['+', '-']).split_once([',', '.']);
    let doubtful = parts.is_some_and(|(before, after)| group(after) && before.len() <= 3 && !before.starts_with('0'));
    if comma && doubtful { Err(NotNumber::Thousands(shown(field))) } else { Ok(number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_point_or_where_it_may_stand_a_comma() {
        for (field, comma, value) in [
            ("12", false, 12.0),
            ("-1.5e2", false, -150.0),
            (".5", true, 0.5),
            ("0,258", true, 0.258),
            ("1,287", true, 1.287),
            ("25,8", true, 25.8),
        ] {
            assert_eq!(parse(field, comma), Ok(value), "{field}");
        }
        for field in ["0,258", "1,287", "1,234,567", "1.234.567", "1.234,5", "1 287", "1'287", "1\u{a0}287", "1_000"] {
            assert_eq!(parse(field, false), Err(NotNumber::Thousands(field.into())), "{field}");
        }
        for field in ["NaN", "inf", "-infinity", "1e39"] {
            assert_eq!(parse(field, true), Err(NotNumber::Infinite(field.into())));
        }
        for field in ["many", "<5", "1978-01-22", "", "5 cases"] {
            assert_eq!(parse(field, true), Err(NotNumber::Word(field.into())));
        }
    }

    #[test]
    fn counts_with_a_doubtful_mark_are_refused() {
        for field in ["1.287", "1,287", "12.345", "-4.515"] {
            assert_eq!(parse_count(field, true), Err(NotNumber::Thousands(field.into())));
        }
        assert_eq!(parse_count("1.287", false), Ok(1.287));
        for (field, value) in [("0,258", 0.258), ("25.8", 25.8), ("1234.567", 1234.567), ("1287", 1287.0)] {
            assert_eq!(parse_count(field, true), Ok(value));
        }
    }

    #[test]
    fn long_fields_are_shown_in_part() {
        assert_eq!(parse(&"é".repeat(100), false), Err(NotNumber::Word("é".repeat(60) + "...")));
    }

    #[test]
    fn missing_marks_are_known_in_either_case() {
        assert!(["", "NA", "n/a", "X", "x", ".", "-", "NULL"].into_iter().all(is_missing));
        assert!(["NaN", "0", "?", "not known"].into_iter().all(|field| !is_missing(field)));
    }
}
