"""Writes scores, losses, alerts, runs and model versions. Every write but `rollback` can be repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from sql.engine.connection import describe, storage_errors, transaction
from sql.engine.patience import patiently
from sql.errors import SourceError, StorageError
from sql.output.publish import publish_forecast
from sql.output.tables import alert, calibration, hindcast_loss, loss, model, promotion, run, score
from sql.output.upsert import Row, plain, upsert, write_rows

__all__ = [
    "RunEnd", "add_model", "drop_scores", "finish_run", "mark_crashed", "promote", "publish_forecast", "retire",
    "rollback", "start_run", "upsert_alerts", "upsert_calibration", "upsert_hindcast_losses", "upsert_losses",
    "upsert_promotions", "upsert_scores",
]  # fmt: skip

RunEnd = Literal["completed", "unchanged", "skipped", "failed", "interrupted"]


def upsert_scores(engine: sa.Engine, rows: Sequence[Row]) -> int:
    """Write rows of `score`, in one transaction; see `upsert`."""
    return upsert(engine, score, rows)


@patiently
def drop_scores(engine: sa.Engine, job: str, cutoff: datetime, segments: Sequence[str]) -> None:
    """Delete the scores of some segments of one night. Without segments the database is not asked."""
    if segments:
        night = score.c.job == job, score.c.cutoff == cutoff
        with transaction(engine) as connection:
            connection.execute(score.delete().where(*night, score.c.segment.in_(segments)))


def upsert_losses(engine: sa.Engine, rows: Sequence[Row]) -> int:
    """Write rows of `loss`, in one transaction; see `upsert`. Rows that differ only in `run_id` stay as they are."""
    return upsert(engine, loss, _changed(engine, rows))


def upsert_hindcast_losses(engine: sa.Engine, rows: Sequence[Row]) -> int:
    """Write rows of `hindcast_loss`, in one transaction; see `upsert`."""
    return upsert(engine, hindcast_loss, rows)


def upsert_calibration(engine: sa.Engine, row: Row) -> int:
    """Write a row of `calibration`, or one column of it; see `upsert`."""
    return upsert(engine, calibration, [row])


def upsert_promotions(engine: sa.Engine, rows: Sequence[Row]) -> int:
    """Write rows of `promotion`, in one transaction; see `upsert`."""
    return upsert(engine, promotion, rows)


def upsert_alerts(engine: sa.Engine, rows: Sequence[Row]) -> int:
    """Write rows of `alert`, in one transaction; see `upsert`."""
    return upsert(engine, alert, rows)


@patiently
def _changed(engine: sa.Engine, rows: Sequence[Row]) -> list[Row]:
    """The rows of `loss` that differ from the stored ones in more than `run_id`."""
    nights = {(row["job"], row["evaluated_on"]) for row in rows}
    conditions = [sa.and_(loss.c.job == job, loss.c.evaluated_on == night) for job, night in nights]
    stored = sa.select(loss).where(sa.or_(sa.false(), *conditions))
    with storage_errors(engine.url, "read from"), engine.connect() as connection:
        before = {
            (row["job"], row["evaluated_on"], row["segment"]): dict(row)
            for row in connection.execute(stored).mappings()
        }
    return [row for row in rows if _differs(row, before.get((row["job"], row["evaluated_on"], row["segment"])))]


def _differs(row: Row, before: Row | None) -> bool:
    return before is None or any(plain(row[name]) != before[name] for name in row if name != "run_id")


def start_run(
    engine: sa.Engine, run_id: str, job: str, cutoff: datetime, started_at: datetime, kind: str = "nightly"
) -> None:
    """Record that a run began: of a whole night (`kind` is nightly), or of a part of one.

    Raises:
        StorageError: where the database refuses.
    """
    # A run that is repeated under its own name must not keep its first error.
    started = {
        "job": job, "cutoff": cutoff, "started_at": started_at, "state": "running", "finished_at": None, "error": None,
        "note": None, "kind": kind,
    }  # fmt: skip
    upsert(engine, run, [{"run_id": run_id, **started}])


@patiently
def finish_run(engine: sa.Engine, run_id: str, state: RunEnd, finished_at: datetime, **facts: Any) -> None:
    """Record how a run ended.

    Args:
        engine: The output database.
        run_id: As given to `start_run`.
        state: How it ended.
        finished_at: When it ended.
        **facts: Further columns of `run`: train_mode, train_reason, model_version, rows_read, series,
            fallback_series, seconds (of each stage), error, report, note.

    Raises:
        ValueError: for a column that `run` does not have.
        StorageError: where no such run began, or the database refuses.
    """
    if unknown := set(facts) - set(run.c.keys()):
        raise ValueError(f"The table run has no columns {sorted(unknown)}.")
    values = {name: plain(value) for name, value in facts.items()} | {"state": state, "finished_at": finished_at}
    with transaction(engine) as connection:
        if not connection.execute(run.update().where(run.c.run_id == run_id).values(values)).rowcount:
            raise StorageError(
                f"There is no run {run_id!r} in {describe(engine.url)} to finish. Somebody may have deleted its row."
            )


@patiently
def mark_crashed(engine: sa.Engine, job: str, found_at: datetime) -> list[dict[str, Any]]:
    """Mark the runs of a job that are still `running` as crashed. Call it only while holding the job's lock.

    The time of the crash is unknown, so `finished_at` stays NULL.

    Returns:
        Their rows of `run`, as they were before.
    """
    running = run.c.job == job, run.c.state == "running"
    error = f"The process ended without a message, as if it was killed. Noticed at {found_at:%Y-%m-%d %H:%M:%S %Z}."
    with transaction(engine) as connection:
        dead = [dict(row) for row in connection.execute(sa.select(run).where(*running)).mappings()]
        connection.execute(run.update().where(*running).values(state="crashed", error=error))
    return dead


@patiently
def add_model(
    engine: sa.Engine,
    job: str,
    version: str,
    created_at: datetime,
    trained_until: datetime,
    uri: str,
    digest: str,
    metrics: Mapping[str, Any] | None = None,
) -> None:
    """Register a version of a job's model, as a challenger. A version that exists stays as it is.

    Raises:
        StorageError: where the job already has this version with another digest, or the database refuses.
    """
    row = {
        "job": job, "version": version, "created_at": created_at, "trained_until": trained_until, "uri": uri,
        "digest": digest, "metrics": {key: plain(value) for key, value in (metrics or {}).items()},
        "stage": "challenger",
    }  # fmt: skip
    with transaction(engine) as connection:
        write_rows(connection, model, [row], overwrite=[])
        if connection.scalar(sa.select(model.c.digest).where(_is_version(job, version))) != digest:
            raise StorageError(
                f"The job {job!r} already has a model version {version!r} in {describe(engine.url)}, with other files. "
                "A version never changes. Give the new one another name."
            )


@patiently
def promote(
    engine: sa.Engine,
    job: str,
    version: str,
    promoted_at: datetime,
    *,
    served_from: datetime | None = None,
    reason: str | None = None,
) -> None:
    """Make a version the champion, and retire the champion before it.

    Args:
        engine: The output database.
        job: The job's name.
        version: The version.
        promoted_at: When.
        served_from: First cutoff that it forecasts; None for every cutoff after its training.
        reason: Why, in words.

    Raises:
        SourceError: where the job has no such version; names those that it has.
    """
    with transaction(engine) as connection:
        # Without these row locks, two promotions at once could leave two champions.
        versions = connection.scalars(
            sa.select(model.c.version).where(model.c.job == job).order_by(model.c.created_at).with_for_update()
        ).all()
        if version not in versions:
            known = ", ".join(versions[-10:]) or "none yet"
            raise SourceError(
                f"The job {job!r} has no model version {version!r} in {describe(engine.url)}. It has: {known}."
            )
        values = {"promoted_at": promoted_at, "served_from": served_from, "reason": reason}
        _make_champion(connection, job, version, values, f"{version} took its place")


@patiently
def retire(engine: sa.Engine, job: str, version: str, reason: str) -> None:
    """Retire a challenger, with the reason; a version that is not a challenger stays as it is."""
    challenger = sa.and_(_is_version(job, version), model.c.stage == "challenger")
    with transaction(engine) as connection:
        connection.execute(model.update().where(challenger).values(stage="retired", reason=reason))


def rollback(engine: sa.Engine, job: str, at: datetime | None = None) -> str:
    """Make the previous champion the champion again; a second rollback goes one further back.

    The present champion loses its `promoted_at`, so no later rollback returns to it. The `reason` of both versions
    says what happened, with the time if `at` is given.

    Returns:
        The version that is champion now.

    Raises:
        SourceError: where there is no previous champion.
    """
    with transaction(engine) as connection:
        promoted = connection.execute(
            sa.select(model.c.version, model.c.stage)
            .where(model.c.job == job, model.c.promoted_at.is_not(None))
            .order_by(model.c.promoted_at, model.c.created_at)
            .with_for_update()
        ).all()
        current = next((i for i, row in enumerate(promoted) if row.stage == "champion"), 0)
        if current == 0:
            raise SourceError(
                f"The job {job!r} has no earlier champion in {describe(engine.url)} to return to. "
                "Promote a version by its name instead."
            )
        version: str = promoted[current - 1].version
        # The version keeps its own promotion time, so that the next rollback goes one further back.
        rolled_back, when = promoted[current].version, f" on {at:%Y-%m-%d %H:%M} UTC" if at else ""
        values = {"reason": f"champion again: {rolled_back} was rolled back{when}"}
        _make_champion(connection, job, version, values, f"rolled back{when}")
        connection.execute(model.update().where(_is_version(job, rolled_back)).values(promoted_at=None))
        return version


def _is_version(job: str, version: str) -> sa.ColumnElement[bool]:
    return sa.and_(model.c.job == job, model.c.version == version)


def _make_champion(
    connection: sa.Connection, job: str, version: str, values: dict[str, Any], reason_for_former: str | None = None
) -> None:
    former = sa.and_(model.c.job == job, model.c.stage == "champion", model.c.version != version)
    connection.execute(model.update().where(former).values(stage="retired", reason=reason_for_former))
    connection.execute(model.update().where(_is_version(job, version)).values(stage="champion", **values))
