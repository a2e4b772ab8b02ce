"""What a worker sees, measures and answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.workers.protocol import FIRST_STEPS, Request, long_format, step_rate

ROOT = Path(__file__).parents[3]


def test_a_worker_sees_every_step_up_to_the_cutoff_and_nothing_after(make_rows, tmp_path: Path) -> None:
    history = make_rows({"a": [1, 2, 3], "b": [5, 6, 7]}, "2025-01-01")
    history[history["value"] != 6].to_parquet(tmp_path / "history.parquet")
    make_rows({"a": [4, 5], "b": [8, 9]}, "2025-01-04").to_parquet(tmp_path / "later.parquet")
    request = Request(
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
    warming = [float(second) for second in range(FIRST_STEPS)]
    assert step_rate(warming) is None
    assert step_rate([*warming, 24.5, 25.0]) == 2.0


def test_a_process_does_not_take_over_the_peak_memory_of_the_one_that_started_it() -> None:
    program = "from benchmarks.workers import protocol; print(protocol.peak_mib())"
    large = np.ones(2**27)  # 1 GiB
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert 10 < float(done.stdout) < large.nbytes / 2**20


def test_forecasts_become_rows_of_the_series_own_cutoffs() -> None:
    quantiles = np.array([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]])
    ends = [pd.Timestamp("2025-01-01"), pd.Timestamp("2025-03-01")]
    frame = long_format(["a", "b"], ends, "MS", [0.1, 0.5], quantiles)
    assert frame["timestamp"].dt.month.tolist() == [2, 3, 4, 5]
    assert frame["step"].tolist() == [1, 2, 1, 2]
    assert frame["q0_5"].tolist() == [2.0, 4.0, 6.0, 8.0]
