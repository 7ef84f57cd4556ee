//! Estimates from counts: exact counts give the exact epidemic, and wrong questions their errors.

use sirocco::bundle::{Bundle, Range};
use sirocco::outbreak::{
    Count, Fit, INFECTED, Noise, Observable, OutbreakError, Parameters, RECOVERY, REPRODUCTION, ReportingChange, SCALE,
    Series, Setting, Starts, expected, fit,
};

#[repr(C, align(8))]
struct Aligned<B: ?Sized>(B);
static FILE: &Aligned<[u8]> = &Aligned(*include_bytes!("../../firmware/app/assets/sir.safetensors"));

fn bundle() -> Bundle<'static> {
    Bundle::open(&FILE.0).unwrap()
}

fn range(lo: f32, hi: f32) -> Range {
    Range { lo, hi }
}

/// Everything but the scale and the background is unknown.
fn setting(scale: f32, changes: &[f32]) -> Setting {
    Setting {
        series: heapless::Vec::new(),
        noise: Noise::NegativeBinomial { dispersion: None },
        infected: range(1e-9, 0.5),
        recovery: range(0.01, 5.0),
        scale: range(scale, scale),
        background: range(0.0, 0.0),
        reproduction: (0..=changes.len()).map(|_| range(0.2, 19.9)).collect(),
        changes: heapless::Vec::from_slice(changes).unwrap(),
        removed: 0.0,
        reporting: Default::default(),
    }
}

/// What these parameters lead to, without scatter.
fn exact(setting: &Setting, values: Parameters, observable: Observable, days: u16) -> (Vec<Count>, Series) {
    let known = Fit {
        values,
        free: 0,
        at_bound: 0,
        open: 0,
        covariance: Default::default(),
        deviance: 0.0,
        log_likelihood: 0.0,
        dispersion: 1.0,
        check: Default::default(),
        evaluations: 0,
        converged: true,
    };
    let count = |day: u16| {
        let interval = (f32::from(day), f32::from(day) + 1.0);
        let value = expected(&bundle(), setting, &known, observable, interval).unwrap().value;
        Count { t: interval.1, value }
    };
    ((0..days).map(count).collect(), Series { observable, start: 0.0, counts: days })
}

#[test]
fn exact_counts_give_the_exact_epidemic() {
    let values = [2e-4, 0.25, 30_000.0, 0.0, 2.4, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    for observable in [
        Observable::NewCases,
        Observable::NewRemovals,
        Observable::Infected,
        Observable::Susceptible,
        Observable::Removed,
    ] {
        let mut setting = setting(30_000.0, &[]);
        let (counts, series) = exact(&setting, values, observable, 60);
        setting.series.push(series).unwrap();
        for noise in [Noise::NegativeBinomial { dispersion: None }, Noise::Poisson, Noise::Gaussian { sigma: None }] {
            setting.noise = noise;
            let found = fit(&bundle(), &counts, &setting, Starts::Guessed).unwrap();
            for k in [INFECTED, RECOVERY, REPRODUCTION] {
                let off = found.values[k] / values[k] - 1.0;
                assert!(off.abs() < 0.01, "{observable:?} {noise:?} {k}: {found:?}");
            }
            assert!(found.converged && found.open == 0 && found.at_bound == 0, "{observable:?} {noise:?}: {found:?}");
        }
    }
}

#[test]
fn a_change_of_the_reproduction_number_is_found_with_reporting_unknown() {
    let values = [1e-4, 0.3, 8_000.0, 0.0, 3.0, 1.1, 0.0, 0.0, 0.0, 0.0, 0.0];
    let mut setting = setting(8_000.0, &[9.0]);
    let (mut counts, series) = exact(&setting, values, Observable::NewCases, 80);
    // Days on which nobody counted do not matter.
    for day in [3, 20, 21, 40] {
        counts[day].value = f32::NAN;
    }
    setting.series.push(series).unwrap();
    setting.scale = range(100.0, 1e6);
    setting.noise = Noise::Poisson;
    let found = fit(&bundle(), &counts, &setting, Starts::Guessed).unwrap();
    for k in [INFECTED, RECOVERY, SCALE, REPRODUCTION, REPRODUCTION + 1] {
        assert!((found.values[k] / values[k] - 1.0).abs() < 0.1, "{k}: {found:?}");
    }
    assert!(found.deviance < 0.1 && found.check.freedom == 71, "{found:?}");
    // Starting from the truth, the descent stays there.
    let again = fit(&bundle(), &counts, &setting, Starts::From(values)).unwrap();
    assert!(again.deviance <= found.deviance + 0.01 && again.evaluations < 8, "{again:?}");
}

#[test]
fn a_change_of_what_is_reported_is_told_from_a_change_of_the_epidemic() {
    let values = [1e-4, 0.3, 8_000.0, 0.0, 2.5, 0.4, 0.0, 0.0, 0.0, 0.0, 0.0];
    let change = ReportingChange { from: 30.0, ratio: range(0.01, 100.0) };
    let mut setting = Setting { reporting: [change].into_iter().collect(), ..setting(8_000.0, &[]) };
    let (counts, series) = exact(&setting, values, Observable::NewCases, 80);
    setting.series.push(series).unwrap();
    let found = fit(&bundle(), &counts, &setting, Starts::Guessed).unwrap();
    for k in [INFECTED, RECOVERY, REPRODUCTION, setting.reporting_place()] {
        assert!((found.values[k] / values[k] - 1.0).abs() < 0.02, "{k}: {found:?}");
    }
    assert!(found.converged && found.deviance < 0.1, "{found:?}");
    // Who does not know of it is misled.
    setting.reporting.clear();
    let misled = fit(&bundle(), &counts, &setting, Starts::Guessed).unwrap();
    assert!((misled.values[REPRODUCTION] / values[REPRODUCTION] - 1.0).abs() > 0.1, "{misled:?}");
}

#[test]
fn what_counts_leave_open_is_said() {
    // Early growth alone tells beta - gamma, and nothing about either, nor about the scale.
    let values = [1e-5, 0.3, 1e5, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    let mut setting = setting(1e5, &[]);
    let (counts, series) = exact(&setting, values, Observable::NewCases, 14);
    setting.series.push(series).unwrap();
    setting.scale = range(1e3, 1e7);
    setting.noise = Noise::Poisson;
    let found = fit(&bundle(), &counts, &setting, Starts::Guessed).unwrap();
    for k in [INFECTED, SCALE, RECOVERY, REPRODUCTION] {
        assert!(found.spread(k) > 0.5, "{k}: {found:?}");
    }
    let growth = found.values[RECOVERY] * (found.values[REPRODUCTION] - 1.0);
    assert!((growth - 0.3).abs() < 0.02, "{growth}: {found:?}");
}

#[test]
fn every_wrong_question_has_its_error() {
    let mut good = setting(1000.0, &[]);
    let (counts, series) =
        exact(&good, [1e-2, 0.3, 1000.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], Observable::NewCases, 30);
    good.series.push(series).unwrap();
    let ask = |counts: &[Count], change: &dyn Fn(&mut Setting)| {
        let mut setting = good.clone();
        change(&mut setting);
        fit(&bundle(), counts, &setting, Starts::Guessed).map(|_| ()).unwrap_err()
    };
    assert!(fit(&bundle(), &counts, &good, Starts::Guessed).is_ok());
    assert_eq!(ask(&counts[..9], &|_| {}), OutbreakError::Series { named: 30, have: 9 });
    assert_eq!(ask(&counts[..2], &|s| s.series[0].counts = 2), OutbreakError::TooFew { have: 2, need: 3 });
    let changed = |at: usize, count: Count| {
        let mut counts = counts.clone();
        counts[at] = count;
        ask(&counts, &|_| {})
    };
    assert_eq!(changed(4, Count { t: 5.0, value: -1.0 }), OutbreakError::Count(4));
    assert_eq!(changed(4, Count { t: 5.0, value: f32::INFINITY }), OutbreakError::Count(4));
    assert_eq!(changed(4, Count { t: 4.0, value: 1.0 }), OutbreakError::Count(4));
    assert_eq!(changed(4, Count { t: f32::NAN, value: 1.0 }), OutbreakError::Count(4));
    for (k, change) in [
        (INFECTED, &(|s: &mut Setting| s.infected = range(0.1, 1.5)) as &dyn Fn(&mut Setting)),
        (INFECTED, &|s| s.removed = -0.5),
        (RECOVERY, &|s| s.recovery = range(0.0, 1.0)),
        (SCALE, &|s| s.scale = range(2.0, 1.0)),
        (SCALE, &|s| s.scale = range(1.0, f32::NAN)),
        (REPRODUCTION, &|s| s.reproduction[0] = range(-1.0, 2.0)),
    ] {
        assert_eq!(ask(&counts, change), OutbreakError::Range(k as u8));
    }
    assert_eq!(ask(&counts, &|s| s.changes.push(5.0).unwrap()), OutbreakError::Changes);
    for times in [&[0.0][..], &[9.0, 9.0], &[f32::NAN], &[5.0, f32::INFINITY]] {
        let wrong = |s: &mut Setting| {
            s.reporting = times.iter().map(|from| ReportingChange { from: *from, ratio: range(0.5, 2.0) }).collect();
        };
        assert_eq!(ask(&counts, &wrong), OutbreakError::Changes, "{times:?}");
    }
    assert_eq!(ask(&counts, &|s| s.noise = Noise::Gaussian { sigma: Some(0.0) }), OutbreakError::Noise);
    let nothing = |s: &mut Setting| {
        (s.infected, s.recovery) = (range(0.1, 0.1), range(0.1, 0.1));
        s.reproduction[0] = range(2.0, 2.0);
    };
    assert_eq!(ask(&counts, &nothing), OutbreakError::Unknowns(0));
}
