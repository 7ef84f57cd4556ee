//! Tables of every kind, as they are published and as programs write them.

use super::*;
use clap::Parser;
use proptest::prelude::*;

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    options: OutbreakOptions,
}

/// Options as they are typed; `+` stands for a blank.
fn options(words: &str) -> OutbreakOptions {
    let words =
        words.split_whitespace().map(|word| if word.starts_with("--") { word.into() } else { word.replace('+', " ") });
    Line::parse_from(std::iter::once("test".to_owned()).chain(words)).options
}

fn read_bytes(name: &str, bytes: &[u8], options: &OutbreakOptions) -> Result<Outbreak, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let shown = format!("{}/", folder.path().display());
    read(&path, options).map_err(|error| error.to_string().replace(&shown, ""))
}

fn read_text(text: &str, words: &str) -> Result<Outbreak, String> {
    read_bytes("seen.csv", text.as_bytes(), &options(words))
}

/// What was read, in a line.
fn summary(outbreak: &Outbreak) -> String {
    let series = |Series { observable, column, points }: &Series| {
        let total: f64 = points.iter().map(|point| f64::from(point.value)).sum();
        let (first, last) = (points.first().unwrap().from, points.last().unwrap().to);
        format!("{column} = {observable}: {} points, {total} in {first}..{last}", points.len())
    };
    let series: Vec<String> = outbreak.series.iter().map(series).collect();
    let start = outbreak.start.map(|day| format!(" from {day}")).unwrap_or_default();
    let population = outbreak.population.map(|people| format!(" of {people}")).unwrap_or_default();
    format!("{}; {}s{start}{population}", series.join("; "), outbreak.unit)
}

/// Asserts what is read, or what the refusal says.
fn expect(read: Result<Outbreak, String>, expected: &str, what: &str) {
    match (read, expected.strip_prefix("refused: ")) {
        (Ok(outbreak), None) => assert_eq!(summary(&outbreak), expected, "{what}: {:#?}", outbreak.remarks),
        (Err(error), Some(part)) => {
            assert!(error.contains(part) && error.contains("; ") && !error.contains('\n'), "{what}: {error}");
        }
        (read, _) => panic!("{what}: {read:?}"),
    }
}

/// Published tables, with the options and what is read.
const PUBLISHED: [(&str, &str, &str); 26] = [
    (
        "covid19_aruba_owid.csv",
        "",
        "total_cases = new cases: 51 points, 99 in 0..61; total_deaths = deaths: 51 points, 3 in 0..61; days from 2020-03-14 of 106766",
    ),
    (
        "covid19_aruba_owid.csv",
        "--new new_cases",
        "new_cases = new cases: 52 points, 101 in 0..62; days from 2020-03-13 of 106766",
    ),
    (
        "covid19_aruba_owid.csv",
        "--where location=Bonaire",
        "refused: aruba_owid.csv:1: no row has `location=Bonaire`; its values are Aruba",
    ),
    (
        "covid19_bolivia_jhu_wide_confirmed.csv",
        "",
        "values = new cases: 1077 points, 1164336 in 0..1077; days from 2020-01-23",
    ),
    (
        "covid19_bolivia_jhu_wide_confirmed.csv",
        "--where Province/State=La+Paz",
        "values = new cases: 1077 points, 207953 in 0..1077; days from 2020-01-23",
    ),
    ("covid19_bolivia_jhu_wide_deaths.csv", "", "values = deaths: 1076 points, 21782 in 0..1077; days from 2020-01-23"),
    (
        "covid19_bolivia_jhu_wide_recovered.csv",
        "",
        "values = removed: 1078 points, 476713023 in 0..1077; days from 2020-01-22",
    ),
    (
        "covid19_italy_national.csv",
        "",
        "totale_positivi = infected: 160 points, 7423938 in 0..159; dimessi_guariti + deceduti = removed: 160 points, 20556619 in 0..159; days from 2020-02-24",
    ),
    (
        "covid19_italy_national.csv",
        "--new nuovi_positivi --start 2020-03-01 --unit week",
        "nuovi_positivi = new cases: 154 points, 246776 in 0..22; weeks from 2020-03-01",
    ),
    ("dengue_fais_2011.csv", "", "value = new cases: 57 points, 155 in 0..153; days from 2011-09-15"),
    ("influenza_baltimore_1918_incidence.csv", "", "x = new cases: 92 points, 6202 in 0..92; days"),
    (
        "influenza_cdc_ilinet_newyork_2017_18.csv",
        "",
        "refused: (`%UNWEIGHTED ILI` is a share, not a number of people); say it, as --new ILITOTAL",
    ),
    (
        "influenza_cdc_ilinet_newyork_2017_18.csv",
        "--new ILITOTAL",
        "ILITOTAL = new cases: 33 points, 15547 in 0..33; weeks from 2017-10-02",
    ),
    ("influenza_england_1978_school.csv", "", "in_bed = infected: 14 points, 1559 in 0..13; days from 1978-01-22"),
    ("influenza_nyc_school_2009.csv", "", "I = infected: 14 points, 780 in 0..13; days from 2009-04-18"),
    ("influenza_nyc_school_2009.csv", "--new I", "I = new cases: 14 points, 780 in 0..14; days from 2009-04-18"),
    (
        "influenza_philadelphia_1918.csv",
        "",
        "refused: philadelphia_1918.csv:1: no name of a column says what it counts; say it, as --new pim, --infected pim or --deaths pim",
    ),
    (
        "influenza_philadelphia_1918.csv",
        "--deaths pim",
        "pim = deaths: 122 points, 13936 in 0..122; days from 1918-09-01",
    ),
    ("measles_hagelloch_1861_incidence.csv", "", "x = new cases: 48 points, 187 in 0..48; days"),
    (
        "measles_hagelloch_1861_linelist.csv",
        "--line-list date_of_prodrome,date_of_rash",
        "date_of_prodrome = new cases: 90 points, 188 in 0..90; date_of_rash = infected: 90 points, 742 in 1..90; days from 1861-10-30",
    ),
    (
        "measles_hagelloch_1861_sir.csv",
        "",
        "S = susceptible: 95 points, 5839 in 0..94; I = infected: 95 points, 1490 in 0..94; R = removed: 95 points, 10531 in 0..94; days of 188",
    ),
    (
        "norovirus_derbyshire_2001_school_linelist.csv",
        "",
        "start_illness = new cases: 30 points, 75 in 0..30; end_illness = infected: 30 points, 248 in 1..30; days of 492",
    ),
    ("plague_bombay_1906.csv", "", "mort = deaths: 31 points, 9043 in 0..31; weeks"),
    ("plague_harbin_1911.csv", "", "Deaths = deaths: 17 points, 1475 in 1..18; weeks"),
    ("smallpox_kosovo_1972_incidence.csv", "", "x = new cases: 57 points, 124 in 0..57; days"),
    ("zika_girardot_2015.csv", "", "cases = new cases: 96 points, 1936 in 0..96; days from 2015-10-19"),
];

/// The published tables beside the clone, where they are; otherwise [`KINDS`] has a small table of each of their kinds.
#[test]
fn published_tables_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/outbreaks");
    if !folder.is_dir() {
        say!("skipped: no published tables in {}; the small ones of every kind are read", folder.display());
        return;
    }
    for (file, words, expected) in PUBLISHED {
        let read = read(&folder.join(file), &options(words)).map_err(|error| error.to_string());
        expect(read, expected, &format!("{file} {words}"));
    }
    let known = |name: &str| PUBLISHED.iter().any(|(file, ..)| *file == name);
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.ends_with(".csv") || known(&name), "{name} is not tried");
    }
}

#[test]
fn built_in_tables_are_read() {
    for (outbreak, expected) in BUILT_IN.iter().zip([
        "in_bed = infected: 14 points, 1559 in 0..13; days from 1978-01-22",
        "S = susceptible: 95 points, 5839 in 0..94; I = infected: 95 points, 1490 in 0..94; R = removed: 95 points, 10531 in 0..94; days of 188",
        "deaths = deaths: 17 points, 1475 in 1..18; weeks",
    ]) {
        expect(read_text(outbreak.text, ""), expected, outbreak.name);
    }
}

/// Small tables of each kind, with the options and what is read.
const KINDS: [(&str, &str, &str); 49] = [
    // New cases: a date is a day, a week is an interval, numbers are kept.
    ("date,cases\n2020-03-01,1\n2020-03-02,4\n", "", "cases = new cases: 2 points, 5 in 0..2; days from 2020-03-01"),
    ("week,cases\n3,1\n4,4\n", "", "cases = new cases: 2 points, 5 in 2..4; weeks"),
    (
        "week,cases\n3,1\n4,4\n",
        "--unit day --start 2020-03-01",
        "cases = new cases: 2 points, 5 in 14..28; days from 2020-03-01",
    ),
    ("t,cases\n0,1\n1,4\n2,2\n", "", "cases = new cases: 3 points, 7 in 0..3; days"),
    ("t,cases\n7,1\n14,4\n21,4\n", "", "cases = new cases: 3 points, 9 in 0..21; days"),
    (
        "year,week,cases\n2020,53,1\n2021,1,4\n2021,2,0\n",
        "",
        "cases = new cases: 3 points, 5 in 0..3; weeks from 2020-12-28",
    ),
    ("week,cases\n2020-W53,1\n2021-W01,4\n", "", "cases = new cases: 2 points, 5 in 0..2; weeks from 2020-12-28"),
    // Weeks by date: Mondays begin them, other days end them.
    ("date,cases\n2020-03-02,1\n2020-03-09,4\n", "", "cases = new cases: 2 points, 5 in 0..14; days from 2020-03-02"),
    ("date,cases\n2020-03-01,1\n2020-03-08,4\n", "", "cases = new cases: 2 points, 5 in 0..14; days from 2020-02-24"),
    (
        "week start,cases\n2020-03-01,1\n2020-03-08,4\n",
        "",
        "cases = new cases: 2 points, 5 in 0..14; days from 2020-03-01",
    ),
    (
        "month,cases\n2020-01-31,9\n2020-02-29,4\n2020-03-31,4\n",
        "",
        "cases = new cases: 3 points, 17 in 0..91; days from 2020-01-01",
    ),
    ("cases\n1\n4\n", "", "cases = new cases: 2 points, 5 in 0..2; days"),
    // Days without a row.
    (
        "date,cases\n2020-03-01,1\n2020-03-02,4\n2020-03-05,2\n",
        "",
        "cases = new cases: 5 points, 7 in 0..5; days from 2020-03-01",
    ),
    (
        "date,cases\n2020-03-01,0\n2020-03-02,4\n2020-03-05,2\n",
        "",
        "cases = new cases: 3 points, 6 in 0..5; days from 2020-03-01",
    ),
    (
        "date,cases\n2020-03-01,0\n2020-03-02,4\n2020-03-05,2\n",
        "--missing zero",
        "cases = new cases: 5 points, 6 in 0..5; days from 2020-03-01",
    ),
    (
        "date,cases\n2020-03-01,1\n2020-03-02,NA\n2020-03-03,2\n",
        "",
        "cases = new cases: 2 points, 3 in 0..3; days from 2020-03-01",
    ),
    (
        "date,cases\n2020-03-01,1\n2020-03-03,4\n2020-03-07,2\n2020-03-08,1\n2020-03-13,6\n",
        "",
        "cases = new cases: 5 points, 14 in 0..13; days from 2020-03-01",
    ),
    (
        "date,cases\n2020-03-01,1\n2020-03-03,4\n2020-03-07,2\n2020-03-08,1\n2020-03-13,6\n",
        "--missing zero",
        "cases = new cases: 13 points, 14 in 0..13; days from 2020-03-01",
    ),
    // All so far: differences, with corrections.
    (
        "date,total_cases\n2020-03-01,5\n2020-03-02,7\n2020-03-05,17\n",
        "",
        "total_cases = new cases: 2 points, 12 in 0..4; days from 2020-03-02",
    ),
    (
        "date,total_cases\n2020-03-01,5\n2020-03-02,9\n2020-03-03,7\n2020-03-04,9\n",
        "",
        "total_cases = new cases: 2 points, 4 in 0..3; days from 2020-03-02",
    ),
    (
        "date,total_cases,new_cases\n2020-03-01,5,5\n2020-03-02,9,4\n",
        "",
        "total_cases = new cases: 1 points, 4 in 0..1; days from 2020-03-02",
    ),
    (
        "date,cases\n2020-03-01,5\n2020-03-02,9\n2020-03-03,-2\n",
        "",
        "cases = new cases: 2 points, 12 in 0..3; days from 2020-03-01",
    ),
    (
        "date,Confirmed,Deaths\n2020-03-01,5,1\n2020-03-02,9,1\n2020-03-03,9,2\n",
        "",
        "Confirmed = new cases: 2 points, 4 in 0..2; Deaths = deaths: 2 points, 1 in 0..2; days from 2020-03-02",
    ),
    // Levels, alone and beside flows.
    ("date,active\n2020-03-01,5\n2020-03-04,9\n", "", "active = infected: 2 points, 14 in 0..3; days from 2020-03-01"),
    (
        "date,active,cases\n2020-03-01,5,2\n2020-03-02,9,6\n",
        "",
        "active = infected: 2 points, 14 in 1..2; cases = new cases: 2 points, 8 in 0..2; days from 2020-03-01",
    ),
    (
        "date,active,recovered\n2020-03-01,5,2\n2020-03-02,9,6\n",
        "--start 2020-02-28",
        "active = infected: 2 points, 14 in 2..3; recovered = removed: 2 points, 8 in 2..3; days from 2020-02-28",
    ),
    (
        "t,S,I,R\n0,8,2,0\n1,6,3,1\n",
        "",
        "S = susceptible: 2 points, 14 in 0..1; I = infected: 2 points, 5 in 0..1; R = removed: 2 points, 1 in 0..1; days of 10",
    ),
    (
        "date,infected,population\n2020-03-01,5,100\n2020-03-02,9,100\n",
        "",
        "infected = infected: 2 points, 14 in 0..1; days from 2020-03-01 of 100",
    ),
    // Options.
    ("when,ill\n1,5\n2,9\n", "--time when --new ill", "ill = new cases: 2 points, 14 in 0..2; days"),
    ("y,w,n\n2020,1,5\n2020,2,9\n", "--time y,w --deaths n", "n = deaths: 2 points, 14 in 0..2; weeks from 2019-12-30"),
    ("day,pim\n1,5\n2,9\n", "--cumulative-deaths pim", "pim = deaths: 1 points, 4 in 1..2; days"),
    (
        "place,date,cases\nA,2020-03-01,5\nB,2020-03-01,6\nA,2020-03-02,9\n",
        "--where place=a",
        "cases = new cases: 2 points, 14 in 0..2; days from 2020-03-01",
    ),
    (
        "date,cases\n2020-03-01,5\n2020-03-02,9\n2020-03-03,3\n",
        "--start 2020-03-02",
        "cases = new cases: 2 points, 12 in 0..2; days from 2020-03-02",
    ),
    (
        "date,cases\n3/4/20,5\n4/4/20,9\n",
        "--date-order dmy",
        "cases = new cases: 2 points, 14 in 0..2; days from 2020-04-03",
    ),
    // Other shapes.
    ("\"\",\"x\"\n\"1\",5\n\"2\",9\n", "", "x = new cases: 2 points, 14 in 0..2; days"),
    ("\"\",\"t\",\"cases\"\n\"1\",3,5\n\"2\",4,9\n", "", "cases = new cases: 2 points, 14 in 2..4; days"),
    (
        "Country,1/30/20,1/31/20,2/1/20,2/2/20\nA,0,1,3,3\nB,0,0,0,7\n",
        "--where country=A --cumulative values",
        "values = new cases: 3 points, 3 in 0..3; days from 2020-01-31",
    ),
    (
        "id,onset,recovery\n1,2020-03-01,2020-03-03\n2,2020-03-03,2020-03-04\n3,2020-03-03,2020-03-05\n4,NA,NA\n",
        "",
        "onset = new cases: 5 points, 3 in 0..5; recovery = infected: 5 points, 5 in 1..5; days from 2020-03-01",
    ),
    (
        "id,start_illness,end_illness\n1,3,4\n2,0,0\n3,3,3\n",
        "",
        "start_illness = new cases: 2 points, 2 in 2..4; end_illness = infected: 2 points, 3 in 3..4; days of 3",
    ),
    ("id,ill,well\n1,3,4\n2,3,NA\n", "--line-list ill,well", "ill = new cases: 2 points, 2 in 2..4; days"),
    (
        "REPORTS OF THE CLINIC\ndate,cases\n2020-03-01,5\n2020-03-02,9\n",
        "",
        "cases = new cases: 2 points, 14 in 0..2; days from 2020-03-01",
    ),
    (
        "id,date of onset,confirmed\n1,2020-03-01,yes\n2,2020-03-03,no\n3,2020-03-03,yes\n",
        "",
        "date of onset = new cases: 3 points, 3 in 0..3; days from 2020-03-01",
    ),
    ("onset,n\n2020-03-01,5\n2020-03-02,9\n", "", "n = new cases: 2 points, 14 in 0..2; days from 2020-03-01"),
    // As large publishers name their columns.
    (
        "dateRep,day,month,year,cases,deaths,countriesAndTerritories,popData2019\n14/12/2020,14,12,2020,7,1,A,9\n13/12/2020,13,12,2020,5,0,A,9\n",
        "",
        "cases = new cases: 2 points, 12 in 0..2; deaths = deaths: 2 points, 1 in 0..2; days from 2020-12-13",
    ),
    (
        "Date_reported,Country,New_cases,Cumulative_cases,New_deaths,Cumulative_deaths\n2020-01-03,A,,0,,0\n2020-01-04,A,3,3,1,1\n",
        "",
        "Cumulative_cases = new cases: 1 points, 3 in 0..1; Cumulative_deaths = deaths: 1 points, 1 in 0..1; days from 2020-01-04",
    ),
    (
        "SNo,ObservationDate,Province/State,Last Update,Confirmed,Deaths,Recovered\n1,01/22/2020,A,1/22/2020 17:00,5,0,1\n2,01/23/2020,A,1/23/20 17:00,9,1,2\n3,01/24/2020,A,1/24/20 17:00,12,1,3\n",
        "",
        "Confirmed = new cases: 2 points, 7 in 0..2; Recovered + Deaths = removed: 3 points, 8 in 0..2; days from 2020-01-23",
    ),
    (
        "submission_date,state,tot_cases,conf_cases,new_case\n01/22/2021,A,5,4,1\n01/23/2021,A,9,4,4\n",
        "",
        "tot_cases = new cases: 1 points, 4 in 0..1; days from 2021-01-23",
    ),
    (
        "Fälle der Woche;;\nWoche;Neue Fälle;Rate\n3;12;1,5\n4;15;1,8\n",
        "",
        "Neue Fälle = new cases: 2 points, 27 in 2..4; weeks",
    ),
    (
        "date\tlocal\timported\n2020-03-01\t5\t1\n",
        "",
        "refused: say it, as --new local, --infected local or --deaths local; other columns are imported",
    ),
];

#[test]
fn tables_of_every_kind_are_read() {
    for (text, words, expected) in KINDS {
        expect(read_text(text, words), expected, &format!("{text:?} {words}"));
    }
}

/// Tables that cannot be read, or not without a word, with the refusal.
const REFUSED: [(&str, &str, &str); 28] = [
    ("", "", "seen.csv:1: no rows"),
    ("date,cases\n", "", "seen.csv:1: no rows"),
    ("2020-03-01,5\n2020-03-02,9\n", "", "seen.csv:1: the first line has no names; add a line before it"),
    ("t,component,count\n1,I,3\n", "", "seen.csv:1: these are observations by component; give them to"),
    (
        "date,pim\n2020-03-01,3\n",
        "",
        "seen.csv:1: no name of a column says what it counts; say it, as --new pim, --infected pim or --deaths pim",
    ),
    ("week,% ILI\n1,3.1\n", "", "(`% ILI` is a share, not a number of people)"),
    ("date,word\n2020-03-01,many\n", "", "no column counts people"),
    ("who,cases\nA,3\nB,4\n", "", "seen.csv:1: no column has dates or times; name it with --time"),
    (
        "date,cases\n3/4/20,5\n4/4/20,9\n",
        "",
        "seen.csv:2: `3/4/20` may be day/month or month/day; say which with --date-order",
    ),
    ("date,cases\n2020-03-01,5\n2020-02-30,9\n", "", "seen.csv:3: `2020-02-30` is not a date; write dates as"),
    ("date,cases\n2020-03-01,5\n,9\n", "", "seen.csv:3: no time in the column `date`; fill it in"),
    ("day,cases\n1,5\nsoon,9\n", "", "seen.csv:1: no column has dates or times"),
    ("day,cases\n1,5\nsoon,9\n", "--time day", "seen.csv:3: `soon` is not a time; give all times as dates"),
    (
        "week,cases\n52,5\n1,9\n",
        "",
        "seen.csv:3: the time 1 does not follow 52; sort the rows; weeks that begin again at 1 need a column `year`",
    ),
    ("year,week,cases\n2021,53,5\n", "", "seen.csv:2: the year 2021 has no ISO week 53; correct it"),
    (
        "place,date,cases\nA,2020-03-01,5\nB,2020-03-01,6\n",
        "",
        "seen.csv:3: a second row for 2020-03-01, as line 2 has it; choose the rows of one place, as --where \"place=A\"",
    ),
    ("place,date,cases\nA,2020-03-01,5\n", "--where place=C", "seen.csv:1: no row has `place=C`; its values are A"),
    ("date,cases\n2020-03-01,5\n", "--new case", "seen.csv:1: no column `case`; the columns are date, cases"),
    (
        "date,cases,incidence\n2020-03-01,5,6\n",
        "",
        "`cases` and `incidence` both seem to count new cases; say which to read, as --new \"cases\"",
    ),
    ("date,cases\n2020-03-01,NaN\n", "--new cases", "seen.csv:2: `NaN` is not a finite number; leave the field empty"),
    ("date,cases\n2020-03-01,\"1,287\"\n", "", "seen.csv:2: `1,287` may have a mark of thousands; write plain digits"),
    ("date;cases\n2020-03-01;1.287\n", "", "seen.csv:2: `1.287` may have a mark of thousands; write plain digits"),
    ("date,cases\n2020-03-01,-5\n", "", "seen.csv:2: -5 in `cases` corrects no count before it; spread the correction"),
    (
        "date,active\n2020-03-01,5\n2020-03-02,-5\n",
        "",
        "seen.csv:3: -5 in `active` is not a number of people; correct it",
    ),
    (
        "date,active\n2020-03-01,0.5\n2020-03-02,0.25\n",
        "",
        "seen.csv:1: all numbers in `active` lie between 0 and 1, so they are shares, not people; multiply them",
    ),
    (
        "date,active,population\n2020-03-01,5,4\n",
        "",
        "seen.csv:2: 5 in `active` is above the population of 4; correct one of them",
    ),
    (
        "id,onset,recovery\n1,2020-03-02,2020-03-01\n2,2020-03-02,NA\n",
        "",
        "seen.csv:2: the recovery is before the onset; correct the line",
    ),
    (
        "Country,1/30/20,1/31/20,2/1/20,2/2/20\nA,0,1,3,3\nB,0,0,0,7\n",
        "--cumulative values",
        "seen.csv:1: 2 rows, each of a place of its own; choose the rows of one place, as --where \"Country=A\"",
    ),
];

#[test]
fn what_cannot_be_read_is_refused_with_line_and_remedy() {
    for (text, words, refusal) in REFUSED {
        expect(read_text(text, words), &format!("refused: {refusal}"), &format!("{text:?} {words}"));
    }
}

/// Every remark is a whole sentence, and what is assumed is among them.
#[test]
fn remarks_say_what_was_understood() {
    for (text, words, parts) in [
        (
            "t,cases\n0,1\n1,4\n",
            "",
            &[
                "taken as days; if they are weeks, say --unit week",
                "`cases` is read as new cases: 2 counts, 5 in all, from time 0 to 2",
                "1 later than the table has them",
            ][..],
        ),
        (
            "date,cases,nr\n2020-03-02,1,1\n2020-03-01,4,2\n",
            "",
            &["sorted by date", "not read: nr", "time 0 is the beginning of 2020-03-01"],
        ),
        (
            "date,cases\n2020-03-01,1\n2020-03-02,NA\n2020-03-03,x\n2020-03-05,3\n",
            "",
            &["In `cases`, 2 fields have no count and are skipped", "1 row is missing; `cases` has no zeros"],
        ),
        (
            "date,cases\n2020-03-01,0\n2020-03-02,3\n2020-03-04,3\n",
            "",
            &["1 row is missing; `cases` has zeros, so their counts are not known"],
        ),
        (
            "date,total_cases\n2020-03-01,5\n2020-03-02,9\n2020-03-03,7\n2020-03-04,9\n",
            "",
            &["holds all until then (5)", "corrected downward by -2 (line 4)"],
        ),
        (
            "date,cases,active,recovered,deceduti\n2020-03-01,5,4,1,0\n2020-03-02,6,5,1,1\n",
            "",
            &["added to `recovered`", "`cases` is not read: it follows"],
        ),
        (
            "date,cases\n2020-03-01,1\n2020-03-03,4\n2020-03-07,2\n2020-03-08,1\n2020-03-13,6\n",
            "",
            &["at unequal distances, so `cases` is counted since the row before"],
        ),
        ("t,I\n1,3\n2,0\n3,4\n", "", &["looks like new cases: it comes back from zero. If so, say --new I"]),
        (
            "t,S,I\n1,97,3\n2,92,5\n3,80,12\n4,71,9\n",
            "",
            &["looks like new cases: it is what the number susceptible falls by. If so, say --new I"],
        ),
        ("day,cases\n22,3\n23,9\n24,14\n", "", &["The first time is 22"]),
        ("day,cases\n1,80\n2,9\n3,14\n", "", &["well above the next, 9; if it holds all cases until then"]),
        ("day,cases\n1,2.5\n2,9\n", "", &["1 count is not a whole number in `cases`"]),
        ("date,cases\n13/1/20,3\n14/1/20,9\n", "", &["Dates have the day first"]),
        ("date,cases\n2020-03-01,3\n2020-03-08,9\n", "", &["taken as the last day of its week"]),
        (
            "day,cases\n1,1\n2,2\n3,3\n4,4\n5,5\n6,6\n7,7\n8,8\n",
            "",
            &["never falls; if it counts all so far, say --cumulative cases"],
        ),
        ("Of 2020\ndate,cases\n2020-03-01,3\n", "", &["The title \"Of 2020\" is skipped"]),
        ("t,S,I,R\n0,8,2,0\n1,6,3,0\n", "", &["do not have the same sum"]),
        (
            "id,onset,recovery\n1,3,4\n2,3,NA\n",
            "",
            &[
                "read as the day of onset, which 2 of 2 have",
                "as 1 person has an onset and no day in `recovery`, the first on line 3",
            ],
        ),
        ("date,cases\n2020-03-01,3\n2020-03-02,3\n", "--start 2020-03-02", &["1 count before the start is left out"]),
    ] {
        let remarks = read_text(text, words).unwrap().remarks;
        assert!(remarks.iter().all(|remark| remark.ends_with('.') && !remark.contains('\n')), "{remarks:#?}");
        for part in parts {
            assert!(remarks.iter().any(|remark| remark.contains(part)), "{part}: {remarks:#?}");
        }
    }
}

/// A way to write a table.
#[derive(Debug, Clone, Copy)]
struct Dialect {
    separator: char,
    end: &'static str,
    encoding: u8,
    quotes: bool,
    comma: bool,
    dates: u8,
    backward: bool,
}

fn dialects() -> impl Strategy<Value = Dialect> {
    let separators = prop_oneof![Just(','), Just(';'), Just('\t')];
    let ends = prop_oneof![Just("\n"), Just("\r\n"), Just("\r")];
    (separators, ends, 0u8..4, any::<bool>(), any::<bool>(), 0u8..5, any::<bool>()).prop_map(
        |(separator, end, encoding, quotes, comma, dates, backward)| {
            let comma = comma && separator != ',';
            Dialect { separator, end, encoding, quotes, comma, dates, backward }
        },
    )
}

impl Dialect {
    fn write(&self, columns: &[&str], first: Date, rows: &[[f64; 2]]) -> Vec<u8> {
        let quoted = |text: String| if self.quotes { format!("\"{text}\"") } else { text };
        let day = |place: usize| {
            let day = dates::from_number(dates::number(first) + place as f64).unwrap();
            match self.dates {
                0 => day.to_string(),
                1 => format!("{day}T18:00:00"),
                2 => day.strftime("%d.%m.%Y").to_string(),
                3 => day.strftime("%m/%d/%Y").to_string(),
                _ => day.strftime("%Y%m%d").to_string(),
            }
        };
        let number = |value: f64| if self.comma { value.to_string().replace('.', ",") } else { value.to_string() };
        let row = |(place, row): (usize, &[f64; 2])| {
            let fields = std::iter::once(quoted(day(place))).chain(row.iter().map(|value| number(*value)));
            fields.collect::<Vec<_>>().join(&self.separator.to_string())
        };
        let mut lines: Vec<String> = rows.iter().enumerate().map(row).collect();
        if self.backward {
            lines.reverse();
        }
        let header: Vec<String> = columns.iter().map(|name| quoted((*name).to_owned())).collect();
        lines.insert(0, header.join(&self.separator.to_string()));
        let text = lines.join(self.end) + self.end;
        let utf16 = |mark: [u8; 2], order: fn(u16) -> [u8; 2]| {
            mark.into_iter().chain(text.encode_utf16().flat_map(order)).collect::<Vec<u8>>()
        };
        match self.encoding {
            0 => text.into_bytes(),
            1 => format!("\u{feff}{text}").into_bytes(),
            2 => utf16([0xff, 0xfe], u16::to_le_bytes),
            _ => utf16([0xfe, 0xff], u16::to_be_bytes),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_table_in_any_dialect_is_the_same_outbreak(
        dialect in dialects(),
        // More than twelve days, so that one of them tells the order of day and month.
        days in 13usize..40,
        first in 0u32..20_000,
        numbers in proptest::collection::vec([0u32..5000, 0u32..5000], 40),
        flows in any::<bool>(),
    ) {
        let columns = if flows { ["date", "cases", "deaths"] } else { ["date", "infected", "recovered"] };
        let numbers: Vec<[f64; 2]> = numbers.iter().take(days).map(|row| row.map(|half| f64::from(half) / 2.0 + 1.0)).collect();
        let first = dates::from_number(f64::from(first)).unwrap();
        let plain = Dialect { separator: ',', end: "\n", encoding: 0, quotes: false, comma: false, dates: 0, backward: false };
        let read = |dialect: Dialect| {
            let mut outbreak = read_bytes("seen.csv", &dialect.write(&columns, first, &numbers), &options("")).unwrap();
            outbreak.remarks.clear();
            outbreak.series.iter_mut().flat_map(|series| &mut series.points).for_each(|point| point.line = 0);
            outbreak
        };
        let expected = read(plain);
        prop_assert_eq!(expected.series.len(), 2);
        prop_assert_eq!(expected.series[0].points.len(), days);
        prop_assert_eq!(read(dialect), expected);
    }

    #[test]
    fn what_is_no_table_is_refused_in_one_line(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[-a-z0-9,;\t\n\"./ ]{0,120}") {
        for bytes in [bytes.as_slice(), text.as_bytes(), format!("date,cases\n{text}").as_bytes(), format!("t,I\n0,{text}").as_bytes()] {
            if let Err(error) = read_bytes("seen.csv", bytes, &options("")) {
                prop_assert!(!error.contains('\n') && error.contains("; "), "{}", error);
            }
        }
    }
}
