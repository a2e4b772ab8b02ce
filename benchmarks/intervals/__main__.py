"""How many actuals lie at or below each quantile, before and after calibration, beside split conformal and plain ACI.

    python -m benchmarks.intervals [--series 200]

Simulated series have 28 days to learn from and then a year; every night forecasts 14 days ahead at seven levels.
`simulation.py` describes the five kinds of series, `methods.py` the methods.

    level_error       largest distance between a level and its share of actuals, over all nights and steps
    interval_error    the same for the central intervals
    step_error        the largest level_error of a single step
    after_28          level_error in the 28 nights after the shift
    wql, mae          relative to the forecasts before calibration

If many actuals equal a quantile, as at zero, any share between those below it and those at or below it is right.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import numpy as np

from benchmarks.intervals.methods import ours, plain_aci, split_conformal
from benchmarks.intervals.simulation import BEFORE, HORIZON, KINDS, LEVELS, NIGHTS, SHIFT, YEAR, SimulatedJob, simulate
from benchmarks.shared.record import command_line, record
from models.arrays import FloatArray

METHODS: dict[str, Callable[[SimulatedJob], FloatArray]] = {
    "before": lambda job: job.raw,
    "ours": ours,
    "split": split_conformal,
    "aci": plain_aci,
}


def main() -> None:
    """Simulate, calibrate, score, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=200)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dry", action="store_true", help="do not record the figures")
    given = parser.parse_args()
    figures: dict[str, float | int | str | None] = {"series": given.series, "nights": YEAR}
    for kind in given.kinds:
        job = simulate(kind, given.series, given.seed)
        raw = score(job, job.raw)
        for method in given.methods:
            found = score(job, METHODS[method](job))
            found["wql"], found["mae"] = found["wql"] / raw["wql"], found["mae"] / raw["mae"]
            figures |= {f"{kind}.{method}.{key}": value for key, value in found.items()}
            print(
                f"{kind:<10}{method:<8}" + "".join(f"{key} {value:.3f}  " for key, value in found.items()), flush=True
            )
    if not given.dry:
        print(record("intervals", figures, command_line("intervals", sys.argv[1:])))


def score(job: SimulatedJob, published: FloatArray) -> dict[str, float]:
    """Errors of coverage, and losses."""
    actual = job.realised
    year, after = slice(BEFORE, NIGHTS), slice(BEFORE + SHIFT, BEFORE + SHIFT + 28)
    level_error, interval_error = coverage_errors(actual[year], published[year])
    by_step = [coverage_errors(actual[year, :, step], published[year, :, step])[0] for step in range(HORIZON)]
    error = actual[year][..., None] - published[year]
    return {
        "level_error": float(level_error.max()),
        "interval_error": float(interval_error.max()),
        "step_error": float(np.max(by_step)),
        "after_28": float(coverage_errors(actual[after], published[after])[0].max()),
        "wql": float(np.maximum(LEVELS * error, (LEVELS - 1) * error).mean()),
        "mae": float(np.abs(error[..., len(LEVELS) // 2]).mean()),
    }


def coverage_errors(actual: FloatArray, quantiles: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Distance of the coverage of each level, and of each central interval, from its nominal coverage.

    Args:
        actual: Shape (...).
        quantiles: Shape (..., level).

    Returns:
        Shapes (level,) and (level // 2,).
    """
    axes = tuple(range(actual.ndim))
    below = (actual[..., None] < quantiles).mean(axis=axes)
    up_to = (actual[..., None] <= quantiles).mean(axis=axes)
    pairs = len(LEVELS) // 2
    nominal = (LEVELS[::-1] - LEVELS)[:pairs]
    inside, with_ends = (below[::-1] - up_to)[:pairs], (up_to[::-1] - below)[:pairs]
    return np.abs(LEVELS - np.clip(LEVELS, below, up_to)), np.abs(nominal - np.clip(nominal, inside, with_ends))


if __name__ == "__main__":
    main()
