"""Judge actuals that are new or revised by the forecasts before them: which of them are anomalies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from models.anomalies.past_tails import MAX_NIGHTS, PastTails, add_counts, count_bins
from models.anomalies.runs import run_starts
from models.anomalies.tail_probability import tail_probability
from models.arrays import BoolArray, Float32Array, FloatArray, IntArray
from models.panel.panel import Panel
from sql.downstream.anomalies import Judged
from tasks.evaluation.stored_night import forecast_rows, positions_of_series
from tasks.night.ledger import Row
from tasks.night.night import Night

_SPREAD_STEPS = 56
_INSTANT = pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class NewActuals:
    """Actuals that the table `actual` lacks, or has otherwise.

    Attributes:
        panel: The series and aggregates, up to tonight's cutoff.
        index: Shape (step,), ascending grid positions.
        values: Shape (step, series); NaN where not observed.
        lacking: Shape (step, series), where the table has no value yet.
        outdated: Shape (step, series), where it has another one than the source has now, or one that is gone.
    """

    panel: Panel
    index: IntArray
    values: Float32Array
    lacking: BoolArray
    outdated: BoolArray


@dataclass(frozen=True)
class _Points:
    """Judged actuals, one each; all of shape (point,)."""

    index: IntArray
    series: IntArray
    cutoff_index: IntArray
    version: pa.Array
    actual: FloatArray
    expected: FloatArray
    tail: FloatArray
    above: BoolArray
    is_first: BoolArray

    def those(self, chosen: BoolArray) -> _Points:
        return _Points(
            self.index[chosen], self.series[chosen], self.cutoff_index[chosen], self.version.filter(pa.array(chosen)),
            self.actual[chosen], self.expected[chosen], self.tail[chosen], self.above[chosen], self.is_first[chosen],
        )  # fmt: skip

    @classmethod
    def joined(cls, parts: list[_Points]) -> _Points:
        names = [name for name in cls.__dataclass_fields__ if name != "version"]
        columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return cls(version=pa.concat_arrays([part.version for part in parts]), **columns)


def judge_actuals(night: Night, new: NewActuals) -> Judged | None:
    """Which of some actuals are anomalies, and what that changes in the tables `anomaly` and `anomaly_rate`.

    An actual is judged once, by the newest published night before it, when it is first seen. A revised one is judged
    anew, and does not count a second time.

    Returns:
        None where the job judges no actuals, or nothing is new.
    """
    settings = night.job.anomalies
    if not settings.enabled or not (new.lacking | new.outdated).any():
        return None
    parts = [*_judged(night, new)]
    points = _Points.joined(parts) if parts else None
    past = PastTails.of(night.ledger.anomaly_rates(night.cutoff, MAX_NIGHTS), settings.rate)
    probability = np.empty(0) if points is None else past.probability(points.tail)
    found = probability <= settings.rate
    rate = None if points is None else _rate_row(night, points, found, past)
    fresh = None if points is None else _rows(night, new.panel, points.those(found), probability[found])
    return _with_runs(night, new, fresh, rate)


def _judged(night: Night, new: NewActuals) -> Iterator[_Points]:
    """The actuals with their tail probabilities, a published night at a time."""
    changed = (new.lacking | new.outdated) & ~np.isnan(new.values)
    spread: FloatArray | None = None
    for cutoff_index, publication, steps in _judges(night, new, changed):
        stored = night.ledger.figures_of(publication["cutoff"], last_step=int(new.index[steps].max() - cutoff_index))
        if not stored.num_rows:
            continue
        if spread is None:
            spread = _spread(new.panel, int(new.index[changed.any(axis=1)][0]))
        rows = forecast_rows(stored, new.panel)
        place = np.full(int(rows.step.max()) + 1, -1)
        ahead = new.index[steps] - cutoff_index
        place[ahead[ahead < len(place)]] = np.flatnonzero(steps)[ahead < len(place)]
        at = place[rows.step]
        chosen = (rows.series >= 0) & (at >= 0)
        chosen[chosen] = changed[at[chosen], rows.series[chosen]]
        at, series = at[chosen], rows.series[chosen]
        actual = new.values[at, series].astype(np.float64)
        tail, above = tail_probability(actual, rows.quantiles[chosen], rows.quantile_levels, spread[series])
        # The version stands at step 1 alone.
        first = (rows.step == 1) & (rows.series >= 0)
        version = np.full(len(new.panel), rows.versions.index("") if "" in rows.versions else 0)
        if rows.version is not None:
            version[rows.series[first]] = rows.version[first]
        names = pa.array([name or None for name in rows.versions], pa.string()).take(pa.array(version[series]))
        known = ~np.isnan(tail)
        yield _Points(
            new.index[at], series, np.full(len(at), cutoff_index), names, actual, rows.median[chosen], tail, above,
            new.lacking[at, series],
        ).those(known)  # fmt: skip


def _judges(night: Night, new: NewActuals, changed: BoolArray) -> Iterator[tuple[int, Row, BoolArray]]:
    """The published nights that judge the steps with changes, each with its cutoff's grid position and its steps."""
    publications = [row for row in night.ledger.publications() if row["cutoff"] < night.cutoff]
    moments = [row[end] for row in publications for end in ("cutoff", "first_timestamp", "last_timestamp")]
    position, on_grid = new.panel.grid.to_index(pd.DatetimeIndex(moments, tz="UTC"))
    fitting = [place for place, fits in enumerate(on_grid.reshape(-1, 3)) if fits.all()]
    nights = position.reshape(-1, 3)[fitting]
    wanted = changed.any(axis=1)
    # Publications are sorted by cutoff, so the newest night before a step is the last one that begins before it.
    judge = np.searchsorted(nights[:, 0], new.index, side="left") - 1
    for each in np.unique(judge[wanted & (judge >= 0)]).tolist():
        cutoff_index, first, last = nights[each].tolist()
        steps = wanted & (judge == each) & (new.index >= first) & (new.index <= last)
        if steps.any() and first == cutoff_index + 1:
            yield cutoff_index, publications[fitting[each]], steps


def _spread(panel: Panel, first_index: int) -> FloatArray:
    """The root mean square of the newest changes of each series before a grid position, shape (series,); 0 for none."""
    tail = panel.tail(_SPREAD_STEPS, skip=panel.cutoff_index + 1 - first_index).astype(np.float64)
    changes = np.diff(tail, axis=1) ** 2
    known = (~np.isnan(changes)).sum(axis=1)
    return np.asarray(np.sqrt(np.nansum(changes, axis=1) / np.maximum(known, 1)))


def _rate_row(night: Night, points: _Points, found: BoolArray, past: PastTails) -> dict[str, Any] | None:
    """The evaluation's row of `anomaly_rate`; where the night runs again, with what it counted before."""
    first = points.is_first
    actuals, anomalies, counts = int(first.sum()), int((found & first).sum()), count_bins(points.tail[first])
    if not actuals:
        return None
    before = night.ledger.anomaly_rate_of(night.cutoff)
    if before is not None:
        actuals, anomalies = actuals + before["actuals"], anomalies + before["anomalies"]
        counts = add_counts(counts, before["tail_counts"])
    return {
        "job": night.job.name,
        "evaluated_on": night.cutoff,
        "rate": night.job.anomalies.rate,
        "actuals": actuals,
        "anomalies": anomalies,
        "state": "many" if past.is_many(anomalies, actuals) else "ok",
        "tail_counts": counts,
    }


def _rows(night: Night, panel: Panel, points: _Points, probability: FloatArray) -> pa.Table:
    """Rows of the table `anomaly`, each the beginning of a run of its own."""
    instants = _instants(panel, points.index)
    count = len(points.index)
    return pa.table(
        {
            "job": pa.repeat(pa.scalar(night.job.name, pa.string()), count),
            "timestamp": instants,
            "series_id": pa.array(panel.series_ids.tolist(), pa.string()).take(pa.array(points.series)),
            # As in the table `actual`.
            "actual": pa.array(points.actual.astype(np.float32)).cast(pa.string()).cast(pa.float64()),
            "expected": pa.array(points.expected),
            "probability": pa.array(probability),
            "direction": pa.array(np.where(points.above, "above", "below").tolist(), pa.string()),
            "since": instants,
            "model_version": points.version,
            "cutoff": _instants(panel, points.cutoff_index),
            "evaluated_on": pa.repeat(pa.scalar(night.cutoff, _INSTANT), count),
        }
    )


def _instants(panel: Panel, index: IntArray) -> pa.Array:
    return pa.array(panel.grid.to_utc(index)).cast(pa.timestamp("us")).cast(_INSTANT)


def _with_runs(night: Night, new: NewActuals, fresh: pa.Table | None, rate: Mapping[str, Any] | None) -> Judged:
    """The changes of the table, with the beginning of every run as it is now."""
    panel, changed = new.panel, new.lacking | new.outdated
    first = int(new.index[changed.any(axis=1)][0])
    # One step more: a run that goes on began earlier.
    stored = night.ledger.anomalies_since(panel.grid.instant(first - 1))
    index, series = _cells(stored, panel)
    step = np.minimum(np.searchsorted(new.index, index), len(new.index) - 1)
    held = (series >= 0) & (new.index[step] == index)
    is_replaced = np.zeros(stored.num_rows, bool)
    is_replaced[held] = changed[step[held], series[held]]
    kept = stored.filter(pa.array(~is_replaced))
    both = kept if fresh is None else pa.concat_tables([kept, fresh.cast(kept.schema)])
    index, series = _cells(both, panel)
    since, _ = panel.grid.to_index(pd.DatetimeIndex(both["since"].to_numpy(), tz="UTC"))
    # What began before the rows that were read keeps its beginning.
    starts = run_starts(index, series, np.where(index < first, since, index))
    starts = np.where(series < 0, since, starts)
    moved = (starts != since) & (np.arange(both.num_rows) < kept.num_rows)
    is_new = np.arange(both.num_rows) >= kept.num_rows
    place = both.column_names.index("since")
    rows = both.set_column(place, "since", _instants(panel, starts)).filter(pa.array(is_new | moved))
    keys = ["job", "timestamp", "series_id"]
    gone = pa.concat_tables(
        [stored.filter(pa.array(is_replaced)).select(keys), both.filter(pa.array(moved)).select(keys)]
    )
    return Judged(rows.sort_by([("timestamp", "ascending"), ("series_id", "ascending")]), gone, rate)


def _cells(rows: pa.Table, panel: Panel) -> tuple[IntArray, IntArray]:
    """Grid position and series of each row; -1 where the panel does not hold the series."""
    index, on_grid = panel.grid.to_index(pd.DatetimeIndex(rows["timestamp"].to_numpy(), tz="UTC"))
    return index, np.where(on_grid, positions_of_series(rows, panel), -1)
