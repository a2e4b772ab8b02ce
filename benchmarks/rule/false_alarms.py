"""How often chance raises alerts, beside how often it may: thousands of years of nights in which nothing is wrong.

Each made-up job learns once what is usual, from 180 nights, and is held to that for ten years. Alerts are counted once
a quarter. A job of `SEGMENTS` segments asks for very rare ones of each.
"""

from __future__ import annotations

import numpy as np

from benchmarks.rule.simulated_jobs import FRESH, KINDS, LEARNT, YEAR, Kind, simulated
from models.monitoring.reference import learn_reference
from models.monitoring.signals import false_alarm_rate
from models.monitoring.window_scan import highest_window_means
from models.settings.monitoring import MonitorSettings

YEARS, QUARTER = 10, 91
SEGMENTS = 8


def calibration(jobs: int, seed: int, min_effect: float) -> dict[str, float]:
    """Alerts of chance a year: of all kinds of jobs and the worst one at each rate, and of a job of many segments."""
    monitor = MonitorSettings()
    asked = [(false_alarm_rate(signal, "all", SEGMENTS, monitor), 1) for signal in monitor.signals]
    asked += [(false_alarm_rate(signal, "region=north", SEGMENTS, monitor), SEGMENTS) for signal in monitor.signals]
    rates = tuple(sorted({0.3, 0.1, *(rate for rate, _ in asked)}, reverse=True))
    found = np.array(
        [by_chance(kind, rates, jobs, 1000 * seed + number, min_effect) for number, kind in enumerate(KINDS.values())]
    )
    figures = {}
    for rate, of_kinds in zip(rates, found.T, strict=True):
        figures[f"chance.{rate:.3g}.alerts_per_year"] = float(of_kinds.mean())
        figures[f"chance.{rate:.3g}.worst_kind"] = float(of_kinds.max())
    raised = dict(zip(rates, found.mean(axis=0).tolist(), strict=True))
    figures["chance.job.asked"] = monitor.false_alarms_per_year
    figures["chance.job.alerts_per_year"] = sum(raised[rate] * times for rate, times in asked)
    return figures


def by_chance(kind: Kind, rates: tuple[float, ...], jobs: int, seed: int, min_effect: float) -> list[float]:
    """Alerts a year at each rate, over all jobs of a kind."""
    ratio, _ = simulated(kind, jobs, seed, YEARS)
    weekday, quarters = np.arange(ratio.shape[1]) % 7, []
    for job, nights in enumerate(ratio):
        scored = ~np.isnan(nights)
        values, days = nights[scored], weekday[scored]
        known = int(scored[:LEARNT].sum())
        fresh = int(scored[LEARNT - FRESH[job % len(FRESH)] : LEARNT].sum())
        parts = (len(values) - known) // QUARTER
        alerts = []
        for rate in rates:
            reference = learn_reference(values[:known], days[:known], fresh, min_effect, rate)
            after = reference.excess(values[known:], days[known:])[: parts * QUARTER]
            alerts.append(
                (highest_window_means(after[None], reference.clip_at, parts)[0] > reference.limits).any(axis=1).mean()
            )
        quarters.append(alerts)
    return [float(share) * YEAR / QUARTER for share in np.mean(quarters, axis=0)]
