from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.audit import build_panel
from models.errors import InputError
from models.settings import ForecastSettings

NOW = datetime(2024, 2, 1, tzinfo=UTC)
NAN = float("nan")
DAILY = ForecastSettings(frequency="D", horizon=2, lower_bound=0, min_history=2)


def rows(*items: tuple[str, str, float | None], **columns: list[object]) -> pa.Table:
    ids, times, values = zip(*items, strict=True) if items else ((), (), ())
    return pa.table(
        {
            "series_id": pa.array(ids, pa.string()).dictionary_encode(),
            "timestamp": pa.array([datetime.fromisoformat(time) for time in times], pa.timestamp("us")),
            "value": pa.array(values, pa.float64()),
            **columns,
        }
    )


def build(table: pa.Table, settings: ForecastSettings = DAILY, cutoff: datetime | None = None, **columns):
    return build_panel(table, settings, cutoff=cutoff, now=NOW, **columns)


def kinds(audit) -> dict[str, int]:
    return {finding.kind: finding.count for finding in audit.findings}


def test_rows_in_any_order_become_series_that_end_at_the_newest_value():
    panel, audit = build(
        rows(("b", "2024-01-03", 5), ("a", "2024-01-02", 2), ("b", "2024-01-01", 3), ("a", "2024-01-01", 1))
    )
    assert panel.series_ids.tolist() == ["a", "b"]
    np.testing.assert_array_equal(panel.series(0), [1, 2, NAN])
    np.testing.assert_array_equal(panel.series(1), [3, NAN, 5])
    assert audit.cutoff == datetime(2024, 1, 3, tzinfo=UTC)
    assert kinds(audit) == {"steps without a value": 2}


def test_nothing_after_the_cutoff_is_in_the_panel():
    table = rows(("a", "2024-01-01", 1), ("a", "2024-01-02", 2), ("a", "2024-01-03", 666))
    panel, audit = build(table, cutoff=datetime(2024, 1, 2, tzinfo=UTC))
    np.testing.assert_array_equal(panel.values, [1, 2])
    assert kinds(audit) == {"values after the cutoff": 1}


def test_values_after_now_are_not_the_newest():
    panel, audit = build(rows(("a", "2024-01-31", 1), ("a", "2024-01-30", 1), ("a", "2024-03-01", 2)))
    assert audit.cutoff == datetime(2024, 1, 31, tzinfo=UTC)
    assert len(panel.values) == 2


def test_days_of_a_zone_end_at_its_midnight():
    settings = ForecastSettings(frequency="D", horizon=2, time_zone="Europe/Madrid", min_history=1)
    _, audit = build(rows(("a", "2024-01-03", 1)), settings)
    assert audit.cutoff == datetime(2024, 1, 2, 23, tzinfo=UTC)


def test_a_row_given_twice_counts_once():
    panel, audit = build(rows(("a", "2024-01-01", 1), ("a", "2024-01-02", 2), ("a", "2024-01-02", 2)))
    np.testing.assert_array_equal(panel.values, [1, 2])
    assert kinds(audit) == {"rows given twice": 1}


def test_an_observed_value_wins_over_a_missing_one_of_the_same_timestamp():
    panel, _ = build(rows(("a", "2024-01-01", None), ("a", "2024-01-01", 7), ("a", "2024-01-02", 2)))
    np.testing.assert_array_equal(panel.values, [7, 2])


def test_two_different_values_for_one_timestamp_are_an_error_that_names_them():
    with pytest.raises(InputError, match=r"a at 2024-01-02T00:00Z: 2 and 3.*Keep one row"):
        build(rows(("a", "2024-01-01", 1), ("a", "2024-01-02", 3), ("a", "2024-01-02", 2)))


HOURLY = ForecastSettings(frequency="h", horizon=2, time_zone="Europe/Madrid", min_history=1)


def test_an_hour_that_comes_twice_in_local_time_is_two_steps_in_the_order_of_the_source():
    times = ["2023-10-29T01:00", "2023-10-29T02:00", "2023-10-29T02:00", "2023-10-29T03:00"]
    panel, audit = build(rows(*(("a", time, value) for value, time in enumerate(times))), HOURLY)

    np.testing.assert_array_equal(panel.values, [0, 1, 2, 3])
    assert kinds(audit) == {"rows of an hour that came twice": 1}
    # 03:00 in Madrid is 02:00 in UTC now, four steps after 23:00.
    assert audit.cutoff == datetime(2023, 10, 29, 2, tzinfo=UTC)


def test_an_hour_that_came_twice_and_was_kept_once_is_the_first_and_a_gap():
    table = rows(("a", "2023-10-29T01:00", 1), ("a", "2023-10-29T02:00", 2), ("a", "2023-10-29T03:00", 3))
    panel, audit = build(table, HOURLY)
    np.testing.assert_array_equal(panel.values, [1, 2, NAN, 3])
    assert kinds(audit) == {"steps without a value": 1}


def test_rows_of_such_an_hour_in_no_order_are_two_steps_and_the_audit_says_what_it_took():
    table = rows(
        ("a", "2023-10-29T02:00", 1), ("a", "2023-10-29T03:00", 3),
        ("a", "2023-10-29T01:00", 0), ("a", "2023-10-29T02:00", 2),
    )  # fmt: skip
    panel, audit = build(table, HOURLY)
    np.testing.assert_array_equal(panel.values, [0, 1, 2, 3])
    assert kinds(audit)["of them among rows in no order of time"] == 1


def test_an_hour_that_the_clocks_skipped_is_left_out():
    times = ["2023-03-26T00:00", "2023-03-26T01:00", "2023-03-26T02:00", "2023-03-26T03:00"]
    panel, audit = build(rows(*(("a", time, value) for value, time in enumerate(times))), HOURLY)
    np.testing.assert_array_equal(panel.values, [0, 1, 3])
    assert kinds(audit) == {"timestamps off the grid": 1}


def test_a_cutoff_within_an_hour_that_comes_twice_sees_the_first_or_both():
    times = ["2023-10-29T01:00", "2023-10-29T02:00", "2023-10-29T02:00", "2023-10-29T03:00"]
    table = rows(*(("a", time, value) for value, time in enumerate(times)))
    for fold, seen in ((0, [0, 1]), (1, [0, 1, 2])):
        cutoff = datetime(2023, 10, 29, 2, tzinfo=HOURLY.zone, fold=fold)
        np.testing.assert_array_equal(build(table, HOURLY, cutoff)[0].values, seen)


def test_a_time_of_an_hour_that_comes_twice_with_too_many_values_gets_its_own_remedy():
    table = rows(*(("a", "2023-10-29T02:00", value) for value in (1, 2, 3)))
    with pytest.raises(InputError, match=r"clocks of Europe/Madrid go back.*with their zone"):
        build(table, HOURLY)


def test_no_rows_are_an_error():
    with pytest.raises(InputError, match="gave no rows"):
        build(rows())


def test_a_cutoff_before_everything_is_an_error():
    with pytest.raises(InputError, match=r"up to the cutoff 2020-01-01.*begin 2024-01-01"):
        build(rows(("a", "2024-01-01", 1)), cutoff=datetime(2020, 1, 1, tzinfo=UTC))


def test_the_wrong_frequency_is_an_error_that_says_so():
    with pytest.raises(InputError, match=r"2 of 3 timestamps lie off the grid of frequency 'D'"):
        build(rows(("a", "2024-01-01T01:00", 1), ("a", "2024-01-01T02:00", 1), ("a", "2024-01-02", 1)))


def test_a_few_rows_off_the_grid_are_left_out():
    panel, audit = build(rows(("a", "2024-01-01", 1), ("a", "2024-01-02", 2), ("b", "2024-01-01T03:30", 9)))
    assert kinds(audit)["timestamps off the grid"] == 1
    assert panel.refused == {"b": "no observed value up to the cutoff"}


def test_infinity_and_what_no_float32_holds_are_not_observed():
    panel, audit = build(
        rows(
            ("a", "2024-01-01", 1),
            ("a", "2024-01-02", float("inf")),
            ("a", "2024-01-03", 1e300),
            ("a", "2024-01-04", 2),
        )
    )
    np.testing.assert_array_equal(panel.values, [1, NAN, NAN, 2])
    assert kinds(audit)["infinite values"] == 1
    assert kinds(audit)["values too large for float32 (3.4e38)"] == 1


def test_short_series_are_refused_with_the_reason():
    panel, audit = build(rows(("a", "2024-01-01", 1), ("a", "2024-01-02", 2), ("b", "2024-01-02", 2)))
    assert panel.refused == {"b": "1 observed values; min_history is 2"}
    assert kinds(audit)["short series"] == 1


def test_values_below_the_bound_are_said_and_kept():
    panel, audit = build(rows(("a", "2024-01-01", -1), ("a", "2024-01-02", 2)))
    np.testing.assert_array_equal(panel.values, [-1, 2])
    assert kinds(audit) == {"values below the lower bound": 1}


def test_known_future_covariates_reach_past_the_cutoff_and_observed_past_ones_do_not():
    table = rows(
        ("a", "2024-01-01", 1),
        ("a", "2024-01-02", 2),
        ("a", "2024-01-03", None),
        ("a", "2024-01-05", None),
        ("b", "2024-01-02", 5),
        promotion=pa.array([0.0, 1.0, 2.0, 3.0, 4.0]),
        visitors=pa.array([10.0, 11.0, 12.0, 13.0, 14.0]),
    )
    panel, _ = build(table, known_future=["promotion"], observed_past=["visitors"])
    np.testing.assert_array_equal(panel.known_future[:, 0], [0, 1, 2, NAN, 4, NAN, NAN])
    np.testing.assert_array_equal(panel.observed_past[:, 0], [10, 11, 14])


def test_the_newest_static_category_counts():
    table = rows(
        ("a", "2024-01-02", 1), ("a", "2024-01-01", 1), ("b", "2024-01-02", 2), region=["south", "north", None]
    )
    panel, audit = build(table, static=["region"])
    assert panel.static["region"].tolist() == ["south", ""]
    assert kinds(audit)["rows with an older region"] == 1


def test_an_audit_is_json():
    _, audit = build(rows(("a", "2024-01-01", 1), ("a", "2024-01-03", 2)))
    content = audit.to_dict()
    assert content["cutoff"] == "2024-01-03T00:00:00+00:00"
    assert content["findings"][0]["kind"] == "steps without a value"
    assert str(audit.findings[0]) == "1 steps without a value (a): taken as not observed"


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "ç'\"", "🙂"]), st.integers(1, 28), st.floats(width=32)),
        min_size=1,
        max_size=40,
        unique_by=lambda item: item[:2],
    )
)
def test_every_observed_value_finds_its_place(items):
    table = rows(*[(name, f"2024-01-{day:02d}", value) for name, day, value in items])
    finite = {(name, day): np.float32(value) for name, day, value in items if np.isfinite(value)}
    if not finite:
        with pytest.raises(InputError):
            build(table)
        return
    panel, audit = build(table)
    newest = max(day for _, day in finite)
    assert audit.observed == len(finite)
    for (name, day), value in finite.items():
        series = panel.series(panel.series_ids.tolist().index(name))
        assert series[len(series) - 1 - (newest - day)] == value
    assert int(panel.observed.sum()) == len(finite)
