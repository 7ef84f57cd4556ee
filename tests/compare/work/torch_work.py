"""PyTorch: the thesis' recipe as its code does it, and the fastest plain PyTorch we know how to write."""

import copy
import math
import time

import torch

import model
import problem
from work.snapshots import Snapshots

torch.set_num_threads(1)
torch.set_num_interop_threads(1)


def mlp(inputs):
    """inputs-50-50-3, tanh, PyTorch's own first weights."""
    return torch.nn.Sequential(
        torch.nn.Linear(inputs, 50), torch.nn.Tanh(), torch.nn.Linear(50, 50), torch.nn.Tanh(), torch.nn.Linear(50, 3)
    )


def layers(net):
    return [(m.weight.detach().numpy().copy(), m.bias.detach().numpy().copy()) for m in net if hasattr(m, "weight")]


def thesis(out, seed, steps, budget):
    """One problem: raw t, ten minibatches of 200 of 2,000 jittered times an epoch, lr 8e-4, dz/dt by autograd per
    component, the best epoch of the last fifth kept."""
    torch.manual_seed(seed)
    (_, horizon), (i0, _), (r0, _), (beta, _), (gamma, _) = problem.DOMAINS["sir-single"]
    start = torch.tensor([[1.0 - i0 - r0, i0, r0]])
    net = mlp(1)
    optimizer = torch.optim.Adam(net.parameters(), lr=8e-4)
    grid, spacing = torch.linspace(0.0, horizon, 2_000).reshape(-1, 1), horizon / 2_000
    best, best_loss = None, math.inf
    snapshots = Snapshots(200, lambda: layers(net))
    epochs = steps // 10
    for epoch in range(epochs):
        times = (grid + spacing * (torch.rand_like(grid) - 0.5)).clamp(0.0, horizon)
        total = 0.0
        for t in times[torch.randperm(2_000)].split(200):
            t.requires_grad_()
            z = start + (1.0 - torch.exp(-t)) * net(t)
            s, i, r = z[:, :1], z[:, 1:2], z[:, 2:]
            ones = torch.ones_like(s)
            ds, di, dr = (torch.autograd.grad(c, t, ones, create_graph=True)[0] for c in (s, i, r))
            infections, recoveries = beta * s * i, gamma * i
            loss = (
                (ds + infections).square().mean()
                + (di - infections + recoveries).square().mean()
                + (dr - recoveries).square().mean()
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        if epoch >= 0.8 * epochs and total < best_loss:
            best, best_loss = copy.deepcopy(net.state_dict()), total
        snapshots.see(10 * (epoch + 1))
    cpu = time.process_time() - snapshots.begin
    net.load_state_dict(best)
    model.save(out, layers(net), {"t": (-1.0, 1.0)})
    return {"steps": steps, "cpu": cpu, "snapshots": snapshots.taken}


def hand_tangent(net, u, du):
    """Value and tangent of the network, forward, without a second graph."""
    l0, _, l1, _, l2 = net
    a = torch.tanh(l0(u))
    da = (1.0 - a * a) * (du @ l0.weight.T)
    a = torch.tanh(l1(a))
    da = (1.0 - a * a) * (da @ l1.weight.T)
    return l2(a), da @ l2.weight.T


def full_batch(preset, points, rate):
    """All points in every step, drawn afresh, hand-written tangent, cosine learning rate.

    One problem takes raw time, which ends at LogLoss -13.8 rather than -11.1; a bundle's inputs are scaled to [-1, 1].
    """

    def train(out, seed, steps, budget):
        torch.manual_seed(seed)
        lo, hi = torch.tensor(problem.DOMAINS[preset], dtype=torch.float32).T
        free = problem.free(preset)
        net = mlp(len(free))
        raw = len(free) == 1
        inputs = {problem.QUANTITIES[i]: (-1.0, 1.0) if raw else problem.DOMAINS[preset][i] for i in free}
        first, last = torch.tensor(list(inputs.values())).T
        middle, half = 0.5 * (first + last), 0.5 * (last - first)
        du = torch.zeros(1, len(free))
        du[0, 0] = 1.0 / half[0]
        optimizer = torch.optim.Adam(net.parameters(), lr=rate)
        snapshots = Snapshots(20 if steps else 200, lambda: layers(net))
        step, spent = 0, 0.0
        while spent < 1.0:
            optimizer.param_groups[0]["lr"] = rate * 0.5 * (1.0 + math.cos(math.pi * spent))
            q = lo + (hi - lo) * torch.rand(points, 5)
            t, i0, r0, beta, gamma = q.split(1, dim=1)
            nn, dnn = hand_tangent(net, (q[:, free] - middle) / half, du)
            e = torch.exp(-t)
            z = torch.cat([1.0 - i0 - r0, i0, r0], 1) + (1.0 - e) * nn
            dz = e * nn + (1.0 - e) * dnn
            infections, recoveries = beta * z[:, :1] * z[:, 1:2], gamma * z[:, 1:2]
            g = torch.cat([-infections, infections - recoveries, recoveries], 1)
            loss = (dz - g).square().sum() / points
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            snapshots.see(step)
            spent = step / steps if steps else (time.process_time() - snapshots.begin) / budget
        cpu = time.process_time() - snapshots.begin
        model.save(out, layers(net), inputs)
        return {"steps": step, "cpu": cpu, "snapshots": snapshots.taken}

    return train


ENTRIES = {
    "torch-thesis": thesis,
    "torch-full-batch": full_batch("sir-single", 2_000, 1e-2),
    "torch-bundle": full_batch("sir-full", 2_048, 5e-3),
}
