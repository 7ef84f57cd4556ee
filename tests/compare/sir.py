"""SIR fitted to counts in numpy and scipy, and its forecasts: the peer of `sirocco calibrate` for real outbreaks.

Negative binomial counts with mean rho N times the share that the model has of what is observed, and variance
mean + mean^2 / k; k follows from Pearson's chi-square, in turns with the fit. Trajectories come from scipy's LSODA at
rtol 1e-9, estimates from `least_squares` on deviance residuals in the logarithms of the unknowns, from several starts.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.integrate import odeint
from scipy.optimize import brentq, least_squares

# Half of chi-square's 95 % quantile with one degree of freedom, doubled: how much the deviance may rise.
RISE = 3.841
# Bounds of the logarithms: an interval that reaches one is open on that side.
BOUNDS = {"R": (math.log(0.3), math.log(60)), "gamma": (math.log(1e-3), math.log(30)), "i0": (-25.0, math.log(0.5)),
          "scale": (math.log(10), math.log(1e8))}


@dataclass
class Counts:
    """Counts in the intervals (start, end] (`cases`, `deaths`), or at the time `end` (`infected`)."""

    observable: str
    start: np.ndarray
    end: np.ndarray
    values: np.ndarray

    def part(self, rows):
        return Counts(self.observable, self.start[rows], self.end[rows], self.values[rows])


@dataclass
class Fit:
    unknowns: list
    theta: np.ndarray
    dispersion: float
    deviance: float
    intervals: dict = field(default_factory=dict)

    def estimate(self, name):
        return math.exp(self.theta[self.unknowns.index(name)]) if name in self.unknowns else None


class Model:
    """The problem: what is known (`scale` is rho N where both are) and what is not."""

    def __init__(self, scale=None):
        self.scale = scale
        self.unknowns = ["R", "gamma", "i0"] + ([] if scale else ["scale"])
        self.low, self.high = (np.array([BOUNDS[name][side] for name in self.unknowns]) for side in (0, 1))

    def mean(self, theta, counts):
        values = dict(zip(self.unknowns, np.exp(theta)))
        gamma, i0 = values["gamma"], values["i0"]
        beta, scale = values["R"] * gamma, values.get("scale", self.scale)

        def slope(y, _):
            s, i, _ = y
            return -beta * s * i, beta * s * i - gamma * i, gamma * i

        times = np.unique(np.concatenate([[0.0], counts.start, counts.end]))
        states = odeint(slope, [1 - i0, i0, 0.0], times, rtol=1e-9, atol=1e-13, mxstep=5000)
        first, last = (states[np.searchsorted(times, t)] for t in (counts.start, counts.end))
        share = {"cases": first[:, 0] - last[:, 0], "deaths": last[:, 2] - first[:, 2], "infected": last[:, 1]}
        return np.maximum(scale * share[counts.observable], 1e-9)

    def deviance_residuals(self, theta, counts, k):
        mean, seen = self.mean(theta, counts), counts.values
        with np.errstate(divide="ignore", invalid="ignore"):
            part = np.where(seen > 0, seen * np.log(seen / mean), 0.0)
        deviance = 2 * (part - (seen + k) * np.log1p((seen - mean) / (mean + k)))
        return np.sign(mean - seen) * np.sqrt(np.maximum(deviance, 1e-30))

    def minimize(self, counts, k, starts, fixed=None):
        """The best of all starts as (theta, deviance); `fixed` is the index and value of an unknown."""
        free = [j for j in range(len(self.unknowns)) if fixed is None or j != fixed[0]]

        def full(part):
            theta = np.empty(len(self.unknowns))
            theta[free] = part
            if fixed is not None:
                theta[fixed[0]] = fixed[1]
            return theta

        best = None
        for start in starts:
            inside = np.clip(np.asarray(start)[free], self.low[free] + 1e-6, self.high[free] - 1e-6)
            found = least_squares(lambda part: self.deviance_residuals(full(part), counts, k), inside,
                                  bounds=(self.low[free], self.high[free]), diff_step=1e-5, max_nfev=60)
            if best is None or 2 * found.cost < best[1]:
                best = full(found.x), 2 * found.cost
        return best

    def starts(self, counts, number, seed=0):
        rng = np.random.default_rng(seed)
        span = counts.end[-1]
        for _ in range(number):
            start = {"R": math.log(rng.uniform(1.2, 5)), "gamma": math.log(rng.uniform(2, 20) / span),
                     "i0": rng.uniform(-10, -2), "scale": math.log(counts.values.sum() * rng.uniform(1.1, 4))}
            yield np.array([start[name] for name in self.unknowns])

    def fit(self, counts, starts=6):
        k, found = 20.0, None
        for turn in range(20):
            more = list(self.starts(counts, starts)) if turn == 0 else []
            found = self.minimize(counts, k, ([found[0]] if found else []) + more)
            before, k = k, dispersion(self.mean(found[0], counts), counts.values, len(self.unknowns))
            if abs(math.log(k / before)) < 1e-3:
                break
        return Fit(self.unknowns, found[0], k, found[1])

    def profile(self, fit, counts, name):
        """Ends of the 95 % interval of an unknown by profile likelihood; None where it is open."""
        j = self.unknowns.index(name)

        def side(sign):
            inside, theta, step = fit.theta[j], fit.theta, 0.05
            while True:
                outside = inside + sign * step
                if not self.low[j] < outside < self.high[j]:
                    return None
                there = self.minimize(counts, fit.dispersion, [theta], (j, outside))
                if there[1] > fit.deviance + RISE:
                    break
                inside, theta, step = outside, there[0], min(1.5 * step, 0.4)
            while abs(outside - inside) > 2e-3:
                middle = (inside + outside) / 2
                there = self.minimize(counts, fit.dispersion, [theta], (j, middle))
                if there[1] > fit.deviance + RISE:
                    outside = middle
                else:
                    inside, theta = middle, there[0]
            return math.exp((inside + outside) / 2)

        return side(-1), side(1)

    def forecast(self, fit, counts, ahead, samples=1000, seed=0):
        """Quantiles .025, .25, .5, .75, .975 of each count ahead: normal estimates, negative binomial counts."""
        rng = np.random.default_rng(seed)
        base = self.deviance_residuals(fit.theta, counts, fit.dispersion)
        step = 1e-4
        jacobian = np.array([(self.deviance_residuals(fit.theta + step * unit, counts, fit.dispersion) - base) / step
                             for unit in np.eye(len(fit.theta))]).T
        # A weak ridge keeps what is not identified within a factor of e^3 or so.
        covariance = np.linalg.inv(jacobian.T @ jacobian + np.eye(len(fit.theta)) / 9)
        drawn = rng.multivariate_normal(fit.theta, covariance, samples)
        outcomes = []
        for theta in np.clip(drawn, self.low, self.high):
            mean = self.mean(theta, ahead)
            outcomes.append(rng.poisson(rng.gamma(fit.dispersion, mean / fit.dispersion)))
        return np.quantile(outcomes, (0.025, 0.25, 0.5, 0.75, 0.975), axis=0).T


def dispersion(mean, seen, unknowns):
    """k at which Pearson's chi-square is the number of degrees of freedom; 1e6 if the counts vary less than Poisson ones."""

    def excess(log_k):
        return np.sum((seen - mean) ** 2 / (mean + mean**2 / math.exp(log_k))) - (len(seen) - unknowns)

    low, high = -7.0, math.log(1e6)
    if excess(high) <= 0:
        return 1e6
    return math.exp(low) if excess(low) >= 0 else math.exp(brentq(excess, low, high))
