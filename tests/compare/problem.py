"""The two problems, as every row sees them: ranges, held-out points, the f64 reference."""

from functools import lru_cache

import numpy as np

QUANTITIES = ("t", "I0", "R0", "beta", "gamma")

# (lo, hi) per quantity; lo == hi where it is fixed. The same as the presets of those names.
DOMAINS = {
    "sir-single": ((0.0, 20.0), (0.2, 0.2), (0.0, 0.0), (0.8, 0.8), (0.2, 0.2)),
    "sir-full": ((0.0, 20.0), (0.2, 0.4), (0.1, 0.3), (0.4, 0.8), (0.3, 0.7)),
}

QUERIES = 2_000  # compared with the reference
RESIDUAL_POINTS = 16_384  # averaged for LogLoss; they cost no reference solution
HELD_OUT_SEED = 20_201  # never a training seed


def free(preset):
    """Indices of the quantities that vary: the inputs of a network."""
    return [i for i, (lo, hi) in enumerate(DOMAINS[preset]) if lo < hi]


def draw(preset, count, rng):
    """`count` uniform points of the domain, (count, 5), rounded to f32: what a device could be asked."""
    lo, hi = np.array(DOMAINS[preset]).T
    return (lo + (hi - lo) * rng.random((count, len(lo)))).astype(np.float32).astype(np.float64)


@lru_cache
def held_out(preset):
    """(queries, residual points): the same for every row."""
    rng = np.random.default_rng(HELD_OUT_SEED)
    return draw(preset, QUERIES, rng), draw(preset, RESIDUAL_POINTS, rng)


def rhs(y, beta, gamma):
    """(S', I', R') of (S, I, R), along the last axis."""
    infections, recoveries = beta * y[..., 0] * y[..., 1], gamma * y[..., 1]
    return np.stack([-infections, infections - recoveries, recoveries], axis=-1)


@lru_cache
def reference(preset):
    """(S, I, R) at the held-out queries: DOP853 at rtol 1e-12."""
    from scipy.integrate import solve_ivp

    states = []
    for t, i0, r0, beta, gamma in held_out(preset)[0]:
        start = [1.0 - i0 - r0, i0, r0]
        solution = solve_ivp(
            lambda _, y: rhs(y, beta, gamma), (0.0, t), start, method="DOP853", rtol=1e-12, atol=1e-14, t_eval=[t]
        )
        states.append(solution.y[:, -1] if t > 0.0 else start)
    return np.array(states)
