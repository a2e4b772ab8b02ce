"""Reads what past nights left: forecasts in bulk, and scores, losses, alerts, runs and models row by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing, nullcontext
from datetime import datetime
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from sql.engine.bulk import Column, Kind, select
from sql.engine.connection import adbc_connection, storage_errors
from sql.engine.statement import literal, quoted
from sql.output.quantile_columns import is_quantile_column
from sql.output.schema import UTCDateTime
from sql.output.tables import (
    alert,
    calibration,
    forecast,
    hindcast_loss,
    loss,
    model,
    promotion,
    publication,
    run,
    score,
)

Row = dict[str, Any]
ScoreKey = tuple[str, int, str]

# Texts are most of what a night weighs, and its figures are judged again night after night.
_POINTS = ("series_id", "step", "median", "baseline")

_KINDS: dict[Kind, pa.DataType] = {
    "text": pa.string(),
    "number": pa.float64(),
    "integer": pa.int32(),
    "timestamp": pa.timestamp("us", "UTC"),
}


def forecasts_between(engine: sa.Engine, job: str, first_timestamp: datetime, last_timestamp: datetime) -> pa.Table:
    """What every published night said about a span of time, both ends included.

    Returns:
        The columns of `forecast`, timestamps as timestamp[us, UTC], quantiles that a night did not
        have null; no rows where nothing was said.

    Raises:
        StorageError: where the database does not answer.
    """
    first, last = (literal(time, engine.dialect) for time in (first_timestamp, last_timestamp))
    return _forecasts(
        engine,
        job,
        # The nights first: they are few, and each is one stretch of the forecasts' key.
        f"AND p.last_timestamp >= {first} AND p.first_timestamp <= {last} AND f.timestamp BETWEEN {first} AND {last}",
    )


def forecast_of(engine: sa.Engine, job: str, cutoff: datetime) -> pa.Table:
    """One published night, in the columns of `forecasts_between`; no rows where there is none."""
    return _forecasts(engine, job, f"AND p.cutoff = {literal(cutoff, engine.dialect)}")


def figures_of(engine: sa.Engine, job: str, cutoff: datetime, last_step: int) -> pa.Table:
    """What it takes to judge one published night: `series_id`, `step`, `median`, `baseline` and the quantiles.

    At step 1 `model_version` says what forecast the series, null for the fallback; at other steps it is null.

    Args:
        engine: The output database.
        job: The job's name.
        cutoff: The night.
        last_step: Steps after it are left out.

    Raises:
        StorageError: where the database does not answer.
    """
    night = f"AND p.cutoff = {literal(cutoff, engine.dialect)} AND f.step <= {int(last_step)}"
    wanted = (*_POINTS, "model_version")
    once = {"model_version": "CASE WHEN f.step = 1 THEN f.model_version END"}
    return _forecasts(engine, job, night, lambda name: name in wanted or is_quantile_column(name), once)


def points_of(engine: sa.Engine, job: str, cutoff: datetime) -> pa.Table:
    """One published night's `series_id`, `step`, `median` and `baseline`; no rows where there is none."""
    night = f"AND p.cutoff = {literal(cutoff, engine.dialect)}"
    return _forecasts(engine, job, night, lambda name: name in _POINTS)


def latest_forecast(engine: sa.Engine, job: str) -> pa.Table:
    """The newest published night, in the columns of `forecasts_between`; no rows where there is none."""
    newest = f"SELECT MAX(cutoff) FROM publication WHERE job = {literal(job, engine.dialect)}"
    return _forecasts(engine, job, f"AND p.cutoff = ({newest})")


def _forecasts(
    engine: sa.Engine,
    job: str,
    condition: str,
    is_wanted: Callable[[str], bool] = lambda name: True,
    instead: Mapping[str, str] = MappingProxyType({}),
) -> pa.Table:
    """Columns of published nights under a condition, or what is to be read `instead` of some of them."""
    with storage_errors(engine.url, "read from"):
        names = [column["name"] for column in sa.inspect(engine).get_columns("forecast") if is_wanted(column["name"])]
        columns = [
            Column(instead.get(name) or f"f.{quoted(name, engine.dialect)}", name, _kind(name)) for name in names
        ]
        tail = (
            "FROM publication p JOIN forecast f ON f.job = p.job AND f.cutoff = p.cutoff "
            f"WHERE p.job = {literal(job, engine.dialect)} {condition}"
        )
        connection = adbc_connection(engine.url)
        with nullcontext() if connection is None else closing(connection):
            rows = select(connection, engine, columns, tail)
    return pa.table({column.name: _typed(rows[column.name], column.kind) for column in columns})


def _kind(name: str) -> Kind:
    if name not in forecast.c:
        return "number"
    column_type = forecast.c[name].type
    if isinstance(column_type, UTCDateTime):
        return "timestamp"
    if isinstance(column_type, sa.Double):
        return "number"
    return "integer" if isinstance(column_type, sa.Integer) else "text"


def _typed(column: pa.ChunkedArray, kind: Kind) -> pa.ChunkedArray:
    if kind == "timestamp" and pa.types.is_string(column.type):
        texts = column.dictionary_encode().unify_dictionaries()
        times = [chunk.dictionary.cast(pa.timestamp("us")).take(chunk.indices) for chunk in texts.chunks]
        column = pa.chunked_array(times, pa.timestamp("us"))
    return column.cast(_KINDS[kind])


def publications(engine: sa.Engine, job: str) -> list[Row]:
    """The nights of a job that were published, oldest cutoff first."""
    return _rows(engine, sa.select(publication).where(publication.c.job == job).order_by(publication.c.cutoff))


def publication_of(engine: sa.Engine, job: str, cutoff: datetime) -> Row | None:
    """The row of one published night; None where it is not published."""
    found = _rows(engine, sa.select(publication).where(publication.c.job == job, publication.c.cutoff == cutoff))
    return found[0] if found else None


def row_count(engine: sa.Engine, job: str, cutoff: datetime) -> int:
    """The number of rows of `forecast` that one night has now."""
    count = sa.select(sa.func.count().label("rows")).select_from(forecast)
    return int(_rows(engine, count.where(forecast.c.job == job, forecast.c.cutoff == cutoff))[0]["rows"])


def scores(
    engine: sa.Engine, job: str, cutoff: datetime | None = None, segment: str | None = None, metric: str | None = None
) -> list[Row]:
    """Realised scores, by cutoff, segment, step and metric; of all of them where one is left out."""
    query = sa.select(score).where(score.c.job == job)
    for column, wanted in ((score.c.cutoff, cutoff), (score.c.segment, segment), (score.c.metric, metric)):
        if wanted is not None:
            query = query.where(column == wanted)
    return _rows(engine, query.order_by(score.c.cutoff, score.c.segment, score.c.step, score.c.metric))


def scores_of(engine: sa.Engine, job: str, cutoff: datetime) -> dict[ScoreKey, tuple[Any, ...]]:
    """One night's scores: value, baseline_value, n and model_version under segment, step and metric."""
    query = sa.select(
        score.c.segment, score.c.step, score.c.metric,
        score.c.value, score.c.baseline_value, score.c.n, score.c.model_version,
    ).where(score.c.job == job, score.c.cutoff == cutoff)  # fmt: skip
    with storage_errors(engine.url, "read from"), engine.connect() as connection:
        return {row[:3]: row[3:] for row in map(tuple, connection.execute(query))}


def losses(engine: sa.Engine, job: str, segment: str | None = None) -> list[Row]:
    """The loss of each night, oldest first; of all segments where none is named."""
    query = sa.select(loss).where(loss.c.job == job)
    if segment is not None:
        query = query.where(loss.c.segment == segment)
    return _rows(engine, query.order_by(loss.c.evaluated_on, loss.c.segment))


def backtest_losses(engine: sa.Engine, job: str) -> list[Row]:
    """What the nights before the first one would have lost, oldest first."""
    query = sa.select(hindcast_loss).where(hindcast_loss.c.job == job)
    return _rows(engine, query.order_by(hindcast_loss.c.evaluated_on, hindcast_loss.c.segment))


def calibration_evidence(engine: sa.Engine, job: str, before: datetime) -> bytes | None:
    """What was known of how forecasts had covered by the end of the newest night before one; None where nothing."""
    mine = calibration.c.job == job, calibration.c.cutoff < before, calibration.c.coverage_evidence.is_not(None)
    newest = sa.select(calibration.c.coverage_evidence).where(*mine).order_by(calibration.c.cutoff.desc()).limit(1)
    found = _rows(engine, newest)
    return found[0]["coverage_evidence"] if found else None


def applied_calibration(engine: sa.Engine, job: str, cutoff: datetime) -> bytes | None:
    """What a night's quantiles were calibrated by; None where nothing was kept."""
    mine = calibration.c.job == job, calibration.c.cutoff == cutoff
    found = _rows(engine, sa.select(calibration.c.applied_calibration).where(*mine))
    return found[0]["applied_calibration"] if found else None


def champion(engine: sa.Engine, job: str) -> Row | None:
    """The model version that forecasts, where one was promoted."""
    rows = _rows(engine, sa.select(model).where(model.c.job == job, model.c.stage == "champion"))
    return rows[0] if rows else None


def models(engine: sa.Engine, job: str) -> list[Row]:
    """All model versions of a job, newest first."""
    query = sa.select(model).where(model.c.job == job)
    return _rows(engine, query.order_by(model.c.created_at.desc(), model.c.version.desc()))


def promotions(engine: sa.Engine, job: str, version: str | None = None) -> list[Row]:
    """What is known of challengers, oldest evaluation first; of all versions where none is named."""
    query = sa.select(promotion).where(promotion.c.job == job)
    if version is not None:
        query = query.where(promotion.c.version == version)
    return _rows(engine, query.order_by(promotion.c.evaluated_on, promotion.c.held_out.desc(), promotion.c.version))


def runs(engine: sa.Engine, job: str) -> list[Row]:
    """All runs of a job, newest first."""
    return _rows(engine, sa.select(run).where(run.c.job == job).order_by(run.c.started_at.desc(), run.c.run_id))


def alerts(engine: sa.Engine, job: str) -> list[Row]:
    """All alerts of a job, newest first."""
    query = sa.select(alert).where(alert.c.job == job)
    return _rows(engine, query.order_by(alert.c.opened_at.desc(), alert.c.segment, alert.c.signal))


def open_alerts(engine: sa.Engine, job: str) -> list[Row]:
    """The alerts of a job that are not closed, newest first; an acknowledged one is among them."""
    return [row for row in alerts(engine, job) if row["state"] != "closed"]


def _rows(engine: sa.Engine, query: sa.Select[Any]) -> list[Row]:
    with storage_errors(engine.url, "read from"), engine.connect() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]
