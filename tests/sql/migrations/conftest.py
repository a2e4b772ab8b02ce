"""Databases of releases: made by the code of today, dumped as text, and restored from the text that was kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pyarrow as pa
import pytest
import sqlalchemy as sa

from sql.engine.connection import connect, resolve_url
from sql.migrations.migrate import migrate
from sql.output import write
from sql.output.owner import keep_owner
from sql.output.publish import begin_publishing, publish_forecast

FIRST, SECOND = datetime(2024, 1, 31, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)
BEGAN, ENDED = SECOND + timedelta(hours=27), SECOND + timedelta(hours=28)
KEY = {"job": "sales", "evaluated_on": SECOND, "segment": "all"}
FIGURES = {
    "loss": 0.8, "baseline_loss": 1.0, "coverage": 0.79, "bias": -0.02, "n": 6, "instability": 0.1,
    "special_definition": '{"columns": ["promotion"], "left_out": [], "holidays": ["ES"]}',
    "special_n": 2, "special_loss": 0.9, "special_baseline_loss": 1.4,
}  # fmt: skip
VERDICT = {"state": "ok", "statistic": 0.3, "effect": 0.01, "onset": None, "detectable_effect": 0.1, "reason": ""}


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def make_engine(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], sa.Engine]]:
    """Makes empty databases of one kind by their names."""
    if dialect == "sqlite":
        yield lambda name: connect(resolve_url(f"sqlite:///{tmp_path / name}.db"))
        return
    server: sa.URL = request.getfixturevalue("postgres_server")
    with psycopg.connect(server.set(database="postgres").render_as_string(), autocommit=True) as admin:
        made: list[str] = []

        def empty(name: str) -> sa.Engine:
            made.append(f"release_{name}_{uuid4().hex}")
            admin.execute(f"CREATE DATABASE {made[-1]}")
            return connect(resolve_url(server.set(database=made[-1]).render_as_string()))

        yield empty
        for name in made:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def restore(
    make_engine: Callable[[str], sa.Engine], load_dump: Callable[[sa.Engine, str], None]
) -> Callable[[Path], sa.Engine]:
    """Makes a database from the text that a release left."""

    def from_text(file: Path) -> sa.Engine:
        engine = make_engine("kept")
        load_dump(engine, file.read_text(encoding="utf-8"))
        return engine

    return from_text


@pytest.fixture
def todays_database(make_engine: Callable[[str], sa.Engine], make_night: Callable[..., pa.Table]) -> sa.Engine:
    """A small database as the code of today writes it: a row or a few in every table, something in every column."""
    engine = make_engine("today")
    migrate(engine)
    publish_forecast(engine, make_night(FIRST, 1.0))
    publish_forecast(engine, _by_model(make_night(SECOND, 2.0)))
    score = {"job": "sales", "cutoff": FIRST, "segment": "all", "metric": "mae", "value": 0.8, "baseline_value": 1.0}
    write.upsert_scores(engine, [score | {"step": step, "n": 6, "model_version": "v1"} for step in (0, 1)])
    rule = VERDICT | {"threshold": 1.0, "onset": FIRST, "reason": "worse than usual", "state": "degraded"}
    signals = {"bias": VERDICT, "coverage": VERDICT, "instability": VERDICT}
    write.upsert_losses(engine, [KEY | FIGURES | rule | {"metric": "loss", "run_id": "r1", "other_signals": signals}])
    write.upsert_hindcast_losses(engine, [KEY | FIGURES | {"model_version": "v1", "in_sample": False}])
    evidence = {"applied_calibration": b"PK\x03\x04", "coverage_evidence": b"PK\x05\x06"}
    write.upsert_calibration(engine, {"job": "sales", "cutoff": SECOND, **evidence})
    write.upsert_alerts(engine, [_alert()])
    for version, uri in (("v1", "file:///models/v1"), ("v2", "file:///models/v2")):
        write.add_model(engine, "sales", version, FIRST, FIRST, uri, f"digest of {version}", {"mode": "scratch"})
    write.promote(engine, "sales", "v1", BEGAN, served_from=SECOND, reason="the job's first version")
    write.upsert_promotions(engine, [_promotion()])
    write.start_run(engine, "r1", "sales", SECOND, BEGAN)
    write.finish_run(
        engine, "r1", "completed", ENDED, train_mode="scratch", train_reason="no champion", model_version="v1",
        rows_read=60, series=2, fallback_series=0, seconds={"read": 0.5}, report="reports/r1.html", note="one missed",
    )  # fmt: skip
    keep_owner(engine, _owner())
    write.start_run(engine, "r2", "sales", SECOND, ENDED)
    write.finish_run(engine, "r2", "failed", ENDED, error="The disk is full.")
    begin_publishing(engine, "r2")
    return engine


def _by_model(night: pa.Table) -> pa.Table:
    for name, value in {"model_version": "v1", "source": "model", "reason": None, "baseline": 1.5}.items():
        kind = pa.float64() if name == "baseline" else pa.string()
        night = night.set_column(night.column_names.index(name), name, pa.array([value] * night.num_rows, kind))
    return night


def _alert() -> dict[str, Any]:
    return {
        "job": "sales", "segment": "all", "signal": "loss", "opened_at": SECOND, "onset": FIRST, "effect": 0.4,
        "state": "closed", "message": "sales, all: loss 40% worse", "last_sent_at": BEGAN, "acknowledged_by": "ana",
        "acknowledged_at": ENDED, "closed_at": SECOND, "run_id": "r1", "reason": "the source is stale",
        "delivery_errors": {"webhook": "it answered 500"}, "accepted_at": ENDED,
        "message_id": "5b1d7c1e-3f0a-5c58-9d57-6f2a8f0c9a11",
    }  # fmt: skip


def _owner() -> dict[str, Any]:
    return {
        "job": "sales", "file": "/jobs/sales.yaml", "machine": "night", "url": "${SOURCE}", "since": BEGAN,
        "address": "sqlite:////data/history.db", "relation": "table sold",
        "output": "sqlite:////data/forecasts.db",
    }  # fmt: skip


def _promotion() -> dict[str, Any]:
    return {
        "job": "sales", "version": "v2", "evaluated_on": SECOND, "champion_version": "v1", "held_out": False, "n": 6,
        "loss": 0.7, "champion_loss": 0.8, "coverage": 0.8, "champion_coverage": 0.79, "log_ratio": 0.13,
        "segment_sums": {"all": [6.0, 4.2, 4.8, 5.0, 5.0]}, "nights": 1, "e_value": 1.2, "champion_e_value": 0.8,
        "effect": -0.125, "worst_segment": "all", "worst_effect": -0.125, "action": "wait", "reason": "too early",
    }  # fmt: skip
