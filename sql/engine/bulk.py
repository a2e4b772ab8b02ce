"""Many rows at once, as Arrow: over ADBC if the database has a driver, else over SQLAlchemy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import date, datetime, time
from typing import Any, Literal, NamedTuple

import adbc_driver_manager.dbapi
import pyarrow as pa
import sqlalchemy as sa

from sql.engine.statement import quoted
from sql.engine.storable import storable

Kind = Literal["text", "number", "integer", "timestamp"]

_BATCH_ROWS = 50_000
# SQLite has types per value, not per column, and its driver derives the types of a result from the
# first rows. So a query begins with an artificial row of the right types, which is dropped again.
_TYPING_ROW: dict[Kind, str] = {"text": "''", "number": "0.5", "integer": "0", "timestamp": "''"}


class Column(NamedTuple):
    """A column to read: an SQL expression, the name of the result column, and the kind of its values."""

    expression: str
    name: str
    kind: Kind


class TextAmongNumbers(Exception):
    """A column that was read as numbers holds text. Read it as text to see which."""


def select(
    connection: adbc_driver_manager.dbapi.Connection | None, engine: sa.Engine, columns: Sequence[Column], tail: str
) -> pa.Table:
    """The rows of `SELECT columns tail`, in the types of the database.

    Args:
        connection: A connection over ADBC, which stays open; None for a database without an ADBC driver.
        engine: The same database.
        columns: What to read.
        tail: SQL from `FROM` on, with literals filled in.

    Returns:
        One column per entry of `columns`. From SQLite: string, float64 or int64, by the kind of the column.

    Raises:
        TextAmongNumbers: from SQLite only.
    """
    batches = list(stream(connection, engine, columns, tail))
    if connection is not None:
        return pa.Table.from_batches(batches)
    return pa.table(
        {column.name: _joined([batch[i] for batch in batches], column.kind) for i, column in enumerate(columns)}
    )


def stream(
    connection: adbc_driver_manager.dbapi.Connection | None,
    engine: sa.Engine,
    columns: Sequence[Column],
    tail: str,
    batch_rows: int = _BATCH_ROWS,
    parameters: Sequence[str] = (),
) -> Iterator[pa.RecordBatch]:
    """The rows of `select` in batches, while the database still searches. ADBC gives at least one batch, maybe empty.

    Without ADBC, the type of a column may differ between batches. `parameters` fill the placeholders of the tail, which
    are those of the database's driver.
    """
    expressions = ", ".join(f"{column.expression} AS {quoted(column.name, engine.dialect)}" for column in columns)
    query = f"SELECT {expressions} {tail}"
    if connection is None:
        yield from _over_sqlalchemy(engine, columns, query, batch_rows, tuple(parameters))
        return
    is_sqlite = engine.dialect.name == "sqlite"
    if is_sqlite:
        typing_row = ", ".join(
            f"{_TYPING_ROW[column.kind]} AS {quoted(column.name, engine.dialect)}" for column in columns
        )
        query = f"SELECT {typing_row} UNION ALL {query}"
    artificial_rows = int(is_sqlite)
    with connection.cursor() as cursor:
        if is_sqlite:
            cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(batch_rows)})
        cursor.execute(query, parameters or None)
        try:
            rows = cursor.fetch_record_batch()
            yield pa.RecordBatch.from_pylist([], rows.schema)
            for batch in rows:
                yield batch.slice(artificial_rows)
                artificial_rows = 0
        except (OSError, pa.ArrowException) as error:
            if "Type mismatch" in str(error):
                raise TextAmongNumbers from error
            # Arrow wraps the message of the driver in an error of its own.
            unknown = adbc_driver_manager.AdbcStatusCode.UNKNOWN
            raise adbc_driver_manager.OperationalError(str(error), status_code=unknown) from error


def _over_sqlalchemy(
    engine: sa.Engine, columns: Sequence[Column], query: str, batch_rows: int, parameters: tuple[str, ...]
) -> Iterator[pa.RecordBatch]:
    options = {"no_parameters": True, "stream_results": True}
    with (
        engine.connect().execution_options(**options) as connection,
        closing(connection.exec_driver_sql(query, parameters or None)) as rows,
    ):
        while batch := rows.fetchmany(batch_rows):
            values = zip(*batch, strict=True)
            arrays = [_array(each, column.kind) for column, each in zip(columns, values, strict=True)]
            yield pa.record_batch(arrays, [column.name for column in columns])


def _array(values: Iterable[Any], kind: Kind) -> pa.Array:
    present = [None if value is None else _plain(value, kind) for value in values]
    kinds = {type(value) for value in present if value is not None}
    if kinds <= {int, float, bool}:
        return pa.array(present, _ARROW_TYPES[kind] if kind in ("number", "integer") else pa.null())
    if kinds == {datetime}:
        aware = {value.tzinfo is not None for value in present if value is not None}
        if len(aware) == 1:
            return pa.array(present, pa.timestamp("us", "UTC" if aware.pop() else None))
    texts = [None if value is None else str(value) for value in present]
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:
        # Half a surrogate pair is not valid text.
        return pa.array([text and storable(text) for text in texts], pa.string())


_ARROW_TYPES = {"number": pa.float64(), "integer": pa.int64(), "text": pa.string(), "timestamp": pa.string()}


def _plain(value: Any, kind: Kind) -> Any:
    if kind == "text":
        return value if isinstance(value, str) else str(value)
    if kind == "timestamp":
        # A day counts as its midnight. What is not a time becomes text, which the error then shows.
        if isinstance(value, date) and not isinstance(value, datetime):
            return datetime.combine(value, time.min)
        return value if isinstance(value, datetime | str) else str(value)
    return value if isinstance(value, float | str) or kind == "integer" else _number(value)


def _number(value: Any) -> Any:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError):
        return str(value)


def _joined(arrays: list[pa.Array], kind: Kind) -> pa.ChunkedArray:
    types = {array.type for array in arrays if not pa.types.is_null(array.type)}
    target = types.pop() if len(types) == 1 else _ARROW_TYPES[kind] if not types else pa.string()
    return pa.chunked_array([array.cast(target) for array in arrays], target)


def as_sqlite_text(rows: pa.Table) -> pa.Table:
    """Rows with their times as text, as the output tables hold them on SQLite.

    Instants are in UTC and have six decimals; times without a zone end with the second.

    >>> as_sqlite_text(pa.table({"at": pa.array([0], pa.timestamp("us", "UTC"))}))["at"][0].as_py()
    '1970-01-01 00:00:00.000000'
    >>> as_sqlite_text(pa.table({"clock": pa.array([0], pa.timestamp("us"))}))["clock"][0].as_py()
    '1970-01-01 00:00:00'
    """
    for i, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            # A cast to a type without zone keeps the time in UTC. The text has the decimals of its unit.
            times = rows[field.name].cast(pa.timestamp("us" if field.type.tz else "s"), safe=False)
            rows = rows.set_column(i, field.name, times.cast(pa.string()))
    return rows


def typed(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """A column of `select` in its Arrow type; the text of a time, of which there are few, is read once each."""
    if pa.types.is_timestamp(kind) and pa.types.is_string(column.type):
        texts = column.dictionary_encode().unify_dictionaries()
        times = [chunk.dictionary.cast(pa.timestamp("us")).take(chunk.indices) for chunk in texts.chunks]
        column = pa.chunked_array(times, pa.timestamp("us"))
    return column.cast(kind)
