"""The newest rows and a summary of the older ones say what all rows say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from models.audit.build_panel import build_panel
from models.audit.covariates import Covariates
from models.baselines.seasonal_naive import newest_of_season
from models.errors import InputError
from models.evaluation.scales import scales_at
from models.panel.history_summary import HistorySummary, Window
from models.panel.panel import Panel
from models.settings.audit import AuditSettings
from models.settings.forecast import ForecastSettings

SEASON, DAYS = 3, 40
FORECAST = ForecastSettings(frequency="D", horizon=2, season_lengths=[SEASON], min_history=6)
BEGIN, NOW = datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)

# A day of a series: no row, a row without a value, or a value; and where the row lies, or nothing.
CELLS = st.one_of(st.none(), st.none(), st.just(np.nan), st.integers(-3, 9).map(float))
REGIONS = st.sampled_from([None, None, "north", "south"])
SERIES = st.lists(st.tuples(CELLS, REGIONS), max_size=DAYS)
# Where nothing was observed lately a night reads everything: one series always is.
ALIVE = st.lists(st.tuples(st.integers(-3, 9).map(float), REGIONS), min_size=DAYS, max_size=DAYS)


def rows_of(series: list[list[tuple[float | None, str | None]]], first: int, last: int) -> pa.Table:
    rows = [
        {"series_id": f"s{number}", "timestamp": BEGIN + timedelta(days=day), "value": value, "region": region}
        for number, cells in enumerate(series)
        for day, (value, region) in enumerate(cells)
        if value is not None and first <= day <= last
    ]
    kinds = {"series_id": pa.string(), "timestamp": pa.timestamp("us", "UTC"), "value": pa.float64()}
    return pa.Table.from_pylist(rows, pa.schema([*kinds.items(), ("region", pa.string())]))


def built(rows: pa.Table, last: int, policies: AuditSettings, window: Window | None = None):
    try:
        cutoff = BEGIN + timedelta(days=last)
        return build_panel(
            rows, FORECAST, Covariates(static=["region"]), cutoff=cutoff, now=NOW, audit=policies, window=window
        )
    except InputError:  # no rows, or none with a value
        return None


@settings(max_examples=150)
@given(
    st.builds(lambda alive, others: [alive, *others], ALIVE, st.lists(SERIES, max_size=3)),
    st.integers(15, DAYS - 1),
    st.integers(0, 8),
    st.sampled_from(["missing", "zero"]),
)
def test_a_window_and_the_summary_of_a_former_night_say_what_all_rows_say(series, trained, back, gaps) -> None:
    policies = AuditSettings(gaps=gaps, dead_after_steps=9)
    then, whole = built(rows_of(series, 0, trained), trained, policies), built(rows_of(series, 0, 99), DAYS, policies)
    assume(then is not None and whole is not None and then[0].silent_steps.min() < 5)
    until = then[0].cutoff_index - 5
    window = Window(until - SEASON - back, HistorySummary.of(then[0], until))
    less = built(rows_of(series, trained - 5 - 2 * SEASON - back, 99), DAYS, policies, window)
    assume(less is not None)
    (panel, audit), (expected, expected_audit) = less, whole

    assert panel.series_ids.tolist() == expected.series_ids.tolist()
    assert panel.refused == expected.refused
    assert panel.static["region"].tolist() == expected.static["region"].tolist()
    assert (audit.series, audit.first, audit.last) == (
        expected_audit.series, expected_audit.first, expected_audit.last
    )  # fmt: skip
    if gaps == "missing":
        assert audit.observed == expected_audit.observed
    newest = panel.cutoff_index - window.since + 1
    for name in ("values", "offsets"):
        np.testing.assert_array_equal(*(getattr(each.newest(newest), name) for each in (panel, expected)))
    for mine, other in zip(*(newest_of_season(each, SEASON) for each in (panel, expected)), strict=True):
        np.testing.assert_array_equal(mine, other)
    np.testing.assert_array_equal(panel.silent_steps, expected.silent_steps)
    nights = list(range(until, panel.cutoff_index + 1))
    np.testing.assert_allclose(
        scales_at(panel, SEASON, nights, window), scales_at(expected, SEASON, nights), rtol=1e-12
    )


def test_a_summary_holds_counts_changes_and_only_the_old_values_that_the_season_needs() -> None:
    values = np.array([1, 2, 3, 4, np.nan, 6, 8, np.nan, 9, 7, 5, 5], np.float32)
    panel = Panel(values, np.array([0, 12]), np.array(["a"]), "D", 111, (SEASON,), 2)

    # Up to the value 8 at position 106: 3 -> 6 and 4 -> 8 and 1 -> 4 differ by 3, 4 and 3; 2 has no partner.
    summary = HistorySummary.of(panel, 107)

    assert (summary.first.tolist(), summary.observed.tolist()) == ([100], [6])
    assert (summary.change.tolist(), summary.changes.tolist()) == ([10.0], [3])
    # Of the places of the season the third has 6, the first has 8, and the second only the 2 of position 101.
    assert (summary.old_series.tolist(), summary.old_index.tolist(), summary.old_value.tolist()) == ([0], [101], [2.0])


def test_a_window_that_leaves_a_gap_to_its_summary_is_refused() -> None:
    panel = Panel(np.ones(12, np.float32), np.array([0, 12]), np.array(["a"]), "D", 111, (SEASON,), 2)
    with pytest.raises(ValueError, match="read rows from 104 on, or earlier"):
        Window(105, HistorySummary.of(panel, 107))
