"""JAX: the whole training as one compiled loop, dz/dt by forward mode, Adam written out; raw time."""

import os
import time

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp
import numpy as np

import model
import problem


def network(parameters, u):
    for weight, bias in parameters[:-1]:
        u = jnp.tanh(u @ weight.T + bias)
    weight, bias = parameters[-1]
    return u @ weight.T + bias


def single(out, seed, steps, budget):
    (_, horizon), (i0, _), (r0, _), (beta, _), (gamma, _) = problem.DOMAINS["sir-single"]
    start = jnp.array([1.0 - i0 - r0, i0, r0])

    def solution(parameters, t):
        return start + (1.0 - jnp.exp(-t)) * network(parameters, t)

    def loss(parameters, t):
        z, dz = jax.jvp(lambda t: solution(parameters, t), (t,), (jnp.ones_like(t),))
        infections, recoveries = beta * z[:, 0] * z[:, 1], gamma * z[:, 1]
        g = jnp.stack([-infections, infections - recoveries, recoveries], 1)
        return jnp.square(dz - g).mean(axis=0).sum()

    def step(k, state):
        parameters, first, second, key = state
        key, draw = jax.random.split(key)
        gradient = jax.grad(loss)(parameters, jax.random.uniform(draw, (2_000, 1), maxval=horizon))
        rate = 1e-2 * 0.5 * (1.0 + jnp.cos(jnp.pi * k / steps))
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradient)
        a, b = 1.0 - 0.9 ** (k + 1.0), 1.0 - 0.999 ** (k + 1.0)
        update = lambda p, m, v: p - rate * (m / a) / (jnp.sqrt(v / b) + 1e-8)
        return jax.tree.map(update, parameters, first, second), first, second, key

    # First weights as PyTorch draws them.
    rng = np.random.default_rng(seed)
    draw = lambda fan, *shape: jnp.asarray(rng.uniform(-1.0, 1.0, shape) / np.sqrt(fan), jnp.float32)
    parameters = [(draw(i, o, i), draw(i, o)) for i, o in ((1, 50), (50, 50), (50, 3))]
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    begin = time.process_time()
    train = jax.jit(lambda state: jax.lax.fori_loop(0, steps, step, state))
    state = (parameters, zeros, zeros, jax.random.key(seed))
    compiled = train.lower(state).compile()
    compilation = time.process_time() - begin
    parameters = jax.block_until_ready(compiled(state))[0]
    cpu = time.process_time() - begin
    model.save(out, [(np.asarray(w), np.asarray(b)) for w, b in parameters], {"t": (-1.0, 1.0)})
    return {"steps": steps, "cpu": cpu, "note": f"{compilation:.1f} s of it to compile"}


ENTRIES = {"jax-single": single}
