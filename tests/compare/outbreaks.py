"""Real outbreaks: estimates and forecasts of the peer, and the reproduction number, by the same scores. Started by
tests/compare/outbreaks."""

import argparse
import csv
import json
import resource
import subprocess
import time
from datetime import date
from pathlib import Path

import numpy as np

import renewal
from sir import Counts, Model

# Where `sirocco reproduction` and EpiEstim's method have to agree: f32 against f64, and three digits of printing.
TOLERANCE = 1e-5


def days(text):
    return (date.fromisoformat(text) - date(1900, 1, 1)).days


def table(file, time_column, value_column, parse=float):
    with open(file, encoding="utf-8-sig") as text:
        rows = list(csv.DictReader(text))
    return np.array([parse(row[time_column]) for row in rows]), np.array([float(row[value_column]) for row in rows])


def intervals(observable, ends, values, first=None):
    """Counts of the time since the row before; the first row's interval begins at `first`, or the row is dropped."""
    ends, values = np.asarray(ends, float), np.asarray(values, float)
    before = ends[:-1]
    if first is None:
        ends, values = ends[1:], values[1:]
    else:
        before = np.concatenate([[first], before])
    zero = before[0]
    return Counts(observable, before - zero, ends - zero, values)


def boarding_school(folder):
    day, in_bed = table(folder / "influenza_england_1978_school.csv", "date", "in_bed", days)
    return Counts("infected", day - day[0], day - day[0], in_bed), 763


def harbin(folder):
    week, deaths = table(folder / "plague_harbin_1911.csv", "week", "Deaths")
    return intervals("deaths", week, deaths, week[0] - 1), None


def bombay(folder):
    week, deaths = table(folder / "plague_bombay_1906.csv", "week", "mort")
    return intervals("deaths", week, deaths, week[0] - 1), None


def hagelloch(folder):
    day, cases = table(folder / "measles_hagelloch_1861_incidence.csv", "", "x")
    return intervals("cases", day, cases, 0), 188


def new_york(folder):
    day, cases = table(folder / "influenza_nyc_school_2009.csv", "dates", "I", days)
    # The first row holds all cases before it, too.
    return intervals("cases", day, cases), None


def baltimore(folder):
    day, cases = table(folder / "influenza_baltimore_1918_incidence.csv", "", "x")
    return intervals("cases", day, cases, 0), None


def philadelphia(folder):
    day, deaths = table(folder / "influenza_philadelphia_1918.csv", "date", "pim", days)
    return intervals("deaths", day, deaths, day[0] - 1), None


# How the peer reads each one; and the file and the options that say the same to `sirocco calibrate`, with its time 0.
OUTBREAKS = {
    "boarding school 1978, in bed": (boarding_school, "influenza_england_1978_school.csv", "--infected in_bed --population 763", 0),
    "Harbin 1911, weekly deaths": (harbin, "plague_harbin_1911.csv", "", 1),
    "Bombay 1906, weekly deaths": (bombay, "plague_bombay_1906.csv", "", 0),
    "Hagelloch 1861, new cases": (hagelloch, "measles_hagelloch_1861_incidence.csv", "--population 188 --reporting 1", 0),
    "New York school 2009, new cases": (new_york, "influenza_nyc_school_2009.csv", "--new I --start 2009-04-19", 0),
    "Baltimore 1918, new cases": (baltimore, "influenza_baltimore_1918_incidence.csv", "", 0),
    "Philadelphia 1918, deaths": (philadelphia, "influenza_philadelphia_1918.csv", "--deaths pim", 0),
}


def interval_score(quantiles, observed):
    """The weighted interval score of a median with its 50 and 95 % intervals (Bracher et al. 2021)."""
    low, lower, median, upper, high = quantiles

    def part(a, b, alpha):
        return alpha / 2 * (b - a) + max(a - observed, observed - b, 0.0)

    return (abs(observed - median) / 2 + part(lower, upper, 0.5) + part(low, high, 0.05)) / 2.5


def judge(forecasts, observed):
    """Mean score, and the shares of outcomes inside the 50 and 95 % intervals."""
    score = np.mean([interval_score(f, y) for f, y in zip(forecasts, observed)])
    half = np.mean([f[1] <= y <= f[3] for f, y in zip(forecasts, observed)])
    most = np.mean([f[0] <= y <= f[4] for f, y in zip(forecasts, observed)])
    return f"{score:.1f} | {100 * half:.0f} % | {100 * most:.0f} %"


def persistence(history, steps):
    """The last value stays; its intervals are those of the history's differences, with both signs."""
    forecasts = []
    for step in range(1, steps + 1):
        lag = min(step, len(history) - 1)
        differences = history[lag:] - history[:-lag]
        both = np.concatenate([differences, -differences])
        forecasts.append(np.maximum(history[-1] + np.quantile(both, (0.025, 0.25, 0.5, 0.75, 0.975)), 0.0))
    return forecasts


def span(ends):
    return " to ".join("open" if end is None else f"{end:.3g}" for end in ends)


def peer(counts, scale, cut):
    """Cells of the table by scipy."""
    model = Model(scale)
    begun = time.process_time()
    whole = model.fit(counts)
    ends = model.profile(whole, counts, "R")
    low, high = model.profile(whole, counts, "gamma")
    period = (None if high is None else 1 / high), (None if low is None else 1 / low)
    spent = time.process_time() - begun
    seen, ahead = counts.part(slice(None, cut)), counts.part(slice(cut, None))
    forecasts = model.forecast(model.fit(seen), seen, ahead)
    people = scale or whole.estimate("scale")
    return [f"{whole.estimate('R'):.3g}", span(ends), f"{1 / whole.estimate('gamma'):.3g}", span(period), f"{people:.4g}",
            f"{whole.dispersion:.3g}", f"{spent:.1f}", judge(forecasts, ahead.values)]


def ours(program, file, options, until):
    """Cells of the table by `sirocco calibrate`: estimates from all counts, forecasts from those up to `until`."""

    def ask(*more):
        command = [program, "calibrate", file, "--json", "--quiet", *options.split(), *more]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    begun = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    whole = ask()
    spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - begun
    estimates = whole["estimates"]

    def cells(name):
        ends = estimates[name]["most"] or {"low": None, "high": None}
        return [f"{estimates[name]['value']:.3g}", span((ends["low"], ends["high"]))]

    if "population_times_fraction_counted" in estimates:
        people = estimates["population_times_fraction_counted"]["value"]
    else:
        people = whole["population"] * estimates.get("fraction_counted", {"value": 1.0})["value"]
    ahead = ask("--until", str(until))["forecast"]
    spreads = [(f["counted"], f["seen"]) for f in ahead if f["seen"] is not None]
    forecasts = [(*s["most"][:1], *s["half"][:1], s["median"], *s["half"][1:], *s["most"][1:]) for s, _ in spreads]
    dispersion = whole["fit"]["dispersion"]
    if whole["fit"]["noise"] == "gaussian":
        k = f"none, deviation {dispersion:.3g}"
    else:
        k = "infinite" if dispersion is None else f"{dispersion:.3g}"
    return [*cells("reproduction_number"), *cells("infectious_period"), f"{people:.4g}", k, f"{spent:.1f}",
            judge(forecasts, [y for _, y in spreads])]


def fits(folder, program):
    print("| outbreak | who | R | 95 % | 1/gamma | 95 % | rho N | k | CPU-s | score of the last third | in 50 % | in 95 % |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, (load, file, options, zero) in OUTBREAKS.items():
        counts, scale = load(folder)
        cut = len(counts.values) - len(counts.values) // 3
        baseline = persistence(counts.values[:cut], len(counts.values) - cut)
        rows = {
            "ours": ours(program, folder / file, options, zero + counts.end[cut - 1]),
            "scipy": peer(counts, scale, cut),
            "persistence": [""] * 7 + [judge(baseline, counts.values[cut:])],
        }
        for who, cells in rows.items():
            print("|", " | ".join([name, who, *cells]), "|", flush=True)


def reproduction(folder, program):
    """Largest relative difference of `sirocco reproduction` to the same method in f64, over all days, means and intervals."""
    print("| outbreak | windows | largest difference of a mean or quantile |")
    print("| --- | --- | --- |")
    for file, (column, mean, deviation) in renewal.OUTBREAKS.items():
        command = [program, "reproduction", folder / file, "--json", "--new", column]
        command += ["--serial-interval", f"{mean},{deviation}"]
        answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        expected = list(renewal.table(renewal.column(folder / file, column), renewal.serial_interval(mean, deviation, 129), 7))
        worst = 0.0
        for ours, (_, *row) in zip(answer["estimates"], expected, strict=True):
            low, lower, upper, high = row[2], row[4], row[6], row[8]
            pairs = [(ours["mean"], row[0]), (ours["standard_deviation"], row[1]), (ours["median"], row[5])]
            pairs += zip(ours["interval_95"] + ours["interval_50"], (low, high, lower, upper))
            worst = max([worst, *(abs(is_ / value - 1) for is_, value in pairs)])
        print(f"| {file} | {len(expected)} | {worst:.1e} |")
        if worst > TOLERANCE:
            raise SystemExit(f"{file}: sirocco reproduction differs from the method in f64 by {worst:.1e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the outbreaks' tables")
    parser.add_argument("--program", required=True, help="the program sirocco")
    parser.add_argument("--only", choices=("fits", "reproduction"), help="only one of the two tables")
    arguments = parser.parse_args()
    if arguments.only != "fits":
        reproduction(arguments.data, arguments.program)
        print()
    if arguments.only != "reproduction":
        fits(arguments.data, arguments.program)


if __name__ == "__main__":
    main()
