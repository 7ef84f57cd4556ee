"""neurodiffeq as its documentation uses it: Solver1D and BundleSolver1D, its own nets, generators, optimizer, loss."""

import time

import torch
from neurodiffeq import diff
from neurodiffeq.conditions import IVP, BundleIVP
from neurodiffeq.generators import Generator1D
from neurodiffeq.solvers import BundleSolver1D, Solver1D

import model
import problem
from work.snapshots import Snapshots

torch.set_num_threads(1)
torch.set_num_interop_threads(1)


def sir(s, i, r, t, beta, gamma):
    infections, recoveries = beta * s * i, gamma * i
    return [diff(s, t) + infections, diff(i, t) - infections + recoveries, diff(r, t) - recoveries]


def uniform(preset, index, size):
    lo, hi = problem.DOMAINS[preset][index]
    return Generator1D(size, lo, hi, method="uniform")


def layers(nets):
    """The library trains one network per function; side by side they are one with the same values."""
    linear = lambda net: [m for m in net.modules() if isinstance(m, torch.nn.Linear)]
    array = lambda tensor: tensor.detach().numpy().copy()
    return model.block_diagonal([[(array(m.weight), array(m.bias)) for m in linear(net)] for net in nets])


def fit(solver, preset, out, begin, snapshots):
    """Writes the nets with the lowest loss, which the library keeps. Its inputs are raw."""
    cpu = time.process_time() - begin
    inputs = {problem.QUANTITIES[i]: (-1.0, 1.0) for i in problem.free(preset)}
    model.save(out, layers(solver.best_nets), inputs)
    return {"steps": solver.global_epoch, "cpu": cpu, "snapshots": snapshots}


def single(out, seed, steps, budget):
    torch.manual_seed(seed)
    (t0, t1), (i0, _), (r0, _), (beta, _), (gamma, _) = problem.DOMAINS["sir-single"]
    begin = time.process_time()
    points = Generator1D(2_000, t0, t1, method="equally-spaced-noisy")
    solver = Solver1D(
        ode_system=lambda s, i, r, t: sir(s, i, r, t, beta, gamma),
        conditions=[IVP(t0, 1.0 - i0 - r0), IVP(t0, i0), IVP(t0, r0)],
        t_min=t0,
        t_max=t1,
        train_generator=points,
        valid_generator=points,
        n_batches_valid=0,
    )
    snapshots = Snapshots(20, lambda: layers(solver.nets))
    solver.fit(max_epochs=steps, callbacks=[lambda s: snapshots.see(s.global_epoch)], tqdm_file=None)
    return fit(solver, "sir-single", out, begin, snapshots.taken)


class SusceptibleIVP(BundleIVP):
    """S(0) = 1 - I0 - R0, which is no parameter of the bundle but follows from two."""

    def parameterize(self, output, t, i0, r0, *rates):
        return 1.0 - i0 - r0 + (1.0 - torch.exp(-t)) * output


def bundle(out, seed, steps, budget):
    torch.manual_seed(seed)
    ranges = problem.DOMAINS["sir-full"]
    begin = time.process_time()
    points = uniform("sir-full", 0, 2_048)
    for index in range(1, 5):
        points = points * uniform("sir-full", index, 2_048)
    solver = BundleSolver1D(
        ode_system=sir,
        conditions=[
            SusceptibleIVP(0.0, 0.0),
            BundleIVP(0.0, bundle_param_lookup={"u_0": 0}),
            BundleIVP(0.0, bundle_param_lookup={"u_0": 1}),
        ],
        t_min=ranges[0][0],
        t_max=ranges[0][1],
        theta_min=[lo for lo, _ in ranges[1:]],
        theta_max=[hi for _, hi in ranges[1:]],
        eq_param_index=(2, 3),
        train_generator=points,
        valid_generator=points,
        n_batches_valid=0,
    )

    def stop(solver):
        solver._stop_training = time.process_time() - begin >= budget

    solver.fit(max_epochs=10**9, callbacks=[stop], tqdm_file=None)
    return fit(solver, "sir-full", out, begin, [])


ENTRIES = {"neurodiffeq-single": single, "neurodiffeq-bundle": bundle}
