//! Real outbreaks and simulated ones: estimates that were published or computed elsewhere, intervals that hold, the same bits on
//! emulated boards.

#![allow(clippy::disallowed_methods, reason = "the tests compute on the host")]

mod common;

use common::{failure, json, root, sirocco};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Gamma, Poisson};
use serde_json::Value;
use sirocco::bundle::{Bundle, Range};
use sirocco::outbreak::{Count, Noise, Observable, REPRODUCTION, ReportingChange, Series, Setting, Starts, curve, fit};
use sirocco_tools::estimate::Question;
use sirocco_tools::estimate::answer::{Manner, answer, fitted};
use sirocco_tools::estimate::interval::{Interval, Profile};
use sirocco_tools::estimate::knowledge::{Knowledge, NoiseKind, ReportingChange as KnownChange};
use sirocco_tools::estimate::picture::picture;
use sirocco_tools::estimate::question::Plan;
use sirocco_tools::estimate::words::summary;
use sirocco_tools::input::model_file::ModelFile;
use sirocco_tools::input::outbreak::{Observable as Seen, Outbreak, Point, Series as Counted, Unit};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

/// The folder of outbreaks beside the repository, if it is there.
fn outbreaks() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/outbreaks");
    let found = folder.is_dir().then_some(folder);
    println!(
        "outbreaks: {}",
        found.as_deref().map_or("not there, skipped".into(), |folder| folder.display().to_string())
    );
    found
}

fn calibrate(table: &Path, options: &str) -> Value {
    let mut all = vec!["calibrate", table.to_str().unwrap(), "--json", "--quiet"];
    all.extend(options.split_whitespace());
    json(&sirocco(&all))
}

/// A built-in table, written to a file.
fn built_in(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    assert!(sirocco(&["data", name, "--out", path.to_str().unwrap()]).status.success());
    (folder, path)
}

fn value(answer: &Value, name: &str) -> f64 {
    answer["estimates"][name]["value"].as_f64().unwrap_or_else(|| panic!("no {name} in {answer}"))
}

/// The ends of the 95 % interval; where it is open, zero and infinity.
fn most(answer: &Value, name: &str) -> (f64, f64) {
    let ends = &answer["estimates"][name]["most"];
    (ends["low"].as_f64().unwrap_or(0.0), ends["high"].as_f64().unwrap_or(f64::INFINITY))
}

fn near(answer: &Value, name: &str, right: f64, off: f64) {
    let found = value(answer, name);
    assert!((found - right).abs() <= off, "{name}: {found} for {right} +- {off}");
}

fn said(answer: &Value, words: &str) -> bool {
    answer["summary"].as_array().unwrap().iter().any(|sentence| sentence.as_str().unwrap().contains(words))
}

#[test]
fn the_boarding_school_has_the_rates_of_least_squares() {
    let (_folder, table) = built_in("boarding-school");
    let answer = calibrate(&table, "--population 763");
    near(&answer, "reproduction_number", 3.924, 0.02);
    near(&answer, "infectious_period", 2.194, 0.02);
    near(&answer, "infected_at_start", 2.09, 0.05);
    // Beside scipy's profile, which takes the normal quantile and not Student's: 3.58 to 4.32.
    let (low, high) = most(&answer, "reproduction_number");
    assert!((3.45..3.6).contains(&low) && (4.3..4.5).contains(&high), "{low} {high}");
    assert_eq!(answer["fit"]["misfits"], false);
}

#[test]
fn harbin_with_one_case_at_the_start_has_a_reproduction_number_of_two() {
    let (_folder, table) = built_in("harbin");
    let answer = calibrate(&table, "--population 2985 --fix I0=0.000335");
    near(&answer, "reproduction_number", 2.0, 0.03);
    // With everyone counted, the fit is another one (scipy: 1.427 by Poisson's likelihood).
    let all = calibrate(&table, "--population 2985 --fix I0=0.000335 --reporting 1 --noise poisson");
    near(&all, "reproduction_number", 1.427, 0.005);
    assert!(said(&all, "DOES NOT FIT"), "{all}");
}

#[test]
fn hagelloch_has_the_rates_that_epicompare_published() {
    let (_folder, table) = built_in("hagelloch");
    let answer = calibrate(&table, "--population 188 --fix I0=0.0053191");
    let gamma = 1.0 / value(&answer, "infectious_period");
    let beta = gamma * value(&answer, "reproduction_number");
    assert!((beta / 0.277 - 1.0).abs() < 0.03 && (gamma / 0.0863 - 1.0).abs() < 0.03, "{beta} {gamma}");
    let free = calibrate(&table, "--population 188");
    let Some(folder) = outbreaks() else { return };
    let incidence = calibrate(&folder.join("measles_hagelloch_1861_incidence.csv"), "--population 188 --reporting 1");
    for name in ["reproduction_number", "infectious_period"] {
        let (low, high) = most(&incidence, name);
        let prevalence = value(&free, name);
        assert!(low < prevalence && prevalence < high, "{name}: {low} to {high}, {prevalence}");
    }
}

#[test]
fn outbreaks_with_published_figures_are_met_or_left_open() {
    let Some(folder) = outbreaks() else { return };
    let of = |file: &str, options: &str| calibrate(&folder.join(file), options);

    let school = of("influenza_nyc_school_2009.csv", "--population 2686 --new I --start 2009-04-19 --noise poisson");
    near(&school, "reproduction_number", 3.3, 0.2);
    let (low, high) = most(&school, "reproduction_number");
    assert!(low < 3.3 && 3.3 < high, "{low} {high}");

    let dengue = of("dengue_fais_2011.csv", "--population 294");
    let (low, high) = most(&dengue, "reproduction_number");
    assert!(low < 18.0 && high > 5.5, "{low} {high}");
    let (low, high) = most(&dengue, "fraction_counted");
    assert!(low < 0.68 && 0.68 < high, "{low} {high}");

    let bombay = of("plague_bombay_1906.csv", "");
    assert_eq!(bombay["estimates"]["population_times_fraction_counted"]["identified"], false);
    assert!(said(&bombay, "do not tell") && said(&bombay, "population times fraction counted"), "{bombay}");
    let growth = &bombay["derived"]["growth_rate"]["most"];
    assert!(growth[0].as_f64().unwrap() > 0.3 && growth[1].as_f64().unwrap() < 0.45, "{growth}");

    let italy = "--population 60400000 --until 30";
    let one = of("covid19_italy_national.csv", italy);
    assert!(said(&one, "DOES NOT FIT") && said(&one, "--find-changes"), "{one}");
    let found = of("covid19_italy_national.csv", &format!("{italy} --find-changes"));
    let changes: Vec<f64> = found["changes"].as_array().unwrap().iter().map(|c| c["t"].as_f64().unwrap()).collect();
    // The lockdown was on day 14, the ninth of March.
    assert!(changes.iter().any(|t| (t - 14.0).abs() <= 5.0), "{changes:?}");
}

/// Fits to the first two thirds of every outbreak; forecasts of the rest, beside persistence.
#[test]
fn another_fraction_reported_from_a_day_on_is_known_or_estimated() {
    let file = ModelFile::built_in();
    let bundle = file.bundle().unwrap();
    let change = ReportingChange { from: 21.0, ratio: Range { lo: 0.25, hi: 0.25 } };
    let question = Setting {
        reporting: [change].into_iter().collect(),
        ..epidemic(&bundle, &mut StdRng::seed_from_u64(1), true).setting
    };
    let mut rows = String::from("date,new cases\n");
    let (mut day, values) = (
        "2021-03-01".parse::<jiff::civil::Date>().unwrap(),
        [1e-4, 0.25, 16_000.0, 0.0, 2.5, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0],
    );
    curve(&bundle, &question, &values, Observable::NewCases, 0.0, (1..=60u8).map(f32::from), |mean| {
        rows += &format!("{day},{:.0}\n", mean);
        day = day.tomorrow().unwrap();
    })
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("cases.csv");
    std::fs::write(&table, rows).unwrap();
    let found = calibrate(&table, "--population 40000 --reporting 0.4 --reporting-change 2021-03-22 --noise poisson");
    assert!(said(&found, "From 2021-03-22 on, 0.25"), "{found}");
    near(&found, "reporting_ratio", 0.25, 0.01);
    near(&found, "reproduction_number", 2.5, 0.1);
    let known =
        calibrate(&table, "--population 40000 --reporting 0.4 --reporting-change 2021-03-22=0.1 --noise poisson");
    assert_eq!(known["estimates"]["reporting_ratio"]["known"], true);
    near(&known, "reproduction_number", 2.5, 0.1);
    // All who are counted in the end: 40 % of those infected before that day, and 10 % of the others.
    let sum: f64 = known["fitted"].as_array().unwrap().iter().map(|day| day["seen"].as_f64().unwrap()).sum();
    let end = known["derived"]["counted_in_the_end"]["median"].as_f64().unwrap();
    assert!((end / sum - 1.0).abs() < 0.03, "{end} {sum}");
    let misled = calibrate(&table, "--population 40000 --reporting 0.4 --noise poisson");
    assert!((value(&misled, "reproduction_number") - 2.5).abs() > 0.3 && said(&misled, "DOES NOT FIT"));
    for (options, words) in [
        ("--reporting-change 2021-03-22=0.1", "needs the one before; give --reporting FRACTION"),
        ("--reporting-change 2021-06-22", "lies outside the counts"),
        ("--reporting-change 5 --reporting-change 5", "at 2 different times"),
    ] {
        let options: Vec<&str> = options.split(' ').collect();
        let line = failure(&sirocco(&[&["calibrate", table.to_str().unwrap()][..], &options].concat()), 2);
        assert!(line.contains(words), "{line}");
    }
    assert!("5=2".parse::<KnownChange>().unwrap_err().contains("give a fraction above 0 and up to 1"));
    assert!("x=0.2".parse::<KnownChange>().unwrap_err().contains("`x` is neither a time nor a date"));
}

#[test]
fn forecasts_are_judged_beside_persistence() {
    let Some(folder) = outbreaks() else { return };
    let mut counts = (0.0, 0.0, 0.0);
    for (file, options, until) in [
        ("influenza_england_1978_school.csv", "--population 763", 9),
        ("measles_hagelloch_1861_incidence.csv", "--population 188", 32),
        ("plague_bombay_1906.csv", "", 21),
        ("plague_harbin_1911.csv", "--population 2985", 13),
        ("influenza_philadelphia_1918.csv", "--deaths pim", 81),
        ("influenza_baltimore_1918_incidence.csv", "", 61),
        ("influenza_nyc_school_2009.csv", "--population 2686 --new I", 9),
        ("zika_girardot_2015.csv", "--population 102225", 64),
        ("covid19_italy_national.csv", "--population 60400000 --find-changes", 106),
    ] {
        let answer = calibrate(&folder.join(file), &format!("{options} --until {until}"));
        let of = |who: &str, what: &str| answer["judged"][who][what].as_f64().unwrap();
        println!(
            "{file:<42} WIS {:>9.2} (persistence {:>9.2})  50 %: {:>3.0} ({:>3.0})  95 %: {:>3.0} ({:>3.0})  misfit {}",
            of("forecast", "weighted_interval_score"),
            of("persistence", "weighted_interval_score"),
            100.0 * of("forecast", "coverage_50"),
            100.0 * of("persistence", "coverage_50"),
            100.0 * of("forecast", "coverage_95"),
            100.0 * of("persistence", "coverage_95"),
            answer["fit"]["misfits"]
        );
        let number = of("forecast", "count");
        counts.0 += number;
        counts.1 += number * of("forecast", "coverage_50");
        counts.2 += number * of("forecast", "coverage_95");
        assert!(answer["forecast"].as_array().unwrap().iter().all(|f| f["counted"]["median"].as_f64().unwrap() >= 0.0));
    }
    println!(
        "of {} counts, {:.1} % in the 50 % intervals, {:.1} % in the 95 % intervals",
        counts.0,
        100.0 * counts.1 / counts.0,
        100.0 * counts.2 / counts.0
    );
}

/// An epidemic of twelve days in a population of 500, as new cases or as people infected.
fn small(observable: Seen) -> Outbreak {
    let counts = [1.0, 2.0, 5.0, 11.0, 24.0, 40.0, 52.0, 44.0, 29.0, 15.0, 7.0, 3.0];
    let points = (0u8..).zip(counts).map(|(day, value)| {
        let (from, to) = (f32::from(day), f32::from(day + 1));
        Point { line: usize::from(day) + 2, from: if observable.is_flow() { from } else { to }, to, value }
    });
    let series = vec![Counted { observable, column: "cases".into(), points: points.collect() }];
    Outbreak { series, unit: Unit::Day, start: "2020-03-01".parse().ok(), population: None, remarks: Vec::new() }
}

/// Numbers as people give them, and now and then as they do not.
fn numbers_about(usual: std::ops::Range<f32>) -> impl Strategy<Value = f32> {
    prop_oneof![
        16 => usual,
        1 => (-14.0..6.0f32).prop_map(|ln| ln.exp()),
        1 => prop::sample::select(vec![0.0, 1.0, -0.5, 1e-30, 1e30, f32::INFINITY, f32::NAN, f32::MAX, f32::MIN_POSITIVE]),
    ]
}

/// A quantity that is known.
fn known() -> impl Strategy<Value = (&'static str, f32)> {
    let about = |name: &'static str, usual| numbers_about(usual).prop_map(move |value| (name, value));
    prop_oneof![
        about("I0", 1e-6..0.05),
        about("R0", 0.0..0.5),
        about("R", 0.5..8.0),
        about("beta", 0.1..3.0),
        about("gamma", 0.05..2.0),
    ]
}

/// What the command line accepts of these texts.
fn accepted<T: FromStr>(number: Option<f32>) -> Option<T> {
    number.and_then(|number| number.to_string().parse().ok())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// There is an answer or an error for all that is said to be known of an outbreak, and no panic.
    #[test]
    fn whatever_is_said_to_be_known_there_is_an_answer_or_an_error(
        flows in any::<bool>(),
        fixed in prop::collection::vec(known(), 0..3),
        reporting in prop::option::of(numbers_about(0.05..1.0)),
        background in prop::option::of(numbers_about(0.0..5.0)),
        noise in prop::option::of(prop::sample::select(vec![NoiseKind::Gaussian, NoiseKind::Poisson, NoiseKind::NegativeBinomial])),
        changes in prop::collection::vec(numbers_about(0.5..11.5), 0..3),
        reporting_changes in prop::collection::vec((numbers_about(0.5..11.5), prop::option::of(numbers_about(0.05..1.0))), 0..3),
        until in prop::option::of(numbers_about(4.0..13.0)),
        find_changes in prop::bool::weighted(0.1),
        population in prop::option::of(numbers_about(300.0..1e6)),
        sigma in prop::option::of(numbers_about(0.5..20.0)),
        horizon in numbers_about(8.0..40.0),
    ) {
        let outbreak = small(if flows { Seen::NewCases } else { Seen::Infected });
        let knowledge = Knowledge {
            reporting: accepted(reporting),
            reporting_change: reporting_changes
                .iter()
                .filter_map(|(from, fraction)| match fraction {
                    Some(fraction) => format!("{from}={fraction}").parse().ok(),
                    None => accepted(Some(*from)),
                })
                .collect(),
            noise,
            background: accepted(background),
            change: changes.iter().filter_map(|change| accepted(Some(*change))).collect(),
            find_changes,
            until: accepted(until),
        };
        let fixed: Vec<_> = fixed.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let positive = |number: Option<f32>| number.filter(|number| *number > 0.0 && number.is_finite());
        if let Ok(plan) = Plan::new(&outbreak, &knowledge, &fixed, positive(population), positive(sigma)) {
            let file = ModelFile::built_in();
            let bundle = file.bundle().unwrap();
            let question = Question { bundle: &bundle, counts: &plan.counts, setting: &plan.setting };
            if let Ok((setting, found)) = fitted(question, find_changes, &mut |_| {}) {
                let question = Question { setting: &setting, ..question };
                if let Ok(answer) = answer(&plan, question, found, Manner { horizon, seed: 1 }, &mut |_| {}) {
                    prop_assert!(!summary(&plan, &answer).is_empty());
                    picture(&plan, &answer, "any", 400).svg();
                }
            }
        }
    }
}

/// The numbers of a text, and the text without them.
fn numbers(text: &str) -> (Vec<f64>, String) {
    let (mut all, mut words) = (Vec::new(), Vec::new());
    for word in text.split_whitespace() {
        let plain = word.trim_matches(|c: char| "(),;:.".contains(c)).replace(',', "");
        match plain.parse() {
            Ok(number) => all.push(number),
            Err(_) => words.push(word),
        }
    }
    (all, words.join(" "))
}

/// Runs the commands of the page on outbreaks in the order in which they stand there. Draws differ a little between machines, because
/// their logarithms do.
#[test]
fn the_page_on_outbreaks_shows_what_the_commands_print() {
    let page = std::fs::read_to_string(root().join("tools/docs/outbreaks.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_sirocco")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let (mut printed, mut compared) = (String::new(), 0);
    for block in page.split("```").skip(1).step_by(2) {
        if let Some(commands) = block.strip_prefix("sh\n") {
            let mut shell = Command::new("sh");
            let done = shell.args(["-e", "-c", commands]).current_dir(&folder).env("PATH", &path).output().unwrap();
            assert!(done.status.success(), "{commands}: {}", String::from_utf8_lossy(&done.stderr));
            printed = String::from_utf8(done.stdout).unwrap();
        } else if let Some(shown) = block.strip_prefix("text\n") {
            let ((there, said), (here, says)) = (numbers(shown), numbers(&printed));
            assert_eq!((said, there.len()), (says, here.len()), "{printed}");
            for (there, here) in there.iter().zip(&here) {
                assert!((there - here).abs() <= 0.1 * here.abs(), "{there} for {here} in {printed}");
            }
            compared += 1;
        }
    }
    assert_eq!(compared, 4);
}

/// How many epidemics are simulated: 200, or what SIROCCO_EPIDEMICS says.
fn epidemics() -> usize {
    std::env::var("SIROCCO_EPIDEMICS").ok().and_then(|number| number.parse().ok()).unwrap_or(200)
}

/// New cases of a random epidemic: 500 to 1,000,000 people, a tenth to all of the cases counted, dispersion 3 to infinity.
struct Epidemic {
    setting: Setting,
    counts: Vec<Count>,
    reproduction: f32,
}

fn epidemic(bundle: &Bundle<'_>, rng: &mut StdRng, reporting_known: bool) -> Epidemic {
    loop {
        let between = |low: f32, high: f32, rng: &mut StdRng| low * (high / low).powf(rng.random());
        let (people, reporting) = (between(500.0, 1e6, rng), 0.1 + 0.9 * rng.random::<f32>());
        let dispersion = if rng.random::<f32>() < 0.25 { f32::INFINITY } else { between(3.0, 100.0, rng) };
        let (reproduction, recovery) = (between(1.3, 6.0, rng), 1.0 / between(2.0, 14.0, rng));
        let infected = (1.0 + 9.0 * rng.random::<f32>()) / people;
        let scale = people * reporting;
        let days = (1.6 * (1.0 / infected).ln() / (recovery * (reproduction - 1.0))).clamp(20.0, 200.0) as u16;
        let known = |value| Range { lo: value, hi: value };
        let setting = Setting {
            series: [Series { observable: Observable::NewCases, start: 0.0, counts: days }].into_iter().collect(),
            noise: Noise::NegativeBinomial { dispersion: None },
            infected: Range { lo: 1e-9, hi: 0.5 },
            recovery: Range { lo: 1.0 / 60.0, hi: 5.0 },
            scale: if reporting_known { known(scale) } else { Range { lo: 1e-3 * people, hi: people } },
            background: known(0.0),
            reproduction: [Range { lo: 0.2, hi: 19.9 }].into_iter().collect(),
            changes: Default::default(),
            removed: 0.0,
            reporting: Default::default(),
        };
        let values = [infected, recovery, scale, 0.0, reproduction, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let mut means = Vec::new();
        let ends = (1..=days).map(f32::from);
        curve(bundle, &setting, &values, Observable::NewCases, 0.0, ends, |mean| means.push(f64::from(mean))).unwrap();
        let count = |mean: f64, rng: &mut StdRng| {
            let k = f64::from(dispersion);
            let rate = if k.is_finite() { Gamma::new(k, mean / k).unwrap().sample(rng) } else { mean };
            if rate > 1e-9 { Poisson::new(rate).unwrap().sample(rng) as f32 } else { 0.0 }
        };
        let counts: Vec<Count> =
            (1u16..).zip(means).map(|(day, mean)| Count { t: day.into(), value: count(mean, rng) }).collect();
        if counts.iter().map(|count| count.value).sum::<f32>() >= 50.0 {
            return Epidemic { setting, counts, reproduction };
        }
    }
}

#[test]
fn intervals_hold_in_simulated_epidemics() {
    let file = ModelFile::built_in();
    let bundle = file.bundle().unwrap();
    for reporting_known in [true, false] {
        let mut rng = StdRng::seed_from_u64(7);
        let (mut half, mut most, mut quadratic, mut open) = (0, 0, 0, 0);
        let total = epidemics();
        for _ in 0..total {
            let Epidemic { setting, counts, reproduction } = epidemic(&bundle, &mut rng, reporting_known);
            let found = fit(&bundle, &counts, &setting, Starts::Guessed).unwrap();
            let off = (found.values[REPRODUCTION] / reproduction).ln().abs();
            quadratic += usize::from(off <= 1.96 * found.spread(REPRODUCTION));
            let question = Question { bundle: &bundle, counts: &counts, setting: &setting };
            let mut profile = Profile::new(question, found);
            let intervals = profile.intervals(REPRODUCTION, [0.5, 0.95]).unwrap();
            let [inside, surely] = intervals.map(|Interval { low, high }| {
                low.is_none_or(|low| low <= reproduction) && high.is_none_or(|high| reproduction <= high)
            });
            half += usize::from(inside);
            most += usize::from(surely);
            open += usize::from(intervals[1].low.is_none() || intervals[1].high.is_none());
        }
        let share = |number: usize| number as f64 / total as f64;
        println!(
            "reporting {}: of {total} epidemics (seed 7), the 95 % intervals hold in {:.3}, the 50 % ones in {:.3}, estimate and two \
             standard errors in {:.3}; {:.3} are open on a side",
            if reporting_known { "known" } else { "unknown" },
            share(most),
            share(half),
            share(quadratic),
            share(open)
        );
        // Within three standard deviations of what 200 epidemics give by chance, at least.
        assert!((0.905..=0.99).contains(&share(most)), "{}", share(most));
        assert!((0.40..=0.62).contains(&share(half)), "{}", share(half));
    }
}

/// What observations by component do not say by themselves is said.
#[test]
fn misfits_and_correlations_of_observations_are_said() {
    let table = common::root().join("tests/data/influenza-boarding-school-1978.csv");
    let table = table.to_str().unwrap();
    let domain = "t=0:14,I0=0.001:0.9,R0=0:0.9,beta=1:2.5,gamma=0.2:0.8";
    let of = |options: &[&str]| {
        let common = ["calibrate", "--domain", domain, "--observations", table, "--population", "763"];
        let output = sirocco(&[&common[..], options].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let said = of(&["--sigma", "1"]);
    assert!(said.contains("does not fit     residuals are 18.9 times"), "{said}");
    // In a box this wide, what the start leaves open shows in the standard errors, and the box does not narrow them.
    let said = of(&[]);
    let answer =
        json(&sirocco(&["calibrate", "--domain", domain, "--observations", table, "--population", "763", "--json"]));
    for (name, right) in [("I0", 0.002), ("R0", 0.225), ("beta", 0.488), ("gamma", 0.099)] {
        let error = answer["estimates"][name]["standard_error"].as_f64().unwrap();
        assert!((error / right - 1.0).abs() < 0.02, "{name}: {error} for {right}");
    }
    assert!(said.contains("correlation      beta and gamma") || said.contains("correlation      I0 and R0"), "{said}");
}
