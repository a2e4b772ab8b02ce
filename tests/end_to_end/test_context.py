"""A night that only loads its model reads the newest rows, and publishes and scores what it would from all of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flows import night as night_module
from flows.job import load_job
from flows.night import run_night
from sql import history

DAYS = pd.date_range("2021-06-01", periods=900, freq="D")
TRAINED, LOADED = "2023-10-28", "2023-11-04"  # days 879 and 886


@pytest.fixture(scope="module")
def long_frame() -> pd.DataFrame:
    """900 days of whole series, and of some that are not; `new` begins after the night that trains."""
    rng = np.random.default_rng(11)
    days = np.arange(900)
    kept = {
        "whole": days >= 0,
        "other": days >= 0,
        "sparse": rng.random(900) < 0.3,
        # No Tuesday for a year and a half, though there were some before.
        "no tuesdays": (days < 300) | (days % 7 != 0),
        "gone": days < 250,
        "dead": days < 810,
        "short": (days > 199) & (days < 202),
        "never": days > 600,
        "new": days > 880,
        "young": days > 700,
    }
    frames = []
    for number, (name, mask) in enumerate(kept.items()):
        values = 10 * (number + 1) + 5 * np.sin(2 * np.pi * days / 7 + number) + rng.normal(0, 0.5, 900)
        values = np.where(name == "never", np.nan, values)
        # Nobody wrote the region down lately.
        region = np.where((days > 400) & (name == "sparse"), None, "north" if number % 2 else "south")
        size = np.where(days > 400, np.nan, number)
        columns = {"series_id": name, "day": DAYS, "value": values.round(3), "region": region, "size": size}
        frames.append(pd.DataFrame(columns)[mask])
    return pd.concat(frames, ignore_index=True)


@pytest.fixture
def trained(make_job, database_url, long_frame) -> Path:
    """A job whose first night has trained."""
    job = make_job(
        long_frame,
        url=database_url,
        source={"static_numbers": ["size"]},
        training={"new_series_share": 0.5, "warm_after_days": 20},
    )
    assert run_night(job, cutoff=TRAINED).train_mode == "scratch"
    return job


def kept_of(job: Path, cutoff) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    engine = load_job(job).places.engine()
    forecast = history.forecast_of(engine, "small", cutoff).to_pandas()
    return (
        forecast.drop(columns=["run_id", "created_at"]),
        pd.DataFrame(history.scores(engine, "small")),
        pd.DataFrame(history.losses(engine, "small")).drop(columns="run_id"),
    )


def test_a_night_that_loads_reads_less_and_publishes_and_scores_the_same(trained, monkeypatch):
    night = run_night(trained, cutoff=LOADED)
    less = kept_of(trained, night.cutoff)
    details = json.loads(Path(night.report).with_suffix(".json").read_text(encoding="utf-8"))
    monkeypatch.setattr(night_module, "plan_context", lambda *_: None)
    whole = run_night(trained, cutoff=LOADED)

    assert (night.train_mode, whole.train_mode) == ("load", "load")
    assert night.fallback_reasons == whole.fallback_reasons
    assert (night.series, night.rows) == (10, 70)
    for mine, other in zip(less, kept_of(trained, night.cutoff), strict=True):
        assert len(mine)
        pd.testing.assert_frame_equal(mine, other, rtol=1e-6, atol=1e-6)
    assert night.rows_read < 0.5 * whole.rows_read
    engine = load_job(trained).places.engine()
    assert [run["rows_read"] for run in history.runs(engine, "small")][:2] == [whole.rows_read, night.rows_read]
    audit = details["audit"]
    everything = json.loads(Path(whole.report).with_suffix(".json").read_text(encoding="utf-8"))["audit"]
    assert {key: audit[key] for key in ("series", "observed", "first", "last", "cutoff")} == {
        key: everything[key] for key in ("series", "observed", "first", "last", "cutoff")
    }
    assert audit["rows_since"][:10] > "2022-06-01"
