//! From the counts of a table to points in time.

use super::axis::Axis;
use super::checks::{self, looks_like_incidence};
use super::columns::{Meaning, words};
use super::sheet::{Column, Sheet};
use super::{Missing, Observable, Outbreak, OutbreakOptions, Point, Series, dates, plural};
use crate::Error;
use crate::table::Table;

/// Most intervals without a row that are filled with zeros: more are a mistyped year.
const MAX_FILLED: f64 = 10_000.0;

/// A count on the axis of the table: of an interval, or at a time where `from` is `to`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Span {
    line: usize,
    from: f64,
    to: f64,
    value: f64,
}

/// The outbreak that a table is about.
///
/// # Errors
/// [`Error::Usage`] with the line of a count that no outbreak can have, or if none is left.
pub fn outbreak(
    table: &Table,
    sheet: Sheet,
    options: &OutbreakOptions,
    mut remarks: Vec<String>,
) -> Result<Outbreak, Error> {
    let Sheet { axis, columns } = sheet;
    let (population, columns): (Vec<Column>, Vec<Column>) =
        columns.into_iter().partition(|column| column.meaning == Meaning::Population);
    let columns = preferred(columns, &mut remarks);
    let mut series = Vec::new();
    for column in &columns {
        checks::column(table, &axis, column, &mut remarks)?;
        let (observable, spans) = spans(table, &axis, column, options, &mut remarks)?;
        series.push((observable, column.name.clone(), spans));
    }
    let population = population.first().and_then(|column| checks::population(column, &mut remarks));
    let population = population.or_else(|| checks::sum(&columns, &mut remarks));
    checks::within(table, &axis, &columns, population)?;
    doubt(&axis, &columns, &mut remarks);
    finish(table, &axis, series, population, options, remarks)
}

/// Remarks on a column called I that may count new cases.
fn doubt(axis: &Axis, columns: &[Column], remarks: &mut Vec<String>) {
    let Some(column) =
        columns.iter().find(|column| words(&column.name) == ["i"] && column.meaning == Meaning::Infected)
    else {
        return;
    };
    let counts: Vec<f64> = column.cells.iter().flatten().copied().collect();
    let reason = match columns.iter().find(|column| column.meaning == Meaning::Susceptible) {
        Some(susceptible) if checks::falls_by(susceptible, column) => {
            Some("it is what the number susceptible falls by")
        }
        _ if columns.len() == 1 => looks_like_incidence(&counts, axis.days_apart()),
        _ => None,
    };
    remarks.extend(reason.map(|reason| {
        let name = &column.name;
        format!(
            "`{name}` is read as the number infected, but it looks like new cases: {reason}. If so, say --new {name}."
        )
    }));
}

/// Leaves out what another column says better, unless the user names the columns.
fn preferred(mut columns: Vec<Column>, remarks: &mut Vec<String>) -> Vec<Column> {
    // Tables that count `confirmed` mostly count all so far, and then so do deaths beside them.
    let rises = |column: &Column| {
        let counts: Vec<f64> = column.cells.iter().flatten().copied().collect();
        !column.said && counts.len() > 2 && counts.is_sorted() && counts.first() < counts.last()
    };
    let confirmed = |column: &Column| column.meaning == Meaning::NewCases && words(&column.name) == ["confirmed"];
    if columns.iter().any(|column| confirmed(column) && rises(column)) {
        for column in columns.iter_mut().filter(|column| rises(column)) {
            let (meaning, option) = match column.meaning {
                Meaning::NewDeaths => (Meaning::CumulativeDeaths, "--deaths"),
                Meaning::NewCases => (Meaning::CumulativeCases, "--new"),
                _ => continue,
            };
            column.meaning = meaning;
            let noun = meaning.noun();
            remarks.push(format!(
                "`{0}` never falls, so it is read as {noun}; for new ones say {option} {0}.",
                column.name
            ));
        }
    }
    let has = |columns: &[Column], meaning| columns.iter().any(|column| column.meaning == meaning);
    if columns.iter().any(|column| column.said) {
        return columns;
    }
    let levels =
        has(&columns, Meaning::Infected) && (has(&columns, Meaning::Removed) || has(&columns, Meaning::Susceptible));
    if has(&columns, Meaning::Removed)
        && let Some(place) = columns.iter().position(|column| column.meaning == Meaning::CumulativeDeaths)
    {
        let deaths = columns.remove(place);
        if let Some(removed) = columns.iter_mut().find(|column| column.meaning == Meaning::Removed) {
            remarks.push(format!("The deaths in `{}` are added to `{}`: both are removed.", deaths.name, removed.name));
            let sum = |(a, b): (&Option<f64>, &Option<f64>)| Some((*a)? + (*b)?);
            removed.cells = removed.cells.iter().zip(&deaths.cells).map(sum).collect();
            removed.name = format!("{} + {}", removed.name, deaths.name);
        }
    }
    let worse = |column: &Column, columns: &[Column]| match column.meaning {
        Meaning::NewCases if !levels && has(columns, Meaning::CumulativeCases) => {
            Some("the count of all cases so far is right across missing days, too")
        }
        Meaning::NewDeaths if has(columns, Meaning::CumulativeDeaths) => {
            Some("the count of all deaths so far is right across missing days, too")
        }
        Meaning::NewCases | Meaning::CumulativeCases | Meaning::NewRemoved if levels => {
            Some("it follows from the numbers of infected and of others")
        }
        _ => None,
    };
    let all = columns.clone();
    columns.retain(|column| {
        let reason = worse(column, &all);
        remarks.extend(reason.map(|reason| format!("`{}` is not read: {reason}.", column.name)));
        reason.is_none()
    });
    columns
}

/// The counts of a column, and what they are.
fn spans(
    table: &Table,
    axis: &Axis,
    column: &Column,
    options: &OutbreakOptions,
    remarks: &mut Vec<String>,
) -> Result<(Observable, Vec<Span>), Error> {
    let missing = column.cells.iter().filter(|cell| cell.is_none()).count();
    if missing > 0 {
        let fields = plural(missing, "field has no count and is", "fields have no count and are");
        remarks.push(format!("In `{}`, {fields} skipped.", column.name));
    }
    let (observable, spans) = match column.meaning {
        Meaning::NewCases => (Observable::NewCases, new(table, axis, column, options, remarks)?),
        Meaning::NewRemoved => (Observable::NewRemoved, new(table, axis, column, options, remarks)?),
        Meaning::NewDeaths => (Observable::Deaths, new(table, axis, column, options, remarks)?),
        Meaning::CumulativeCases => (Observable::NewCases, cumulative(axis, column, remarks)),
        Meaning::CumulativeDeaths => (Observable::Deaths, cumulative(axis, column, remarks)),
        Meaning::Infected => (Observable::Infected, levels(axis, column)),
        Meaning::Susceptible => (Observable::Susceptible, levels(axis, column)),
        Meaning::Removed | Meaning::Population => (Observable::Removed, levels(axis, column)),
    };
    let spans = if observable.is_flow() { corrected(table, column, spans, remarks)? } else { spans };
    Ok((observable, spans))
}

fn levels(axis: &Axis, column: &Column) -> Vec<Span> {
    let span = |(moment, cell): (&super::axis::Moment, &Option<f64>)| {
        Some(Span { line: moment.line, from: moment.end, to: moment.end, value: (*cell)? })
    };
    axis.moments.iter().zip(&column.cells).filter_map(span).collect()
}

/// The intervals of new counts. Each is as long as the distance between most rows, or shorter if the row before is nearer.
/// Rows at no usual distance count since the row before: the sum is right, whether they report so or days without a case
/// have no row.
fn new(
    table: &Table,
    axis: &Axis,
    column: &Column,
    options: &OutbreakOptions,
    remarks: &mut Vec<String>,
) -> Result<Vec<Span>, Error> {
    let zero = match options.missing {
        Some(missing) => missing == Missing::Zero,
        None => !column.cells.contains(&Some(0.0)),
    };
    let since_before = options.missing.is_none() && axis.is_irregular();
    let (mut spans, mut before, mut gaps) = (Vec::new(), None::<f64>, 0.0);
    let slack = 1e-6 * axis.step;
    for (moment, cell) in axis.moments.iter().zip(&column.cells) {
        let (line, to) = (moment.line, moment.end + axis.shift);
        let mut from = to - axis.step;
        if let Some(before) = before {
            if from > before + slack && !since_before {
                let intervals = ((from - before) / axis.step - slack).ceil();
                gaps += intervals;
                if zero && intervals > MAX_FILLED {
                    let what = format!("{intervals} rows are missing before this one");
                    return Err(table.refused(line, what, "correct the time, or say --missing unknown"));
                }
                let mut at = before;
                while zero && at < from - slack {
                    let next = if at + axis.step < from - slack { at + axis.step } else { from };
                    spans.push(Span { line, from: at, to: next, value: 0.0 });
                    at = next;
                }
            } else {
                from = before;
            }
        }
        spans.extend(cell.map(|value| Span { line, from, to, value }));
        before = Some(to);
    }
    remarks.extend(gap_remark(column, options, zero, gaps));
    if since_before {
        remarks.push(format!(
            "Rows are at unequal distances, so `{}` is counted since the row before; where no row means no cases, say --missing zero.",
            column.name
        ));
    }
    let counts: Vec<f64> = column.cells.iter().flatten().copied().collect();
    if let [first, second, ..] = counts.as_slice()
        && checks::differ(*first, *second)
        && first > second
    {
        remarks.push(format!(
            "The first count of `{}`, {first}, is well above the next, {second}; if it holds all cases until then, remove its row.",
            column.name
        ));
    }
    if !column.said && counts.len() >= 8 && counts.is_sorted() && counts.first() < counts.last() {
        let option = if column.meaning == Meaning::NewDeaths { "--cumulative-deaths" } else { "--cumulative" };
        remarks.push(format!("`{0}` never falls; if it counts all so far, say {option} {0}.", column.name));
    }
    Ok(spans)
}

/// What is made of intervals without a row, if there are any.
fn gap_remark(column: &Column, options: &OutbreakOptions, zero: bool, gaps: f64) -> Option<String> {
    let name = &column.name;
    let rows = match gaps {
        0.0 => return None,
        1.0 => "1 row is".to_owned(),
        gaps => format!("{gaps} rows are"),
    };
    Some(match (zero, options.missing.is_some()) {
        (true, false) => {
            format!("{rows} missing; `{name}` has no zeros, so nobody was counted then (--missing unknown skips them).")
        }
        (false, false) => {
            format!("{rows} missing; `{name}` has zeros, so their counts are not known (--missing zero counts nobody).")
        }
        (true, true) => format!("{rows} missing and taken as zero."),
        (false, true) => format!("{rows} missing and skipped."),
    })
}

/// The differences of counts of all so far, from one row that is known to the next.
fn cumulative(axis: &Axis, column: &Column, remarks: &mut Vec<String>) -> Vec<Span> {
    let known: Vec<(usize, f64, f64)> = axis
        .moments
        .iter()
        .zip(&column.cells)
        .filter_map(|(moment, cell)| Some((moment.line, moment.end + axis.shift, (*cell)?)))
        .collect();
    if let Some((_, _, first)) = known.first() {
        remarks.push(format!(
            "The first row of `{}` holds all until then ({first}), an interval of unknown length, so it is left out.",
            column.name
        ));
    }
    let span = |pair: &[(usize, f64, f64)]| match pair {
        [(_, from, before), (line, to, after)] => {
            Some(Span { line: *line, from: *from, to: *to, value: after - before })
        }
        _ => None,
    };
    known.windows(2).filter_map(span).collect()
}

/// Joins an interval with a negative count, by which a source corrects earlier ones, with those before it, so that the total
/// stays right.
fn corrected(table: &Table, column: &Column, spans: Vec<Span>, remarks: &mut Vec<String>) -> Result<Vec<Span>, Error> {
    let mut kept: Vec<Span> = Vec::new();
    let mut lines = Vec::new();
    for span in spans {
        let mut joined = span;
        if span.value < 0.0 {
            lines.push(format!("{} (line {})", span.value, span.line));
        }
        while joined.value < 0.0 {
            let Some(before) = kept.pop().filter(|before| (before.to - joined.from).abs() < 1e-6) else {
                let what = format!("{} in `{}` corrects no count before it", span.value, column.name);
                return Err(table.refused(span.line, what, "spread the correction over earlier rows, or mark it NA"));
            };
            joined = Span { from: before.from, value: before.value + joined.value, ..joined };
        }
        kept.push(joined);
    }
    if !lines.is_empty() {
        let shown = lines.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        let more = if lines.len() > 5 { format!(" and {} more", lines.len() - 5) } else { String::new() };
        remarks.push(format!("`{}` is corrected downward by {shown}{more}; each such interval is joined with those before it, so that the total stays right.", column.name));
    }
    Ok(kept)
}

/// Moves time 0 to where it belongs, and counts times in the unit.
fn finish(
    table: &Table,
    axis: &Axis,
    series: Vec<(Observable, String, Vec<Span>)>,
    population: Option<f64>,
    options: &OutbreakOptions,
    mut remarks: Vec<String>,
) -> Result<Outbreak, Error> {
    let flows = series.iter().any(|(observable, ..)| observable.is_flow());
    let begins = |spans: &[Span]| spans.first().map(|span| span.from);
    let first = series.iter().filter_map(|(_, _, spans)| begins(spans)).min_by(f64::total_cmp);
    let Some(first) = first else { return Err(table.wrong(table.header, "no count is known")) };
    // Moments are ends of days; where only levels are known, time 0 stands for the whole first day.
    let whole = if flows { 0.0 } else { 1.0 };
    let origin = match (axis.dated, options.start) {
        (true, Some(start)) => dates::number(start) + whole,
        (true, None) => first,
        (false, _) => first.min(0.0),
    };
    let mut dropped = 0;
    let mut points = |spans: Vec<Span>| {
        let (kept, early): (Vec<Span>, Vec<Span>) = spans.into_iter().partition(|span| span.from >= origin - 1e-6);
        dropped += early.len();
        let time = |at: f64| ((at - origin) / axis.per_unit) as f32;
        let point =
            |span: Span| Point { line: span.line, from: time(span.from), to: time(span.to), value: span.value as f32 };
        kept.into_iter().map(point).collect::<Vec<Point>>()
    };
    let read =
        series.into_iter().map(|(observable, column, spans)| Series { observable, column, points: points(spans) });
    let read: Vec<Series> = read.filter(|series| !series.points.is_empty()).collect();
    for Series { observable, column, points } in &read {
        let (counts, last) = (plural(points.len(), "count", "counts"), points.last().map_or(0.0, |point| point.to));
        let begin = points.first().map_or(0.0, |point| point.from);
        // Three digits are enough of averages.
        let total = (points.iter().map(|point| f64::from(point.value)).sum::<f64>() * 1e3).round() / 1e3;
        let what = match observable {
            Observable::NewCases => format!("new cases: {counts}, {total} in all"),
            Observable::NewRemoved => format!("new recoveries: {counts}, {total} in all"),
            Observable::Deaths => format!("deaths: {counts}, {total} in all"),
            Observable::Infected => format!("the number infected: {counts}"),
            Observable::Susceptible => format!("the number susceptible: {counts}"),
            Observable::Removed => format!("the number removed: {counts}"),
        };
        remarks.push(format!("`{column}` is read as {what}, from time {begin} to {last}."));
    }
    if dropped > 0 {
        remarks
            .push(format!("{} left out.", plural(dropped, "count before the start is", "counts before the start are")));
    }
    if read.is_empty() {
        return Err(table.refused(table.header, "all counts are before the start", "give an earlier --start"));
    }
    let start = if axis.dated { dates::from_number(origin - whole) } else { options.start };
    let unit = axis.unit;
    remarks.push(match (axis.dated, start) {
        (true, Some(day)) if flows => format!("Times are in {unit}s; time 0 is the beginning of {day}."),
        (true, Some(day)) => format!("Times are in {unit}s; time 0 is {day}."),
        _ if origin < 0.0 => format!(
            "Times are in {unit}s, and {} later than the table has them, so that the first is not negative.",
            -origin / axis.per_unit
        ),
        _ => format!("Times are in {unit}s."),
    });
    Ok(Outbreak { series: read, unit, start, population: population.map(|people| people as f32), remarks })
}
