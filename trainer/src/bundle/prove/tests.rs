use super::ball::Ball;
use super::jet::{DEGREE, Jet};
use super::residual::{LARGEST, Place, integrand};
use super::strip::{Strip, strip};
use super::{LARGEST_EXTENT, edges};
use crate::bundle::mlp::{Activation, Mlp};
use crate::host::random::{Purpose, Random};

/// A network with widths 3-6-6-1 that was trained for 2,000 iterations.
#[rustfmt::skip]
#[allow(clippy::unreadable_literal, reason = "weights, as they are printed")]
const WEIGHTS: [f32; 73] = [
    0.018550485, 0.18603817, 0.985998, -0.24806976, 0.0181683, -0.9541183, 0.023370972, -0.23760246, -0.38224632,
    0.06004032, 1.4923866, 0.26268166, 0.0894905, -1.6693678, -0.07414474, -0.013653211, 2.0202842, -0.28343472,
    0.91569144, -0.34632117, -1.2122663, 1.6971539, -1.4519554, 1.4144522, 0.2415539, -0.06230147, 0.0047575748,
    -1.9810976, -0.117905185, -0.8841363, 0.1899685, -0.2570835, -1.0207988, 1.1706461, 0.49200726, -0.073542625,
    0.11085858, -0.2948232, -1.7045935, -0.14992546, -0.27794552, -0.09988508, -0.88002807, -0.24005719, 1.7001994,
    0.3048853, 0.21329121, -1.2012651, 0.4150558, 0.14554441, -0.8394573, -0.55615795, -0.84467113, 0.8244301,
    -0.34868008, -0.118671484, -0.03838541, -0.48065767, 0.370921, -0.858425, -0.76714844, -0.55818313, -0.95236164,
    -0.44862786, -0.1079657, -0.009922914, -3.1306589, -1.174783, 0.5787533, 3.2837067, -1.8163201, -1.0674661,
    1.4869169,
];

fn network() -> Mlp {
    let parameters = WEIGHTS.map(f64::from).to_vec();
    Mlp { widths: vec![3, 6, 6, 1], activation: Activation::Tanh, parameters }
}

fn random() -> Random {
    Random::new(7, Purpose::Measurement, 0)
}

/// A number of any sign and of a magnitude between 1e-8 and 1e8.
fn number(random: &mut Random) -> f64 {
    (random.uniform() - 0.5).signum() * 10f64.powf(16.0 * random.uniform() - 8.0)
}

#[test]
fn a_ball_contains_the_exact_result_of_every_operation_on_numbers() {
    let mut random = random();
    for _ in 0..100_000 {
        let (a, b) = (number(&mut random), number(&mut random));
        let (x, y) = (Ball::point(a), Ball::point(b));
        // The rounding errors of a sum and of a product are numbers themselves.
        let (sum, product, quotient) = (x + y, x * y, x / y);
        let (s, p, q) = (a + b, a * b, a / b);
        assert_eq!((sum.middle, product.middle, quotient.middle), (s, p, q));
        let part = s - a;
        let lost = (a - (s - part)) + (b - part);
        assert!(lost.abs() <= sum.radius && sum.radius <= 1e-15 * s.abs() + 1e-299, "{a} + {b}");
        assert!(a.mul_add(b, -p).abs() <= product.radius && product.radius <= 1e-15 * p.abs(), "{a} * {b}");
        let rest = (-q).mul_add(b, a);
        assert!(rest.abs() <= quotient.radius * b.abs() && quotient.radius <= 1e-15 * q.abs(), "{a} / {b}");
    }
}

#[test]
fn a_ball_contains_the_results_of_all_its_numbers() {
    let mut random = random();
    let inside = |ball: Ball, value: f64| {
        let slack = 1e-14 * value.abs();
        ball.lo() - slack <= value && value <= ball.hi() + slack
    };
    for _ in 0..100_000 {
        let mut draw = |size: f64| {
            let middle = size * (2.0 * random.uniform() - 1.0);
            let radius = size * random.uniform().powi(4);
            let value = middle + radius * (2.0 * random.uniform() - 1.0);
            (Ball { middle, radius }, value)
        };
        let ((x, a), (y, b), (z, c)) = (draw(3.0), draw(2.0), draw(1.0));
        assert!(inside(x + y, a + b) && inside(x - y, a - b) && inside(x * y, a * b), "{x:?} {y:?}");
        let quotient = x / y;
        assert!(inside(quotient, a / b) || y.has_zero() && quotient.radius.is_infinite(), "{x:?} / {y:?}");
        assert!(inside(z.exp(), c.exp()) && inside(x.tanh(), a.tanh()), "{x:?} {z:?}");
        assert!((0..5).all(|k| inside(x.power(k), a.powi(k as i32))), "{x:?}");
        let ends = Ball::between(a.min(b), a.max(b));
        assert!(inside(ends, a) && inside(ends, b) && x.magnitude() >= a.abs());
    }
}

#[test]
fn exp_needs_no_library() {
    // e and e^20 to 32 digits, as a number and what it lacks.
    for (z, value, rest) in [
        (1.0, std::f64::consts::E, 1.445_646_891_729_250_2e-16),
        (20.0, 485_165_195.409_790_3, 4.880_277_289_790_406e-10),
    ] {
        let ball = Ball::point(z).exp();
        assert!((ball.middle - value - rest).abs() <= ball.radius, "{ball:?}");
    }
    for k in -5900..=5900 {
        let z = 0.1 * f64::from(k);
        let (ball, other) = (Ball::point(z).exp(), z.exp());
        assert!((ball.middle - other).abs() <= ball.radius + f64::EPSILON * other, "{z}");
        assert!(ball.radius <= 5e-13 * other + 1e-299, "{z} {ball:?}");
        let (ball, other) = (Ball::point(0.01 * z).tanh(), (0.01 * z).tanh());
        assert!((ball.middle - other).abs() <= ball.radius + f64::EPSILON && ball.radius < 1e-14, "{z} {ball:?}");
    }
}

#[test]
fn without_a_statement_no_bound_holds() {
    let huge = Ball::point(1e300);
    let nothing = [
        Ball::ONE / Ball::ZERO,
        Ball::ONE / Ball::within(1.0),
        huge * huge,
        Ball::point(700.0).exp(),
        Ball { middle: 0.0, radius: 2.0 }.exp(),
        Ball::point(f64::NAN).exp(),
    ];
    for ball in nothing {
        for result in [ball, ball + Ball::ONE, ball * Ball::within(1.0), Ball::ONE / ball, ball.exp(), -ball] {
            let bounded = result.magnitude() < 1e300;
            assert!(!bounded, "{ball:?} {result:?}");
        }
    }
}

#[test]
fn jets_are_taylor_series() {
    let (u, v) = (Jet::variable(0, Ball::point(0.25)), Jet::variable(1, Ball::point(-0.5)));
    let factorial = |n: usize| (1..=n).map(|k| k as f64).product::<f64>();
    let near = |ball: Ball, value: f64| {
        assert!(
            (ball.middle - value).abs() <= ball.radius + 1e-12 * value.abs() && ball.radius < 1e-9,
            "{ball:?} {value}"
        );
    };
    // f = u + 2 v.
    let f = u.plus(&v.times_number(2.0));
    let exp = f.exp();
    let quotient = Jet::constant(Ball::ONE).over(&f.plus_number(3.0));
    for a in 0..=DEGREE {
        for b in 0..=DEGREE - a {
            let ways = factorial(a + b) / (factorial(a) * factorial(b)) * 2f64.powi(b as i32);
            near(exp.coefficient(a, b), (-0.75f64).exp() * 2f64.powi(b as i32) / (factorial(a) * factorial(b)));
            near(quotient.coefficient(a, b), ways * (-1f64).powi((a + b) as i32) / 2.25f64.powi((a + b + 1) as i32));
        }
    }
    // tanh f = (e^2f - 1) / (e^2f + 1), and u v^2 has one term.
    let e = f.times_number(2.0).exp();
    let other = e.plus_number(-1.0).over(&e.plus_number(1.0));
    let product = f.times(&v).times(&v).minus(&v.times(&v).times(&v).times_number(2.0));
    for a in 0..=DEGREE {
        for b in 0..=DEGREE - a {
            near(f.tanh().coefficient(a, b), other.coefficient(a, b).middle);
            let right = [[0.0625, -0.25, 0.25], [0.25, -1.0, 1.0]];
            near(product.coefficient(a, b), right.get(a).and_then(|row| row.get(b)).copied().unwrap_or(0.0));
            if a + b < DEGREE {
                near(exp.by_first().coefficient(a, b), exp.coefficient(a, b).middle);
            }
        }
    }
}

fn phi1(z: f64) -> f64 {
    if z == 0.0 { 1.0 } else { z.exp_m1() / z }
}

fn phi2(z: f64) -> f64 {
    if z.abs() >= 0.5 {
        return (z.exp_m1() - z) / (z * z);
    }
    let (mut sum, mut term) = (0.0, 0.5);
    for k in 3..20 {
        sum += term;
        term *= z / f64::from(k);
    }
    sum
}

/// rho' at (xi, Y) in plain f64, from formulas of its own.
fn plain(network: &Mlp, xi: f64, extent: f64) -> f64 {
    let stretch = (LARGEST / extent).min(1.0);
    let x = xi * stretch;
    let (q, a) = (1.0 / phi1(extent), phi2(extent) / phi1(extent));
    let (y, rest, b) = (x * extent, 1.0 - x, 1.0 - a);
    let (g, start) = (extent - y, q + extent);
    let both = if x < 0.5 {
        q * phi2(y) / (a * (a - q * x * phi2(y))) - 1.0 / (b * rest * phi1(g))
    } else {
        let above = b * extent * phi2(g) + start * phi2(-g);
        above / ((b - start * rest * phi2(-g)) * b * phi1(g)) - 1.0 / (a * x)
    };
    let mut values = vec![(2.0 * x - 1.0, 2.0), (extent / 15.0 - 1.0, 0.0), (g / 5.0 - 1.0, -extent / 5.0)];
    for (l, layer) in network.layers().enumerate() {
        let unit = |o: usize| {
            let row = &layer.weight[o * layer.inputs..][..layer.inputs];
            let (z, dz) =
                row.iter().zip(&values).fold((layer.bias[o], 0.0), |(z, dz), (w, (v, dv))| (z + w * v, dz + w * dv));
            let t = z.tanh();
            if l + 1 < network.depth() { (t, (1.0 - t * t) * dz) } else { (z, dz) }
        };
        values = (0..layer.outputs).map(unit).collect();
    }
    (values[0].1 / (1.0 + 0.5 * extent) - both / extent) * stretch
}

#[test]
fn the_residual_is_that_of_plain_arithmetic() {
    let mut random = random();
    for _ in 0..300 {
        let extent = LARGEST_EXTENT * random.uniform().powi(3) + 1e-3;
        let xi = random.uniform();
        let place = Place { xi: Ball::point(xi), extent: Ball::point(extent), far: extent >= LARGEST };
        let (ball, value) = (integrand(&network(), &place).value(), plain(&network(), xi, extent));
        let rounding = 1e-11 + 1e-12 / extent;
        assert!(
            (ball.middle - value).abs() <= ball.radius + rounding && ball.radius < rounding,
            "{xi} {extent}: {ball:?} {value}"
        );
    }
}

/// Nodes and weights of Gauss with five nodes on [-1, 1].
const GAUSS: [(f64, f64); 5] = [
    (-0.906_179_845_938_664, 0.236_926_885_056_189_1),
    (-0.538_469_310_105_683_1, 0.478_628_670_499_366_5),
    (0.0, 0.568_888_888_888_888_9),
    (0.538_469_310_105_683_1, 0.478_628_670_499_366_5),
    (0.906_179_845_938_664, 0.236_926_885_056_189_1),
];

/// Checks every panel at points along one orbit, and returns the largest error seen on it.
fn observed(network: &Mlp, strip: &Strip, extent: f64) -> f64 {
    let reach = extent.min(LARGEST);
    let q = 1.0 / phi1(extent);
    let (mut drift, mut seen) = (0.0, vec![(0.0, 0.0)]);
    for panel in &strip.panels {
        let middle = 0.5 * (panel.from + panel.to);
        let half = 0.5 * (panel.to - panel.from);
        let mut integral = 0.0;
        for (node, weight) in GAUSS {
            let value = plain(network, middle + half * node, extent);
            integral += half * weight * value;
            assert!(
                (panel.integrand.middle - value).abs() <= panel.integrand.radius + 1e-11,
                "{extent} {panel:?} {value}"
            );
        }
        assert!(
            (panel.integral.middle - integral).abs() <= panel.integral.radius + 1e-13,
            "{extent} {panel:?} {integral}"
        );
        let y = panel.to * reach;
        let (s, i) = (q * y.exp(), y - q * y.exp_m1());
        assert!(
            panel.level >= s - 1e-12 && panel.infected >= i - 1e-12 && panel.start <= panel.from * reach + q + 1e-15
        );
        drift += integral;
        seen.push((y, drift));
    }
    let mut error = 0f64;
    for (k, (y, at)) in seen.iter().enumerate() {
        let rate = (q * y.exp()).max(1.0) * (y - q * y.exp_m1());
        for (start, from) in &seen[k..] {
            error = error.max((from - at).abs() * rate / (start + q));
        }
    }
    error
}

/// Strips all over the domain.
const STRIPS: [(f64, f64); 9] = [
    (0.001, 0.00105),
    (0.125, 0.1328125),
    (0.9375, 1.0),
    (1.75, 1.875),
    (4.0, 4.125),
    (11.0, 11.125),
    (19.875, 20.0),
    (20.0, 20.0625),
    (39.875, 40.0),
];

#[test]
fn every_sample_is_within_its_panel_and_below_the_bound() {
    let network = network();
    for (from, to) in STRIPS {
        let strip = strip(&network, (from, to), 1.0 / 32.0).unwrap();
        let (first, last) = (&strip.panels[0], &strip.panels[strip.panels.len() - 1]);
        assert!(first.from == 0.0 && last.to == 1.0);
        assert!(strip.panels.windows(2).all(|p| p[0].to == p[1].from && p[0].from < p[0].to));
        let errors = [0.0, 0.3, 0.5, 0.8, 1.0].map(|share| observed(&network, &strip, from + share * (to - from)));
        let largest = errors.into_iter().fold(0.0, f64::max);
        assert!(largest <= strip.error && strip.error < 6e-7, "{from}: {largest:e} {:e}", strip.error);
        assert!(strip.error < 1.6 * largest, "{from}: {largest:e} {:e}", strip.error);
    }
}

#[test]
fn the_smallest_orbits_have_a_bound_although_the_formulas_are_singular_there() {
    let network = network();
    let to = edges()[1];
    let strip = strip(&network, (0.0, to), 1.0 / 32.0).unwrap();
    for share in [1e-2, 0.5, 1.0] {
        for panel in &strip.panels {
            let value = plain(&network, 0.5 * (panel.from + panel.to), share * to);
            assert!((panel.integrand.middle - value).abs() <= panel.integrand.radius, "{panel:?} {value}");
        }
    }
    assert!(strip.error < 1e-7);
}

#[test]
fn a_wrong_weight_shows() {
    for at in [2, 20, 30, 66] {
        let mut network = network();
        network.parameters[at] += 1e-3;
        let (from, to) = (4.0, 4.125);
        let strip = strip(&network, (from, to), 1.0 / 32.0).unwrap();
        let error = observed(&network, &strip, 0.5 * (from + to));
        assert!(error <= strip.error && error > 1e-6, "{at}: {error:e} {:e}", strip.error);
    }
    // One that is not a number, or a network that is no solution at all.
    for value in [f64::NAN, f64::INFINITY, 1e6] {
        let mut network = network();
        network.parameters[2] = value;
        assert_eq!(strip(&network, (4.0, 4.125), 1.0 / 32.0), None);
    }
}

#[test]
fn the_first_strips_cover_all_orbits() {
    let edges = edges();
    assert!(edges[0] == 0.0 && edges[edges.len() - 1] == LARGEST_EXTENT && edges.contains(&LARGEST));
    assert!(edges.windows(2).all(|e| e[0] < e[1]));
}
