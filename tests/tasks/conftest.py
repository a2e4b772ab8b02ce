"""Places of a job with real tables, and forecasts to publish."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from models.settings.forecast import ForecastSettings
from sql.migrations.migrate import migrate
from sql.source.settings import Source
from tasks.night.job import Job
from tasks.night.ledger import Ledger
from tasks.night.night import Night
from tasks.settings import Output
from tasks.store.places import Places

CUTOFF = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture
def postgres_template(request) -> str:
    """The tables are there where a test asks for `places`."""
    return request.getfixturevalue("postgres_with_tables") if "places" in request.fixturenames else "template1"


@pytest.fixture
def places(tmp_path, database_url):
    """Places of the job `sales`, its tables migrated; on SQLite and on PostgreSQL."""
    found = Places("sales", tmp_path, Output(url=database_url))
    migrate(found.engine())
    return found


@pytest.fixture
def make_night(places, tmp_path) -> Callable[..., Night]:
    """Makes a night of the job `sales`, with a ledger of its own; further arguments are parts of the job."""

    def make(cutoff: datetime = CUTOFF, *, started_at: datetime = CUTOFF, run_id: str = "r1", **parts: Any) -> Night:
        given = {
            "name": "sales",
            "source": Source(url="sqlite:///history.db", table="sold"),
            "forecast": ForecastSettings(frequency="D", horizon=3),
            "output": places.output,
        }
        job = Job.model_validate(given | parts)
        return Night(
            job=job,
            file=tmp_path / "sales.yaml",
            places=places,
            ledger=Ledger(places),
            run_id=run_id,
            kind="nightly",
            requested_cutoff=None,
            policy=job.training.policy,
            now=started_at,
            started_at=started_at,
            scratch=tmp_path,
            cutoff=cutoff,
        )

    return make


@pytest.fixture
def forecast_rows():
    """Makes the forecast rows of a night: so many series, three steps, all values the same."""

    def make(cutoff: datetime = CUTOFF, series: int = 2, value: float = 1.0, run_id: str = "r1") -> pa.Table:
        keys = [(f"s{i}", step) for i in range(series) for step in (1, 2, 3)]
        instant = pa.timestamp("us", "UTC")
        return pa.table(
            {
                "job": pa.array(["sales"] * len(keys)),
                "series_id": pa.array([name for name, _ in keys]),
                "cutoff": pa.array([cutoff] * len(keys), instant),
                "step": pa.array([step for _, step in keys], pa.int32()),
                "timestamp": pa.array([cutoff + timedelta(days=step) for _, step in keys], instant),
                **{name: pa.array([value] * len(keys)) for name in ("mean", "median", "baseline")},
                "model_version": pa.array(["v1"] * len(keys)),
                "source": pa.array(["model"] * len(keys)),
                "reason": pa.array([None] * len(keys), pa.string()),
                "run_id": pa.array([run_id] * len(keys)),
                "created_at": pa.array([cutoff] * len(keys), instant),
                "local_time": pa.array([cutoff.replace(tzinfo=None) + timedelta(days=step) for _, step in keys]),
                "q0_1": pa.array([value - 1] * len(keys)),
                "q0_5": pa.array([value] * len(keys)),
                "q0_9": pa.array([value + 1] * len(keys)),
            }
        )

    return make
