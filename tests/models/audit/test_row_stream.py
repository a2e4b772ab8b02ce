"""Rows that come batch by batch: the panel is that of all rows at once, and all rows are never in memory."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import models.audit.row_stream
import models.panel.panel
from models.audit.build_panel import build_panel
from models.audit.covariates import Covariates
from models.audit.occupancy import Occupancy
from models.audit.rows import Rows, Tally
from models.panel.panel import Panel
from models.settings.audit import AuditSettings
from models.settings.forecast import ForecastSettings

FIRST, NOW = datetime(2024, 1, 1), datetime(2024, 2, 1, tzinfo=UTC)
DAILY = ForecastSettings(frequency="D", horizon=2, min_history=2)
COVARIATES = Covariates(static=["region"], static_numbers=["area"], known_future=["promo"], observed_past=["visits"])
VALUES = [None, 1.0, 2.0, -3.0, 1e300, math.inf]
ROW = st.tuples(
    st.sampled_from("abc"),
    st.sampled_from([*range(8), 0.5]),
    st.sampled_from(VALUES),
    st.sampled_from([None, "north", "south"]),
    st.sampled_from([None, 1.0, 2.0]),
    st.sampled_from([None, 0.0, 1.0]),
)


def table_of(rows: Sequence[tuple]) -> pa.Table:
    ids, days, values, regions, areas, promotions = zip(*rows, strict=True)
    return pa.table(
        {
            "series_id": pa.array(ids, pa.string()).dictionary_encode(),
            "timestamp": pa.array([FIRST + timedelta(days=day) for day in days], pa.timestamp("us")),
            "value": pa.array(values, pa.float64()),
            "region": pa.array(regions, pa.string()),
            "area": pa.array(areas, pa.float64()),
            "promo": pa.array(promotions, pa.float64()),
            "visits": pa.array(promotions, pa.float64()),
        }
    )


def built(rows: Sequence[tuple], policy: str | None, cutoff: int):
    policies = AuditSettings(duplicates=policy, off_grid="leave_out", stale_after_steps=10_000)
    when = (FIRST + timedelta(days=cutoff)).replace(tzinfo=UTC)
    return build_panel(table_of(rows), DAILY, COVARIATES, cutoff=when, now=NOW, audit=policies)


def observed(value: float | None) -> bool:
    return value is not None and abs(value) < 3e38


@settings(max_examples=25)
@given(st.lists(ROW, min_size=1, max_size=30), st.sampled_from(["first", "last", "mean", "sum"]), st.integers(1, 4))
def test_batches_of_any_size_give_the_panel_and_the_findings_of_all_rows_at_once(rows, policy, part):
    rows = [*rows, ("a", 3, 1.0, None, None, None)]
    whole, account = built(rows, policy, cutoff=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models.audit.row_stream, "PART", part)
        patch.setattr(models.panel.panel, "STRETCH", part)
        panel, audit = built(rows, policy, cutoff=5)
    assert audit == account
    for field in fields(Panel):
        np.testing.assert_equal(getattr(panel, field.name), getattr(whole, field.name))


@settings(max_examples=40)
@given(st.lists(ROW, min_size=1, max_size=30), st.sampled_from(["first", "last", "mean", "sum"]))
def test_each_place_holds_what_the_policy_makes_of_its_rows(rows, policy):
    rows = [*rows, ("a", 3, 1.0, None, None, None)]
    panel, audit = built(rows, policy, cutoff=5)
    choose = {"first": lambda v: v[0], "last": lambda v: v[-1], "mean": lambda v: sum(v) / len(v), "sum": sum}[policy]
    expected, several = {}, 0
    for place in {(name, day) for name, day, *_ in rows if day != 0.5}:
        values = [row[2] for row in rows if row[:2] == place]
        there = [value for value in values if observed(value)]
        if there:
            # Equal values are one row given twice, but who sums up means them all.
            expected[place] = there[0] if len(set(there)) == 1 and policy != "sum" else choose(there)
        several += len(values) - 1 if len(set(there)) < 2 and not (policy == "sum" and len(there) > 1) else 0
    seen = {
        (name, 5 - back): float(panel.series(i)[-1 - back])
        for i, name in enumerate(panel.series_ids.tolist())
        for back in range(panel.lengths[i])
        if not np.isnan(panel.series(i)[-1 - back])
    }
    assert seen == pytest.approx({place: value for place, value in expected.items() if place[1] <= 5})
    found = {finding.kind: finding.count for finding in audit.findings}
    assert found.get("duplicate rows", 0) == several
    assert found.get("values after the cutoff", 0) == sum(day > 5 for _, day in expected)
    assert audit.observed == len(seen)


class SimulatedRows:
    """Two million rows that are never in memory: 4,000 daily series, day by day."""

    series, days = 4_000, 500
    num_rows, column_names = series * days, ["series_id", "timestamp", "value"]

    def batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        ids = pa.array([f"s{i:04}" for i in range(self.series)])
        codes = pa.array(np.tile(np.arange(self.series, dtype=np.int32), 5))
        for first in range(0, self.days, 5):
            day = np.repeat(np.arange(first, first + 5), self.series)
            columns = {
                "series_id": pa.DictionaryArray.from_arrays(codes, ids),
                "timestamp": pa.array(np.datetime64(FIRST, "us") - (self.days - day) * np.timedelta64(1, "D")),
                "value": pa.array(codes.to_numpy() + day % 7.0),
            }
            yield pa.record_batch([columns[name] for name in names], list(names))


def test_an_audit_takes_no_more_than_three_times_the_panel(monkeypatch):
    monkeypatch.setattr(models.panel.panel, "STRETCH", 10_000)
    tracemalloc.start()
    try:
        panel, audit = build_panel(SimulatedRows(), DAILY, cutoff=None, now=NOW)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert audit.observed == len(panel.values) == SimulatedRows.num_rows
    assert peak < 3 * panel.values.nbytes


def placed(*rows: tuple[int, int]) -> Rows:
    series, index = np.array(rows).T
    return Rows(np.array(["a", "b"]), series, index, np.zeros(len(series)), np.arange(len(series)))


def test_a_row_is_alone_on_its_place_until_another_one_comes():
    occupancy = Occupancy(np.array([5, 8]), np.array([7, 8]))
    first, later = placed((0, 5), (1, 8), (0, 6), (0, 6)), placed((0, 7), (1, 8), (1, 9))
    occupancy.add(first)
    occupancy.add(later)
    assert occupancy.is_single(first).tolist() == [True, False, False, False]
    # What lies beyond the places of a series is never alone.
    assert occupancy.is_single(later).tolist() == [True, False, False]
    assert occupancy.count_single() == 2


def test_places_with_a_row_are_known_for_any_range_of_them():
    occupancy = Occupancy(np.array([5, 8]), np.array([7, 7]))
    occupancy.add(placed((0, 5), (0, 7)))
    assert occupancy.has_row(np.array([5, 8]), 7).tolist() == [True, False, True]
    assert occupancy.has_row(np.array([4, 7]), 8).tolist() == [False, True, False, True, False, False, False]
    assert occupancy.has_row(np.array([6, 9]), 7).tolist() == [False, True]


def test_a_tally_names_the_first_five_series_once_each():
    tally = Tally()
    for first in range(4):
        tally.add(np.arange(first, first + 3), np.array([True, True, False]))
    assert (tally.count, tally.series) == (8, [0, 1, 2, 3, 4])
