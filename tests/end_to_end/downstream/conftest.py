"""A job on each kind of database, for what people ask of its tables."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import psycopg
import pytest
import sqlalchemy as sa

from flows.deployments.dispatch import run_night
from flows.job.job import load_job

NIGHTS = ("2024-01-16", "2024-01-29", "2024-02-04", "2024-02-05")


def make_sales() -> pd.DataFrame:
    random, days = np.random.default_rng(3), pd.date_range("2023-12-01", periods=70)
    frames = [
        pd.DataFrame({
            "store": store, "item": item, "sold_at": days,
            "units": (20 + 5 * np.sin(np.arange(70) * 2 * np.pi / 7) + random.normal(0, 2, 70)).round(1),
        })
        for store in ("Madrid", "Bilbao") for item in ("coffee", "tea")
    ]  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def ran(make_job_in: Any, folder: Path, url: str | None) -> Path:
    """A job that the fallback alone forecasts, after its nights; its folder also holds the history as a file."""
    job = make_job_in(
        folder,
        make_sales(),
        url=url,
        name="store-sales",
        source={"series_id": ["store", "item"], "timestamp": "sold_at", "value": "units", "static": []},
        forecast={
            "min_history": 10_000, "time_zone": "Europe/Madrid",
            "quantile_levels": [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95],
        },
        hierarchy={"aggregates": [["store"], []]},
        monitor={"segments": []},
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flows.night.stages.write_report", lambda night, *_: night.places.report)
        for day in NIGHTS:
            run_night(job, cutoff=datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("Europe/Madrid")))
    known = make_sales()
    known[known["sold_at"] <= NIGHTS[-1]].to_parquet(folder / "history.parquet", index=False)
    return job


@pytest.fixture(scope="session")
def jobs(
    make_job_in: Any, tmp_path_factory: pytest.TempPathFactory, postgres_server: sa.URL
) -> dict[str, tuple[Path, sa.Engine]]:
    """The job on each kind of database, and its output."""
    with psycopg.connect(postgres_server.set(database="postgres").render_as_string(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE recipes")
    urls = {"sqlite": None, "postgresql": postgres_server.set(database="recipes").render_as_string()}
    made = {kind: ran(make_job_in, tmp_path_factory.mktemp(kind), url) for kind, url in urls.items()}
    return {kind: (job.parent, load_job(job).places.engine()) for kind, job in made.items()}


@pytest.fixture(scope="session")
def sales() -> pd.DataFrame:
    """Two items in each of two stores, until the cutoff of the last night."""
    history = make_sales()
    return history[history["sold_at"] <= NIGHTS[-1]]
