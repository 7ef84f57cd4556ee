//! Influenza in a boarding school in 1978: a bundle is trained, exported, and fitted to the counts with its own exact
//! derivatives. A fit through Runge-Kutta has to find the same rates.

use sirocco::bundle::Bundle;
use sirocco::calibrate::{Calibration, Forward, Free, Numerical, Observation, Task, calibrate};
use sirocco::ode::Ode;
use sirocco::query::Query;
use sirocco_tests::program::{json, root, sirocco, train};
use sirocco_trainer::host::model_file;

/// Boys in the school.
const BOYS: f32 = 763.0;

/// The counts as shares of the school. The first count is one day after the first infection.
fn counts() -> Vec<Observation> {
    let text = std::fs::read_to_string(root().join("tests/data/influenza-boarding-school-1978.csv")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    let count = |row: &str| {
        let fields: Vec<f32> = row.split(',').filter_map(|field| field.parse().ok()).collect();
        Observation { t: fields[0] + 1.0, component: 1, value: fields[1] / BOYS, sigma: 1.0 }
    };
    rows.map(count).collect()
}

fn fit(model: &impl Forward) -> Calibration {
    let free = Free::of(Ode::Sir, &["beta", "gamma"]).unwrap();
    let fixed = Query::from_quantities(Ode::Sir, &[0.0, 1.0 / BOYS]);
    calibrate(model, &counts(), &Task { free, fixed, relative: true }).unwrap()
}

#[test]
fn a_bundle_finds_the_rates_that_runge_kutta_finds() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("school.safetensors");
    let path = file.to_str().unwrap();
    let options = ["--hidden", "16,16", "--iterations", "300", "--quiet", "--json", "--out", path];
    let report = json(&train(&[&["bundle", "train", "--preset", "sir-school"], &options[..]].concat()));
    assert!(report["rms_error"].as_f64().unwrap() < 1e-3, "{report}");

    let bytes = model_file::read(&file).unwrap();
    let bundle = Bundle::open(&bytes).unwrap();
    let numerical = Numerical::new(Ode::Sir, Forward::domain(&bundle), 0.1).unwrap();
    let (ours, theirs) = (fit(&bundle), fit(&numerical));
    println!("bundle {:?}\nRunge-Kutta {:?}", ours.estimates, theirs.estimates);
    assert!(ours.converged && theirs.converged);
    for ((a, b), (value, error)) in ours.estimates.iter().zip(&theirs.estimates).zip([(1.669, 0.026), (0.443, 0.016)]) {
        assert!((b.value - value).abs() < 1e-3 && (b.standard_error - error).abs() < 1e-3, "{b:?}");
        // Within a tenth of the uncertainty that the data leave.
        assert!((a.value - b.value).abs() < 0.1 * b.standard_error, "{a:?} {b:?}");
        assert!((a.standard_error / b.standard_error - 1.0).abs() < 0.05, "{a:?} {b:?}");
        assert!(a.identified && !a.at_bound, "{a:?}");
    }

    // The same file through the command line, with the first count as it is dated.
    let data = root().join("tests/data/influenza-boarding-school-1978.csv");
    let common = ["calibrate", "--observations", data.to_str().unwrap(), "--population", "763", "--fix", "R0=0"];
    let answer = json(&sirocco(&[&common[..], &["--free", "I0,beta,gamma", "--model", path, "--json"]].concat()));
    let gamma = answer["estimates"]["gamma"]["value"].as_f64().unwrap();
    assert!((gamma - 0.456).abs() < 0.01 && answer["converged"] == true, "{answer}");
}
