from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import EllipsisType

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import models.audit.row_stream
import models.audit.rows
from models.audit.build_panel import build_panel
from models.audit.covariates import Covariates
from models.errors import InputError
from models.settings.audit import AuditSettings
from models.settings.forecast import ForecastSettings

NOW = datetime(2024, 2, 1, tzinfo=UTC)
NAN = float("nan")
DAILY = ForecastSettings(frequency="D", horizon=2, lower_bound=0, min_history=2)
# The tests' sources end in January; the present moment does not matter.
OLD = {"stale_after_steps": 10_000}


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


def build(table: pa.Table, settings: ForecastSettings = DAILY, cutoff: datetime | None = None, audit=OLD, **columns):
    policies = AuditSettings(**OLD | audit)
    return build_panel(table, settings, Covariates(**columns), cutoff=cutoff, now=NOW, audit=policies)


def day(number: int) -> str:
    return f"{datetime(2024, 1, 1) + timedelta(days=number - 1):%Y-%m-%d}"


def series_of(name: str, *values: float | EllipsisType | None, first: int = 1) -> list[tuple[str, str, float | None]]:
    """Rows of one series, a day each; "..." has no row."""
    return [(name, day(first + i), value) for i, value in enumerate(values) if value is not ...]


def found(audit, kind: str):
    return next(finding for finding in audit.findings if finding.kind == kind)


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
    assert kinds(audit) == {"steps without a row": 2}


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
    assert kinds(audit) == {"duplicate rows": 1}


def test_an_observed_value_wins_over_a_missing_one_of_the_same_timestamp():
    panel, _ = build(rows(("a", "2024-01-01", None), ("a", "2024-01-01", 7), ("a", "2024-01-02", 2)))
    np.testing.assert_array_equal(panel.values, [7, 2])


TWICE = [*series_of("a", 1, 2, 9), ("a", day(2), 6), ("a", day(2), None), ("a", day(2), 2)]


@pytest.mark.parametrize(
    ("policy", "value"), [(None, 10 / 3), ("mean", 10 / 3), ("first", 2), ("last", 2), ("sum", 10)]
)
def test_different_values_for_one_timestamp_become_one_as_the_job_says(policy, value):
    panel, audit = build(rows(*TWICE), audit={"duplicates": policy})
    np.testing.assert_allclose(panel.values, [1, value, 9], rtol=1e-6)
    [finding] = [each for each in audit.findings if each.setting == "audit.duplicates"]
    assert (finding.count, finding.examples) == (1, ("a at 2024-01-02T00:00Z: 2 and 6",))
    assert (policy or "mean") in finding.action


def test_different_values_are_an_error_where_the_job_says_so():
    with pytest.raises(InputError, match=r"different values \(a at 2024-01-02T00:00Z: 2 and 6\).*audit.duplicates"):
        build(rows(*TWICE), audit={"duplicates": "error"})


def test_the_last_row_of_a_timestamp_is_the_last_that_the_source_gives():
    table = rows(*series_of("a", 1, 9), ("a", day(2), 4), ("a", day(2), None), promotion=[1.0, 2.0, 3.0, 4.0])
    for policy, value in {"first": 9, "last": 4}.items():
        panel, _ = build(table, audit={"duplicates": policy}, observed_past=["promotion"])
        assert (panel.values[1], panel.observed_past[1, 0]) == (value, 2.0 if policy == "first" else 3.0)


def test_a_sum_adds_equal_rows_too_and_can_be_taken_over_a_step():
    table = rows(("a", "2024-01-01T09:00", 2), ("a", "2024-01-01T11:30", 2), ("a", "2024-01-02T09:00", 5))
    panel, audit = build(table, audit={"duplicates": "sum", "off_grid": "floor"})
    np.testing.assert_array_equal(panel.values, [4, 5])
    assert kinds(audit) == {"timestamps off the grid": 3, "timestamps with several values": 1}


def test_where_most_timestamps_have_different_values_the_id_lacks_a_column():
    with pytest.raises(InputError, match=r"2 of 3 .*pairs have different values.*source.series_id.*audit.duplicates"):
        build(rows(*series_of("a", 1, 2, 3), *series_of("a", 4, 5)))


HOURLY = ForecastSettings(frequency="h", horizon=2, time_zone="Europe/Madrid", min_history=1)


def test_an_hour_that_comes_twice_in_local_time_is_two_steps_in_the_order_of_the_source():
    times = ["2023-10-29T01:00", "2023-10-29T02:00", "2023-10-29T02:00", "2023-10-29T03:00"]
    panel, audit = build(rows(*(("a", time, value) for value, time in enumerate(times))), HOURLY)

    np.testing.assert_array_equal(panel.values, [0, 1, 2, 3])
    assert kinds(audit) == {"rows of a repeated local hour": 1}
    # 03:00 in Madrid is 02:00 in UTC now, four steps after 23:00.
    assert audit.cutoff == datetime(2023, 10, 29, 2, tzinfo=UTC)


def test_an_hour_that_came_twice_and_was_kept_once_is_the_first_and_a_gap():
    table = rows(("a", "2023-10-29T01:00", 1), ("a", "2023-10-29T02:00", 2), ("a", "2023-10-29T03:00", 3))
    panel, audit = build(table, HOURLY)
    np.testing.assert_array_equal(panel.values, [1, 2, NAN, 3])
    assert kinds(audit) == {"steps without a row": 1}


def test_rows_of_a_repeated_hour_in_no_order_are_two_steps_and_the_audit_reports_it():
    table = rows(
        ("a", "2023-10-29T02:00", 1), ("a", "2023-10-29T03:00", 3),
        ("a", "2023-10-29T01:00", 0), ("a", "2023-10-29T02:00", 2),
    )  # fmt: skip
    panel, audit = build(table, HOURLY)
    np.testing.assert_array_equal(panel.values, [0, 1, 2, 3])
    assert kinds(audit)["rows of a repeated local hour in no order of time"] == 1


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


def test_the_wrong_frequency_is_an_error_that_names_it():
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


@pytest.mark.parametrize(("policy", "value"), [("keep", -1), ("missing", NAN)])
def test_values_below_the_bound_are_reported_and_treated_as_the_job_says(policy, value):
    panel, audit = build(rows(*series_of("a", 3, -1, 2, 4)), audit={"out_of_bounds": policy})
    np.testing.assert_array_equal(panel.values, [3, value, 2, 4])
    assert kinds(audit) == {"values below the lower bound": 1}


def test_a_negative_value_among_hundreds_that_are_not_is_reported_where_no_bound_is_given():
    settings = ForecastSettings(frequency="D", horizon=2)
    _, audit = build(rows(*series_of("a", *[5] * 150, -999, *[5] * 150, first=-400)), settings)
    assert found(audit, "negative values, less than 1 % of all").count == 1
    _, audit = build(rows(*series_of("a", *[5, -5] * 100, first=-400)), settings)
    assert audit.findings == ()


def test_steps_without_a_row_are_zero_where_the_job_says_so_and_rows_without_a_value_are_not():
    table = rows(*series_of("a", 1, ..., None, 4, ...), *series_of("b", ..., 2, 3, 4, 5))
    panel, audit = build(table, audit={"gaps": "zero"})
    np.testing.assert_array_equal(panel.series(0), [1, 0, NAN, 4, 0])
    np.testing.assert_array_equal(panel.series(1), [2, 3, 4, 5])
    assert kinds(audit) == {"steps without a row": 2, "rows without a value": 1}


def test_what_no_series_has_yet_is_no_gap():
    panel, audit = build(rows(*series_of("a", 1, 2)), cutoff=datetime(2024, 1, 4, tzinfo=UTC), audit={"gaps": "zero"})
    np.testing.assert_array_equal(panel.values, [1, 2, NAN, NAN])
    assert audit.findings == ()


def test_text_among_the_values_is_an_error_that_the_job_can_take_back():
    table = rows(*series_of("a", 1, None, 3), value_text=[None, "twelve", None])
    with pytest.raises(InputError, match=r"1 value that is text \('twelve' in a\).*audit.non_numeric"):
        build(table)
    panel, audit = build(table, audit={"non_numeric": "missing"})
    np.testing.assert_array_equal(panel.values, [1, NAN, 3])
    assert found(audit, "values that are text").action == "treated as not observed"


def test_a_changed_unit_is_kept_rescaled_or_forgotten():
    kilos, grams = [1.0, 1.25, 1.5, 1.25] * 6, [1000, 1250, 1500, 1250] * 2
    table = rows(*series_of("a", *kilos, *grams, first=-20))
    for policy, before in {"keep": 1.0, "rescale": 1000.0, "missing": NAN}.items():
        panel, audit = build(table, audit={"unit_changes": policy})
        np.testing.assert_allclose(panel.values, [*(before * np.array(kilos)), *grams], rtol=1e-6)
        assert found(audit, "series whose unit changed").examples == ("a from 2024-01-04T00:00Z: times 1e+3",)


def test_a_series_silent_for_long_is_left_to_the_fallback_unless_the_job_says_otherwise():
    table = rows(*series_of("live", *[1] * 30), *series_of("dead", *[1] * 15), *series_of("slow", *[1] * 23))
    panel, audit = build(table, audit={"dead_after_steps": 7})
    assert panel.refused == {"dead": "no observed value in the last 7 steps (audit.dead_after_steps)"}
    assert found(audit, "dead series").examples == ("dead for 15 steps",)
    assert build(table, audit={"dead_after_steps": 7, "dead": "forecast"})[0].refused == {}
    assert set(build(table, audit={"dead_after_steps": 6})[0].refused) == {"dead", "slow"}
    # Left out, eight weeks are long for days.
    for first, refused in ((-26, {}), (-27, {"dead"})):
        table = rows(*series_of("dead", 1, 2, first=first - 1), *series_of("live", 1, 2, 3, first=28))
        assert set(build(table)[0].refused) == set(refused)


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        ("duplicates", rows(*TWICE)),
        ("off_grid", rows(*series_of("a", 1, 2), ("a", "2024-01-03T01:00", 3))),
        ("future", rows(*series_of("a", 1, 2), ("a", "2024-02-02", 3))),
        ("infinite", rows(*series_of("a", 1, 2, float("inf"), 3))),
        ("nulls", rows(*series_of("a", 1, None, 2))),
        ("gaps", rows(*series_of("a", 1, ..., 2))),
        ("out_of_bounds", rows(*series_of("a", 1, -2, 2))),
        ("unit_changes", rows(*series_of("a", *[1, 2] * 7, *[100, 200] * 7))),
        ("dead", rows(*series_of("a", *[1] * 80, first=-49), *series_of("b", 1, 2, first=-49))),
    ],
)
def test_each_kind_of_dirt_passes_by_default_and_is_an_error_on_request(kind, table):
    build(table)
    with pytest.raises(InputError, match=rf"The source holds 1 .*, or set audit\.{kind} to another value"):
        build(table, audit={kind: "error"})


def test_all_that_the_job_calls_errors_is_named_at_once():
    table = rows(*series_of("a", 1, -2, ..., 2))
    with pytest.raises(InputError, match=r"1 step without a row.*below the lower.*audit.gaps and audit.out_of_bounds"):
        build(table, audit={"gaps": "error", "out_of_bounds": "error"})


@pytest.mark.parametrize(
    ("cutoff", "now", "late", "stale"),
    [
        # The tenth has a value; the step of the fourteenth has not ended yet.
        (None, datetime(2024, 1, 14, 3, tzinfo=UTC), 3, False),
        (None, datetime(2024, 1, 15, 3, tzinfo=UTC), 4, True),
        # A cutoff that was asked for is expected to be there, at any moment.
        (datetime(2024, 1, 13, tzinfo=UTC), NOW, 3, False),
        (datetime(2024, 1, 14, tzinfo=UTC), NOW, 4, True),
    ],
)
def test_a_source_is_stale_after_three_days_without_a_value_of_any_series(cutoff, now, late, stale):
    table = rows(*series_of("a", *[1] * 10), *series_of("b", 1, 2))
    _, audit = build_panel(table, DAILY, cutoff=cutoff, now=now)
    assert (audit.late_steps, audit.stale) == (late, stale)
    assert ("steps without a value of any series" in kinds(audit)) == stale


def test_a_placeholder_date_does_not_lay_out_a_hundred_million_steps():
    settings = ForecastSettings(frequency="min", horizon=2)
    table = rows(*series_of("a", 1, 2), ("b", "1700-01-01", 3))
    with pytest.raises(InputError, match=r"b begins 1700-01-01. Leave out placeholder dates"):
        build(table, settings)


def test_ids_that_only_nul_characters_tell_apart_are_refused():
    with pytest.raises(InputError, match="NUL characters"):
        build(rows(("a", day(1), 1), ("a\0", day(1), 2)))


def test_messages_hold_no_more_than_the_beginning_of_a_long_id():
    _, audit = build(rows(*series_of("x" * 10_000, 1, ..., 2)))
    assert max(map(len, audit.findings[0].examples)) == 60


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


def test_the_newest_static_number_counts_and_one_that_no_float_holds_is_unknown():
    table = rows(
        ("a", "2024-01-02", 1),
        ("a", "2024-01-01", 1),
        ("b", "2024-01-02", 2),
        ("b", "2024-01-01", 2),
        ("c", "2024-01-02", 3),
        area=pa.array([120.5, 90.0, None, 40.0, float("inf")]),
    )
    panel, audit = build(table, static_numbers=["area"])
    np.testing.assert_array_equal(panel.static_numbers[:, 0], [120.5, 40, NAN])
    assert panel.static_number_names == ("area",)
    assert kinds(audit)["rows with an older area"] == 1


def test_an_audit_is_json():
    _, audit = build(rows(("a", "2024-01-01", 1), ("a", "2024-01-03", 2)))
    content = audit.to_dict()
    assert content["cutoff"] == "2024-01-03T00:00:00+00:00"
    assert content["findings"][0]["kind"] == "steps without a row"
    assert str(audit.findings[0]) == "1 step without a row (a): treated as not observed"


@settings(max_examples=30)
@given(st.permutations([*TWICE, *series_of("b", 1, None, 3, 4), ("b", day(3), 7), ("b", "2024-01-02T05:00", 1)]))
def test_the_order_of_rows_changes_nothing(items):
    panel, audit = build(rows(*items))
    expected, account = build(rows(*sorted(items, key=str)))
    np.testing.assert_array_equal(panel.values, expected.values)
    assert kinds(audit) == kinds(account)


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


@settings(max_examples=25)
@given(st.permutations(range(12)), st.integers(1, 5))
def test_the_panel_does_not_depend_on_the_order_of_rows_nor_on_how_many_are_worked_on_at_once(order, part):
    items = [(name, f"2024-01-{day:02}", float(day)) for name in "abc" for day in (1, 2, 4, 5)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models.audit.rows, "PART", part)
        patch.setattr(models.audit.row_stream, "PART", part)
        panel, audit = build(rows(*(items[i] for i in order)))
    np.testing.assert_array_equal(panel.values, [1, 2, NAN, 4, 5] * 3)
    assert panel.offsets.tolist() == [0, 5, 10, 15]
    assert kinds(audit) == {"steps without a row": 3}
