"""A job of many nights: what they leave in the tables, without running one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sql.migrations.migrate import migrate
from sql.output import tables
from tasks.settings import Output
from tasks.store.places import Places, stamp

FIRST = datetime(2024, 1, 1, 23, tzinfo=UTC)  # midnight of 2 January in Madrid
DAY = timedelta(days=1)


@pytest.fixture
def make_nights(tmp_path: Path) -> Callable[..., Places]:
    """Makes the tables of a job of so many nights, and the pages of the newest ones; gives its places.

    The loss is 0.13 against 0.2. The model is trained again every fourth week. `rows` are further ones, by table, and
    `failed` are the nights, counted from 0, that failed.
    """

    def make(nights: int, job: str = "sales", pages: int = 3, failed: tuple[int, ...] = (), rows: Any = None) -> Places:
        places = Places(job, tmp_path, Output())
        engine = places.engine()
        migrate(engine)
        found: dict[Any, list[dict[str, Any]]] = {table: [] for table in (tables.run, tables.publication, tables.loss)}
        found[tables.model] = []
        for place in range(nights):
            cutoff = FIRST + place * DAY
            end = cutoff + timedelta(hours=5)
            if place % 28 == 0:
                is_last = place + 28 >= nights
                found[tables.model].append(
                    {
                        "job": job, "version": f"v{place // 28}", "created_at": end, "trained_until": cutoff,
                        "stage": "champion" if is_last else "retired", "promoted_at": end, "metrics": {}, "uri": "",
                        "digest": "", "reason": "it is newer" if is_last else f"v{place // 28 + 1} took its place",
                    }
                )  # fmt: skip
            ok = place not in failed
            found[tables.run].append(
                {
                    "run_id": f"{job}{place}", "job": job, "cutoff": cutoff, "started_at": end, "finished_at": end,
                    "state": "completed" if ok else "failed", "train_mode": "load" if place % 28 else "warm",
                    "train_reason": "the champion is 28 days old", "model_version": f"v{place // 28}", "series": 60,
                    "fallback_series": 2, "error": None if ok else "The source does not answer.", "kind": "nightly",
                }
            )  # fmt: skip
            if ok:
                night = {"job": job, "cutoff": cutoff, "run_id": f"{job}{place}", "published_at": end, "rows": 60}
                times = {"first_timestamp": cutoff + DAY, "last_timestamp": cutoff + 28 * DAY}
                found[tables.publication].append(night | times)
            if ok and place:
                found[tables.loss].append(loss_row(job, place))
        for table, further in (rows or {}).items():
            found[table] = [*found.get(table, []), *further]
        with engine.begin() as connection:
            for table, content in found.items():
                if content:
                    connection.execute(table.insert(), content)
        places.report.mkdir(parents=True, exist_ok=True)
        for place in range(max(0, nights - pages), nights):
            cutoff = FIRST + place * DAY
            places.report_file(cutoff).write_text(page_of(stamp(cutoff)), encoding="utf-8")
        return places

    return make


def loss_row(job: str, place: int, **others: Any) -> dict[str, Any]:
    """A row of `loss` of the night with this number."""
    return {
        "job": job, "evaluated_on": FIRST + place * DAY, "segment": "all", "loss": 0.13, "baseline_loss": 0.2,
        "coverage": 0.9, "n": 60, "statistic": 0.25, "threshold": 1.0, "state": "ok", **others,
    }  # fmt: skip


def page_of(name: str) -> str:
    """A page with a place for links, as the pages of nights have it."""
    return f"<!doctype html><title>{name}</title><body><!-- other pages --><!-- end of other pages --><h1>{name}</h1>"
