"""Covariates over the horizon: from tables of their own, and substitutes for missing values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.audit.build_panel import build_panel
from models.audit.covariates import Covariates
from models.errors import InputError
from models.settings.forecast import ForecastSettings

NOW = datetime(2024, 2, 1, tzinfo=UTC)
NAN = float("nan")


def history() -> pa.Table:
    """Series a of three days and b of two, up to 3 January."""
    return pa.table(
        {
            "series_id": ["a", "a", "a", "b", "b"],
            "timestamp": pa.array([datetime(2024, 1, day) for day in (1, 2, 3, 2, 3)], pa.timestamp("us")),
            "value": [1.0, 2.0, 3.0, 4.0, 5.0],
        }
    )


def table(days: Sequence[int | datetime], ids: list[str] | None = None, **columns: list[float | None]) -> pa.Table:
    moments = [datetime(2024, 1, day) if isinstance(day, int) else day for day in days]
    numbers = {name: pa.array(values, pa.float64()) for name, values in columns.items()}
    named = {} if ids is None else {"series_id": pa.array(ids, pa.string()).dictionary_encode()}
    return pa.table({**named, "timestamp": pa.array(moments, pa.timestamp("us")), **numbers})


def build(*tables: pa.Table, policy="mean", frequency="D", horizon=2):
    settings = ForecastSettings(frequency=frequency, horizon=horizon, min_history=1, missing_future=policy)
    panel, audit = build_panel(history(), settings, Covariates(known_future_tables=tables), cutoff=None, now=NOW)
    return panel, {finding.kind: finding for finding in audit.findings}


def test_values_of_a_series_find_its_steps_and_those_ahead():
    ids, days = ["b", "a", "a", "never sold", "b", "a"], [5, 4, 1, 4, 1, 6]
    panel, _ = build(table(days, ids, price=[5, 4, 1, 9, 8, 7], promotion=[0, 1, None, 0, 0, 0]))
    assert panel.known_future_names == ("price", "promotion")
    # Days 1 to 5 of series a, then days 2 to 5 of series b: day 1 lies before it begins, day 6 behind the horizon.
    np.testing.assert_array_equal(panel.known_future[:, 0], [1, NAN, NAN, 4, NAN, NAN, NAN, NAN, 5])
    np.testing.assert_array_equal(panel.known_future[:, 1], [NAN, NAN, NAN, 1, NAN, NAN, NAN, NAN, 0])


def test_values_without_an_id_hold_for_every_series():
    panel, _ = build(table([5, 1, 3, 6, 2, 4], warmth=[5, 1, 3, 6, 2, 4]), table([4], ["b"], price=[9]))
    assert panel.known_future_names == ("warmth", "price")
    np.testing.assert_array_equal(panel.known_future[:, 0], [1, 2, 3, 4, 5, 2, 3, 4, 5])
    np.testing.assert_array_equal(panel.known_future[:, 1], [NAN] * 7 + [9, NAN])


@pytest.mark.parametrize("ids", [None, []])
def test_a_table_without_rows_knows_nothing(ids):
    panel, findings = build(table([], ids, price=[]))
    assert np.isnan(panel.known_future).all()
    assert panel.known_future.shape == (9, 1)
    assert findings["steps ahead without price"].count == 4


def test_what_no_number_can_be_is_not_known():
    panel, _ = build(table([3, 4, 5], warmth=[float("inf"), 1e300, NAN]))
    assert np.isnan(panel.known_future).all()


def test_the_same_value_twice_is_one_and_two_different_ones_are_an_error():
    panel, _ = build(table([4, 4, 4], ["a", "a", "b"], price=[1, 1, 2]))
    np.testing.assert_array_equal(panel.known_future[[3, 7], 0], [1, 2])
    with pytest.raises(InputError, match=r"1 rows of 'price' differ.*a at 2024-01-04T00:00Z.*Keep one row"):
        build(table([4, 4, 4], ["a", "a", "b"], price=[1, 3, 2]))
    with pytest.raises(InputError, match=r"differ from another row of the same time: \['2024-01-04T00:00Z'\]"):
        build(table([4, 4], price=[1, 3]))


def test_a_few_rows_off_the_grid_are_left_out_and_many_are_an_error():
    noon = datetime(2024, 1, 4, 12)
    panel, findings = build(table([noon, 4, 5], warmth=[7, 1, 2]))
    np.testing.assert_array_equal(panel.known_future[3:5, 0], [1, 2])
    assert findings["rows with warmth off the grid"].count == 1
    with pytest.raises(InputError, match="1 of 1 rows with warmth lie off the grid of frequency 'D'"):
        build(table([noon], warmth=[7]))


def test_an_hour_that_comes_twice_has_two_values_in_the_order_of_the_table():
    clock = [datetime(2023, 10, 29, hour) for hour in (1, 2, 2, 3)]
    rows = pa.table({"series_id": ["a"], "timestamp": pa.array(clock[:1], pa.timestamp("us")), "value": [1.0]})
    settings = ForecastSettings(frequency="h", horizon=3, time_zone="Europe/Madrid", min_history=1)
    warmth = table(clock, warmth=[1, 2, 3, 4])
    panel, _ = build_panel(rows, settings, Covariates(known_future_tables=[warmth]), cutoff=None, now=NOW)
    np.testing.assert_array_equal(panel.known_future[:, 0], [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("policy", "expected", "action"),
    [
        ("mean", [NAN, 6, NAN, NAN, 8, NAN, NAN, 7, NAN], "treated as the mean of the column"),
        ("zero", [0, 6, 0, 0, 8, 0, 0, 7, 0], "treated as 0"),
        ("last", [NAN, 6, 6, 6, 8, NAN, NAN, 7, 7], "the last known value of the series is used"),
        ({"price": "last"}, [NAN, 6, 6, 6, 8, NAN, NAN, 7, 7], "the last known value of the series is used"),
    ],
)
def test_missing_values_ahead_are_counted_and_the_job_says_what_replaces_them(policy, expected, action):
    panel, findings = build(table([2, 5, 4], ["a", "a", "b"], price=[6, 8, 7]), policy=policy)
    np.testing.assert_array_equal(panel.known_future[:, 0], expected)
    found = findings["steps ahead without price"]
    assert (found.count, found.examples) == (2, ("a", "b"))
    assert found.action.startswith(action)


def test_series_that_are_not_known_ahead_can_be_left_to_the_fallback():
    panel, findings = build(table([4, 5, 4], ["a", "a", "b"], price=[6, 8, 7]), policy="fallback")
    assert panel.refused == {"b": "price is not known over the horizon"}
    assert findings["steps ahead without price"].action == "these series are forecast by the fallback"


def test_values_that_must_be_known_ahead_stop_the_night_where_they_are_not():
    whole = table([4, 5, 4, 5], ["a", "a", "b", "b"], price=[6, 8, 7, 7])
    assert not build(whole, policy="error")[1].keys() & {"steps ahead without price"}
    with pytest.raises(InputError, match=r"'price' is missing at 1 of 4 steps .* in 1 series: \['b'\].*missing_future"):
        build(whole.slice(0, 3), policy="error")


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(1, 8), st.floats(width=32)),
        max_size=20,
        unique_by=lambda item: item[:2],
    ),
    st.sampled_from(["mean", "last", "zero", "fallback"]),
)
def test_each_known_value_stands_at_its_own_step(items, policy):
    ids, days, values = (list(each) for each in zip(*items, strict=True)) if items else ([], [], [])
    panel, _ = build(table(days, ids, price=values), policy=policy)
    known = {(name, day): np.float32(value) for name, day, value in items if np.isfinite(value)}
    steps = [("a", day) for day in range(1, 6)] + [("b", day) for day in range(2, 6)]
    for place, step in enumerate(steps):
        if step in known:
            assert panel.known_future[place, 0] == known[step]
