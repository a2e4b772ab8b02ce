"""Reads the output tables: forecasts in bulk, and scores, losses, alerts, runs and models row by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing, nullcontext
from datetime import datetime
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from sql.engine.bulk import Column, Kind, select, typed
from sql.engine.connection import adbc_connection, storage_errors
from sql.engine.patience import patiently
from sql.engine.statement import literal, quoted
from sql.output.quantile_columns import is_quantile_column
from sql.output.schema import LocalDateTime, UTCDateTime
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

# Every night evaluates the figures of past nights again, so it reads them without the texts, which need most space.
_POINTS = ("series_id", "step", "median", "baseline")

_KINDS: dict[Kind, pa.DataType] = {
    "text": pa.string(),
    "number": pa.float64(),
    "integer": pa.int32(),
    "timestamp": pa.timestamp("us", "UTC"),
}
# Times that a clock shows have no zone.
_TYPES = {"local_time": pa.timestamp("us")}


def forecasts_between(engine: sa.Engine, job: str, first_timestamp: datetime, last_timestamp: datetime) -> pa.Table:
    """The forecasts of all published nights for a range of time, both ends included.

    Returns:
        The columns of `forecast`; timestamps are timestamp[us, UTC], and quantiles that a night did not
        forecast are null. No rows where no night forecast this time.

    Raises:
        StorageError: where the database does not answer.
    """
    first, last = (literal(time, engine.dialect) for time in (first_timestamp, last_timestamp))
    return _forecasts(
        engine,
        job,
        # Start from the nights: they are few, and each is one range of the key of `forecast`.
        f"AND p.last_timestamp >= {first} AND p.first_timestamp <= {last} AND f.timestamp BETWEEN {first} AND {last}",
    )


def forecast_of(engine: sa.Engine, job: str, cutoff: datetime) -> pa.Table:
    """One published night, in the columns of `forecasts_between`; no rows where it is not published."""
    return _forecasts(engine, job, f"AND p.cutoff = {literal(cutoff, engine.dialect)}")


def figures_of(engine: sa.Engine, job: str, cutoff: datetime, last_step: int) -> pa.Table:
    """What the evaluation of a published night needs: `series_id`, `step`, `median`, `baseline` and the quantiles.

    `model_version` is that of the series at step 1, null for the fallback, and null at all other steps.

    Args:
        engine: The output database.
        job: The job's name.
        cutoff: The night.
        last_step: Last step to read.

    Raises:
        StorageError: where the database does not answer.
    """
    night = f"AND p.cutoff = {literal(cutoff, engine.dialect)} AND f.step <= {int(last_step)}"
    wanted = (*_POINTS, "model_version")
    only_once = {"model_version": "CASE WHEN f.step = 1 THEN f.model_version END"}
    return _forecasts(engine, job, night, lambda name: name in wanted or is_quantile_column(name), only_once)


def points_of(engine: sa.Engine, job: str, cutoff: datetime) -> pa.Table:
    """`series_id`, `step`, `median` and `baseline` of a published night; no rows where it is not published."""
    night = f"AND p.cutoff = {literal(cutoff, engine.dialect)}"
    return _forecasts(engine, job, night, lambda name: name in _POINTS)


def series_ids_of(engine: sa.Engine, job: str, cutoff: datetime) -> list[str]:
    """The ids of the series of a published night, sorted as the database sorts; none where it is not published."""
    night = f"AND p.cutoff = {literal(cutoff, engine.dialect)} AND f.step = 1"
    found: list[str] = _forecasts(engine, job, night, lambda name: name == "series_id")["series_id"].to_pylist()
    return found


def forecasts_of_series(
    engine: sa.Engine, job: str, series_id: str, first_cutoff: datetime, last_cutoff: datetime
) -> pa.Table:
    """What the published nights between two cutoffs, both included, forecast for one series.

    Returns:
        The columns of `forecasts_between`, by cutoff and step; no rows where no night forecast the series.
    """
    first, last, name = (literal(each, engine.dialect) for each in (first_cutoff, last_cutoff, series_id))
    condition = f"AND p.cutoff BETWEEN {first} AND {last} AND f.series_id = {name}"
    return _forecasts(engine, job, condition).sort_by([("cutoff", "ascending"), ("step", "ascending")])


def latest_forecast(engine: sa.Engine, job: str) -> pa.Table:
    """The newest published night, in the columns of `forecasts_between`; no rows where no night is published."""
    newest = f"SELECT MAX(cutoff) FROM publication WHERE job = {literal(job, engine.dialect)}"
    return _forecasts(engine, job, f"AND p.cutoff = ({newest})")


@patiently
def _forecasts(
    engine: sa.Engine,
    job: str,
    condition: str,
    is_wanted: Callable[[str], bool] = lambda name: True,
    expressions: Mapping[str, str] = MappingProxyType({}),
) -> pa.Table:
    """Columns of published nights under a condition; `expressions` replace some of the columns."""
    with storage_errors(engine.url, "read from"):
        names = [column["name"] for column in sa.inspect(engine).get_columns("forecast") if is_wanted(column["name"])]
        columns = [
            Column(expressions.get(name) or f"f.{quoted(name, engine.dialect)}", name, _kind(name)) for name in names
        ]
        tail = (
            "FROM publication p JOIN forecast f ON f.job = p.job AND f.cutoff = p.cutoff "
            f"WHERE p.job = {literal(job, engine.dialect)} {condition}"
        )
        connection = adbc_connection(engine.url)
        with nullcontext() if connection is None else closing(connection):
            rows = select(connection, engine, columns, tail)
    return pa.table({column.name: typed(rows[column.name], _arrow_type(column)) for column in columns})


def _kind(name: str) -> Kind:
    if name not in forecast.c:
        return "number"
    column_type = forecast.c[name].type
    if isinstance(column_type, UTCDateTime | LocalDateTime):
        return "timestamp"
    if isinstance(column_type, sa.Double):
        return "number"
    return "integer" if isinstance(column_type, sa.Integer) else "text"


def _arrow_type(column: Column) -> pa.DataType:
    return _TYPES.get(column.name, _KINDS[column.kind])


def publications(engine: sa.Engine, job: str) -> list[Row]:
    """The published nights of a job, oldest cutoff first."""
    return _rows(engine, sa.select(publication).where(publication.c.job == job).order_by(publication.c.cutoff))


def publication_of(engine: sa.Engine, job: str, cutoff: datetime) -> Row | None:
    """The row of one published night; None where it is not published."""
    found = _rows(engine, sa.select(publication).where(publication.c.job == job, publication.c.cutoff == cutoff))
    return found[0] if found else None


def row_count(engine: sa.Engine, job: str, cutoff: datetime) -> int:
    """The number of rows of `forecast` of one night."""
    count = sa.select(sa.func.count().label("rows")).select_from(forecast)
    return int(_rows(engine, count.where(forecast.c.job == job, forecast.c.cutoff == cutoff))[0]["rows"])


def scores(
    engine: sa.Engine, job: str, cutoff: datetime | None = None, segment: str | None = None, metric: str | None = None
) -> list[Row]:
    """Scores, ordered by cutoff, segment, step and metric; an argument of None selects all."""
    query = sa.select(score).where(score.c.job == job)
    for column, wanted in ((score.c.cutoff, cutoff), (score.c.segment, segment), (score.c.metric, metric)):
        if wanted is not None:
            query = query.where(column == wanted)
    return _rows(engine, query.order_by(score.c.cutoff, score.c.segment, score.c.step, score.c.metric))


@patiently
def scores_of(engine: sa.Engine, job: str, cutoff: datetime) -> dict[ScoreKey, tuple[Any, ...]]:
    """The scores of a night: (segment, step, metric) to (value, baseline_value, n, model_version)."""
    query = sa.select(
        score.c.segment, score.c.step, score.c.metric,
        score.c.value, score.c.baseline_value, score.c.n, score.c.model_version,
    ).where(score.c.job == job, score.c.cutoff == cutoff)  # fmt: skip
    with storage_errors(engine.url, "read from"), engine.connect() as connection:
        return {row[:3]: row[3:] for row in map(tuple, connection.execute(query))}


def losses(engine: sa.Engine, job: str, segment: str | None = None) -> list[Row]:
    """The losses of each evaluation, oldest first; of all segments if none is named."""
    query = sa.select(loss).where(loss.c.job == job)
    if segment is not None:
        query = query.where(loss.c.segment == segment)
    return _rows(engine, query.order_by(loss.c.evaluated_on, loss.c.segment))


def hindcast_losses(engine: sa.Engine, job: str) -> list[Row]:
    """The losses of the evaluations before the first night, oldest first."""
    query = sa.select(hindcast_loss).where(hindcast_loss.c.job == job)
    return _rows(engine, query.order_by(hindcast_loss.c.evaluated_on, hindcast_loss.c.segment))


def calibration_evidence(engine: sa.Engine, job: str, before: datetime) -> bytes | None:
    """The coverage evidence of the newest night before a moment, as `.npz`; None where there is none."""
    known = calibration.c.job == job, calibration.c.cutoff < before, calibration.c.coverage_evidence.is_not(None)
    newest = sa.select(calibration.c.coverage_evidence).where(*known).order_by(calibration.c.cutoff.desc()).limit(1)
    found = _rows(engine, newest)
    return found[0]["coverage_evidence"] if found else None


def applied_calibration(engine: sa.Engine, job: str, cutoff: datetime) -> bytes | None:
    """The calibration that a night applied to its quantiles, as `.npz`; None where it stored none."""
    night = calibration.c.job == job, calibration.c.cutoff == cutoff
    found = _rows(engine, sa.select(calibration.c.applied_calibration).where(*night))
    return found[0]["applied_calibration"] if found else None


def champion(engine: sa.Engine, job: str) -> Row | None:
    """The row of the champion; None where no version was promoted."""
    rows = _rows(engine, sa.select(model).where(model.c.job == job, model.c.stage == "champion"))
    return rows[0] if rows else None


def models(engine: sa.Engine, job: str) -> list[Row]:
    """All model versions of a job, newest first."""
    query = sa.select(model).where(model.c.job == job)
    return _rows(engine, query.order_by(model.c.created_at.desc(), model.c.version.desc()))


def promotions(engine: sa.Engine, job: str, version: str | None = None) -> list[Row]:
    """The comparisons of challengers with the champion, oldest first; of all versions if none is named."""
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
    """The alerts of a job that are not closed, newest first; acknowledged ones are included."""
    return [row for row in alerts(engine, job) if row["state"] != "closed"]


@patiently
def _rows(engine: sa.Engine, query: sa.Select[Any]) -> list[Row]:
    with storage_errors(engine.url, "read from"), engine.connect() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]
