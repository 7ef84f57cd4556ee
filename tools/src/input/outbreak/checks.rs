//! Counts that no outbreak can have, and those that look like something else.

use super::axis::Axis;
use super::columns::Meaning;
use super::plural;
use super::sheet::Column;
use crate::Error;
use crate::table::Table;

/// Whether counts of a column can be people: no negative number infected, and not all of them shares.
///
/// # Errors
/// [`Error::Usage`] with the line and the remedy.
pub fn column(table: &Table, axis: &Axis, column: &Column, remarks: &mut Vec<String>) -> Result<(), Error> {
    let name = &column.name;
    let counts: Vec<f64> = column.cells.iter().flatten().copied().collect();
    let broken = counts.iter().filter(|count| count.fract() != 0.0).count();
    if broken > 0 && counts.iter().all(|count| (0.0..=1.0).contains(count)) {
        let what = format!("all numbers in `{name}` lie between 0 and 1, so they are shares, not people");
        return Err(table.refused(
            table.header,
            what,
            "multiply them by the size of the population, or give them as t,component,value",
        ));
    }
    if broken > 0 {
        remarks.push(format!(
            "{} in `{name}`, so they may be averages or rates.",
            plural(broken, "count is not a whole number", "counts are not whole numbers")
        ));
    }
    // New counts may be corrected; of all so far, the differences tell.
    let flow = matches!(column.meaning, Meaning::NewCases | Meaning::NewRemoved | Meaning::NewDeaths);
    let cells = axis.moments.iter().zip(&column.cells);
    let negative = cells.filter_map(|(moment, cell)| Some((moment, (*cell)?))).find(|(_, count)| *count < 0.0 && !flow);
    match negative {
        Some((moment, count)) => {
            let what = format!("{count} in `{name}` is not a number of people");
            Err(table.refused(moment.line, what, "correct it, or mark it NA"))
        }
        None => Ok(()),
    }
}

/// The size of the population that a column states, the last if it changes.
pub fn population(column: &Column, remarks: &mut Vec<String>) -> Option<f64> {
    let sizes: Vec<f64> = column.cells.iter().flatten().copied().collect();
    let last = sizes.last().copied().filter(|size| *size > 0.0)?;
    let changes = if sizes.iter().any(|size| *size != last) { ", its last number" } else { "" };
    remarks.push(format!("The population is {last}, as `{}` has it{changes}.", column.name));
    Some(last)
}

/// The size of the population as the sum of susceptible, infected and removed, if it is the same in every row.
pub fn sum(columns: &[Column], remarks: &mut Vec<String>) -> Option<f64> {
    let find = |meaning| columns.iter().find(|column| column.meaning == meaning).map(|column| &column.cells);
    let cells = find(Meaning::Susceptible)?.iter().zip(find(Meaning::Infected)?).zip(find(Meaning::Removed)?);
    let sums: Vec<f64> = cells.filter_map(|((s, i), r)| Some((*s)? + (*i)? + (*r)?)).collect();
    let first = sums.first().copied()?;
    if sums.iter().any(|sum| (sum - first).abs() > 0.5) {
        remarks.push("Susceptible, infected and removed do not have the same sum in every row, so the population is not known from them.".into());
        return None;
    }
    remarks.push(format!("The population is {first}: susceptible, infected and removed in every row."));
    Some(first)
}

/// Whether no count is above the population.
///
/// # Errors
/// [`Error::Usage`] with the line and the remedy.
pub fn within(table: &Table, axis: &Axis, columns: &[Column], population: Option<f64>) -> Result<(), Error> {
    let Some(population) = population else { return Ok(()) };
    for column in columns {
        let cells = axis.moments.iter().zip(&column.cells);
        let above = cells.filter_map(|(moment, cell)| Some((moment, (*cell)?))).find(|(_, count)| *count > population);
        if let Some((moment, count)) = above {
            let what = format!("{count} in `{}` is above the population of {population}", column.name);
            return Err(table.refused(moment.line, what, "correct one of them"));
        }
    }
    Ok(())
}

/// Whether the number infected is, in nine rows of ten, by how much the number susceptible fell: then it counts new cases.
pub fn falls_by(susceptible: &Column, infected: &Column) -> bool {
    let fall = |pair: &[Option<f64>]| match pair {
        [before, after] => Some((*before)? - (*after)?),
        _ => None,
    };
    let falls = susceptible.cells.windows(2).map(fall).zip(infected.cells.iter().skip(1));
    let known: Vec<bool> = falls.filter_map(|(fall, infected)| Some(fall? == (*infected)?)).collect();
    known.len() > 2 && known.iter().filter(|equal| **equal).count() * 10 >= known.len() * 9
}

/// Whether two counts differ by more than twice the standard deviation that counts of chance have (Poisson's).
pub fn differ(a: f64, b: f64) -> bool {
    (a - b).abs() > 2.0 * (a + b).sqrt()
}

/// Why counts of infected people look like new cases, if they do. The number infected rises once and falls once, it does not
/// come back from zero, and it falls no faster than people recover; new cases scatter.
///
/// The counts are taken at equal distances, of this many days.
pub fn looks_like_incidence(counts: &[f64], days: f64) -> Option<&'static str> {
    let sick = counts.iter().skip_while(|count| **count == 0.0);
    if sick.skip_while(|count| **count != 0.0).any(|count| *count > 0.0) {
        return Some("it comes back from zero");
    }
    // A valley that is deeper on both sides than counts scatter.
    let deeper = |high: f64, low: f64| high > low && differ(high, low);
    let highest = |highest: &mut f64, count: &f64| {
        *highest = highest.max(*count);
        Some(*highest)
    };
    let before: Vec<f64> = counts.iter().scan(0.0, highest).collect();
    let after: Vec<f64> = counts.iter().rev().scan(0.0, highest).collect();
    let sides = before.iter().zip(after.iter().rev()).zip(counts);
    if sides.clone().any(|((before, after), count)| deeper(*before, *count) && deeper(*after, *count)) {
        return Some("it falls and rises again");
    }
    let drops =
        |pair: &[f64]| matches!(pair, [before, after] if *before >= 50.0 && *after * 4_f64.powf(days) < *before);
    counts.windows(2).any(drops).then_some("it falls faster than people recover")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prevalence_and_incidence_are_told_apart() {
        let school = [3.0, 8.0, 26.0, 76.0, 225.0, 298.0, 258.0, 233.0, 189.0, 128.0, 68.0, 29.0, 14.0, 4.0];
        assert_eq!(looks_like_incidence(&school, 1.0), None);
        assert_eq!(looks_like_incidence(&[0.0, 0.0, 1.0, 3.0, 2.0, 1.0, 0.0, 0.0], 1.0), None);
        assert_eq!(looks_like_incidence(&[], 1.0), None);
        let new_york = [21.0, 9.0, 15.0, 22.0, 98.0, 299.0, 141.0, 100.0, 44.0, 15.0, 6.0, 4.0, 5.0, 1.0];
        assert_eq!(looks_like_incidence(&new_york, 1.0), Some("it falls and rises again"));
        assert_eq!(looks_like_incidence(&[1.0, 0.0, 1.0, 0.0, 2.0], 1.0), Some("it comes back from zero"));
        let steep = [10.0, 90.0, 200.0, 12.0, 3.0];
        assert_eq!(looks_like_incidence(&steep, 1.0), Some("it falls faster than people recover"));
        assert_eq!(looks_like_incidence(&steep, 7.0), None);
    }
}
