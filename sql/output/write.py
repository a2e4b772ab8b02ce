"""Writes everything small: scores, losses, alerts, runs and model versions. Each write can be repeated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from sql.engine.connection import describe, storage_errors, transaction
from sql.errors import SourceError, StorageError
from sql.output.publish import publish_forecast
from sql.output.tables import alert, calibration, hindcast_loss, loss, model, promotion, run, score

__all__ = [
    "RunEnd", "add_model", "drop_scores", "finish_run", "mark_crashed", "promote", "publish_forecast", "retire",
    "rollback", "start_run", "upsert_alerts", "upsert_backtest_losses", "upsert_calibration", "upsert_losses",
    "upsert_promotions", "upsert_scores",
]  # fmt: skip

Row = Mapping[str, Any]
RunEnd = Literal["completed", "unchanged", "skipped", "failed"]


def upsert_scores(engine: sa.Engine, rows: Sequence[Row]) -> int:
    """Write rows of `score`, in one transaction; see `upsert`."""
    return upsert(engine, score, rows)


def drop_scores(engine: sa.Engine, job: str, cutoff: datetime, segments: Sequence[str]) -> None:
    """Delete one night's rows of `score` of some segments; nothing is asked of the database where there are none."""
    if segments:
        night = score.c.job == job, score.c.cutoff == cutoff
        with transaction(engine) as connection:
            connection.execute(score.delete().where(*night, score.c.segment.in_(segments)))


def upsert_losses(engine: sa.Engine, rows: Sequence[Row]) -> int:
    """Write rows of `loss`, in one transaction; see `upsert`. What only another run says again stays as it is."""
    return upsert(engine, loss, _news(engine, rows))


def upsert_backtest_losses(engine: sa.Engine, rows: Sequence[Row]) -> int:
    """Write rows of `hindcast_loss`, in one transaction; see `upsert`."""
    return upsert(engine, hindcast_loss, rows)


def upsert_calibration(engine: sa.Engine, row: Row) -> int:
    """Write a row of `calibration`, or a column of one; see `upsert`."""
    return upsert(engine, calibration, [row])


def upsert_promotions(engine: sa.Engine, rows: Sequence[Row]) -> int:
    """Write rows of `promotion`, in one transaction; see `upsert`."""
    return upsert(engine, promotion, rows)


def upsert_alerts(engine: sa.Engine, rows: Sequence[Row]) -> int:
    """Write rows of `alert`, in one transaction; see `upsert`."""
    return upsert(engine, alert, rows)


def upsert(engine: sa.Engine, table: sa.Table, rows: Sequence[Row]) -> int:
    """Insert rows; where a row of the same key exists, its named columns are overwritten.

    Args:
        engine: The output database, migrated.
        table: One of `sql.output.tables`.
        rows: Column name to value; NaN is written as NULL. Columns that are left out keep what they hold.

    Returns:
        The number of rows.

    Raises:
        ValueError: for a column that the table does not have, or a key column that is left out.
        StorageError: where the database refuses; nothing is then written.
    """
    keys = [column.name for column in table.primary_key]
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        unknown, missing = set(row) - set(table.c.keys()), set(keys) - set(row)
        if unknown or missing:
            raise ValueError(
                f"A row of {table.name} has unknown columns {sorted(unknown)} and lacks keys {sorted(missing)}."
            )
        groups.setdefault(tuple(sorted(row)), []).append({name: _plain(value) for name, value in row.items()})
    if not groups:
        return 0
    with transaction(engine) as connection:
        for names, group in groups.items():
            _upsert(connection, table, keys, [name for name in names if name not in keys], group)
    return len(rows)


def _news(engine: sa.Engine, rows: Sequence[Row]) -> list[Row]:
    """The rows of `loss` that say something else than the stored ones, but for the run that says it."""
    nights = {(row["job"], row["evaluated_on"]) for row in rows}
    conditions = [sa.and_(loss.c.job == job, loss.c.evaluated_on == night) for job, night in nights]
    stored = sa.select(loss).where(sa.or_(sa.false(), *conditions))
    with storage_errors(engine.url, "read from"), engine.connect() as connection:
        before = {
            (row["job"], row["evaluated_on"], row["segment"]): dict(row)
            for row in connection.execute(stored).mappings()
        }
    return [row for row in rows if not _says_again(row, before.get((row["job"], row["evaluated_on"], row["segment"])))]


def _says_again(row: Row, before: Mapping[str, Any] | None) -> bool:
    return before is not None and all(_plain(row[name]) == before[name] for name in row if name != "run_id")


def _plain(value: Any) -> Any:
    """NumPy scalars as Python ones, and NaN, which means not known, as None."""
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value


def _upsert(
    connection: sa.Connection, table: sa.Table, keys: list[str], others: list[str], rows: list[dict[str, Any]]
) -> None:
    if connection.dialect.name in ("sqlite", "postgresql"):
        insert: Any = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
        if others:
            newer = {name: insert.excluded[name] for name in others}
            insert = insert.on_conflict_do_update(index_elements=keys, set_=newer)
        else:
            insert = insert.on_conflict_do_nothing()
        connection.execute(insert, rows)
        return
    for row in rows:
        here = sa.and_(*(table.c[key] == row[key] for key in keys))
        exists = connection.execute(sa.select(sa.func.count()).select_from(table).where(here)).scalar_one()
        if not exists:
            connection.execute(table.insert(), row)
        elif others:
            connection.execute(table.update().where(here).values({name: row[name] for name in others}))


def start_run(
    engine: sa.Engine, run_id: str, job: str, cutoff: datetime, started_at: datetime, kind: str = "nightly"
) -> None:
    """Note that a run began, of a whole night or of a part of it (`kind`)."""
    # A run that is tried again under its own name leaves its first error behind.
    started = {
        "job": job, "cutoff": cutoff, "started_at": started_at, "state": "running", "finished_at": None, "error": None,
        "note": None, "kind": kind,
    }  # fmt: skip
    upsert(engine, run, [{"run_id": run_id, **started}])


def finish_run(engine: sa.Engine, run_id: str, state: RunEnd, finished_at: datetime, **facts: Any) -> None:
    """Note how a run ended.

    Args:
        engine: The output database.
        run_id: As given to `start_run`.
        state: Whether it did its work.
        finished_at: When.
        **facts: Further columns of `run`: train_mode, train_reason, model_version, rows_read, series,
            fallback_series, seconds (of each stage), error, report, note.

    Raises:
        ValueError: for a column that `run` does not have.
        StorageError: where no such run began.
    """
    if unknown := set(facts) - set(run.c.keys()):
        raise ValueError(f"The table run has no columns {sorted(unknown)}.")
    values = {name: _plain(value) for name, value in facts.items()} | {"state": state, "finished_at": finished_at}
    with transaction(engine) as connection:
        if not connection.execute(run.update().where(run.c.run_id == run_id).values(values)).rowcount:
            raise StorageError(f"There is no run {run_id!r} in {describe(engine.url)} to finish.")


def mark_crashed(engine: sa.Engine, job: str, found_at: datetime) -> list[dict[str, Any]]:
    """Note that the runs of a job that are said to be running are dead; for whoever alone may run it.

    When they died nobody knows: they have no `finished_at`.

    Returns:
        Their rows of `run`.
    """
    ours = run.c.job == job, run.c.state == "running"
    error = f"It ended without a word, as a process that is killed does; found at {found_at:%Y-%m-%d %H:%M:%S %Z}."
    with transaction(engine) as connection:
        dead = [dict(row) for row in connection.execute(sa.select(run).where(*ours)).mappings()]
        connection.execute(run.update().where(*ours).values(state="crashed", error=error))
    return dead


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
        StorageError: where the job has that version already, with another digest.
    """
    row = {
        "job": job, "version": version, "created_at": created_at, "trained_until": trained_until, "uri": uri,
        "digest": digest, "metrics": {key: _plain(value) for key, value in (metrics or {}).items()},
        "stage": "challenger",
    }  # fmt: skip
    with transaction(engine) as connection:
        _upsert(connection, model, [column.name for column in model.primary_key], [], [row])
        if connection.scalar(sa.select(model.c.digest).where(_is_version(job, version))) != digest:
            raise StorageError(
                f"Version {version!r} of the model of job {job!r} is already in {describe(engine.url)}, and versions "
                "do not change; give the new one another name."
            )


def promote(
    engine: sa.Engine,
    job: str,
    version: str,
    promoted_at: datetime,
    *,
    served_from: datetime | None = None,
    reason: str | None = None,
) -> None:
    """Make a version the champion; the one before it is retired.

    Args:
        engine: The output database.
        job: The job's name.
        version: The version.
        promoted_at: When.
        served_from: The first cutoff that it forecasts from; None for every one that it has not learnt from.
        reason: Why, in words.

    Raises:
        SourceError: where the job has no such version; names those it has.
    """
    with transaction(engine) as connection:
        # Locked: two promotions at once would otherwise each retire the old champion, and leave two.
        versions = connection.scalars(
            sa.select(model.c.version).where(model.c.job == job).order_by(model.c.created_at).with_for_update()
        ).all()
        if version not in versions:
            known = ", ".join(versions[-10:]) or "none yet"
            raise SourceError(
                f"The job {job!r} has no model version {version!r} in {describe(engine.url)}; it has: {known}."
            )
        values = {"promoted_at": promoted_at, "served_from": served_from, "reason": reason}
        _make_champion(connection, job, version, values, f"{version} took its place")


def retire(engine: sa.Engine, job: str, version: str, reason: str) -> None:
    """Let a challenger go, and say why; nothing happens to a version that is none."""
    challenger = sa.and_(_is_version(job, version), model.c.stage == "challenger")
    with transaction(engine) as connection:
        connection.execute(model.update().where(challenger).values(stage="retired", reason=reason))


def rollback(engine: sa.Engine, job: str, at: datetime | None = None) -> str:
    """Make the champion before the present one the champion again; a second time goes further back.

    The version that is left is no former champion from then on: it has no `promoted_at` any more, and
    no later rollback comes back to it. Both say what happened to them in `reason`, and when if `at` is given.

    Returns:
        The version that is champion now.

    Raises:
        SourceError: where there was none before.
    """
    with transaction(engine) as connection:
        promoted = connection.execute(
            sa.select(model.c.version, model.c.stage)
            .where(model.c.job == job, model.c.promoted_at.is_not(None))
            .order_by(model.c.promoted_at, model.c.created_at)
            .with_for_update()
        ).all()
        champion = next((i for i, row in enumerate(promoted) if row.stage == "champion"), 0)
        if champion == 0:
            raise SourceError(
                f"The job {job!r} has no earlier champion in {describe(engine.url)} to go back to. "
                "Promote a version by its name instead."
            )
        version: str = promoted[champion - 1].version
        # It keeps the time of its own promotion: so the next rollback goes on to the one before it.
        left, when = promoted[champion].version, f" on {at:%Y-%m-%d %H:%M} UTC" if at else ""
        _make_champion(
            connection, job, version, {"reason": f"champion again: {left} was rolled back{when}"}, f"rolled back{when}"
        )
        connection.execute(model.update().where(_is_version(job, left)).values(promoted_at=None))
        return version


def _is_version(job: str, version: str) -> sa.ColumnElement[bool]:
    return sa.and_(model.c.job == job, model.c.version == version)


def _make_champion(
    connection: sa.Connection, job: str, version: str, values: dict[str, Any], left: str | None = None
) -> None:
    former = sa.and_(model.c.job == job, model.c.stage == "champion", model.c.version != version)
    connection.execute(model.update().where(former).values(stage="retired", reason=left))
    connection.execute(model.update().where(_is_version(job, version)).values(stage="champion", **values))
