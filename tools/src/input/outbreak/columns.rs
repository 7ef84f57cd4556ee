//! What the columns of a table of an outbreak mean: guessed from their names, unless the user says it.

use super::OutbreakOptions;
use crate::Error;
use crate::table::{Row, Table, number};

/// What a column counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// New cases since the row before.
    NewCases,
    /// All cases so far.
    CumulativeCases,
    /// People who are infected.
    Infected,
    /// People who can be infected.
    Susceptible,
    /// People who recovered, or were removed in another way, so far.
    Removed,
    /// People who recovered since the row before.
    NewRemoved,
    /// Deaths since the row before.
    NewDeaths,
    /// All deaths so far.
    CumulativeDeaths,
    /// Size of the population.
    Population,
}

impl Meaning {
    /// The noun of it, for people.
    pub fn noun(self) -> &'static str {
        match self {
            Meaning::NewCases => "new cases",
            Meaning::CumulativeCases => "all cases so far",
            Meaning::Infected => "people who are infected",
            Meaning::Susceptible => "people who can be infected",
            Meaning::Removed => "people who recovered so far",
            Meaning::NewRemoved => "people who recovered newly",
            Meaning::NewDeaths => "new deaths",
            Meaning::CumulativeDeaths => "all deaths so far",
            Meaning::Population => "the size of the population",
        }
    }

    /// The option that says it; the population has none here.
    fn option(self) -> &'static str {
        match self {
            Meaning::NewCases | Meaning::Population => "--new",
            Meaning::CumulativeCases => "--cumulative",
            Meaning::Infected => "--infected",
            Meaning::Susceptible => "--susceptible",
            Meaning::Removed => "--removed",
            Meaning::NewRemoved => "--new-removed",
            Meaning::NewDeaths => "--deaths",
            Meaning::CumulativeDeaths => "--cumulative-deaths",
        }
    }
}

/// Part of a column's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Case,
    Death,
    Infected,
    Susceptible,
    Removed,
    Population,
    /// So far.
    Cumulative,
    /// So far, of cases or deaths; of anything else it may be a sum over groups.
    Total,
    /// Since the row before.
    New,
    /// Changes nothing.
    Filler,
}

/// The words that names of columns are made of, in the languages of the tables that are published most. A name with any
/// other word is not guessed: it may be a part of the cases, or something else altogether.
const WORDS: [(Word, &[&str]); 10] = [
    (
        Word::Case,
        &[
            "case",
            "cases",
            "incidence",
            "infections",
            "onsets",
            "notifications",
            "confirmed",
            "casos",
            "cas",
            "casi",
            "fälle",
            "faelle",
            "gevallen",
        ],
    ),
    (
        Word::Death,
        &[
            "death",
            "deaths",
            "died",
            "dead",
            "mort",
            "mortality",
            "fatalities",
            "decessi",
            "muertes",
            "fallecidos",
            "décès",
            "deces",
            "todesfälle",
            "todesfaelle",
        ],
    ),
    (
        Word::Infected,
        &[
            "i",
            "infected",
            "infectious",
            "infectives",
            "prevalence",
            "prevalent",
            "active",
            "ill",
            "sick",
            "bed",
            "infectados",
        ],
    ),
    (Word::Susceptible, &["s", "susceptible", "susceptibles"]),
    (Word::Removed, &["r", "removed", "recovered", "recoveries", "immune", "recuperados"]),
    (Word::Population, &["population", "pop", "inhabitants", "popolazione", "población", "bevölkerung"]),
    (Word::Cumulative, &["cum", "cumul", "cumulative", "cumulated", "cumulés", "acumulados"]),
    (Word::Total, &["total", "tot", "totale", "totales", "totaux", "gesamt"]),
    (Word::New, &["new", "newly", "daily", "weekly", "nuovi", "nuevos", "nouveaux", "neue", "nieuwe"]),
    (
        Word::Filler,
        &[
            "of",
            "number",
            "num",
            "no",
            "nr",
            "n",
            "count",
            "counts",
            "reported",
            "the",
            "in",
            "to",
            "confined",
            "currently",
            "people",
            "persons",
            "patients",
        ],
    ),
];

/// Names that the words above would miss or misread.
const NAMES: [(&str, Meaning); 4] = [
    ("totale_positivi", Meaning::Infected),
    ("nuovi_positivi", Meaning::NewCases),
    ("dimessi_guariti", Meaning::Removed),
    ("deceduti", Meaning::CumulativeDeaths),
];

/// The words of a name in lower case. They are divided by what is not a letter, and where a capital follows a small letter.
pub fn words(name: &str) -> Vec<String> {
    let mut text = String::new();
    let mut small = false;
    for character in name.chars() {
        if small && character.is_uppercase() {
            text.push(' ');
        }
        small = character.is_lowercase();
        text.extend(character.to_lowercase());
    }
    let parts = text.split(|c: char| !c.is_alphanumeric());
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// What a column of this name counts, if the name says it.
pub fn by_name(name: &str) -> Option<Meaning> {
    if let Some((_, meaning)) = NAMES.iter().find(|(known, _)| *known == name.to_lowercase()) {
        return Some(*meaning);
    }
    let kind = |word: &String| WORDS.iter().find(|(_, list)| list.contains(&word.as_str())).map(|(kind, _)| *kind);
    let kinds: Vec<Word> = words(name).iter().map(kind).collect::<Option<_>>()?;
    // A sign of percent stands for a share, whatever the words are.
    if name.contains('%') {
        return None;
    }
    let has = |word: Word| kinds.contains(&word);
    let (cumulative, new) = (has(Word::Cumulative) || has(Word::Total), has(Word::New));
    let others = |kind: &&Word| !matches!(kind, Word::Cumulative | Word::Total | Word::New | Word::Filler | Word::Case);
    match kinds.iter().find(others) {
        _ if cumulative && new => None,
        Some(Word::Death) if cumulative => Some(Meaning::CumulativeDeaths),
        Some(Word::Death) => Some(Meaning::NewDeaths),
        Some(Word::Infected) if new => Some(Meaning::NewCases),
        Some(Word::Infected) if cumulative => Some(Meaning::CumulativeCases),
        Some(Word::Infected) => Some(Meaning::Infected),
        Some(Word::Removed) if new => Some(Meaning::NewRemoved),
        Some(Word::Removed) => Some(Meaning::Removed),
        Some(Word::Susceptible) => Some(Meaning::Susceptible),
        Some(Word::Population) => Some(Meaning::Population),
        _ if has(Word::Cumulative) || (has(Word::Total) && has(Word::Case)) => Some(Meaning::CumulativeCases),
        _ if has(Word::Case) => Some(Meaning::NewCases),
        _ => None,
    }
}

/// A column whose meaning is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// What it counts.
    pub meaning: Meaning,
    /// Its place in the table.
    pub column: usize,
    /// Whether the user says so.
    pub said: bool,
}

/// The meanings that the user states, each with its column's name.
pub fn said(options: &OutbreakOptions) -> Vec<(Meaning, &str)> {
    let all = [
        (Meaning::NewCases, &options.new),
        (Meaning::CumulativeCases, &options.cumulative),
        (Meaning::Infected, &options.infected),
        (Meaning::Susceptible, &options.susceptible),
        (Meaning::Removed, &options.removed),
        (Meaning::NewRemoved, &options.new_removed),
        (Meaning::NewDeaths, &options.deaths),
        (Meaning::CumulativeDeaths, &options.cumulative_deaths),
    ];
    all.into_iter().filter_map(|(meaning, name)| Some((meaning, name.as_deref()?))).collect()
}

/// The place of a column that an option names.
///
/// # Errors
/// [`Error::Usage`] that lists the columns, if there is none of this name.
pub fn named(table: &Table, name: &str) -> Result<usize, Error> {
    let unknown = || {
        let columns: Vec<&str> = table.columns.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
        table.refused(table.header, format!("no column `{name}`"), format!("the columns are {}", listed(&columns)))
    };
    table.column(name).ok_or_else(unknown)
}

/// Which columns to read, apart from those of the times: those that the user names, or else all whose names are known.
///
/// `onset`: whether the times are days of onset, so that a plain count is one of new cases.
///
/// # Errors
/// [`Error::Usage`] if no column is known to count people, or two would be read as the same.
pub fn choose(
    table: &Table,
    rows: &[&Row],
    times: &[usize],
    onset: bool,
    options: &OutbreakOptions,
    remarks: &mut Vec<String>,
) -> Result<Vec<Choice>, Error> {
    let mut choices = Vec::new();
    for (meaning, name) in said(options) {
        choices.push(Choice { meaning, column: named(table, name)?, said: true });
    }
    let others = |column: &usize| !times.contains(column);
    let guesses = || {
        (0..table.columns.len())
            .filter(others)
            .filter_map(|column| Some(Choice { meaning: by_name(table.columns.get(column)?)?, column, said: false }))
    };
    if choices.is_empty() {
        choices.extend(guesses().filter(|choice| choice.meaning != Meaning::Population));
        let numeric: Vec<usize> =
            (0..table.columns.len()).filter(others).filter(|c| is_numeric(rows, *c, table.comma)).collect();
        if choices.is_empty() {
            choices.push(nameless(table, &numeric, times, onset, remarks)?);
        }
    }
    choices.extend(guesses().filter(|choice| choice.meaning == Meaning::Population).take(1));
    for (place, choice) in choices.iter().enumerate() {
        let earlier = choices.iter().take(place).find(|other| other.meaning == choice.meaning);
        if let Some(earlier) = earlier {
            let name = |choice: &Choice| table.columns.get(choice.column).cloned().unwrap_or_default();
            let (first, second, noun) = (name(earlier), name(choice), choice.meaning.noun());
            let what = format!("`{first}` and `{second}` both seem to count {noun}");
            let remedy = format!("say which to read, as {} \"{first}\"", choice.meaning.option());
            return Err(table.refused(table.header, what, remedy));
        }
    }
    Ok(choices)
}

/// The only column of counts, where its name says nothing but its place does: a vector that R wrote, or a count by day of
/// onset.
fn nameless(
    table: &Table,
    numeric: &[usize],
    times: &[usize],
    onset: bool,
    remarks: &mut Vec<String>,
) -> Result<Choice, Error> {
    let name = |column: usize| table.columns.get(column).map(String::as_str).unwrap_or_default();
    let vector = table.columns.len() == 2 && name(0).is_empty() && times.contains(&0) && name(1) == "x";
    let plain: Vec<usize> = numeric
        .iter()
        .copied()
        .filter(|c| ["value", "n", "count", "counts", "x", "number", "freq"].contains(&name(*c)))
        .collect();
    let column = match plain.as_slice() {
        [column] if vector => {
            remarks.push("The column `x` of this vector, which R wrote, is taken as new cases; if it counts something else, say so with --infected x or --deaths x.".into());
            *column
        }
        [column] if onset => {
            let name = name(*column);
            remarks.push(format!("`{name}` is counted by day of onset, so it is taken as new cases."));
            *column
        }
        _ => return Err(unknown(table, numeric)),
    };
    Ok(Choice { meaning: Meaning::NewCases, column, said: false })
}

/// The error for a table in which no name says what is counted.
fn unknown(table: &Table, numeric: &[usize]) -> Error {
    let names: Vec<&str> = numeric.iter().filter_map(|column| table.columns.get(*column)).map(String::as_str).collect();
    let share = |name: &&str| name.contains('%') || words(name).iter().any(|word| word == "percent" || word == "rate");
    let (shares, counts): (Vec<&str>, Vec<&str>) = names.into_iter().filter(|name| !name.is_empty()).partition(share);
    let note = match shares.first() {
        Some(first) => format!(" (`{first}` is a share, not a number of people)"),
        None => String::new(),
    };
    match counts.as_slice() {
        [] => table.refused(
            table.header,
            format!("no column counts people{note}"),
            "a table needs a column of times and one of counts, as date,cases",
        ),
        [first, rest @ ..] => {
            let quoted = if first.contains(' ') { format!("\"{first}\"") } else { (*first).to_owned() };
            let others = if rest.is_empty() { String::new() } else { format!("; other columns are {}", listed(rest)) };
            let what = format!("no name of a column says what it counts{note}");
            let remedy = format!("say it, as --new {quoted}, --infected {quoted} or --deaths {quoted}{others}");
            table.refused(table.header, what, remedy)
        }
    }
}

/// Whether a column holds numbers: at least one, and nothing but numbers and marks of missing values.
pub fn is_numeric(rows: &[&Row], column: usize, comma: bool) -> bool {
    let mut fields = rows.iter().map(|row| row.field(column)).filter(|field| !number::is_missing(field)).peekable();
    fields.peek().is_some() && fields.all(|field| number::parse(field, comma).is_ok())
}

/// Names in a row, the first ten of them.
pub fn listed(names: &[&str]) -> String {
    let shown: Vec<&str> = names.iter().take(10).copied().collect();
    let more =
        if names.len() > shown.len() { format!(" and {} more", names.len() - shown.len()) } else { String::new() };
    shown.join(", ") + &more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_columns_count() {
        use Meaning::*;
        for (name, meaning) in [
            ("cases", NewCases),
            ("New cases", NewCases),
            ("newCases", NewCases),
            ("daily_confirmed", NewCases),
            ("incidence", NewCases),
            ("nuovi_positivi", NewCases),
            ("newly infected", NewCases),
            ("total_cases", CumulativeCases),
            ("cumulative", CumulativeCases),
            ("totale_casi", CumulativeCases),
            ("I", Infected),
            ("in_bed", Infected),
            ("active cases", Infected),
            ("totale_positivi", Infected),
            ("S", Susceptible),
            ("R", Removed),
            ("Recovered", Removed),
            ("new_recovered", NewRemoved),
            ("Deaths", NewDeaths),
            ("mort", NewDeaths),
            ("new_deaths", NewDeaths),
            ("total_deaths", CumulativeDeaths),
            ("deceduti", CumulativeDeaths),
            ("population", Population),
        ] {
            assert_eq!(by_name(name), Some(meaning), "{name}");
        }
        for name in [
            "pim",
            "value",
            "x",
            "",
            "nr",
            "convalescent",
            "new_cases_per_million",
            "cvd_death_rate",
            "variazione_totale_positivi",
            "casi_da_screening",
            "new_tests",
            "population_density",
            "% deaths",
            "excess_mortality",
            "ILITOTAL",
            "TOTAL PATIENTS",
            "new_total_cases",
        ] {
            assert_eq!(by_name(name), None, "{name}");
        }
    }

    #[test]
    fn names_are_listed_up_to_ten() {
        assert_eq!(listed(&["a", "b"]), "a, b");
        assert_eq!(listed(&["a"; 12]), "a, a, a, a, a, a, a, a, a, a and 2 more");
    }
}
