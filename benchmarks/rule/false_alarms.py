"""Alerts that chance raises, beside those that it may raise, in thousands of years in which nothing is wrong.

Each simulated job learns its reference level once, from 180 nights, and keeps it for ten years. Alerts are counted once
a quarter. Each of the `SEGMENTS` segments of a job has its share of the rate, so that the rules of segments are strict.
"""

from __future__ import annotations

import numpy as np

from benchmarks.rule.simulated_jobs import KINDS, OUT_OF_SAMPLE, REFERENCE_NIGHTS, YEAR, Kind, simulate
from models.monitoring.reference import learn_reference
from models.monitoring.signals import false_alarm_rate
from models.monitoring.window_scan import highest_window_means
from models.settings.monitoring import MonitorSettings

YEARS, QUARTER = 10, 91
SEGMENTS = 8


def false_alarms(jobs: int, seed: int, min_effect: float) -> dict[str, float]:
    """Alerts of chance per year: at each rate of all kinds of jobs and of the worst, and of a job with segments."""
    monitor = MonitorSettings()
    granted = [(false_alarm_rate(signal, "all", SEGMENTS, monitor), 1) for signal in monitor.signals]
    granted += [(false_alarm_rate(signal, "region=north", SEGMENTS, monitor), SEGMENTS) for signal in monitor.signals]
    rates = tuple(sorted({0.3, 0.1, *(rate for rate, _ in granted)}, reverse=True))
    found = np.array(
        [
            alerts_per_year(kind, rates, jobs, 1000 * seed + number, min_effect)
            for number, kind in enumerate(KINDS.values())
        ]
    )
    figures = {}
    for rate, of_kinds in zip(rates, found.T, strict=True):
        figures[f"chance.{rate:.3g}.alerts_per_year"] = float(of_kinds.mean())
        figures[f"chance.{rate:.3g}.worst_kind"] = float(of_kinds.max())
    raised = dict(zip(rates, found.mean(axis=0).tolist(), strict=True))
    figures["chance.job.asked"] = monitor.false_alarms_per_year
    figures["chance.job.alerts_per_year"] = sum(raised[rate] * times for rate, times in granted)
    return figures


def alerts_per_year(kind: Kind, rates: tuple[float, ...], jobs: int, seed: int, min_effect: float) -> list[float]:
    """Alerts per year at each rate, over all jobs of a kind."""
    ratio, _ = simulate(kind, jobs, seed, YEARS)
    weekday, quarters = np.arange(ratio.shape[1]) % 7, []
    for job, nights in enumerate(ratio):
        scored = ~np.isnan(nights)
        values, days = nights[scored], weekday[scored]
        known = int(scored[:REFERENCE_NIGHTS].sum())
        out_of_sample = OUT_OF_SAMPLE[job % len(OUT_OF_SAMPLE)]
        fresh = int(scored[REFERENCE_NIGHTS - out_of_sample : REFERENCE_NIGHTS].sum())
        parts = (len(values) - known) // QUARTER
        alerts = []
        for rate in rates:
            reference = learn_reference(values[:known], days[:known], fresh, min_effect, rate)
            after = reference.excess(values[known:], days[known:])[: parts * QUARTER]
            highest = highest_window_means(after[None], reference.clip_at, parts)[0]
            alerts.append((highest > reference.limits).any(axis=1).mean())
        quarters.append(alerts)
    return [float(share) * YEAR / QUARTER for share in np.mean(quarters, axis=0)]
