//! Calibrations, measured: exact derivatives, the coverage of standard errors, and an error for every malformed question.

use proptest::prelude::*;
use sirocco::bundle::{Bundle, Range};
use sirocco::calibrate::{
    Calibration, CalibrationError, Forward, Free, Numerical, Observation, Task, calibrate, forecast,
};
use sirocco::ode::Ode;
use sirocco::query::Query;
use sirocco::rk4;

/// Model files are read in place.
#[repr(C, align(8))]
struct Aligned<B: ?Sized>(B);

static FULL: &Aligned<[u8]> = &Aligned(*include_bytes!("../../tests/data/sir-full.safetensors"));

/// The same problem in integers: its state is fixed point.
static FULL_I16: &Aligned<[u8]> = &Aligned(*include_bytes!("../../tests/data/sir-full-i16.safetensors"));
static FULL_I8I16: &Aligned<[u8]> = &Aligned(*include_bytes!("../../tests/data/sir-full-i8i16.safetensors"));

fn full() -> Bundle<'static> {
    Bundle::open(&FULL.0).unwrap()
}

/// The true state, by Runge-Kutta in f64 with steps so small that its error is negligible.
fn truth(query: &Query) -> [f64; 4] {
    let wide = |values: [f32; 4]| values.map(f64::from);
    rk4::integrate(Ode::Sir, &wide(query.initial), &wide(query.rates), f64::from(query.t), 400)
}

/// The same problem at another time.
fn at(query: &Query, t: f32) -> Query {
    Query { t, ..*query }
}

fn free(names: &[&str]) -> Free {
    Free::of(Ode::Sir, names).unwrap()
}

/// Uniform and Gaussian random numbers, the same on every machine.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
    /// By the method of Box and Muller.
    fn gauss(&mut self) -> f64 {
        let (u, v) = (1.0 - self.uniform(), self.uniform());
        (-2.0 * libm::log(u)).sqrt() * libm::cos(core::f64::consts::TAU * v)
    }
}

/// A problem in the domain, and `count` noisy observations of `components` in turn, at equally spaced times.
fn trial(noise: &mut Noise, count: usize, components: &[u8], sigma: f64) -> (Query, Vec<Observation>) {
    let bundle = full();
    let draw: Vec<f32> =
        bundle.domain().iter().map(|r| r.lo + (noise.uniform() * f64::from(r.hi - r.lo)) as f32).collect();
    let query = Query::from_quantities(Ode::Sir, &draw);
    let observations = (1..=count).map(|k| {
        let (t, component) = (20.0 * k as f32 / count as f32, components[k % components.len()]);
        let value = truth(&at(&query, t))[usize::from(component)] + sigma * noise.gauss();
        Observation { t, component, value: value as f32, sigma: sigma as f32 }
    });
    let observations = observations.collect();
    (query, observations)
}

/// Epidemics of which the box spans orders of magnitude, with noise of 2 %: the optimum is no worse than the truth.
#[test]
fn wide_boxes_do_not_hide_the_optimum() {
    let domain = [(0.0, 31.0), (1e-6, 0.1), (0.0, 0.1), (0.05, 5.0), (0.02, 2.0)].map(|(lo, hi)| Range { lo, hi });
    let model = Numerical::new(Ode::Sir, &domain, 0.05).unwrap();
    let mut noise = Noise(11);
    let mut missed = 0;
    for _ in 0..60 {
        let between =
            |lo: f64, hi: f64, noise: &mut Noise| libm::exp(libm::log(lo) + noise.uniform() * libm::log(hi / lo));
        let gamma = between(0.1, 0.7, &mut noise);
        let beta = gamma * between(1.5, 5.0, &mut noise);
        let i0 = between(1e-5, 1e-2, &mut noise);
        let query = Query::from_quantities(Ode::Sir, &[31.0, i0 as f32, 0.0, beta as f32, gamma as f32]);
        let seen: Vec<Observation> = (0u8..31)
            .map(|day| {
                let value = truth(&at(&query, day.into()))[1] + 0.02 * noise.gauss();
                Observation { t: day.into(), component: 1, value: value as f32, sigma: 1.0 }
            })
            .collect();
        let task = Task { free: free(&["I0", "beta", "gamma"]), fixed: query, relative: true };
        let mut at_truth = 0.0;
        let all = free(&["I0", "beta", "gamma"]);
        model.observe(&query, &seen, all, |o, value, _| at_truth += (o.value - value) * (o.value - value)).unwrap();
        let found = calibrate(&model, &seen, &task).unwrap();
        // What chi-square says is what the estimates have.
        let mut again = 0.0;
        model.observe(&found.problem, &seen, all, |o, v, _| again += (o.value - v) * (o.value - v)).unwrap();
        assert!((again / found.chi_square - 1.0).abs() < 0.02, "{again} {found:?}");
        missed += usize::from(found.chi_square > 1.001 * at_truth);
    }
    assert_eq!(missed, 0, "of 60 optima");
}

#[test]
fn derivatives_are_those_of_the_true_solution_and_values_the_evaluators() {
    let bundle = full();
    let all = free(&["I0", "R0", "beta", "gamma"]);
    let mut worst = 0.0f64;
    for query in bundle.probes(3).filter(|q| bundle.in_domain(q)).take(300) {
        let state = bundle.state(&query).unwrap();
        for (component, state) in state.iter().enumerate().take(3) {
            let (value, gradient) = bundle.sensitivity(&query, component, all).unwrap();
            assert_eq!(value.to_bits(), state.to_bits());
            for index in 1..5 {
                let h = 1e-4;
                let at = |sign: f64| {
                    let (mut c, mut p) = (query.initial.map(f64::from), query.rates.map(f64::from));
                    if index < 3 {
                        c[index - 1] += sign * h
                    } else {
                        p[index - 3] += sign * h
                    }
                    rk4::integrate(Ode::Sir, &c, &p, f64::from(query.t), 400)[component]
                };
                let expected = (at(1.0) - at(-1.0)) / (2.0 * h);
                worst = worst.max((f64::from(gradient[index - 1]) - expected).abs());
            }
        }
    }
    println!("largest error of a derivative: {worst:e}");
    assert!(worst < 2e-3, "{worst:e}");
}

/// The network and its inputs are the same; after that, a calibration of an integer bundle computes in floats, and the
/// fixed-point state in integers.
#[test]
fn values_of_integer_bundles_are_near_their_states() {
    for file in [FULL_I16, FULL_I8I16] {
        let bundle = Bundle::open(&file.0).unwrap();
        let mut worst = 0.0f32;
        for query in bundle.probes(5).filter(|q| bundle.in_domain(q)).take(2000) {
            let state = bundle.state(&query).unwrap();
            for (component, state) in state.iter().enumerate().take(3) {
                let (value, _) = bundle.sensitivity(&query, component, free(&["beta", "gamma"])).unwrap();
                worst = worst.max((value - state).abs());
            }
        }
        println!("largest distance of a calibration's value from the state: {worst:e}");
        assert!(worst < 2e-6, "{worst:e}");
    }
}

#[test]
fn runge_kutta_has_the_same_derivatives() {
    let bundle = full();
    let numerical = Numerical::new(Ode::Sir, bundle.domain(), 0.25).unwrap();
    let all = free(&["I0", "R0", "beta", "gamma"]);
    for query in bundle.probes(4).filter(|q| bundle.in_domain(q)).take(100) {
        for component in 0..3 {
            let (a, da) = bundle.component(&query, component, all).unwrap();
            let (b, db) = numerical.component(&query, component, all).unwrap();
            assert!((a - b).abs() < 5e-5, "{a} {b}");
            assert!(da.iter().zip(db).all(|(a, b)| (a - b).abs() < 2e-3), "{da:?} {db:?}");
        }
    }
}

/// The fraction of 500 trials in which the true value is within two standard errors, per free quantity.
fn coverage<F: Forward>(model: &F, names: &[&str], components: &[u8], sigma: f64, relative: bool) -> Vec<f64> {
    let mut noise = Noise(11);
    let (mut within, mut evaluations, mut restarts) = (vec![0; names.len()], 0, 0);
    let mut identified = vec![0; names.len()];
    let mut unconverged = 0;
    for _ in 0..500 {
        let (query, observations) = trial(&mut noise, 10, components, sigma);
        let task = Task { free: free(names), fixed: query, relative };
        let result = calibrate(model, &observations, &task).unwrap();
        evaluations += result.evaluations;
        restarts += usize::from(result.starts > 1);
        unconverged += usize::from(!result.converged);
        for (k, estimate) in result.estimates.iter().enumerate() {
            let exact = query.quantities(Ode::Sir)[usize::from(estimate.quantity)];
            within[k] += usize::from((estimate.value - exact).abs() <= 2.0 * estimate.standard_error);
            identified[k] += usize::from(estimate.identified);
        }
    }
    println!(
        "{names:?} from {components:?}, sigma {sigma}: within 2 se {within:?} of 500, identified {identified:?}, \
         {:.2} evaluations, {restarts} restarts, {unconverged} unconverged",
        f64::from(evaluations) / 500.0
    );
    within.iter().map(|n| *n as f64 / 500.0).collect()
}

#[test]
fn two_standard_errors_cover_the_truth() {
    let bundle = full();
    for (names, components) in [
        (&["beta", "gamma"][..], &[1][..]),
        (&["beta", "gamma"], &[1, 2]),
        (&["I0", "beta", "gamma"], &[1]),
        (&["I0", "beta", "gamma"], &[1, 2]),
        (&["R0", "beta", "gamma"], &[1, 2]),
        (&["I0", "R0", "beta", "gamma"], &[1, 2]),
    ] {
        let shares = coverage(&bundle, names, components, 0.01, false);
        assert!(shares.iter().all(|share| *share >= 0.93), "{names:?}: {shares:?}");
    }
    // With eight degrees of freedom the estimates have Student's t distribution, so two standard errors cover 92 % at best.
    let shares = coverage(&bundle, &["beta", "gamma"], &[1, 2], 0.01, true);
    assert!(shares.iter().all(|share| *share >= 0.90), "{shares:?}");
}

#[test]
fn runge_kutta_calibrates_as_well() {
    let bundle = full();
    let numerical = Numerical::new(Ode::Sir, bundle.domain(), 1.0).unwrap();
    let shares = coverage(&numerical, &["beta", "gamma"], &[1, 2], 0.01, false);
    assert!(shares.iter().all(|share| *share >= 0.93), "{shares:?}");
}

#[test]
fn exact_data_give_the_exact_problem() {
    let bundle = full();
    let mut noise = Noise(5);
    for _ in 0..50 {
        let (query, observations) = trial(&mut noise, 10, &[1, 2], 0.0);
        let observations: Vec<_> = observations.iter().map(|o| Observation { sigma: 1.0, ..*o }).collect();
        let task = Task { free: free(&["I0", "beta", "gamma"]), fixed: query, relative: true };
        let result = calibrate(&bundle, &observations, &task).unwrap();
        assert!(result.converged, "{result:?}");
        for estimate in &result.estimates {
            let exact = query.quantities(Ode::Sir)[usize::from(estimate.quantity)];
            assert!((estimate.value - exact).abs() < 2e-3, "{query:?} {result:?}");
        }
    }
}

fn some_trial() -> (Query, Vec<Observation>) {
    trial(&mut Noise(1), 10, &[1, 2], 0.01)
}

#[test]
fn what_the_data_leave_open_is_flagged() {
    let (query, observations) = some_trial();
    let bundle = full();
    // At t = 0 the state says nothing about the rates.
    let start: Vec<_> = (0..4).map(|_| Observation { t: 0.0, value: query.initial[0], ..observations[0] }).collect();
    let start: Vec<_> = start.iter().map(|o| Observation { component: 1, ..*o }).collect();
    let task = Task { free: free(&["I0", "beta"]), fixed: query, relative: false };
    let result = calibrate(&bundle, &start, &task).unwrap();
    let [i0, beta] = &result.estimates[..] else { panic!() };
    assert!(i0.identified && !beta.identified, "{result:?}");
    assert!(beta.standard_error.is_infinite() && i0.standard_error < 0.006);
    let task = Task { free: free(&["beta", "gamma"]), ..task };
    assert_eq!(calibrate(&bundle, &start, &task), Err(CalibrationError::Singular));
    // Two early observations with large errors determine nothing.
    let early: Vec<_> = observations.iter().take(2).map(|o| Observation { t: 0.5, sigma: 0.2, ..*o }).collect();
    let result = calibrate(&bundle, &early, &task).unwrap();
    assert!(result.estimates.iter().all(|e| !e.identified), "{result:?}");
}

#[test]
fn data_from_outside_the_domain_end_at_its_bound() {
    let bundle = full();
    let query = Query { t: 0.0, initial: [0.3, 0.2, 0.0, 0.0], rates: [1.2, 0.5, 0.0, 0.0] };
    let observations: Vec<_> = (1..=10)
        .map(|k| {
            let at = at(&query, 2.0 * k as f32);
            Observation { t: at.t, component: 1, value: truth(&at)[1] as f32, sigma: 0.005 }
        })
        .collect();
    let fixed = Query { rates: [0.5, 0.5, 0.0, 0.0], ..query };
    let result = calibrate(&bundle, &observations, &Task { free: free(&["beta"]), fixed, relative: false }).unwrap();
    assert!(result.estimates[0].at_bound && result.estimates[0].value == 0.8, "{result:?}");
    assert!(result.chi_square > 50.0 && result.starts == 5, "{result:?}");
}

#[test]
fn every_wrong_question_has_its_error() {
    let (query, observations) = some_trial();
    let bundle = full();
    let task = Task { free: free(&["beta", "gamma"]), fixed: query, relative: false };
    let ask = |observations: &[Observation], task: Task| calibrate(&bundle, observations, &task).unwrap_err();
    let with = |change: &dyn Fn(&mut Observation)| {
        let mut observations = observations.clone();
        change(&mut observations[3]);
        ask(&observations, task)
    };
    use CalibrationError as E;
    assert_eq!(ask(&observations[..1], task), E::TooFew { have: 1, need: 2 });
    assert_eq!(ask(&observations[..2], Task { relative: true, ..task }), E::TooFew { have: 2, need: 3 });
    assert_eq!(ask(&[], task), E::TooFew { have: 0, need: 2 });
    assert_eq!(with(&|o| o.value = f32::NAN), E::NotFinite(3));
    assert_eq!(with(&|o| o.t = f32::INFINITY), E::NotFinite(3));
    assert_eq!(with(&|o| o.sigma = 0.0), E::Sigma(3));
    assert_eq!(with(&|o| o.sigma = 1e-30), E::Sigma(3));
    assert_eq!(with(&|o| o.component = 3), E::Component(3));
    assert_eq!(with(&|o| o.t = -1.0), E::OutsideTime(3));
    assert_eq!(with(&|o| o.t = 20.5), E::OutsideTime(3));
    assert_eq!(ask(&observations, Task { free: Free(0), ..task }), E::NothingFree);
    assert_eq!(ask(&observations, Task { free: Free(1), ..task }), E::NotFree(0));
    assert_eq!(ask(&observations, Task { free: Free(1 << 9), ..task }), E::NotFree(9));
    let outside = Query { initial: [0.9, 0.2, 0.0, 0.0], ..query };
    assert_eq!(ask(&observations, Task { fixed: outside, ..task }), E::OutsideDomain(1));
    let missing = Query { initial: [f32::NAN, 0.2, 0.0, 0.0], ..query };
    assert_eq!(ask(&observations, Task { fixed: missing, ..task }), E::OutsideDomain(1));
}

/// True peak time, peak height, and S far in the future.
fn epidemic(query: &Query) -> (f64, f64, f64) {
    let (c, p) = (query.initial.map(f64::from), query.rates.map(f64::from));
    let mut y = Ode::Sir.initial(&c);
    let (mut best, mut t) = ((0.0, y[1]), 0.0);
    while t < 400.0 {
        y = rk4::step(Ode::Sir, &y, &p, 0.01);
        t += 0.01;
        if y[1] > best.1 {
            best = (t, y[1]);
        }
    }
    (best.0, best.1, y[0])
}

#[test]
fn the_outlook_is_that_of_the_true_solution_and_its_errors_are_propagated() {
    let bundle = full();
    let mut noise = Noise(21);
    let (mut trials, mut within) = (0, [0; 4]);
    while trials < 200 {
        let (query, observations) = trial(&mut noise, 10, &[1, 2], 0.01);
        let task = Task { free: free(&["beta", "gamma"]), fixed: query, relative: false };
        let result = calibrate(&bundle, &observations, &task).unwrap();
        let forecast = forecast(&bundle, &result, 10.0, 20.0).unwrap();
        let outlook = forecast.outlook.unwrap();
        let (peak, height, never) = epidemic(&result.problem);
        assert!((f64::from(outlook.peak_height.value) - height).abs() < 1e-4, "{outlook:?} {height}");
        assert!((f64::from(outlook.never_infected.value) - never).abs() < 2e-3, "{outlook:?} {never}");
        let time = outlook.peak_time.unwrap();
        assert!((f64::from(time.value) - peak).abs() < 0.05, "{outlook:?} {peak}");
        let (_, height, never) = epidemic(&query);
        let recovered = truth(&Query { t: 20.0, ..query })[2];
        let basic = f64::from(query.rates[0] / query.rates[1]);
        let pairs = [
            (outlook.basic, basic),
            (outlook.peak_height, height),
            (outlook.never_infected, never),
            (forecast.state[2], recovered),
        ];
        for (count, (u, exact)) in within.iter_mut().zip(pairs) {
            let error = (f64::from(u.value) - exact).abs();
            *count += usize::from(error <= 2.0 * f64::from(u.standard_error) + 1e-4);
        }
        trials += 1;
    }
    println!("within 2 se of {trials}: basic, peak height, S(inf), R(20) {within:?}");
    assert!(within.iter().all(|n| *n as f64 >= 0.93 * f64::from(trials)), "{within:?}");
}

/// The counts of the 1978 outbreak, as shares of the boys in the school.
fn boarding_school() -> Vec<Observation> {
    let text = include_str!("../../tests/data/influenza-boarding-school-1978.csv");
    let rows = text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    rows.map(|row| {
        let fields: Vec<&str> = row.split(',').collect();
        let (t, count): (f32, f32) = (fields[0].parse().unwrap(), fields[2].parse().unwrap());
        Observation { t, component: 1, value: count / 763.0, sigma: 1.0 }
    })
    .collect()
}

const SCHOOL: [(f32, f32); 5] = [(0.0, 14.0), (0.001, 0.02), (0.0, 0.05), (1.0, 2.5), (0.2, 0.8)];

/// The outbreak fitted by least squares with Runge-Kutta: no bundle is trained for a school of 763.
fn boarding_school_fit(names: &[&str], observations: &[Observation]) -> (Numerical, Calibration) {
    let model = Numerical::new(Ode::Sir, &SCHOOL.map(|(lo, hi)| Range { lo, hi }), 0.1).unwrap();
    let fixed = Query::from_quantities(Ode::Sir, &[0.0, 1.0 / 763.0]);
    let result = calibrate(&model, observations, &Task { free: free(names), fixed, relative: true }).unwrap();
    (model, result)
}

#[test]
fn the_1978_school_outbreak_has_its_published_rates() {
    // As in Murray, Mathematical Biology (1989), 19.1: one boy infected, the first counts a day later; 2.18e-3 * 763 =
    // 1.66 and 0.44 a day.
    let later: Vec<_> = boarding_school().iter().map(|o| Observation { t: o.t + 1.0, ..*o }).collect();
    let (model, result) = boarding_school_fit(&["beta", "gamma"], &later);
    let [beta, gamma] = &result.estimates[..] else { panic!() };
    let outlook = forecast(&model, &result, 14.0, 14.0).unwrap().outlook.unwrap();
    println!("{result:?}\n{outlook:?}");
    assert!(result.converged && result.estimates.iter().all(|e| e.identified && !e.at_bound), "{result:?}");
    assert!((beta.value - 1.66).abs() < 0.05 && (gamma.value - 0.44).abs() < 0.03, "{result:?}");
    assert!((outlook.basic.value - 3.7).abs() < 0.2 && outlook.effective.value < 0.3);
    // 298 boys were in bed at most, five days after the first count.
    let peak = outlook.peak_time.unwrap();
    assert!((6.0..7.0).contains(&peak.value) && (outlook.peak_height.value * 763.0 - 298.0).abs() < 25.0);
}

#[test]
fn the_1978_school_outbreak_determines_its_beginning_too() {
    let (_, result) = boarding_school_fit(&["I0", "beta", "gamma"], &boarding_school());
    println!("{result:?}");
    assert!(result.converged && result.estimates.iter().all(|e| e.identified && !e.at_bound), "{result:?}");
    let boys = result.estimates[0].value * 763.0;
    assert!((1.0..4.0).contains(&boys), "{boys} at first, 3 were counted");
}

proptest! {
    #[test]
    fn any_numbers_are_answered(
        rows in proptest::collection::vec((any::<f32>(), 0u8..4, any::<f32>(), any::<f32>()), 0..20),
        initial: [f32; 4], rates: [f32; 4], bits: u16, relative: bool,
    ) {
        let observe = |(t, component, value, sigma): (f32, u8, f32, f32)| Observation { t, component, value, sigma };
        let observations: Vec<_> = rows.into_iter().map(observe).collect();
        let task = Task { free: Free(bits), fixed: Query { t: 0.0, initial, rates }, relative };
        let _ = calibrate(&full(), &observations, &task);
    }

    #[test]
    fn wild_values_at_sound_times_are_answered(
        rows in proptest::collection::vec((0.0f32..20.0, 0u8..3, -1e6f32..1e6, 1e-6f32..1e6), 4..20), relative: bool,
    ) {
        let observe = |(t, component, value, sigma): (f32, u8, f32, f32)| Observation { t, component, value, sigma };
        let observations: Vec<_> = rows.into_iter().map(observe).collect();
        let bundle = full();
        let task = Task { free: Free(0b11110), fixed: Query::from_quantities(Ode::Sir, &[]), relative };
        if let Ok(result) = calibrate(&bundle, &observations, &task) {
            prop_assert!(bundle.in_domain(&result.problem), "{:?}", result);
            prop_assert!(result.evaluations <= 5 * 26);
            let _ = forecast(&bundle, &result, 5.0, 20.0);
        }
    }
}
