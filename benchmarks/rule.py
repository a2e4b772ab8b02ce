"""How soon the rule that says "worse" finds what is worse, and how often it cries wolf, beside two common rules.

    python benchmarks/rule.py [--jobs 60]

Each made-up job has 180 nights to learn from and then a year. The logarithm of its loss over the seasonal naive's has a
cycle of a week and noise that follows from night to night (autocorrelation 0.3), has heavy tails (Student's t, 4
degrees of freedom), is half again as wide at weekends and drifts in width over months; a quarter of its variance is
the luck of cutoffs, of which each evening mixes 28. The naive's loss has cycles of a week and a year, and noise of its
own. Every job's year is judged as it is, and four times with forecasts that are worse from the 60th night on. In each,
the rule runs as it does at night, `models.degradation.judge` on what was known then.

    false_per_year      episodes a year in years in which nothing is wrong
    nights_10           nights until 10 % worse is found, the median; None where most jobs had not found it in 120
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from record import asked, record

from models.degradation import Nights, Watch, judge
from models.settings import MonitorSettings

FloatArray = npt.NDArray[np.float64]
Rule = Callable[[FloatArray, FloatArray], npt.NDArray[np.bool_]]

LEARNT, YEAR, WORSE_FROM, PATIENCE = 180, 365, 60, 120
WORSE = (0.05, 0.1, 0.2, 0.5)
# Two alarms of a rule that knows no episodes are one where fewer nights lie between them.
APART = 7
SETTINGS = MonitorSettings()


def simulated(jobs: int, deviation: float, seed: int) -> tuple[FloatArray, FloatArray]:
    """Log ratios and logs of the naive's losses, shape (job, night) each."""
    random, nights, before = np.random.default_rng(seed), LEARNT + YEAR, 200
    total = nights + before
    day = np.arange(total)
    shock = random.standard_t(4, (jobs, total)) / np.sqrt(2) * np.where(day % 7 >= 5, 1.5, 0.9)
    noise, width = np.zeros((jobs, total)), np.zeros(jobs)
    for night in range(1, total):
        width = 0.97 * width + 0.25 * np.sqrt(1 - 0.97**2) * random.normal(size=jobs)
        noise[:, night] = 0.3 * noise[:, night - 1] + np.sqrt(1 - 0.3**2) * shock[:, night] * np.exp(width)
    weights = np.exp(-np.arange(28) / 10)
    luck = np.stack([np.convolve(each, weights)[:total] for each in random.normal(size=(jobs, total))])
    mixed = 0.85 * noise / noise.std() + 0.5 * luck / luck[:, 50:].std()
    ratio = -0.5 + 0.04 * np.sin(2 * np.pi * day / 7) + deviation * mixed
    cycles = 0.15 * np.sin(2 * np.pi * day / 7) + 0.1 * np.sin(2 * np.pi * day / 365 + random.uniform(0, 6, (jobs, 1)))
    naive = cycles + 0.15 * random.normal(size=(jobs, total))
    return ratio[:, before:], naive[:, before:]


def cumulative_sums(ratio: FloatArray, told: list[bool], first: int, last: int) -> list[bool]:
    """What this product's rule says of the nights `first` to `last` of a job, after what it said before."""
    watch = Watch(float(np.log1p(SETTINGS.tolerance)), float(np.log1p(SETTINGS.min_effect)))
    weekday = np.arange(len(ratio)) % 7
    states = [False] * LEARNT + told
    for night in range(LEARNT + first, LEARNT + last):
        degraded = np.array([*states, False])
        nights = Nights(ratio[: night + 1], weekday[: night + 1], degraded, backtest=LEARNT)
        states.append(judge(nights, SETTINGS, watch).state == "degraded")
    return states[LEARNT:]


def weekly_mean(loss: FloatArray) -> npt.NDArray[np.bool_]:
    """A week's mean loss more than 10 % above the mean of the nights learnt from; shape (night,) of the year."""
    week = np.convolve(loss, np.ones(7) / 7)[: len(loss)]
    return np.asarray(week[LEARNT:] > 1.1 * loss[:LEARNT].mean())


def three_deviations(loss: FloatArray) -> npt.NDArray[np.bool_]:
    """A night's loss more than three standard deviations above that mean; shape (night,) of the year."""
    return np.asarray(loss[LEARNT:] > loss[:LEARNT].mean() + 3 * loss[:LEARNT].std())


def episodes(flags: npt.NDArray[np.bool_], apart: int) -> int:
    """Runs of flagged nights, those with fewer than `apart` nights between them counted as one."""
    nights = np.flatnonzero(flags)
    return int(len(nights) > 0) + int((np.diff(nights) > apart).sum())


def found_after(flags: npt.NDArray[np.bool_]) -> float:
    """Nights from the beginning of what is wrong to the first flag after it; infinite where there is none in time."""
    after = np.flatnonzero(flags[WORSE_FROM : WORSE_FROM + PATIENCE])
    return float(after[0] + 1) if len(after) else np.inf


def main() -> None:
    """Simulate, judge, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=60, help="made-up jobs at each width of the noise")
    arguments = parser.parse_args()
    figures: dict[str, float | int | str | None] = {"jobs": arguments.jobs}
    for name, deviation in (("calm", 0.05), ("noisy", 0.1)):
        ratio, naive = simulated(arguments.jobs, deviation, seed=1)
        false: dict[str, list[int]] = {}
        delays: dict[tuple[str, float], list[float]] = {}
        for job in range(arguments.jobs):
            calm = cumulative_sums(ratio[job], [], 0, YEAR)
            false.setdefault("cusum", []).append(episodes(np.array(calm), 1))
            for rule in (weekly_mean, three_deviations):
                for what, logs in (("relative", ratio[job]), ("raw", ratio[job] + naive[job])):
                    false.setdefault(f"{rule.__name__}_{what}", []).append(episodes(rule(np.exp(logs)), APART))
            for worse in WORSE:
                shifted = ratio[job].copy()
                shifted[LEARNT + WORSE_FROM :] += np.log1p(worse)
                if not calm[WORSE_FROM - 1]:
                    told = cumulative_sums(shifted, calm[:WORSE_FROM], WORSE_FROM, WORSE_FROM + PATIENCE)
                    delays.setdefault(("cusum", worse), []).append(found_after(np.array(told)))
                for rule in (weekly_mean, three_deviations):
                    for what, logs in (("relative", shifted), ("raw", shifted + naive[job])):
                        delay = found_after(rule(np.exp(logs)))
                        delays.setdefault((f"{rule.__name__}_{what}", worse), []).append(delay)
        for rule_name, counts in false.items():
            figures[f"{name}.{rule_name}.false_per_year"] = float(np.mean(counts))
            for worse in WORSE:
                median = float(np.median(delays[rule_name, worse]))
                figures[f"{name}.{rule_name}.nights_{worse:.0%}".rstrip("%")] = median if np.isfinite(median) else None
    for key, value in figures.items():
        print(f"{key:<50}{'-' if value is None else value}")
    record("rule", figures, asked("rule", sys.argv[1:]))


if __name__ == "__main__":
    main()
