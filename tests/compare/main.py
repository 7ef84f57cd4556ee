"""Runs the rows, one process each on one thread, and prints one table. Started by tests/compare/run."""

import argparse
import csv
import json
import os
import pickle
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OUT = ROOT / "target/compare"
ROWS = OUT / "rows"

TARGET = -17.3  # LogLoss that the thesis' recipe was published with, in our definition
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
ADAM = ["--optimizer", "adam"]


@dataclass
class Row:
    """One piece of work. `packages` are Python's; a row with `trainer` arguments is ours."""

    name: str
    preset: str
    who: str
    network: str
    optimizer: str
    packages: tuple = ()
    steps: int | None = None  # of the full run; a tenth in a quick one
    trainer: list | None = None
    search: bool = False  # the fewest iterations that reach TARGET
    budgeted: bool = False  # as many iterations as the budget holds, at most `steps` if given


ROW_LIST = [
    Row("torch-thesis", "sir-single", "PyTorch, thesis' recipe", "1-50-50-3",
        "Adam 8e-4, 10 x 200 of 2,000 points", ("torch",), 10_000),
    Row("torch-full-batch", "sir-single", "PyTorch, hand-written tangent", "1-50-50-3",
        "Adam cosine 1e-2, 2,000 points", ("torch",), 1_000),
    Row("neurodiffeq-single", "sir-single", "neurodiffeq Solver1D", "3 x 1-32-32-1",
        "Adam 1e-3, 2,000 points", ("torch", "neurodiffeq"), 1_000),
    Row("jax-single", "sir-single", "JAX, one compiled loop", "1-50-50-3",
        "Adam cosine 1e-2, 2,000 points", ("jax", "jaxlib"), 1_000),
    Row("ours-thesis", "sir-single", "ours, thesis' recipe", "1-50-50-2",
        "Adam 8e-4, 10 x 200 of 2,000 points", steps=10_000, trainer=ADAM),
    Row("ours-full-batch", "sir-single", "ours, full batch", "1-50-50-2",
        "Adam cosine 1e-2, 2,000 points", steps=1_000, trainer=[*ADAM, "--recipe", "full-batch"]),
    Row("ours-lm-generic", "sir-single", "ours, any-equation form", "1-16-16-2",
        "LM, 512 points", trainer=["--form", "generic"]),
    Row("ours-lm-reduced", "sir-single", "ours, reduced form (SIR only)", "1-16-1", "LM, 512 points", trainer=[]),
    Row("ours-target-generic", "sir-single", f"ours, any-equation form, until {TARGET}", "1-16-16-2",
        "LM, 512 points", trainer=["--form", "generic"], search=True),
    Row("ours-target-reduced", "sir-single", f"ours, reduced form (SIR only), until {TARGET}", "1-16-1",
        "LM, 512 points", trainer=[], search=True),
    Row("torch-bundle", "sir-full", "PyTorch, hand-written tangent", "5-50-50-3",
        "Adam cosine 5e-3, 2,048 points", ("torch",), budgeted=True),
    Row("neurodiffeq-bundle", "sir-full", "neurodiffeq BundleSolver1D", "3 x 5-32-32-1",
        "Adam 1e-3, 2,048 points", ("torch", "neurodiffeq"), budgeted=True),
    Row("ours-bundle-generic", "sir-full", "ours, any-equation form", "5-32-32-2", "LM, 4,096 points", steps=400,
        trainer=["--form", "generic", "--hidden", "32,32"], budgeted=True),
    Row("ours-bundle-reduced", "sir-full", "ours, reduced form (SIR only)", "3-16-16-1", "LM, 2,048 points",
        steps=1_500, trainer=["--form", "reduced", "--hidden", "16,16"], budgeted=True),
]


def child(command):
    """Runs a command; returns its JSON and the CPU-seconds, user and system, of it and its children."""
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(command, cwd=HERE, env={**os.environ, **THREADS}, stdout=printed, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        for stream in (printed, errors):
            stream.seek(0)
        if status != 0:
            raise SystemExit(f"error: `{' '.join(map(str, command))}` failed:\n{errors.read().decode()[-2000:]}")
        return json.loads(printed.read()), usage.ru_utime + usage.ru_stime


def require(packages):
    """Installs what a row needs and the environment lacks, at the pinned versions."""
    missing = [name for name in packages if not any(metadata.distributions(name=name))]
    if missing:
        print(f"installing {', '.join(missing)} (torch is large)", file=sys.stderr)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "-c", str(HERE / "requirements.txt"), *missing]
        subprocess.run(command, check=True, stdout=sys.stderr)


class Runner:
    def __init__(self, options):
        self.options = options

    def ours(self, row, file, iterations):
        command = [self.options.trainer, "bundle", "train", "--preset", row.preset, *row.trainer, "--threads", "1"]
        command += ["--seed", str(self.options.seed), "--quiet", "--json", "--out", str(file)]
        if iterations:
            command += ["--iterations", str(iterations)]
        said, cpu = child(command)
        return {"steps": said["iterations"], "cpu": cpu, "process_cpu": cpu, "parameters": said["parameters"],
                "device_logloss": said["logloss"], "device_max_error": said["max_error"]}

    def fewest(self, row, file):
        """The fewest iterations whose exported file has a LogLoss of TARGET or less, by the common evaluator."""
        from model import Model

        def reaches(iterations):
            self.ours(row, file, iterations)
            return Model.open(file).logloss(row.preset) <= TARGET

        hi = 1
        while not reaches(hi):
            hi *= 2
        lo = hi // 2
        while hi - lo > 1:
            middle = (lo + hi) // 2
            lo, hi = (lo, middle) if reaches(middle) else (middle, hi)
        # A run of milliseconds: the median of nine, the clock being no finer.
        runs = sorted((self.ours(row, file, hi) for _ in range(9)), key=lambda run: run["cpu"])
        return {**runs[4], "note": "median of 9 runs"}

    def within(self, row, file):
        """As many iterations as fit nine tenths of the budget, by the cost of a short run."""
        few, more = (self.ours(row, file, n)["cpu"] for n in (2, 22))
        fit = int(0.9 * (self.options.budget - few) / max((more - few) / 20, 1e-4))
        return self.ours(row, file, max(1, min(fit, row.steps or fit)))

    def run(self, row, file):
        """Does the work and measures the model that came out."""
        from model import Model

        steps = row.steps and (row.steps // 10 if self.options.quick and not row.budgeted else row.steps)
        if row.trainer is None:
            require(row.packages)
            options = {"seed": self.options.seed, "steps": steps, "budget": self.options.budget}
            result, result_cpu = child([sys.executable, "-m", "work", row.name, str(file), json.dumps(options)])
            result |= {"process_cpu": result_cpu}
            self.first_reached(row, file, result)
        elif row.search:
            result = self.fewest(row, file)
        elif row.budgeted:
            result = self.within(row, file)
        else:
            result = self.ours(row, file, steps)
        model = Model.open(file)
        largest, rms = model.errors(row.preset)
        result |= {"logloss": model.logloss(row.preset), "max_error": largest, "rms_error": rms}
        result.setdefault("parameters", sum(int((w != 0).sum()) + b.size for w, b in model.layers))
        if row.trainer is not None:
            self.agree(model, row, result)
        return result

    @staticmethod
    def first_reached(row, file, result):
        """When did the weights of a Python row first have a LogLoss of TARGET?"""
        from model import Model

        inputs = Model.open(file).inputs
        snapshots = Path(f"{file}.snapshots")
        if row.preset == "sir-single":
            for step, cpu, layers in pickle.loads(snapshots.read_bytes()):
                if Model(layers, inputs).logloss(row.preset) <= TARGET:
                    result |= {"target_cpu": cpu, "target_steps": step}
                    break
        snapshots.unlink()

    @staticmethod
    def agree(model, row, result):
        """Our file through Python's safetensors and numpy must be what the device evaluator says it is."""
        difference = model.golden_difference()
        # Two independent draws of points; below -28 the residual that a device computes is f32 rounding.
        apart = abs(max(result["logloss"], -28.0) - max(result["device_logloss"], -28.0))
        result["golden_difference"] = difference
        if difference > 2e-5 or apart > 0.5:
            raise SystemExit(f"error: {row.name}: Python and the device evaluator disagree: {result}")


def number(value, form):
    return "" if value is None else format(value, form)


def table(results):
    head = ["problem", "who", "network (parameters)", "optimizer", "steps", "seed", "CPU-s", "CPU-s of the process",
            "LogLoss", "max error", "device: LogLoss", "device: max error", "notes"]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for r in results:
        notes = [r["note"]] if "note" in r else []
        if "target_cpu" in r:
            notes.append(f"{TARGET} after {r['target_cpu']:.1f} CPU-s, {r['target_steps']} steps")
        if r["quick"]:
            notes.append("quick")
        if r["budget"]:
            notes.append(f"budget {r['budget']:g} CPU-s")
        digits = ".3f" if r["cpu"] < 1.0 else ".1f"
        lines.append("| " + " | ".join([
            r["preset"], r["who"], f"{r['network']} ({r['parameters']})", r["optimiser"], f"{r['steps']:,}",
            str(r["seed"]), number(r["cpu"], digits), number(r["process_cpu"], digits), number(r["logloss"], ".2f"),
            number(r["max_error"], ".1e"), number(r.get("device_logloss"), ".2f"),
            number(r.get("device_max_error"), ".1e"), "; ".join(notes)]) + " |")
    return "\n".join(lines)


def ratios(results):
    """How many times less CPU ours takes to the target than the thesis' recipe does, whole and up to the target."""
    by_name = {r["name"]: r for r in results}
    thesis = by_name.get("torch-thesis")
    lines = []
    for name in ("ours-target-generic", "ours-target-reduced"):
        if thesis and name in by_name and not thesis["quick"]:
            own = by_name[name]
            line = f"- {own['who']}: {thesis['cpu'] / own['cpu']:.0f} times less than the PyTorch thesis recipe"
            if "target_cpu" in thesis:
                line += f", {thesis['target_cpu'] / own['cpu']:.0f} times less than it took to first reach {TARGET}"
            lines.append(line)
    return "\n".join(lines)


def machine():
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0] if names else cpu
    versions = [f"{d} {next(metadata.distributions(name=d)).version}"
                for d in ("torch", "neurodiffeq", "jax", "numpy", "scipy") if any(metadata.distributions(name=d))]
    return f"{cpu}, {platform.system()}, one thread; Python {platform.python_version()}, {', '.join(versions)}"


def write(path, text):
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(text)
    part.replace(path)


def arguments():
    names = [row.name for row in ROW_LIST]
    parser = argparse.ArgumentParser(
        prog="tests/compare/run", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="The same work in PyTorch, neurodiffeq, JAX and Sirocco: CPU-seconds, LogLoss, maximum error.",
        epilog="rows: " + ", ".join(names) + "\n\nExamples:\n  tests/compare/run --quick\n"
        "  tests/compare/run --only torch,ours\n  tests/compare/run --only sir-single --again")
    parser.add_argument("--quick", action="store_true", help="a tenth of the steps, 30 CPU-seconds for the bundles")
    parser.add_argument("--budget", type=float, metavar="SECONDS", help="CPU-seconds of each sir-full row (300)")
    parser.add_argument("--only", metavar="NAMES", help="rows or presets whose names begin so, comma-separated")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of every row (0)")
    parser.add_argument("--again", action="store_true", help="run rows that have a result too")
    parser.add_argument("--trainer", metavar="FILE", help="a built sirocco-train; else cargo builds one")
    options = parser.parse_args()
    options.budget = options.budget or (30.0 if options.quick else 300.0)
    only = options.only.split(",") if options.only else [""]
    options.rows = [r for r in ROW_LIST if any(r.name.startswith(o) or r.preset == o for o in only)]
    if not options.rows or options.budget <= 0.0:
        parser.error(f"--only `{options.only}` names no row, or --budget is not positive; rows: {', '.join(names)}")
    return options


def build():
    subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "sirocco-trainer"], cwd=ROOT, check=True)
    return str(ROOT / "target/release/sirocco-train")


def main():
    options = arguments()
    ROWS.mkdir(parents=True, exist_ok=True)
    if any(r.trainer is not None for r in options.rows):
        options.trainer = str(Path(options.trainer).resolve()) if options.trainer else build()
    runner, results = Runner(options), []
    for row in options.rows:
        result = {"name": row.name, "preset": row.preset, "who": row.who, "network": row.network,
                  "optimiser": row.optimizer, "seed": options.seed, "quick": options.quick,
                  "budget": options.budget if row.budgeted else None}
        key = f"{row.name}-seed{options.seed}" + (f"-{options.budget:g}s" if row.budgeted else "")
        key += "-quick" if options.quick and not row.budgeted else ""
        done = ROWS / f"{key}.json"
        if options.again or not done.exists():
            print(f"running {key}", file=sys.stderr)
            result |= runner.run(row, ROWS / f"{key}.safetensors")
            write(done, json.dumps(result, indent=1))
        results.append(json.loads(done.read_text()))
        report = {"machine": machine(), "rows": results}
        write(OUT / "results.json", json.dumps(report, indent=1))
    columns = list(dict.fromkeys(key for r in results for key in r))
    with open(OUT / "results.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(results)
    print(f"{machine()}\n\n{table(results)}\n\n{ratios(results)}".rstrip())


if __name__ == "__main__":
    main()
