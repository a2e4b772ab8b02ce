"""What a year of nights left: rows, alerts, coverage, the true effect of what went wrong, and reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq

from benchmarks.year.company import HORIZON, Company
from benchmarks.year.explained import Event, day_of, evaluations_to, evaluations_without, events_of, found_by, reached
from benchmarks.year.nights import Nights
from flows.night.report import report_on
from models.evaluation.point_errors import scaled_errors
from sql.output import history
from sql.output.quantile_columns import is_quantile_column, quantile_level
from tasks.store.places import stamp

FloatArray = npt.NDArray[np.float64]
Figures = dict[str, float | int | str | None]

SEASON = 7
REPORT_EVERY = 30
AFTER_SHIFT = 60


@dataclass
class Seen:
    """What is added up night by night.

    Attributes:
        undrifted: Shape (series, day), what would have been sold without the drift.
        scale: Shape (series, day), the mean change over a season in the history, in the unit of the day.
        loss: Shape (4, day), sums of the model's and the naive's loss, and of both had there been no drift, in units
            of the scale; one point counts for no more than in an evaluation's loss, see
            `models.evaluation.point_errors.scaled_errors`.
        below: Of each quantile level: actuals at or below it, and all, of the series without and with the shift, of
            each day, shape (2, 2, day).
        missing: Rows that are not there.
        doubled: Rows that are there more than once.
    """

    undrifted: FloatArray
    scale: FloatArray
    loss: FloatArray
    below: dict[float, FloatArray] = field(default_factory=dict)
    missing: int = 0
    doubled: int = 0

    @classmethod
    def before(cls, company: Company) -> Self:
        """What has been seen before the first night: nothing."""
        past = company.values[:, : company.day(company.first_night) + 1]
        change = np.abs(past[:, SEASON:] - past[:, :-SEASON])
        # 0 for the series that are not born yet; they are left out.
        scale = np.nansum(change, axis=1) / np.maximum((~np.isnan(change)).sum(axis=1), 1)
        return cls(
            undrifted=replace(company, plan=replace(company.plan, drift=None)).values,
            # A series told in another unit weighs what it did before, as it does where the audit rescales it.
            scale=scale[:, None] * company.units,
            loss=np.zeros((4, len(company.days))),
        )


def figures_of(nights: Nights, report_every: int = REPORT_EVERY) -> tuple[Figures, list[dict[str, Any]]]:
    """The figures of a year, and its alerts with what explains each; of every so many nights a report is asked for."""
    company, job = nights.company, nights.job
    engine = job.places.ready_engine()
    seen = _gone_through(nights)
    events = events_of(company)
    alerts = [{**alert, "explained": _why(alert, events)} for alert in history.alerts(engine, job.job.name)[::-1]]
    coverage = {level: 100 * (counts[0].sum() / counts[1].sum() - level) for level, counts in seen.below.items()}
    figures: Figures = {
        "nights": sum(1 for told in nights.told),
        "missing_rows": seen.missing,
        "doubled_rows": seen.doubled,
        "false_alerts": sum(not alert["explained"] for alert in alerts),
        "nights_to_drift": None,
        "nights_to_shift": None,
        "nights_to_stale": None,
        "coverage_error": max(abs(error) for error in coverage.values()),
    }
    plan = company.plan
    if plan.drift:
        effect = effect_of(seen.loss)
        since = reached(effect, company.days, plan.drift[0])
        figures["nights_to_drift"] = evaluations_to(found_by("drift", alerts, events), since)
        figures["drift_worth_a_message_since"] = f"{since:%Y-%m-%d}" if since is not None else None
        figures["drift_percent_worse"] = _percent(effect[company.day(plan.drift[1]) :][: 2 * SEASON])
        last = company.day(company.cutoffs[-1]) + 1
        figures["drift_percent_worse_at_the_end"] = _percent(effect[last - 3 * SEASON : last])
    if plan.shift:
        figures["nights_to_shift"] = evaluations_to(found_by("shift", alerts, events), pd.Timestamp(plan.shift[0]))
        figures["coverage_error_after_shift"] = _coverage_error(seen, 1, company.day(plan.shift[0]), AFTER_SHIFT)
    feeds = [(name, day) for name, day in (("late", plan.late), ("dead", plan.dead and plan.dead[0])) if day]
    late = [evaluations_to(found_by(name, alerts, events), pd.Timestamp(day)) for name, day in feeds]
    known = [each for each in late if each is not None]
    figures["nights_to_stale"] = max(known) if len(known) == len(late) and late else None
    figures["coverage_error_undisturbed"] = (
        _coverage_error(seen, 0, 0, company.day(plan.drift[0])) if plan.drift else None
    )
    figures["nights_with_nothing_planned"] = evaluations_without(company, events)
    figures |= {f"coverage_error_{level:g}": error for level, error in coverage.items()}
    figures["reports_not_made"] = _reports_not_made(nights, report_every)
    seconds = [told["seconds"] for told in nights.told]
    processor = [told["processor"] for told in nights.told]
    figures |= {"seconds_a_night": float(np.median(seconds)), "seconds_in_all": float(np.sum(seconds))}
    figures["processor_seconds_a_night"] = float(np.median(processor))
    runs = history.runs(engine, job.job.name)
    figures |= {
        f"nights_{mode}": sum(run["train_mode"] == mode for run in runs) for mode in ("scratch", "warm", "load")
    }
    return figures, alerts


def in_words(alerts: Iterable[Mapping[str, Any]]) -> list[str]:
    """A line for each alert."""
    return [
        f"{day_of(alert['opened_at']):%Y-%m-%d} {alert['segment']:<16}{alert['signal']:<10}"
        f"{alert['explained'] or 'FALSE':<9}{alert['effect']:>7.3f}  until "
        f"{'now' if alert['closed_at'] is None else format(day_of(alert['closed_at']), '%Y-%m-%d')}"
        f"  {alert['reason'] or ''}"
        for alert in alerts
    ]


def expected(company: Company, night: int) -> set[str]:
    """The series that the source held on the night of a column."""
    known = [day for day in range(night + 1) if company.known_on(day) <= night]
    there = np.asarray((~np.isnan(company.values[:, known])).any(axis=1))
    return {name for name, here in zip(company.series_ids, there, strict=True) if here}


def judge(seen: Seen, company: Company, rows: pd.DataFrame, night: int) -> None:
    """Add what a night's forecasts lose and cover.

    Args:
        seen: What is added to.
        company: What came true.
        rows: Of the table `forecast`, those of the night.
        night: Its column.
    """
    place = {name: number for number, name in enumerate(company.series_ids)}
    series, day = rows["series_id"].map(place).to_numpy(), night + rows["step"].to_numpy()
    names = [name for name in rows.columns if is_quantile_column(name)]
    levels = np.array([quantile_level(name) for name in names])
    quantiles, median, naive = rows[names].to_numpy(), rows["median"].to_numpy(), rows["baseline"].to_numpy()
    # The year ends with its last night: what comes after has not come true.
    come = day <= company.day(company.cutoffs[-1])
    truth, other = (np.where(come, values[series, day], np.nan) for values in (company.values, seen.undrifted))
    known, shifted = ~np.isnan(truth), company.shifted[series]
    for level, name in zip(levels.tolist(), names, strict=True):
        counts = seen.below.setdefault(level, np.zeros((2, 2, len(company.days))))
        for group, mine in enumerate((known & ~shifted, known & shifted)):
            np.add.at(counts[0, group], day[mine], truth[mine] <= rows[name].to_numpy()[mine])
            np.add.at(counts[1, group], day[mine], 1.0)
    unit = seen.scale[series, day]
    mine = known & ~np.isnan(other) & (unit > 0) & ~np.isnan(naive)
    for first, values in ((0, truth), (2, other)):
        losses = scaled_errors(values[mine], quantiles[mine], median[mine], naive[mine], levels, unit[mine])[:2]
        for row, loss in enumerate(losses, first):
            np.add.at(seen.loss[row], day[mine], loss)


def effect_of(sums: FloatArray) -> FloatArray:
    """Logarithm of the relative loss over that of the same forecasts had there been no drift, shape (day,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(sums)
        return np.asarray(logs[0] - logs[1] - logs[2] + logs[3])


def _gone_through(nights: Nights) -> Seen:
    company, places = nights.company, nights.job.places
    seen = Seen.before(company)
    for cutoff in company.cutoffs:
        moment = cutoff.tz_localize("Europe/Madrid").to_pydatetime()
        rows = history.forecast_of(places.engine(), places.job, moment).to_pandas()
        _count_rows(seen, company, rows, _in_files(places.parquet, places.job, moment), company.day(cutoff))
        if len(rows):
            judge(seen, company, rows, company.day(cutoff))
    return seen


def _in_files(parquet: str, job: str, moment: datetime) -> pd.DataFrame:
    folder = Path(parquet) / f"job={job}" / f"cutoff={stamp(moment)}"
    files = sorted(folder.glob("part-*.parquet"))
    parts = [pq.ParquetFile(file).read(["series_id", "step"]).to_pandas() for file in files]
    return pd.concat(parts) if parts else pd.DataFrame({"series_id": [], "step": []})


def _count_rows(seen: Seen, company: Company, rows: pd.DataFrame, in_files: pd.DataFrame, night: int) -> None:
    wanted = {(name, step) for name in expected(company, night) for step in range(1, HORIZON + 1)}
    for found in (rows, in_files):
        keys = list(zip(found["series_id"], found["step"].astype(int), strict=True))
        seen.missing += len(wanted - set(keys))
        seen.doubled += len(keys) - len(set(keys))


def _percent(effect: FloatArray) -> float | None:
    known = effect[np.isfinite(effect)]
    return float(100 * np.expm1(np.median(known))) if len(known) else None


def _coverage_error(seen: Seen, shifted: int, first: int, days: int) -> float | None:
    """Points between a level and the share of actuals below it, at most, of the series without or with the shift."""
    sums = {level: counts[:, shifted, first : first + days].sum(axis=1) for level, counts in seen.below.items()}
    return max((float(abs(100 * (below / of - level))) for level, (below, of) in sums.items() if of), default=None)


def _reports_not_made(nights: Nights, every: int) -> int:
    """How many of every so many nights have no report when they are asked for one again."""
    failed = 0
    for cutoff in nights.company.cutoffs[::every]:
        moment = cutoff.tz_localize("Europe/Madrid").to_pydatetime()
        nights.job.places.report_file(moment).unlink(missing_ok=True)
        page = report_on(nights.job, moment)
        failed += f"{cutoff:%Y-%m-%d}" not in page.read_text(encoding="utf-8")
    return failed


def _why(alert: Mapping[str, Any], events: Iterable[Event]) -> str:
    return ", ".join(event.what for event in events if event.explains(alert))
