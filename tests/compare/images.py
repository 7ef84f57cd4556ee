"""Training steps of image networks in PyTorch and ours, in turns, one thread each. Started by tests/compare/images."""

import argparse
import json
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

BATCH, IMAGES, WARM_UP = 64, 2048, 20
# Both do the same arithmetic in another order; after this many steps the losses still agree to this.
CHECKED, TOLERANCE = 20, 2e-3


def lenet16(dropout):
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10),
    )


def thesis_cifar(dropout):
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1024, 128), nn.ReLU(), nn.Dropout(dropout), nn.Linear(128, 10),
    )


NETWORKS = {"lenet16": (lenet16, (1, 16, 16)), "thesis-cifar": (thesis_cifar, (3, 32, 32))}


def step(net, optimizer, images, labels):
    loss = nn.functional.cross_entropy(net((images - 0.5) / 0.25), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def check(binary, name):
    """From the same weights on the same images both must lose the same."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "steps.safetensors"
        subprocess.run([binary, name, str(CHECKED), str(file)], check=True)
        ours = load_file(file)
    net = NETWORKS[name][0](0.0)
    numbers = {}
    with torch.no_grad():
        for layer in net:
            kind = {nn.Conv2d: "conv", nn.BatchNorm2d: "norm", nn.Linear: "dense"}.get(type(layer))
            if kind:
                numbers[kind] = numbers.get(kind, 0) + 1
                names = ("gain", "shift") if kind == "norm" else ("weight", "bias")
                for parameter, part in zip((layer.weight, layer.bias), names):
                    parameter.copy_(ours[f"{kind}{numbers[kind]}.{part}"])
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    losses = [step(net, optimizer, ours["images"], ours["labels"].long()) for _ in range(CHECKED)]
    apart = max(abs(a - b) for a, b in zip(losses, ours["losses"].tolist()))
    if apart > TOLERANCE or losses[-1] > losses[0]:
        raise SystemExit(f"error: {name}: losses are {apart:.1e} apart, so the work is not the same: {losses}")
    return apart


def theirs(name, steps, layout):
    build, shape = NETWORKS[name]
    torch.manual_seed(0)
    images, labels = 0.5 + 0.25 * torch.randn(IMAGES, *shape), torch.randint(10, (IMAGES,))
    net = build(0.5).to(memory_format=layout)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    order = torch.cat([torch.randperm(IMAGES) for _ in range(1 + (WARM_UP + steps) * BATCH // IMAGES)])
    for k in range(WARM_UP + steps):
        if k == WARM_UP:
            begin = time.process_time()
        batch = order[k * BATCH:(k + 1) * BATCH]
        step(net, optimizer, images[batch].contiguous(memory_format=layout), labels[batch])
    return time.process_time() - begin


def ours(binary, name, steps):
    printed = subprocess.run([binary, name, str(steps)], check=True, capture_output=True, text=True).stdout
    return json.loads(printed)["cpu_seconds"]


def processor():
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary")
    parser.add_argument("networks", nargs="*", metavar="NETWORK", default=list(NETWORKS))
    parser.add_argument("--steps", type=int, default=300, help="steps of a round")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which the median counts")
    options = parser.parse_intermixed_args()
    torch.set_num_threads(1)
    print("| network | PyTorch: CPU-ms of a step | PyTorch, channels last | ours | ours / PyTorch | ours / channels last "
          "| losses apart |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in options.networks:
        apart = check(options.binary, name)
        # In turns, so that all see the same machine.
        rounds = [(theirs(name, options.steps, torch.contiguous_format), theirs(name, options.steps, torch.channels_last),
                   ours(options.binary, name, options.steps)) for _ in range(options.rounds)]
        cells = [f"{1e3 * statistics.median(side) / options.steps:.3f}" for side in zip(*rounds)]
        for other in (0, 1):
            ratios = sorted(times[2] / times[other] for times in rounds)
            cells.append(f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
        print(f"| {name} | {' | '.join(cells)} | {apart:.0e} |", flush=True)
    print(f"\n{processor()}, {platform.system()}; Python {platform.python_version()}, torch {torch.__version__} with "
          f"{torch.backends.cpu.get_cpu_capability()}; {options.rounds} rounds of {options.steps} steps of {BATCH} images, "
          "one thread each")


if __name__ == "__main__":
    main()
