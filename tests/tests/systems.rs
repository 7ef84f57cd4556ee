//! Every system of the list: the reference against solutions known otherwise, then training, export, evaluation,
//! calibration and an emulated board through the command lines. A new system is tested without a line here; what is known
//! about its solutions can be added to [`violation`].

use serde_json::Value;
use sirocco::bundle::Bundle;
use sirocco::ode::{Ode, Rates, State};
use sirocco::rk4;
use sirocco_tests::program::{json, root, sirocco, train};
use sirocco_tests::tolerance as tol;
use sirocco_tools::device::board::Board;
use sirocco_tools::device::{cargo, qemu};
use sirocco_trainer::bundle::{preset, reference};
use sirocco_trainer::host::model_file;
use sirocco_trainer::host::random::{Purpose, Random};
use std::path::Path;
use tempfile::TempDir;

/// Random problems of a system's domain, with times.
fn problems(ode: Ode, count: u64) -> impl Iterator<Item = (f64, State<f64>, Rates<f64>)> {
    (0..count).map(move |index| {
        let mut random = Random::new(7, Purpose::Measurement, index);
        let mut draw = ode.domain().iter().map(|(lo, hi)| lo + (hi - lo) * random.uniform());
        let (mut initial, mut rates) = (State::default(), Rates::default());
        let t = draw.next().unwrap();
        initial.iter_mut().take(ode.initial_names().len()).for_each(|to| *to = draw.next().unwrap());
        rates.iter_mut().take(ode.rate_names().len()).for_each(|to| *to = draw.next().unwrap());
        (t, initial, rates)
    })
}

/// By how much `y` violates what is known of the state at time t of a problem that starts at y0.
fn violation(ode: Ode, t: f64, y0: &State<f64>, p: &Rates<f64>, y: &State<f64>) -> f64 {
    // d ln S = -beta I dt and dR = gamma I dt, so S exp(beta R / gamma) is constant.
    let contact = |s0: f64, r0: f64, s: f64, r: f64, ratio: f64| s - s0 * (-ratio * (r - r0)).exp();
    let worst: f64 = match ode {
        Ode::Sir => contact(y0[0], y0[2], y[0], y[2], p[0] / p[1]),
        Ode::Seir => contact(y0[0], y0[3], y[0], y[3], p[0] / p[2]),
        Ode::Decay => y[0] - y0[0] * (-p[0] * t).exp(),
        Ode::LotkaVolterra => {
            let v = |y: &State<f64>| p[3] * y[0] - p[2] * y[0].ln() + p[1] * y[1] - p[0] * y[1].ln();
            v(y) - v(y0)
        }
        // Closed solutions of special cases are tested below.
        _ => 0.0,
    };
    let sum = |y: &State<f64>| y.iter().sum::<f64>();
    if ode.conserved() { worst.abs().max((sum(y) - sum(y0)).abs()) } else { worst.abs() }
}

#[test]
fn the_reference_solves_every_system() {
    for ode in Ode::ALL.iter().copied() {
        for (t, initial, rates) in problems(ode, 40) {
            let y0 = ode.initial(&initial);
            let y = reference::state(ode, &initial, &rates, t);
            let violated = violation(ode, t, &y0, &rates, &y);
            assert!(violated < 1e-11, "{} {t} {initial:?} {rates:?}: {violated:e}", ode.name());
            // An independent method agrees.
            let other = rk4::integrate(ode, &initial, &rates, t, 2000);
            for (a, b) in y.iter().zip(other) {
                assert!((a - b).abs() < 1e-9, "{} {t} {initial:?} {rates:?}: {y:?} {other:?}", ode.name());
            }
            assert!(ode.admissible(&initial.map(|v| v as f32), &rates.map(|v| v as f32)), "{}", ode.name());
            let single = |y: &State<f64>| y.map(|v| v as f32);
            assert!(ode.plausible(&single(&y0), &single(&rates), &single(&y), 1e-5), "{} {y:?}", ode.name());
        }
    }
}

/// The amount of b at time t, where a decays to b at rate p, and b decays at rate q.
fn chain(a: f64, b: f64, p: f64, q: f64, t: f64) -> f64 {
    b * (-q * t).exp() + a * p * ((-p * t).exp() - (-q * t).exp()) / (q - p)
}

#[test]
fn linear_problems_have_their_closed_solutions() {
    for t in [0.3, 2.0, 11.0] {
        let near = |ode: Ode, initial: State<f64>, rates: Rates<f64>, component: usize, exact: f64| {
            let y = reference::state(ode, &initial, &rates, t)[component];
            assert!((y - exact).abs() < 1e-12, "{} {component} at {t}: {y} {exact}", ode.name());
        };
        // Without infections, SEIR and SIRS are chains of decays.
        let (e0, i0, r0, sigma, gamma, omega) = (0.3f64, 0.2f64, 0.1f64, 0.4f64, 0.25f64, 0.1f64);
        near(Ode::Seir, [e0, i0, r0, 0.0], [0.0, sigma, gamma, 0.0], 1, e0 * (-sigma * t).exp());
        near(Ode::Seir, [e0, i0, r0, 0.0], [0.0, sigma, gamma, 0.0], 2, chain(e0, i0, sigma, gamma, t));
        near(Ode::Sirs, [i0, r0, 0.0, 0.0], [0.0, gamma, omega, 0.0], 2, chain(i0, r0, gamma, omega, t));
        // A spring that does not harden: the damped harmonic oscillator.
        let (x0, v0, delta, alpha) = (0.8f64, -0.3f64, 0.3f64, 1.1f64);
        let w = (alpha - 0.25 * delta * delta).sqrt();
        let x = (-0.5 * delta * t).exp() * (x0 * (w * t).cos() + (v0 + 0.5 * delta * x0) / w * (w * t).sin());
        near(Ode::Duffing, [x0, v0, 0.0, 0.0], [delta, alpha, 0.0, 0.0], 0, x);
    }
}

#[test]
fn duffing_without_damping_keeps_its_energy_and_sirs_settles_where_it_should() {
    let [x, v, ..] = reference::state(Ode::Duffing, &[1.5, 0.5, 0.0, 0.0], &[0.0, 0.9, 0.7, 0.0], 13.0);
    let energy = |x: f64, v: f64| 0.5 * v * v + 0.45 * x * x + 0.175 * x.powi(4);
    assert!((energy(x, v) - energy(1.5, 0.5)).abs() < 1e-11);
    let (beta, gamma, omega) = (0.9, 0.3, 0.2);
    let [s, i, ..] = reference::state(Ode::Sirs, &[0.2, 0.1, 0.0, 0.0], &[beta, gamma, omega, 0.0], 400.0);
    assert!((s - gamma / beta).abs() < 1e-9 && (i - (1.0 - s) * omega / (omega + gamma)).abs() < 1e-9, "{s} {i}");
}

#[test]
fn the_worked_example_is_the_real_file() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let (text, code) = (read("ARCHITECTURE.md"), read("shared/src/ode/decay.rs"));
    assert!(text.contains(&format!("```rust\n{code}```")), "copy shared/src/ode/decay.rs into ARCHITECTURE.md");
}

#[test]
fn names_do_not_collide() {
    for ode in Ode::ALL {
        let components: Vec<String> = ode.state_names().iter().map(|name| name.to_lowercase()).collect();
        let mut distinct = components.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), components.len(), "JSON keys of {}", ode.name());
        assert_eq!(ode.quantity_names().count(), ode.domain().len(), "{}", ode.name());
        assert_eq!(Ode::ALL.iter().filter(|other| other.name() == ode.name()).count(), 1);
    }
}

/// A small network of a system, trained for a moment: f32 and 16-bit files, and what training and rounding printed.
fn trained(ode: Ode, folder: &TempDir) -> ([String; 2], [Value; 2]) {
    let preset = preset::all().iter().find(|preset| preset.ode == ode && !preset.phase).unwrap();
    let path = |scheme: &str| folder.path().join(format!("{}-{scheme}", ode.name())).to_str().unwrap().to_owned();
    let (single, integer) = (path("f32"), path("i16"));
    let options =
        ["--form", "generic", "--hidden", "10,10", "--iterations", "120", "--quiet", "--json", "--out", &single];
    let report = json(&train(&[&["bundle", "train", "--preset", preset.name], &options[..]].concat()));
    let rounded = json(&train(&["bundle", "quantize", &single, "--scheme", "i16", "--out", &integer, "--json"]));
    ([single, integer], [report, rounded])
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("no number `{key}` in {value}"))
}

/// The emulated boards that can be built here.
fn boards() -> Vec<Board> {
    let usable = |board: &Board| board.qemu.is_some() && cargo::has_target(&board.target);
    if qemu::version(qemu::PROGRAM).is_none() {
        eprintln!("skipped on boards: no {} here; run `sirocco setup`", qemu::PROGRAM);
        return Vec::new();
    }
    Board::all().unwrap().into_iter().filter(usable).collect()
}

#[test]
fn every_system_goes_from_training_to_a_board() {
    let folder = TempDir::new().unwrap();
    let boards = boards();
    // Each system takes the next boards in turn.
    let mut turns = boards.iter().cycle();
    for ode in Ode::ALL.iter().copied() {
        let (files, [report, rounded]) = trained(ode, &folder);
        let [single, _] = &files;
        assert!(number(&report, "rms_error") < tol::MOMENT_RMS, "{report}");
        let (before, after) = (number(&rounded, "max_error_before"), number(&rounded, "max_error_after"));
        assert_eq!(before, number(&report, "max_error"), "the same bytes, the same queries");
        assert!(after <= 3.0 * before + tol::I16_EXTRA, "{rounded}");
        let measured = json(&train(&["bundle", "evaluate", single, "--queries", "200", "--json"]));
        assert!(number(&measured["certificate"], "covered") > tol::ESTIMATE_COVERS, "{measured}");

        let inspected = json(&sirocco(&["inspect", single, "--json"]));
        assert_eq!((&inspected["ode"], &inspected["golden"]), (&ode.name().into(), &16.into()));
        let names: Vec<&str> = inspected["domain"].as_object().unwrap().keys().map(String::as_str).collect();
        let mut expected: Vec<&str> = ode.quantity_names().collect();
        expected.sort();
        assert_eq!(names, expected);
        for file in &files {
            for board in turns.by_ref().take(2) {
                let port = format!("qemu:{}", board.name);
                let replay = ["selftest", "--port", &port, "--model", file, "--queries", "48", "--json", "--quiet"];
                let replay = json(&sirocco(&replay));
                assert_eq!((&replay["passed"], &replay["compared"]), (&true.into(), &64.into()), "{}", board.name);
            }
        }
        if let Some(board) = boards.first() {
            ask(ode, single, &board.name);
        }
    }
}

/// Asks a board by the options that are named after the system's quantities; the keys of the answer are the
/// components' names, and the answer is the evaluator's.
fn ask(ode: Ode, file: &str, board: &str) {
    let bytes = model_file::read(Path::new(file)).unwrap();
    let bundle = Bundle::open(&bytes).unwrap();
    let query = bundle.probes(3).next().unwrap();
    let expected = bundle.certify(&query).unwrap();
    let port = format!("qemu:{board}");
    let mut arguments: Vec<String> =
        ["query", "--port", &port, "--model", file, "--json", "--quiet"].map(Into::into).into();
    for (name, value) in ode.quantity_names().zip(query.quantities(ode)) {
        arguments.push(format!("--{name}={value}"));
    }
    let answer = json(&sirocco(&arguments.iter().map(String::as_str).collect::<Vec<_>>()));
    for (name, value) in ode.state_names().iter().zip(expected.prediction.state) {
        assert_eq!(number(&answer, &name.to_lowercase()) as f32, value, "{answer}");
        assert!(answer["residual"][name.to_lowercase()].is_number(), "{answer}");
    }
    assert_eq!(number(&answer, "error_estimate") as f32, expected.estimate);
    assert_eq!(answer["in_domain"], true);
}

#[test]
fn any_system_is_calibrated_through_its_bundle() {
    let folder = TempDir::new().unwrap();
    let ([file, _], _) = trained(Ode::Decay, &folder);
    let seen = folder.path().join("seen.csv");
    let rows = (1..=8).map(|k| format!("{},y,{}\n", 0.5 * f64::from(k), 1.5 * (-0.4 * f64::from(k)).exp()));
    std::fs::write(&seen, format!("t,component,value\n{}", rows.collect::<String>())).unwrap();
    let seen = seen.to_str().unwrap();
    let report = json(&sirocco(&["calibrate", "--model", &file, "--observations", seen, "--free", "y0,k", "--json"]));
    assert!((number(&report["estimates"]["k"], "value") - 0.8).abs() < 0.01, "{report}");
    assert!((number(&report["estimates"]["y0"], "value") - 1.5).abs() < 0.01, "{report}");
    assert!((number(&report["forecast"]["y"], "value") - 1.5 * (-4.0f64).exp()).abs() < 0.01, "{report}");
    assert!(report["forecast"]["peak_day"].is_null(), "only epidemics have a peak: {report}");
}
