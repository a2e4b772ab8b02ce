"""A night that only loads its model reads the newest rows, with the same forecasts and scores as from all rows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from flows.deployments.dispatch import run_night
from flows.job.job import load_job
from flows.night import reading as reading_module
from sql.engine.connection import connect
from sql.engine.url import resolve_url
from sql.imports.import_file import import_file
from sql.output import history
from tasks.planning import read_plan as plan_module
from tasks.reading.history_file import source_fingerprint

DAYS = pd.date_range("2021-06-01", periods=900, freq="D")
TRAINED, LOADED = "2023-10-28", "2023-11-04"  # days 879 and 886


@pytest.fixture(scope="module")
def long_frame() -> pd.DataFrame:
    """Series of 900 days, some with gaps; `new` begins after the night that trains."""
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
        # The newest rows have no region.
        region = np.where((days > 400) & (name == "sparse"), None, "north" if number % 2 else "south")
        size = np.where(days > 400, np.nan, number)
        # Every other week, but only in the newest rows. A night that reads only these must not choose other criteria.
        promotion = np.where((days > 700) & (days // 7 % 2 == 0), 1.0, 0.0)
        columns = {"series_id": name, "day": DAYS, "value": values.round(3), "region": region, "size": size}
        columns |= {"promotion": promotion}
        frames.append(pd.DataFrame(columns)[mask])
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="module")
def trained_once(make_job_in, tmp_path_factory, long_frame) -> Path:
    """A job whose first night has trained, from SQLite. Tests copy it and do not change it."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_URL", f"sqlite:///{folder / 'source.db'}")
        job = make_job_in(
            folder,
            long_frame,
            source={"url": "${SOURCE_URL}", "static_numbers": ["size"], "known_future": ["promotion"]},
            training={"new_series_share": 0.5, "warm_after_days": 20},
        )
        assert run_night(job, cutoff=TRAINED).train_mode == "scratch"
    return job


@pytest.fixture
def trained(trained_once, tmp_path, monkeypatch, without_plots) -> Path:
    """A copy of that job for one test."""
    shutil.copytree(trained_once.parent, tmp_path / "copy")
    monkeypatch.setenv("SOURCE_URL", f"sqlite:///{tmp_path / 'copy' / 'source.db'}")
    return tmp_path / "copy" / trained_once.name


def changed(job: Path, **parts: dict) -> None:
    """Change settings in a job's file."""
    content = yaml.safe_load(job.read_text(encoding="utf-8"))
    content |= {name: content.get(name, {}) | part for name, part in parts.items()}
    job.write_text(yaml.safe_dump(content), encoding="utf-8")


def rows_up_to(frame: pd.DataFrame, day: str) -> int:
    """Rows up to seven days after a day, since promotions are known for the horizon."""
    return int((frame["day"] <= pd.Timestamp(day) + pd.Timedelta(days=7)).sum())


def kept_of(job: Path, cutoff) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    engine = load_job(job).places.engine()
    forecast = history.forecast_of(engine, "small", cutoff).to_pandas()
    return (
        forecast.drop(columns=["run_id", "created_at"]),
        pd.DataFrame(history.scores(engine, "small")),
        pd.DataFrame(history.losses(engine, "small")).drop(columns="run_id"),
    )


@pytest.mark.parametrize("asked", [LOADED, None], ids=["a cutoff", "the newest step"])
def test_a_night_that_loads_reads_less_and_publishes_and_scores_the_same(
    trained, long_frame, database_url, monkeypatch, asked
):
    frame = long_frame[long_frame["day"] <= LOADED] if asked is None else long_frame
    frame.to_parquet(trained.with_name("now.parquet"), index=False)
    import_file(trained.with_name("now.parquet"), resolve_url(database_url, trained.parent), "history", "replace")
    monkeypatch.setenv("SOURCE_URL", database_url)
    now = datetime(2023, 11, 5, tzinfo=UTC)
    night = run_night(trained, cutoff=asked, now=now)
    less = kept_of(trained, night.cutoff)
    page = Path(night.report).read_text(encoding="utf-8")
    details = json.loads(Path(night.report).with_suffix(".json").read_text(encoding="utf-8"))
    monkeypatch.setattr(reading_module, "plan_reading", lambda *_: None)
    whole = run_night(trained, cutoff=asked, now=now)

    assert (night.train_mode, whole.train_mode) == ("load", "load")
    assert night.fallback_reasons == whole.fallback_reasons
    assert (night.series, night.rows) == (10, 70)
    for partial, other in zip(less, kept_of(trained, night.cutoff), strict=True):
        assert len(partial)
        pd.testing.assert_frame_equal(partial, other, rtol=1e-6, atol=1e-6)
    assert night.rows_read < 0.5 * whole.rows_read == 0.5 * rows_up_to(frame, LOADED)
    engine = load_job(trained).places.engine()
    assert [run["rows_read"] for run in history.runs(engine, "small")][:2] == [whole.rows_read, night.rows_read]
    audit = details["audit"]
    everything = json.loads(Path(whole.report).with_suffix(".json").read_text(encoding="utf-8"))["audit"]
    assert {key: audit[key] for key in ("series", "observed", "first", "last", "cutoff")} == {
        key: everything[key] for key in ("series", "observed", "first", "last", "cutoff")
    }
    since = audit["rows_since"][:10]
    assert "2022-06-01" < since <= "2023-04-18"  # the fallback looks back 200 days
    assert night.rows_read == rows_up_to(frame, LOADED) - (frame["day"] < since).sum()
    # Special days have one definition, and there are some.
    engine = load_job(trained).places.engine()
    losses = [row for row in history.losses(engine, "small", "all") if row["n"]]
    definitions = {row["special_definition"] for row in (*losses, *history.hindcast_losses(engine, "small"))}
    assert definitions == {'{"columns": ["promotion"], "left_out": [], "holidays": []}'}
    # Where a day had no value, the naive repeats the same day two weeks before, whose promotion was the same.
    assert all(row["n"] / 2 < row["special_n"] < row["n"] for row in losses)
    assert f"from {since} on" in page


def test_a_night_that_turns_out_to_train_reads_everything(trained, long_frame):
    # One of nine series is new, and only the rows show it.
    changed(trained, training={"new_series_share": 0.1})

    night = run_night(trained, cutoff=LOADED)

    assert (night.train_mode, night.rows_read) == ("warm", rows_up_to(long_frame, LOADED))


@pytest.mark.parametrize(
    "parts",
    [
        {"audit": {"unit_changes": "rescale"}},
        {"hierarchy": {"aggregates": [[]]}},
        {"source": {"table": None, "query": "SELECT * FROM history"}},
    ],
    ids=["changes of unit", "aggregates", "no bound"],
)
def test_all_rows_are_read_where_old_ones_may_matter(trained, long_frame, monkeypatch, parts):
    old = load_job(trained)
    fingerprint = source_fingerprint(old.job, old.base)
    monkeypatch.setattr(plan_module, "source_fingerprint", lambda *_: fingerprint)
    changed(trained, **parts)

    night = run_night(trained, cutoff=LOADED)

    assert (night.train_mode, night.rows_read) == ("load", rows_up_to(long_frame, LOADED))


@pytest.mark.parametrize(
    "parts",
    [
        {"audit": {"gaps": "zero"}},
        {"source": {"table": None, "query": "SELECT * FROM history WHERE day >= :since"}},
    ],
    ids=["policies", "query"],
)
def test_a_summary_of_another_history_is_not_used(trained, long_frame, parts):
    changed(trained, **parts)

    night = run_night(trained, cutoff=LOADED)

    assert (night.train_mode, night.rows_read) == ("load", rows_up_to(long_frame, LOADED))


@pytest.mark.parametrize("asked", ["2023-11-05", None], ids=["a cutoff", "the newest step"])
def test_an_evaluation_that_counts_what_nights_filled_in_later_forecast_reads_their_days(trained, long_frame, asked):
    for cutoff in ("2023-11-03", LOADED, "2023-03-01", "2023-03-02"):
        run_night(trained, cutoff=cutoff)
    nights = []
    for night, last in ((asked, "2023-11-05"), ("2023-11-06", "2023-11-06")):
        long_frame[long_frame["day"] <= last].to_parquet(trained.with_name("now.parquet"), index=False)
        import_file(trained.with_name("now.parquet"), resolve_url(os.environ["SOURCE_URL"]), "history", "replace")
        nights.append(run_night(trained, cutoff=night, now=datetime(2023, 11, 7, tzinfo=UTC)))

    assert [night.train_mode for night in nights] == ["load", "load"]
    assert nights[0].rows_read == (long_frame["day"] <= "2023-11-05").sum() > 2 * nights[1].rows_read
    engine = load_job(trained).places.engine()
    counted = {row["evaluated_on"].day: row["n"] for row in history.losses(engine, "small", "all")}
    observed = long_frame.dropna(subset="value").groupby("day").size()
    # Both nights forecast a week ahead. The second has counted one of those days already.
    march = observed["2023-03-03":"2023-03-08"].sum() + observed["2023-03-03":"2023-03-09"].sum()
    assert counted[5] == march + 2 * observed["2023-11-05"]
    assert counted[6] == 3 * observed["2023-11-06"]


def test_all_rows_are_read_where_the_newest_ones_have_no_value(trained, long_frame):
    since = run_night(trained, cutoff=LOADED).rows_read
    with connect(resolve_url(os.environ["SOURCE_URL"])).begin() as connection:
        connection.exec_driver_sql("UPDATE history SET value = NULL WHERE day >= '2023-01-01'")

    night = run_night(trained, cutoff=LOADED)

    assert since < night.rows_read == rows_up_to(long_frame, LOADED)
    assert night.stale


def test_a_night_that_loads_imports_no_library_that_it_does_without(trained):
    unneeded = {"alembic", "apprise", "httpx", "jax", "keras", "prefect", "scipy.sparse", "scipy.stats", "sklearn"}
    unneeded |= {"sqlalchemy.dialects.postgresql", "statsmodels", "tensorflow"}
    program = (
        "import sys; from flows.deployments.dispatch import run_night; "
        f"night = run_night({str(trained)!r}, cutoff={LOADED!r}); "
        f"print(night.train_mode, sorted({unneeded!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "load []"
