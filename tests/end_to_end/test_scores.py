"""Scores of real nights: volume classes, versions, and how much forecasts change from night to night."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from flows.deployments.dispatch import run_night
from flows.job.job import load_job
from flows.night.night import run_here
from flows.night.request import NightRequest
from sql.output import history

DAYS = pd.date_range("2023-10-01", periods=140, freq="D")
FIRST, SECOND = datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 2, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def shops() -> pd.DataFrame:
    """Thirty series; the size of each is ten times its number, counted from one."""
    rng, week = np.random.default_rng(3), np.sin(2 * np.pi * np.arange(140) / 7)
    frames = [
        pd.DataFrame({"series_id": f"s{i:02d}", "day": DAYS, "value": (10 * (i + 1) + week + rng.normal(0, 0.3, 140))})
        for i in range(30)
    ]
    return pd.concat(frames, ignore_index=True).assign(region=lambda rows: np.where(rows.index < 1400, "a", "b"))


@pytest.fixture(scope="module")
def ran(make_job_in, shops, tmp_path_factory) -> Path:
    """Two nights of the fallback, which need no training. Tests do not change it."""
    job = make_job_in(tmp_path_factory.mktemp("scores"), shops, forecast={"min_history": 10_000})
    for cutoff in (FIRST, SECOND):
        run_night(job, cutoff=cutoff.isoformat())
    return job


def frame_of(job: Path, cutoff: datetime) -> pd.DataFrame:
    rows = history.forecast_of(load_job(job).places.engine(), "small", cutoff).to_pandas()
    return rows.set_index(["series_id", "timestamp"])


def scores_of(job: Path, cutoff: datetime, metric: str) -> dict:
    rows = history.scores(load_job(job).places.engine(), "small", cutoff, metric=metric)
    return {row["segment"]: row for row in rows if row["step"] == 0}


def test_volume_classes_are_scored_and_watched_like_any_segment(ran, shops):
    mae = scores_of(ran, FIRST, "mae")
    joined = (
        frame_of(ran, FIRST)["median"]
        .to_frame()
        .join(shops.assign(timestamp=shops["day"].dt.tz_localize("UTC")).set_index(["series_id", "timestamp"])["value"])
    )
    first_day = joined.xs(pd.Timestamp(SECOND), level="timestamp").sort_index()
    error = (first_day["median"] - first_day["value"]).abs().to_numpy()
    for name, chosen in (("low", slice(0, 10)), ("middle", slice(10, 20)), ("high", slice(20, 30))):
        row = mae[f"volume={name}"]
        assert (row["value"], row["n"]) == (pytest.approx(error[chosen].mean(), rel=1e-5), 10)
    losses = history.losses(load_job(ran).places.engine(), "small")
    watched = {row["segment"] for row in losses if row["evaluated_on"] == SECOND}
    assert watched == {"all", "region=a", "region=b", "volume=low", "volume=middle", "volume=high"}


def test_instability_is_how_far_tonights_forecasts_are_from_last_nights_of_the_same_days(ran, shops):
    before, tonight = frame_of(ran, FIRST), frame_of(ran, SECOND)
    both = tonight.join(before.add_suffix("_before"), how="inner")
    assert len(both) == 30 * 6
    known = shops[shops["day"] <= "2024-02-02"]
    scale = known.groupby("series_id")["value"].apply(lambda values: values.diff(7).abs().mean())
    unit = scale.loc[both.index.get_level_values("series_id")].to_numpy()
    row = scores_of(ran, SECOND, "instability")["all"]
    assert row["n"] == 180
    assert row["value"] == pytest.approx(((both["median"] - both["median_before"]).abs() / unit).mean(), rel=1e-4)
    assert row["baseline_value"] == pytest.approx(
        ((both["baseline"] - both["baseline_before"]).abs() / unit).mean(), rel=1e-4
    )
    losses = history.losses(load_job(ran).places.engine(), "small")
    instability = {(each["evaluated_on"], each["segment"]): each["instability"] for each in losses}
    assert instability[SECOND, "all"] == row["value"]
    assert instability[SECOND, "region=a"] == scores_of(ran, SECOND, "instability")["region=a"]["value"]
    assert instability[FIRST, "all"] is None


def test_a_night_of_the_fallback_has_another_version_segment_than_a_night_of_a_version(ran, two_nights):
    mae = scores_of(ran, FIRST, "mae")
    assert mae["version=fallback"]["value"] == mae["all"]["value"]
    assert {row["model_version"] for row in mae.values()} == {"fallback"}
    mae = scores_of(two_nights, datetime(2024, 2, 3, tzinfo=UTC), "mae")
    [version] = {row["model_version"] for row in mae.values()}
    assert version == history.champion(load_job(two_nights).places.engine(), "small")["version"]
    assert mae[f"version={version}"]["n"] == 42


def test_scoring_alone_finds_the_instability_in_the_tables(ran):
    before = scores_of(ran, SECOND, "instability")
    run_here(NightRequest(ran, "score", SECOND, "never", now=datetime(2024, 2, 3, tzinfo=UTC)))
    assert scores_of(ran, SECOND, "instability") == before


def test_segments_that_come_and_go_stop_no_night(make_job, shops):
    job = make_job(shops, forecast={"min_history": 10_000})
    run_night(job, cutoff="2024-02-01")
    changes = [
        {"source": {"static": []}, "monitor": {"segments": [], "volume_classes": False}},
        {"source": {"static": ["region"]}, "monitor": {"segments": ["region"], "volume_classes": True}},
    ]
    found = []
    for day, change in enumerate(changes, 2):
        content = yaml.safe_load(job.read_text(encoding="utf-8"))
        job.write_text(yaml.safe_dump({**content, **{k: content[k] | v for k, v in change.items()}}), encoding="utf-8")
        found.append({row["segment"] for row in run_night(job, cutoff=f"2024-02-0{day}").losses})
    assert found[0] == {"all"}
    assert found[1] == {"all", "region=a", "region=b", "volume=low", "volume=middle", "volume=high"}
