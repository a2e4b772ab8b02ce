"""Covariates over the horizon: from tables of their own, and substitutes for missing values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given
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


def table(
    days: Sequence[int | datetime | None], ids: list[str] | None = None, **columns: list[float | None]
) -> pa.Table:
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


def test_rows_at_extreme_times_are_left_out_and_named_as_such():
    extreme = "infinite or outside the years 1678 to 2261"
    _, findings = build(table([None, datetime(2024, 1, 4, 12), None, 1, 2, 4, 5], warmth=[7, 7, 7, 1, 2, 3, 4]))
    found = findings["rows with warmth off the grid"]
    assert (found.count, found.examples) == (3, (extreme, "2024-01-04T12:00:00.000000"))
    with pytest.raises(InputError, match=rf"2 of 3 rows .* in UTC: \['{extreme}'\]"):
        build(table([None, None, 4], warmth=[7, 7, 1]))


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
    # Ids of which none is a series are an error.
    assume(any(name != "c" and day < 6 for name, day in zip(ids, days, strict=True)) or "c" not in ids)
    panel, _ = build(table(days, ids, price=values), policy=policy)
    known = {(name, day): np.float32(value) for name, day, value in items if np.isfinite(value)}
    steps = [("a", day) for day in range(1, 6)] + [("b", day) for day in range(2, 6)]
    for place, step in enumerate(steps):
        if step in known:
            assert panel.known_future[place, 0] == known[step]


def history_of(*ids: str) -> pa.Table:
    """One value of each series, on 3 January."""
    moments = pa.array([datetime(2024, 1, 3)] * len(ids), pa.timestamp("us"))
    return pa.table({"series_id": list(ids), "timestamp": moments, "value": [1.0] * len(ids)})


def findings_of(rows: pa.Table, promotions: pa.Table) -> dict[str, tuple[int, tuple[str, ...]]]:
    settings = ForecastSettings(frequency="D", horizon=2, min_history=1)
    covariates = Covariates(known_future_tables=[promotions])
    _, audit = build_panel(rows, settings, covariates, cutoff=None, now=NOW)
    found = {each.kind: (each.count, each.examples) for each in audit.findings if "promotion" in each.kind}
    return {kind: each for kind, each in found.items() if "ahead" not in kind}


@pytest.mark.parametrize(
    ("series", "other"),
    [
        ("7", "7.0"),
        ("7", "7 "),
        ("7", "007"),
        ("7", "7."),
        ("Madrid/coffee", "madrid/COFFEE"),
        ("Madrid/coffee", "coffee/Madrid"),
        ("1/2/7", "1/2 /7.0"),
        ("caf\u00e9", "cafe\u0301"),
        ("north", "south"),
    ],
)
def test_ids_of_which_none_is_a_series_are_an_error_that_names_one_of_each_side(series, other):
    with pytest.raises(InputError, match="None of the 2 ids with promotion is one of the 2 series") as raised:
        findings_of(history_of("x/y", series), table([3, 4], [other, "z"], promotion=[1, 1]))
    assert f"{other!r} beside the series {series!r}. Spell the ids" in str(raised.value)


def test_ids_that_are_spelt_unlike_their_series_are_found_although_others_meet():
    ids = [*"1234", "5.0", "6 ", "9"]
    found = findings_of(history_of(*"1234567"), table([4] * 7, ids, promotion=[1] * 7))
    examples = ("'5.0' beside the series '5'", "'6 ' beside the series '6'")
    assert found == {"ids with promotion that are spelt unlike their series": (2, examples)}


def test_another_spelling_of_a_series_that_is_met_is_no_finding():
    assert findings_of(history_of("a", "b"), table([4] * 3, ["a", "A", "b"], promotion=[1] * 3)) == {}


def test_ids_that_are_no_series_are_found_where_few_ids_meet():
    found = findings_of(history_of(*"abcde"), table([4] * 4, [*"axyz"], promotion=[1] * 4))
    assert found == {"ids with promotion that are no series": (3, ("'x' beside the series 'b'",))}


@pytest.mark.parametrize("ids", [["a"], ["a", "b", "x"], [*"abcdeuvwxyz"], [*"abcxyzuv"]])
def test_a_table_of_some_series_or_of_more_than_the_job_forecasts_is_no_finding(ids):
    rows = table([4] * len(ids), ids, promotion=[1.0] * len(ids))
    assert findings_of(history_of(*"abcde"), rows) == {}


def test_ids_with_rows_at_other_times_only_say_nothing_of_their_spelling():
    before, after = datetime(2023, 1, 3), datetime(2024, 1, 6)
    found = findings_of(history_of("a", "b"), table([before, after], ["x", "y"], promotion=[1, 1]))
    assert found == {"values of promotion": (0, ("2024-01-03T00:00Z to 2024-01-05T00:00Z",))}


@pytest.mark.parametrize("ids", [None, ["a"]])
@pytest.mark.parametrize("day", [datetime(2023, 1, 4), datetime(2025, 1, 4)])
def test_a_table_of_another_year_has_no_value_at_any_step(ids, day):
    found = findings_of(history_of("a", "b"), table([day], ids, promotion=[1]))
    assert found == {"values of promotion": (0, ("2024-01-03T00:00Z to 2024-01-05T00:00Z",))}


def test_days_of_another_time_zone_are_an_error():
    day = pa.table({"timestamp": pa.array([datetime(2024, 1, 3)], pa.timestamp("us", "UTC")), "promotion": [1.0]})
    settings = ForecastSettings(frequency="D", horizon=2, min_history=1, time_zone="Europe/Madrid")
    with pytest.raises(InputError, match=r"1 of 1 rows with promotion lie off the grid.*in Europe/Madrid"):
        build_panel(history(), settings, Covariates(known_future_tables=[day]), cutoff=None, now=NOW)


def test_a_covariate_without_any_value_is_a_finding_whatever_its_kind():
    nothing = {name: pa.nulls(5, pa.float64()) for name in ("visitors", "area", "price")}
    rows = pa.table({**{name: history()[name] for name in history().column_names}, **nothing})
    rows = rows.append_column("region", pa.nulls(5, pa.string()))
    columns = {"static": ["region"], "static_numbers": ["area"], "observed_past": ["visitors"]}
    settings = ForecastSettings(frequency="D", horizon=2, min_history=1, missing_future="zero")
    covariates = Covariates(**columns, known_future=["price"])
    _, audit = build_panel(rows, settings, covariates, cutoff=None, now=NOW)
    found = [str(each) for each in audit.findings if each.count == 0]
    assert found == [
        f"0 values of {name} (2024-01-01T00:00Z to 2024-01-05T00:00Z): the network learns nothing from it"
        for name in ("price", "region", "area", "visitors")
    ]


def test_categories_that_differ_only_by_case_or_blanks_are_a_finding():
    ids, regions = [*"abcdef"], ["North", "north", "north ", "South", None, " "]
    rows = pa.table({**{name: history_of(*ids)[name] for name in history().column_names}, "region": regions})
    settings = ForecastSettings(frequency="D", horizon=2, min_history=1)
    panel, audit = build_panel(rows, settings, Covariates(static=["region"]), cutoff=None, now=NOW)
    assert panel.static["region"].tolist() == ["North", "north", "north ", "South", "", " "]
    assert [str(each) for each in audit.findings if "region" in each.kind] == [
        "3 categories of region that differ from another only by case or blanks ('' beside ' ', 'North' beside "
        "'north', 'North' beside 'north '): each is a category of its own"
    ]
