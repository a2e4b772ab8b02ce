"""How soon a rule finds a rise of the loss, and how often it finds one that does not exist."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from benchmarks.rule.simulated_jobs import OUT_OF_SAMPLE, REFERENCE_NIGHTS, YEAR
from models.arrays import BoolArray, FloatArray
from models.monitoring.change_detection import Nights, Sensitivity, Verdict, judge
from models.settings.monitoring import MonitorSettings

RISE_FROM, PATIENCE = 60, 120
"""The night of the year on which a rise begins, and the nights in which it must be found."""
RISES = (0.05, 0.1, 0.2, 0.5)
RATES = (0.1, 0.3, 0.02, 0.6)
"""False alarms per year of one signal of one segment. By default, the loss of all series of a job has 0.3, and 0.45
without segments. Figures other than delays are measured at the first rate."""
APART = 7
"""A rule without episodes counts two alarms as one if fewer nights lie between them."""
SETTINGS = MonitorSettings()
SENSITIVITY = Sensitivity(float(np.log1p(SETTINGS.tolerance)), float(np.log1p(SETTINGS.min_effect)))
MEANS = ("found_detectable", "alerts_a_rise")
"""Figures that are means over jobs; the others are medians."""


@dataclass(frozen=True)
class Outcomes:
    """What one rule did with the jobs of one kind: for each figure a list with a value for each job."""

    false: list[float] = field(default_factory=list)
    delays: dict[float, list[float]] = field(default_factory=lambda: {rise: [] for rise in RISES})
    others: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        self.others.setdefault(name, []).append(value)


class Job(NamedTuple):
    """A simulated job: its log ratios, how many reference nights are out of sample, and the rule's rate."""

    ratio: FloatArray
    out_of_sample: int
    rate: float

    def verdicts(self, ratio: FloatArray, states: list[bool], until: int) -> Iterator[Verdict]:
        """The verdicts of this product's rule on the nights of a year.

        Args:
            ratio: Log ratios of the nights, perhaps with a rise.
            states: Whether each of the first nights of the year was degraded.
            until: The last night.
        """
        weekday, degraded = np.arange(len(ratio)) % 7, [False] * REFERENCE_NIGHTS + states
        in_sample = REFERENCE_NIGHTS - self.out_of_sample
        for night in range(len(degraded), REFERENCE_NIGHTS + until):
            reported = np.array([*degraded, False])
            nights = Nights(ratio[: night + 1], weekday[: night + 1], reported, REFERENCE_NIGHTS, in_sample)
            verdict = judge(nights, SETTINGS, SENSITIVITY, self.rate)
            # A night without a figure opens and closes nothing.
            degraded.append(degraded[-1] if verdict.state == "not evaluated" else verdict.state == "degraded")
            yield verdict._replace(state="degraded" if degraded[-1] else "ok")


def with_rise(ratio: FloatArray, rise: float, nights: int) -> FloatArray:
    """Log ratios that are higher for some nights."""
    shifted = ratio.copy()
    shifted[..., REFERENCE_NIGHTS + RISE_FROM : REFERENCE_NIGHTS + RISE_FROM + nights] += rise
    return shifted


def outcomes_of_this_rule(ratio: FloatArray, rate: float) -> Outcomes:
    """Apply this product's rule to jobs, shape (job, night)."""
    found = Outcomes()
    for number, nights in enumerate(ratio):
        job = Job(nights, OUT_OF_SAMPLE[number % len(OUT_OF_SAMPLE)], rate)
        calm = list(job.verdicts(nights, [], YEAR))
        states = [verdict.state == "degraded" for verdict in calm]
        found.false.append(episodes(np.array(states), 1))
        before = states[:RISE_FROM]
        if before[-1]:
            continue
        for rise in RISES:
            _add_delay(found, job, before, rise)
        if rate == RATES[0]:
            _add_detectable(found, job, before, calm[RISE_FROM - 1].detectable_effect)
            _add_end(found, job, before)
    return found


def _add_delay(found: Outcomes, job: Job, before: list[bool], rise: float) -> None:
    """Nights until a rise is found, and how far its onset and effect are off."""
    shifted = with_rise(job.ratio, np.log1p(rise), PATIENCE)
    after = enumerate(job.verdicts(shifted, before, RISE_FROM + PATIENCE), 1)
    night, first = next(((night, each) for night, each in after if each.state == "degraded"), (np.inf, None))
    found.delays[rise].append(night)
    if first is not None and first.onset is not None:
        percent = f"{rise:.0%}".rstrip("%")
        found.add(f"onset_off_{percent}", abs(first.onset - REFERENCE_NIGHTS - RISE_FROM))
        found.add(f"effect_off_{percent}", float(np.expm1(first.effect)) - rise)


def _add_detectable(found: Outcomes, job: Job, before: list[bool], detectable: float) -> None:
    """Whether a rise of the detectable effect is found in 14 nights."""
    if np.isfinite(detectable):
        after = job.verdicts(with_rise(job.ratio, detectable, PATIENCE), before, RISE_FROM + 14)
        found.add("found_detectable", any(verdict.state == "degraded" for verdict in after))


def _add_end(found: Outcomes, job: Job, before: list[bool]) -> None:
    """How many alerts a rise of 20 % for 60 nights raises, and how soon the last one closes afterwards."""
    after = job.verdicts(with_rise(job.ratio, np.log(1.2), 60), before, RISE_FROM + 60 + PATIENCE)
    states = np.array([verdict.state == "degraded" for verdict in after])
    if states[:60].any():
        found.add("alerts_a_rise", episodes(states[:60], 1))
    if states[59]:
        closed = np.flatnonzero(~states[60:])
        found.add("nights_to_close", closed[0] + 1 if len(closed) else np.inf)


def outcomes_of_common_rule(
    rule: Callable[[FloatArray], BoolArray], ratio: FloatArray, naive: FloatArray | float = 0.0
) -> Outcomes:
    """Apply a rule that flags the nights of whole years."""
    calm = rule(ratio + naive)
    fair = ~calm[:, RISE_FROM - 1]
    delays = {}
    for rise in RISES:
        flags = rule(with_rise(ratio, np.log1p(rise), YEAR) + naive)[:, RISE_FROM : RISE_FROM + PATIENCE]
        delay = np.where(flags.any(axis=1), flags.argmax(axis=1) + 1, np.inf)
        delays[rise] = delay[fair].tolist()
    return Outcomes([episodes(each, APART) for each in calm], delays)


def episodes(flags: BoolArray, apart: int) -> int:
    """Runs of flagged nights; runs with fewer than `apart` nights between them count as one."""
    nights = np.flatnonzero(flags)
    return int(len(nights) > 0) + int((np.diff(nights) > apart).sum())


def summarize(parts: list[Outcomes]) -> dict[str, float | None]:
    """Means and medians over the jobs of several kinds; None for a median that is not finite."""
    figures: dict[str, float | None] = {"false_per_year": float(np.mean([n for part in parts for n in part.false]))}
    for rise in RISES:
        middle = float(np.median([delay for part in parts for delay in part.delays[rise]] or [np.inf]))
        figures[f"nights_{rise:.0%}".rstrip("%")] = middle if np.isfinite(middle) else None
    for name in sorted({name for part in parts for name in part.others}):
        values = [value for part in parts for value in part.others.get(name, [])]
        middle = float(np.mean(values) if name in MEANS else np.median(values))
        figures[name] = middle if np.isfinite(middle) else None
    return figures
