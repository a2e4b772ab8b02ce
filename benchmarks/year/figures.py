"""The figures of a year of nights: rows, alerts, coverage, the true effect of events, reports and times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.year.events import (
    Event,
    day_of,
    evaluations_to,
    evaluations_without,
    events_of,
    found_on,
    worth_a_message_since,
)
from benchmarks.year.nights import Nights
from benchmarks.year.plan import Plan
from benchmarks.year.tally import SEASON, Tally, cutoffs
from flows.night.report import report_on
from models.arrays import FloatArray
from sql.output import history

Figures = dict[str, float | int | str | None]
Alerts = list[dict[str, Any]]

REPORT_EVERY = 30
AFTER_SHIFT = 60


def figures_of(nights: Nights, report_every: int = REPORT_EVERY) -> tuple[Figures, Alerts]:
    """The figures of a year, and its alerts with the events that explain each.

    Args:
        nights: The nights, all of them over.
        report_every: Of every so many nights, one report is made again.
    """
    company, job = nights.company, nights.job
    engine = job.places.ready_engine()
    tally, events = Tally.of(nights), events_of(company)
    alerts = [{**alert, "explained": _causes(alert, events)} for alert in history.alerts(engine, job.job.name)[::-1]]
    coverage = tally.coverage_errors()
    figures: Figures = {
        "nights": len(nights.journal),
        "missing_rows": tally.missing,
        "doubled_rows": tally.doubled,
        "false_alerts": sum(not alert["explained"] for alert in alerts),
        "nights_to_drift": None,
        "nights_to_shift": None,
        "nights_to_stale": None,
        "coverage_error": max(abs(error) for error in coverage.values()),
    }
    plan = company.plan
    if plan.drift:
        figures |= _of_drift(tally, plan.drift, found_on("drift", alerts, events))
    if plan.shift:
        found, shift = found_on("shift", alerts, events), company.day(plan.shift[0])
        figures["nights_to_shift"] = evaluations_to(found, pd.Timestamp(plan.shift[0]))
        figures["coverage_error_after_shift"] = tally.worst_coverage_error(shift, AFTER_SHIFT, shifted=True)
    figures["nights_to_stale"] = _nights_to_stale(plan, alerts, events)
    figures["coverage_error_undisturbed"] = (
        tally.worst_coverage_error(0, company.day(plan.drift[0]), shifted=False) if plan.drift else None
    )
    figures["nights_with_nothing_planned"] = evaluations_without(company, events)
    figures |= {f"coverage_error_{level:g}": error for level, error in coverage.items()}
    figures["reports_not_made"] = _reports_not_made(nights, report_every)
    return figures | _times(nights), alerts


def describe_alerts(alerts: Iterable[Mapping[str, Any]]) -> list[str]:
    """A line for each alert."""
    return [
        f"{day_of(alert['opened_at']):%Y-%m-%d} {alert['segment']:<16}{alert['signal']:<10}"
        f"{alert['explained'] or 'FALSE':<9}{alert['effect']:>7.3f}  until "
        f"{'now' if alert['closed_at'] is None else format(day_of(alert['closed_at']), '%Y-%m-%d')}"
        f"  {alert['reason'] or ''}"
        for alert in alerts
    ]


def _of_drift(tally: Tally, drift: tuple[str, str, float], found: pd.Timestamp | None) -> Figures:
    company, effect = tally.company, tally.effect()
    since = worth_a_message_since(effect, company.days, drift[0])
    last = company.day(company.cutoffs[-1]) + 1
    return {
        "nights_to_drift": evaluations_to(found, since),
        "drift_worth_a_message_since": f"{since:%Y-%m-%d}" if since is not None else None,
        "drift_percent_worse": _percent(effect[company.day(drift[1]) :][: 2 * SEASON]),
        "drift_percent_worse_at_the_end": _percent(effect[last - 3 * SEASON : last]),
    }


def _nights_to_stale(plan: Plan, alerts: Alerts, events: list[Event]) -> int | None:
    """The longest time until a late or dead feed was found; None if one was not found, or there was none."""
    feeds = [(name, day) for name, day in (("late", plan.late), ("dead", plan.dead and plan.dead[0])) if day]
    nights = [evaluations_to(found_on(name, alerts, events), pd.Timestamp(day)) for name, day in feeds]
    known = [each for each in nights if each is not None]
    return max(known) if len(known) == len(nights) and nights else None


def _times(nights: Nights) -> Figures:
    """Seconds of the nights, and how many nights trained or loaded."""
    seconds = [entry["seconds"] for entry in nights.journal]
    processor = [entry["processor"] for entry in nights.journal]
    figures: Figures = {
        "seconds_a_night": float(np.median(seconds)),
        "seconds_in_all": float(np.sum(seconds)),
        "processor_seconds_a_night": float(np.median(processor)),
    }
    runs = history.runs(nights.job.places.ready_engine(), nights.job.job.name)
    modes = ("scratch", "warm", "load")
    return figures | {f"nights_{mode}": sum(run["train_mode"] == mode for run in runs) for mode in modes}


def _percent(effect: FloatArray) -> float | None:
    known = effect[np.isfinite(effect)]
    return float(100 * np.expm1(np.median(known))) if len(known) else None


def _reports_not_made(nights: Nights, every: int) -> int:
    """Of every so many nights, the reports that cannot be made again."""
    failed = 0
    for cutoff, moment in list(cutoffs(nights.company))[::every]:
        nights.job.places.report_file(moment).unlink(missing_ok=True)
        page = report_on(nights.job, moment).night
        failed += f"{cutoff:%Y-%m-%d}" not in page.read_text(encoding="utf-8")
    return failed


def _causes(alert: Mapping[str, Any], events: Iterable[Event]) -> str:
    return ", ".join(event.name for event in events if event.explains(alert))
