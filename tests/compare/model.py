"""Every row ends as a file of the project's own format; one evaluator in numpy f64 reads them all.

Rows of other libraries write the same tensors and metadata as `sirocco-train` (without checksum and golden queries,
which only a device needs): `layers.K.weight` (outputs, inputs), `layers.K.bias`, tanh between, inputs mapped from
[lo, hi] to [-1, 1], trial solution y0 + (1 - e^-t) NN.
"""

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

import problem


def save(path, layers, inputs, form="generic"):
    """Writes `layers` [(weight, bias), ...] with `inputs` {name: (lo, hi)}."""
    tensors = {}
    for k, (weight, bias) in enumerate(layers):
        tensors[f"layers.{k}.weight"] = np.ascontiguousarray(weight)
        tensors[f"layers.{k}.bias"] = np.ascontiguousarray(bias)
    widths = [layers[0][0].shape[1]] + [weight.shape[0] for weight, _ in layers]
    metadata = {
        "ode": "sir",
        "form": form,
        "inputs": ",".join(f"{name}={lo}:{hi}" for name, (lo, hi) in inputs.items()),
        "layers": ",".join(map(str, widths)),
        "activation": "tanh",
        "scheme": "f32",
    }
    save_file(tensors, path, metadata)


def block_diagonal(nets):
    """One network that holds several of the same depth and inputs side by side, one output each, as layers."""
    layers = [tuple(np.concatenate(parts) for parts in zip(*(net[0] for net in nets)))]
    for k in range(1, len(nets[0])):
        weights = [net[k][0] for net in nets]
        full = np.zeros((sum(w.shape[0] for w in weights), sum(w.shape[1] for w in weights)), weights[0].dtype)
        row = column = 0
        for w in weights:
            full[row : row + w.shape[0], column : column + w.shape[1]] = w
            row, column = row + w.shape[0], column + w.shape[1]
        layers.append((full, np.concatenate([net[k][1] for net in nets])))
    return layers


class Model:
    """A bundle of SIR: state and residual at points (count, 5) of t, I0, R0, beta, gamma."""

    def __init__(self, layers, inputs, form="generic", golden=None):
        self.layers = [(np.asarray(w, float), np.asarray(b, float)) for w, b in layers]
        self.inputs, self.form, self.golden = inputs, form, golden

    @classmethod
    def open(cls, path):
        with safe_open(path, "numpy") as file:
            meta = file.metadata()
            tensor = {key: file.get_tensor(key) for key in file.keys()}
        assert (meta["ode"], meta["activation"], meta["scheme"]) == ("sir", "tanh", "f32"), meta
        count = len(meta["layers"].split(",")) - 1
        layers = [(tensor[f"layers.{k}.weight"], tensor[f"layers.{k}.bias"]) for k in range(count)]
        inputs = {}
        for part in meta["inputs"].split(","):
            name, bounds = part.split("=")
            inputs[name] = tuple(map(float, bounds.split(":")))
        golden = (tensor["golden.queries"], tensor["golden.answers"]) if "golden.queries" in tensor else None
        return cls(layers, inputs, meta["form"], golden)

    def network(self, columns, time):
        """Outputs and their derivative in the input called `time`."""
        scaled = [2.0 * (columns[n] - 0.5 * (lo + hi)) / (hi - lo) for n, (lo, hi) in self.inputs.items()]
        slopes = [2.0 / (hi - lo) if n == time else 0.0 for n, (lo, hi) in self.inputs.items()]
        a = np.stack(scaled, axis=-1)
        da = np.broadcast_to(slopes, a.shape)
        for k, (weight, bias) in enumerate(self.layers):
            a, da = a @ weight.T + bias, da @ weight.T
            if k + 1 < len(self.layers):
                a = np.tanh(a)
                da = (1.0 - a * a) * da
        return a, da

    def state_and_residual(self, points):
        t, i0, r0, beta, gamma = points.T
        return self._reduced(t, i0, r0, beta, gamma) if self.form == "reduced" else self._direct(t, i0, r0, beta, gamma)

    def _direct(self, t, i0, r0, beta, gamma):
        nn, dnn = self.network(dict(t=t, I0=i0, R0=r0, beta=beta, gamma=gamma), "t")
        if self.form == "conserved":
            nn, dnn = (np.concatenate([-v.sum(-1, keepdims=True), v], -1) for v in (nn, dnn))
        e = np.exp(-t)[:, None]
        state = np.stack([1.0 - i0 - r0, i0, r0], -1) + (1.0 - e) * nn
        return state, e * nn + (1.0 - e) * dnn - problem.rhs(state, beta, gamma)

    def _reduced(self, t, i0, r0, beta, gamma):
        """x' = 1 - s0 e^(-p x) - (1 - p) x in tau = k t; see shared/src/ode/sir.rs."""
        n = 1.0 - r0
        k = beta * n + gamma
        share, p, tau = i0 / n, beta * n / k, k * t
        nn, dnn = self.network({"tau": tau, "i0": share, "ln_i0": np.log(share), "p": p}, "tau")
        e = np.exp(-tau)
        x, dx = (1.0 - e) * nn[:, 0], e * nn[:, 0] + (1.0 - e) * dnn[:, 0]
        s, q = (1.0 - share) * np.exp(-p * x), (1.0 - p) * x
        rx = dx - (1.0 - s - q)
        rs, rr = -n * k * p * s * rx, n * k * (1.0 - p) * rx
        return np.stack([n * s, n * (1.0 - s - q), r0 + n * q], -1), np.stack([rs, -(rs + rr), rr], -1)

    def logloss(self, preset):
        """ln of the sum over S, I, R of the mean over held-out points of the squared residual."""
        _, residual = self.state_and_residual(problem.held_out(preset)[1])
        return float(np.log(np.square(residual).mean(axis=0).sum()))

    def errors(self, preset):
        """Largest and root mean square error of S, I, R at the held-out queries."""
        state, _ = self.state_and_residual(problem.held_out(preset)[0])
        error = np.abs(state - problem.reference(preset))
        return float(error.max()), float(np.sqrt(np.square(error).mean()))

    def golden_difference(self):
        """Largest difference from the golden states in the file: the device evaluator's own answers, in f32."""
        queries, answers = self.golden
        state, _ = self.state_and_residual(queries.astype(float))
        return float(np.abs(state - answers[:, :3]).max())
