"""How forecasts of anybody are scored beside each other, and how speeds become ratios."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.shared import data_sets, scoring
from benchmarks.speed import beside
from benchmarks.workers import protocol

ROOT = Path(__file__).parents[2]


def rows(values: dict[str, list[float]], begin: str) -> pd.DataFrame:
    return pd.concat(
        [
            pd.DataFrame(
                {"series_id": name, "timestamp": pd.date_range(begin, periods=len(each), freq="D"), "value": each}
            )
            for name, each in values.items()
        ]
    )


def forecasts(medians: dict[str, list[float]], cutoff: str, columns: list[str]) -> pd.DataFrame:
    """Rows whose level 0.5 is the median, and every other level is 1 further from it."""
    parts = []
    for name, each in medians.items():
        steps = np.arange(1, len(each) + 1)
        times = pd.Timestamp(cutoff) + pd.to_timedelta(steps, unit="D")
        part = pd.DataFrame({"series_id": name, "cutoff": pd.Timestamp(cutoff), "step": steps, "timestamp": times})
        parts.append(part.assign(**{column: np.array(each) + place - 4 for place, column in enumerate(columns)}))
    return pd.concat(parts)


def test_forecasts_of_anybody_are_scored_by_hand_worked_numbers() -> None:
    this = data_sets.DataSet("made_up", "D", 2, 1)
    # Mean |y(t) - y(t - 1)|: 2 for a, 4 for b.
    history = rows({"a": [10, 12, 10], "b": [20, 24, 20]}, "2025-01-01")
    actuals = rows({"a": [11, 13], "b": [24, 20]}, "2025-01-04")
    predicted = forecasts({"a": [10, 10], "b": [20, 20]}, "2025-01-03", data_sets.COLUMNS)
    figures = scoring.score(this, history, actuals, predicted)
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


def test_each_cutoff_is_scored_in_units_of_what_came_before_it() -> None:
    this = data_sets.DataSet("made_up", "D", 1, 1)
    history = rows({"a": [10, 12, 10]}, "2025-01-01")
    actuals = rows({"a": [18, 14]}, "2025-01-04")
    predicted = pd.concat(
        [
            forecasts({"a": [14]}, "2025-01-03", data_sets.COLUMNS),
            # Once more for a day that an earlier cutoff has forecast already, and so does not count.
            forecasts({"a": [18, 16]}, "2025-01-03", data_sets.COLUMNS).assign(cutoff=pd.Timestamp("2025-01-04")),
        ]
    )
    # Errors 4 and 2; scales (2 + 2) / 2 before the first, (2 + 2 + 8) / 3 before the second.
    assert scoring.score(this, history, actuals, predicted)["mase"] == pytest.approx((4 / 2 + 2 / 4) / 2)


def test_a_peer_that_left_out_a_series_is_not_scored() -> None:
    this = data_sets.DataSet("made_up", "D", 1, 1)
    history = rows({"a": [1, 2], "b": [1, 2]}, "2025-01-01")
    actuals = rows({"a": [3], "b": [3]}, "2025-01-03")
    with pytest.raises(SystemExit, match="1 forecasts for 2 actuals"):
        scoring.score(this, history, actuals, forecasts({"a": [3]}, "2025-01-02", data_sets.COLUMNS))


def test_ratios_are_of_medians_and_none_where_something_was_not_measured() -> None:
    def turn(own: float | None, theirs: float) -> tuple[dict[str, float | None], dict[str, float | None]]:
        return {"steps_per_second": own}, {"steps_per_second": theirs}

    rates = {"train_steps": "steps_per_second"}
    # The machine was slow in the last turn.
    turns = [turn(9.0, 4.0), turn(8.0, 5.0), turn(2.0, 1.0)]
    assert beside.compare("equal", turns, rates) == {
        "train_steps_ratio_equal": 2.0,
        "equal_steps_per_second": 8.0,
        "neuralforecast_equal_steps_per_second": 4.0,
    }
    assert beside.compare("equal", [turn(None, 4.0)], rates)["train_steps_ratio_equal"] is None


def test_the_first_training_that_got_better_counts_and_none_follows() -> None:
    trainings = iter([(3.0, 1.6), (6.0, 1.45), (12.0, 1.40)])
    tried = list(beside.until_better(1.5, trainings))
    assert tried == [(3.0, 1.6), (6.0, 1.45)]
    assert beside.ratio_to_better(120.0, 1.5, tried) == 20.0
    assert beside.ratio_to_better(120.0, 1.4, tried) is None
    assert next(trainings) == (12.0, 1.40)


def test_the_lowest_ratio_stands_for_all_sets() -> None:
    figures = {"a.time_to_better_ratio": 12.0, "b.time_to_better_ratio": 9.0, "b.other": 1.0}
    assert beside.worst(figures, "time_to_better_ratio") == 9.0
    assert beside.worst({**figures, "c.time_to_better_ratio": None}, "time_to_better_ratio") is None


def test_a_worker_sees_every_step_up_to_the_cutoff_and_nothing_after(tmp_path: Path) -> None:
    history = rows({"a": [1, 2, 3], "b": [5, 6, 7]}, "2025-01-01")
    history[history["value"] != 6].to_parquet(tmp_path / "history.parquet")
    rows({"a": [4, 5], "b": [8, 9]}, "2025-01-04").to_parquet(tmp_path / "later.parquet")
    request = protocol.Request(
        history=str(tmp_path / "history.parquet"),
        later=str(tmp_path / "later.parquet"),
        frequency="D",
        horizon=1,
        levels=[0.5],
        cutoffs=["2025-01-04"],
        settings={},
        steps=None,
        seed=0,
    )
    seen = {name: each["value"].tolist() for name, each in request.rows("2025-01-04").groupby("series_id")}
    assert seen["a"] == [1, 2, 3, 4]
    assert seen["b"] == pytest.approx([5, np.nan, 7, 8], nan_ok=True)
    assert request.rows()["value"].count() == 5
    assert request.ends == ["2025-01-04"]


def test_a_rate_of_steps_leaves_the_first_ones_out() -> None:
    warming = [float(second) for second in range(protocol.FIRST_STEPS)]
    assert protocol.step_rate(warming) is None
    assert protocol.step_rate([*warming, 24.5, 25.0]) == 2.0


def test_a_process_does_not_take_over_the_peak_memory_of_the_one_that_started_it() -> None:
    program = "from benchmarks.workers import protocol; print(protocol.peak_mib())"
    large = np.ones(2**27)  # 1 GiB
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert 10 < float(done.stdout) < large.nbytes / 2**20


def test_forecasts_become_rows_of_the_series_own_cutoffs() -> None:
    quantiles = np.array([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]])
    ends = [pd.Timestamp("2025-01-01"), pd.Timestamp("2025-03-01")]
    frame = protocol.long_format(["a", "b"], ends, "MS", [0.1, 0.5], quantiles)
    assert frame["timestamp"].dt.month.tolist() == [2, 3, 4, 5]
    assert frame["step"].tolist() == [1, 2, 1, 2]
    assert frame["q0_5"].tolist() == [2.0, 4.0, 6.0, 8.0]


def test_the_benchmarks_say_how_peers_are_asked_for() -> None:
    for name in ("accuracy", "speed"):
        command = [sys.executable, "-m", f"benchmarks.{name}", "--help"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert "--peers" in done.stdout
