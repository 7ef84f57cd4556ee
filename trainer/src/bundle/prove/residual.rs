//! The residual of the network, as a jet: how fast its time along an orbit drifts from the true one.

use super::ball::Ball;
use super::jet::{DEGREE, Jet};
use crate::bundle::mlp::Mlp;

/// The largest y of any epidemic that is answered, as y + q = k (S + I) <= 20.
pub const LARGEST: f64 = 20.0;

/// A point, or a box of points, by its coordinates (xi, Y), where y = xi min(Y, 20).
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// From 0 at the end of an orbit to 1 at its beginning, or at y = 20.
    pub xi: Ball,
    /// Y.
    pub extent: Ball,
    /// Whether Y >= 20, here and everywhere in the box; Y <= 20 otherwise.
    pub far: bool,
}

/// The functions of a place that all formulas are made of.
struct Coordinates {
    extent: Jet,
    x: Jet,
    y: Jet,
    /// 1 - x.
    rest: Jet,
    g: Jet,
    /// dx/dxi, a function of Y alone.
    stretch: Jet,
    /// Whether the end of the orbit is nearer than its beginning.
    near_end: bool,
}

impl Coordinates {
    fn new(place: &Place) -> Self {
        let one = Jet::constant(Ball::ONE);
        let (xi, extent) = (Jet::variable(0, place.xi), Jet::variable(1, place.extent));
        let (x, y, rest, g, stretch);
        if place.far {
            let largest = Jet::constant(Ball::point(LARGEST));
            y = xi.times(&largest);
            g = extent.minus(&y);
            stretch = largest.over(&extent);
            x = y.over(&extent);
            rest = g.over(&extent);
        } else {
            x = xi;
            rest = one.minus(&x);
            y = x.times(&extent);
            g = rest.times(&extent);
            stretch = one;
        }
        let near_end = x.value().middle < 0.5;
        Coordinates { extent, x, y, rest, g, stretch, near_end }
    }
}

/// The integrand rho dx/dxi, where rho = dB_net/dx - Y b. Known to the total degree `DEGREE` - 1, but in a box with Y =
/// 0 its value alone is.
pub fn integrand(network: &Mlp, place: &Place) -> Jet {
    let at = Coordinates::new(place);
    let brackets = brackets(&at);
    let exact = if place.extent.has_zero() {
        // They vanish at Y = 0, so by the mean value theorem they are Y times their derivative by Y somewhere below.
        Jet::constant(brackets.coefficient(0, 1))
    } else {
        brackets.over(&at.extent).times(&at.stretch)
    };
    regular(network, &at).by_first().minus(&exact)
}

/// B = N(2x - 1, Y/15 - 1, g/5 - 1) / (1 + Y/2).
fn regular(network: &Mlp, place: &Coordinates) -> Jet {
    let number = |v| Jet::constant(Ball::point(v));
    let inputs = [
        place.x.times_number(2.0).plus_number(-1.0),
        place.extent.over(&number(15.0)).plus_number(-1.0),
        place.g.over(&number(5.0)).plus_number(-1.0),
    ];
    let mut values = inputs.to_vec();
    for (l, layer) in network.layers().enumerate() {
        let rows = layer.weight.chunks_exact(layer.inputs).zip(layer.bias);
        let outputs = rows.map(|(row, bias)| {
            let products = row.iter().zip(&values).map(|(w, v)| v.times_number(*w));
            let sum = products.fold(number(*bias), |sum, product| sum.plus(&product));
            if l + 1 < network.depth() { sum.tanh() } else { sum }
        });
        values = outputs.collect();
    }
    values[0].over(&place.extent.times_number(0.5).plus_number(1.0))
}

/// Y times (Y b), from y = 0 or from g = 0, whichever is nearer.
fn brackets(place: &Coordinates) -> Jet {
    let Coordinates { extent, x, y, rest, g, near_end, .. } = place;
    let one = Jet::constant(Ball::ONE);
    let (q, a) = (steepness(extent), ratio(extent));
    let b = one.minus(&a);
    if *near_end {
        let fall = q.times(&phi2(y));
        let left = fall.over(&a.times(&a.minus(&x.times(&fall))));
        left.minus(&steepness(g).over(&b.times(rest)))
    } else {
        let back = q.plus(extent).times(&phi2(&g.negative()));
        let above = b.times(extent).times(&ratio(g)).plus(&back.times(&steepness(g)));
        let left = above.over(&b.minus(&rest.times(&back)).times(&b));
        left.minus(&one.over(&a.times(x)))
    }
}

/// Below this, the functions of z are computed from their Taylor series at zero.
const SMALL: f64 = 2.0;

/// phi_2(z) = (e^z - 1 - z) / z^2.
fn phi2(z: &Jet) -> Jet {
    if z.value().magnitude() < SMALL {
        return z.compose(&phi(2, z.value()));
    }
    z.exp().plus_number(-1.0).minus(z).over(&z.times(z))
}

/// 1 / phi_1(z) = z / (e^z - 1), z >= 0.
fn steepness(z: &Jet) -> Jet {
    if z.value().magnitude() < SMALL {
        return Jet::constant(Ball::ONE).over(&z.compose(&phi(1, z.value())));
    }
    let e = z.negative().exp();
    z.times(&e).over(&e.negative().plus_number(1.0))
}

/// phi_2(z) / phi_1(z) = (1 - z / (e^z - 1)) / z, z >= 0.
fn ratio(z: &Jet) -> Jet {
    if z.value().magnitude() < SMALL {
        return z.compose(&phi(2, z.value())).over(&z.compose(&phi(1, z.value())));
    }
    steepness(z).negative().plus_number(1.0).over(z)
}

/// The Taylor coefficients of phi_m at every point of a ball: sum over k of (k+j choose j) z^k / (k + j + m)!.
///
/// Each increases with z, for phi_m is an integral of e^(tz) with a positive weight over t in [0, 1]; so the ends of
/// the ball are enough.
fn phi(m: usize, z: Ball) -> [Ball; DEGREE + 1] {
    std::array::from_fn(|j| {
        let at = |z: f64| {
            let z = Ball::point(z);
            // The term at k, from 1 / (j + m)! on.
            let mut term = (1..=j + m).fold(Ball::ONE, |t, f| t / Ball::point(f as f64));
            let mut sum = term;
            for k in 1..40 {
                let (n, d) = ((k + j) as f64, (k * (k + j + m)) as f64);
                term = term * z * Ball::point(n) / Ball::point(d);
                sum = sum + term;
            }
            // Every further term is less than half of the one before.
            sum + Ball::within(term.magnitude())
        };
        Ball::between(at(z.lo()).lo(), at(z.hi()).hi())
    })
}
