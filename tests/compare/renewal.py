"""The reproduction number by the method of Cori et al. (2013), in numpy and scipy, as EpiEstim computes it.

A second, independent computation to compare `sirocco reproduction` with. Run as a program, it writes the reference values
that the unit tests of shared/src/gamma.rs and shared/src/renewal.rs read: `python renewal.py ../data`.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from scipy.stats import gamma

# The prior of EpiEstim: mean 5, standard deviation 5.
SHAPE, SCALE = 1.0, 5.0
PROBABILITIES = (0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975)

# New cases by day, made up: an outbreak that grows, falls, stops for ten days, and begins anew.
SYNTHETIC = [1, 0, 2, 1, 3, 2, 5, 8, 6, 11, 15, 14, 22, 27, 24, 33, 41, 38, 36, 29, 31, 22, 17, 18, 11, 9, 4, 6, 2, 1,
             0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 4]
# Real ones, in shared/data/outbreaks: file, column, and the serial interval's mean and standard deviation in days.
OUTBREAKS = {
    "measles_hagelloch_1861_incidence.csv": ("x", 14.9, 3.9),
    "influenza_baltimore_1918_incidence.csv": ("x", 2.6, 1.5),
    "smallpox_kosovo_1972_incidence.csv": ("x", 22.4, 6.1),
    "influenza_nyc_school_2009.csv": ("I", 2.7, 1.1),
}


def serial_interval(mean, deviation, days):
    """Probabilities of 0, 1, ..., days - 1 days: the gamma distribution shifted by one day, as EpiEstim's discr_si has it."""
    k = np.arange(days)
    a, b = ((mean - 1) / deviation) ** 2, deviation**2 / (mean - 1)

    def overshoot(x):
        """Mean of max(0, x - X) for X with shape a and scale b: discr_si is its second difference."""
        return x * gamma.cdf(x, a, scale=b) - a * b * gamma.cdf(x, a + 1, scale=b)

    return np.maximum(0.0, overshoot(k) - 2 * overshoot(k - 1) + overshoot(k - 2))


def posteriors(counts, weights, window):
    """(last day of the window, shape, scale) of the gamma posterior, for every window that EpiEstim reports."""
    counts = np.asarray(counts, float)
    weights = np.asarray(weights)
    infectivity = [sum(weights[k] * counts[day - k] for k in range(1, min(day + 1, len(weights))))
                   for day in range(len(counts))]
    mean = float(np.sum(weights * np.arange(len(weights))))
    for day in range(window, len(counts)):
        if day + 1 > mean:
            inside = slice(day + 1 - window, day + 1)
            yield day, SHAPE + counts[inside].sum(), 1 / (1 / SCALE + np.sum(infectivity[inside]))


def table(counts, weights, window):
    """Rows of day, mean, standard deviation and the quantiles of PROBABILITIES."""
    for day, shape, scale in posteriors(counts, weights, window):
        quantiles = [gamma.ppf(p, shape, scale=scale) for p in PROBABILITIES]
        yield [day, shape * scale, np.sqrt(shape) * scale, *quantiles]


def column(file, name):
    with open(file, encoding="utf-8") as text:
        return [float(row[name]) for row in csv.DictReader(text)]


def write(file, header, rows):
    with open(file, "w", encoding="utf-8", newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([f"{v:.9g}" if isinstance(v, (float, np.floating)) else v for v in row] for row in rows)


def main(folder, outbreaks):
    shapes = [1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 8.0, 12.0, 19.99, 20.0, 31.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7]
    probabilities = [np.float32(p) for p in (0.005, *PROBABILITIES, 0.995)]
    rows = [[a, p, gamma.ppf(float(p), a)] for a in shapes for p in probabilities]
    write(folder / "gamma_quantiles.csv", ["shape", "probability", "quantile"], rows)

    rows = []
    for a in (0.3, 0.9, 1.0, 1.1376, 2.5, 7.9, 8.0, 12.7, 40.0, 100.0, 1e3, 1e4):
        for p in (1e-4, 0.01, 0.2, 0.5, 0.8, 0.99, 0.9999):
            x = float(np.float32(gamma.ppf(p, float(np.float32(a)))))
            rows.append([a, x, gamma.cdf(x, float(np.float32(a))), gamma.sf(x, float(np.float32(a)))])
    write(folder / "gamma_probabilities.csv", ["shape", "x", "below", "above"], rows)

    rows = []
    for mean, deviation in ((2.6, 1.5), (14.9, 3.9), (22.4, 6.1), (2.7, 1.1), (5.0, 5.0), (1.2, 0.6), (8.4, 0.5)):
        weights = serial_interval(mean, deviation, 129)
        rows += [[mean, deviation, day, w] for day, w in enumerate(weights) if w > 1e-9]
    write(folder / "serial_intervals.csv", ["mean", "deviation", "days", "probability"], rows)

    header = ["file", "mean_interval", "deviation_interval", "window", "day", "mean", "deviation"]
    header += [f"quantile_{p}" for p in PROBABILITIES]
    sets = [("", SYNTHETIC, 4.8, 2.5, window) for window in (1, 7)]
    for name, (title, mean, deviation) in OUTBREAKS.items():
        sets.append((name, column(outbreaks / name, title), mean, deviation, 7))
    rows = []
    for name, counts, mean, deviation, window in sets:
        found = table(counts, serial_interval(mean, deviation, 129), window)
        rows += [[name, mean, deviation, window, *row] for row in found]
    write(folder / "reproduction.csv", header, rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
