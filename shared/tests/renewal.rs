//! The reproduction number against the same formula in f64: on a made-up outbreak, and on real ones where they are there.
//!
//! The expected values are in `tests/data/renewal/reproduction.csv`, from `tests/compare/renewal.py`. The real counts are not
//! part of the project; they are read from `../shared/data/outbreaks` beside it.

use sirocco::renewal::{SerialInterval, reproduction};
use std::path::Path;

const EXPECTED: &str = include_str!("../../tests/data/renewal/reproduction.csv");

/// Largest relative error of a mean, a standard deviation or a quantile.
const TOLERANCE: f64 = 2e-6;

/// New cases by day, made up: an outbreak that grows, falls, stops for ten days, and begins anew.
const MADE_UP: [f32; 43] = [
    1.0, 0.0, 2.0, 1.0, 3.0, 2.0, 5.0, 8.0, 6.0, 11.0, 15.0, 14.0, 22.0, 27.0, 24.0, 33.0, 41.0, 38.0, 36.0, 29.0,
    31.0, 22.0, 17.0, 18.0, 11.0, 9.0, 4.0, 6.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 1.0,
    4.0,
];

/// The counts in the last column of a file, if the file is there.
fn counts(file: &str) -> Option<Vec<f32>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/outbreaks").join(file);
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.lines().skip(1).map(|line| line.rsplit(',').next().unwrap().parse().unwrap()).collect())
}

/// Compares all windows of one outbreak with the rows that begin with `key`.
fn compare(key: &str, counts: &[f32]) {
    let parameters: Vec<f32> = key.split(',').skip(1).take(2).map(|field| field.parse().unwrap()).collect();
    let window = key.split(',').nth(3).unwrap().parse().unwrap();
    let interval = SerialInterval::gamma(parameters[0], parameters[1]).unwrap();
    let mut estimates = reproduction(counts, &interval, window).unwrap();
    for line in EXPECTED.lines().filter(|line| line.starts_with(key)) {
        let expected: Vec<f64> = line.split(',').skip(4).map(|field| field.parse().unwrap()).collect();
        let is = estimates.next().unwrap();
        let posterior = is.posterior;
        let quantiles = [0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975].map(|p| posterior.quantile(p));
        let found = [is.day as f32, posterior.mean(), posterior.deviation()].into_iter().chain(quantiles);
        assert_eq!(expected.len(), 10);
        for (is, expected) in found.zip(expected) {
            assert!((f64::from(is) - expected).abs() <= TOLERANCE * expected, "{line}: {is} instead of {expected}");
        }
    }
    assert!(estimates.next().is_none(), "{key}: more estimates than expected");
}

#[test]
fn estimates_are_those_of_the_formula_in_f64() {
    compare(",4.8,2.5,1,", &MADE_UP);
    compare(",4.8,2.5,7,", &MADE_UP);
    for key in [
        "measles_hagelloch_1861_incidence.csv,14.9,3.9,7,",
        "influenza_baltimore_1918_incidence.csv,2.6,1.5,7,",
        "smallpox_kosovo_1972_incidence.csv,22.4,6.1,7,",
        "influenza_nyc_school_2009.csv,2.7,1.1,7,",
    ] {
        match counts(key.split(',').next().unwrap()) {
            Some(counts) => compare(key, &counts),
            None => eprintln!("not there, so not compared: {key}"),
        }
    }
}
