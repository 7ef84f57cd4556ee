//! The committed picture is what the example draws, and the stretches of orbits that it marks solve the equations.

#[allow(dead_code, reason = "its `main` is the example's")]
#[path = "../examples/phase.rs"]
mod phase;

#[test]
fn the_committed_picture_is_drawn_by_the_example() {
    let committed = include_str!("../../docs/phase.svg").replace('\r', "");
    assert!(
        phase::svg() == committed,
        "draw it again: cargo run -p sirocco-plot --example phase -- shared/docs/phase.svg"
    );
}

/// Runge-Kutta for s' = -s i, i' = s i - i from the start of a stretch leads to its end.
#[test]
fn a_query_runs_along_a_solution() {
    let rhs = |[s, i]: [f64; 2]| [-s * i, s * i - i];
    for (k, share, time) in [(1.5, 0.9, 12.0), (2.0, 0.95, 6.0), (3.0, 0.99, 5.0)] {
        let query = phase::stretch(&phase::orbit(k), k * share, time);
        let (start, answer) = (query[0], query[query.len() - 1]);
        let h = time / 2000.0;
        let mut y = [start.s, start.i];
        for _ in 0..2000 {
            let moved = |k: [f64; 2], h: f64| [y[0] + h * k[0], y[1] + h * k[1]];
            let a = rhs(y);
            let b = rhs(moved(a, 0.5 * h));
            let c = rhs(moved(b, 0.5 * h));
            let d = rhs(moved(c, h));
            y = [0, 1].map(|j| y[j] + h / 6.0 * (a[j] + 2.0 * b[j] + 2.0 * c[j] + d[j]));
        }
        let error = (y[0] - answer.s).abs().max((y[1] - answer.i).abs());
        assert!(error < 3e-4, "k = {k}: {y:?} {answer:?}");
    }
}
