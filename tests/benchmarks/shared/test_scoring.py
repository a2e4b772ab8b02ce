"""How forecasts are scored, whoever made them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.shared.data_sets import COLUMNS, DataSet
from benchmarks.shared.scoring import score


def forecasts(medians: dict[str, list[float]], cutoff: str, columns: list[str]) -> pd.DataFrame:
    """Rows whose level 0.5 is the median, and every other level is 1 further from it."""
    parts = []
    for name, each in medians.items():
        steps = np.arange(1, len(each) + 1)
        times = pd.Timestamp(cutoff) + pd.to_timedelta(steps, unit="D")
        part = pd.DataFrame({"series_id": name, "cutoff": pd.Timestamp(cutoff), "step": steps, "timestamp": times})
        parts.append(part.assign(**{column: np.array(each) + place - 4 for place, column in enumerate(columns)}))
    return pd.concat(parts)


def test_forecasts_of_anybody_are_scored_by_hand_worked_numbers(make_rows) -> None:
    data_set = DataSet("made_up", "D", 2, 1)
    # Mean |y(t) - y(t - 1)|: 2 for a, 4 for b.
    history = make_rows({"a": [10, 12, 10], "b": [20, 24, 20]}, "2025-01-01")
    actuals = make_rows({"a": [11, 13], "b": [24, 20]}, "2025-01-04")
    predicted = forecasts({"a": [10, 10], "b": [20, 20]}, "2025-01-03", COLUMNS)
    figures = score(data_set, history, actuals, predicted)
    # a errs by 1 and 3, b by 4 and 0: (2 / 2 + 2 / 4) / 2.
    assert figures["mase"] == pytest.approx(0.75)
    # All within 4 of the median.
    assert figures["coverage_80"] == 1.0
    pinball = sum(
        max(level * (actual - (median + place - 4)), (level - 1) * (actual - (median + place - 4)))
        for place, level in enumerate(np.arange(1, 10) / 10)
        for actual, median in [(11, 10), (13, 10), (24, 20), (20, 20)]
    )
    assert figures["wql"] == pytest.approx(2 * pinball / 9 / (11 + 13 + 24 + 20))


def test_each_cutoff_is_scored_in_units_of_what_came_before_it(make_rows) -> None:
    data_set = DataSet("made_up", "D", 1, 1)
    history = make_rows({"a": [10, 12, 10]}, "2025-01-01")
    actuals = make_rows({"a": [18, 14]}, "2025-01-04")
    predicted = pd.concat(
        [
            forecasts({"a": [14]}, "2025-01-03", COLUMNS),
            # Once more for a day that an earlier cutoff has forecast already, and so does not count.
            forecasts({"a": [18, 16]}, "2025-01-03", COLUMNS).assign(cutoff=pd.Timestamp("2025-01-04")),
        ]
    )
    # Errors 4 and 2; scales (2 + 2) / 2 before the first, (2 + 2 + 8) / 3 before the second.
    assert score(data_set, history, actuals, predicted)["mase"] == pytest.approx((4 / 2 + 2 / 4) / 2)


def test_a_peer_that_left_out_a_series_is_not_scored(make_rows) -> None:
    data_set = DataSet("made_up", "D", 1, 1)
    history = make_rows({"a": [1, 2], "b": [1, 2]}, "2025-01-01")
    actuals = make_rows({"a": [3], "b": [3]}, "2025-01-03")
    with pytest.raises(SystemExit, match="1 forecasts for 2 actuals"):
        score(data_set, history, actuals, forecasts({"a": [3]}, "2025-01-02", COLUMNS))
