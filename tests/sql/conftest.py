"""Engines, nights and tables for the storage tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
import sqlalchemy as sa

from sql.engine.connection import connect, resolve_url, transaction
from sql.migrations.migrate import migrate

CREATED = datetime(2024, 2, 1, 3, 0, tzinfo=UTC)


@pytest.fixture
def postgres_template(request: pytest.FixtureRequest) -> str:
    """The tables are there where a test asks for `output`."""
    return str(request.getfixturevalue("postgres_with_tables")) if "output" in request.fixturenames else "template1"


@pytest.fixture
def engine(database_url: str) -> sa.Engine:
    """A database, empty unless the test asks for `output` too."""
    return connect(resolve_url(database_url))


@pytest.fixture
def output(engine: sa.Engine) -> sa.Engine:
    """A database with all tables of a job."""
    migrate(engine)
    return engine


@pytest.fixture
def run_sql(engine: sa.Engine) -> Callable[..., None]:
    """Runs statements as the owner of the database, who is nobody of this project."""

    def run(*statements: str) -> None:
        with transaction(engine) as connection:
            for statement in statements:
                connection.execution_options(no_parameters=True).exec_driver_sql(statement)

    return run


@pytest.fixture
def make_night() -> Callable[..., pa.Table]:
    """Makes forecasts of two series over three days after a cutoff, all of one value."""

    def night(
        cutoff: datetime = datetime(2024, 1, 31, tzinfo=UTC),
        value: float = 1.0,
        job: str = "sales",
        series: int = 2,
        levels: tuple[str, ...] = ("q0_1", "q0_9"),
    ) -> pa.Table:
        ids = [f"s{i:06d}" for i in range(series) for _ in range(3)]
        steps = [1, 2, 3] * series
        n = len(ids)
        instant = pa.timestamp("us", "UTC")
        columns = {
            "job": pa.array([job] * n),
            "series_id": pa.array(ids).dictionary_encode(),
            "cutoff": pa.array([cutoff] * n, instant),
            "step": pa.array(steps, pa.int64()),
            "timestamp": pa.array([cutoff + timedelta(days=step) for step in steps], instant),
            "mean": pa.array([value] * n, pa.float32()),
            "median": pa.array([value] * n),
            "baseline": pa.array([float("nan")] * n),
            "model_version": pa.array([None] * n, pa.string()),
            "source": pa.array(["fallback"] * n),
            "reason": pa.array(["too short"] * n),
            "run_id": pa.array(["r1"] * n),
            "created_at": pa.array([CREATED] * n, instant),
            "local_time": pa.array([cutoff.replace(tzinfo=None) + timedelta(days=step, hours=1) for step in steps]),
        }
        return pa.table(columns | {level: pa.array([value] * n) for level in levels})

    return night
