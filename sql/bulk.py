"""Many rows at once, as Arrow: over ADBC where there is a driver, else over SQLAlchemy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from typing import Any, Literal, NamedTuple

import adbc_driver_manager.dbapi
import pyarrow as pa
import sqlalchemy as sa

from sql.statement import quoted

Kind = Literal["text", "number", "integer", "timestamp"]

_BATCH_ROWS = 50_000
# SQLite has types per value, not per column, and its driver takes the types of a result from the
# first rows alone. A first row made here tells it what to expect, and is dropped again.
_FIRST_ROW: dict[Kind, str] = {"text": "''", "number": "0.5", "integer": "0", "timestamp": "''"}


class Column(NamedTuple):
    """A column to read: an SQL expression, the name it gets, and what it should hold."""

    expression: str
    name: str
    kind: Kind


class TextAmongNumbers(Exception):
    """SQLite holds text in a column that was read as numbers; read it as text to see which."""


def select(
    connection: adbc_driver_manager.dbapi.Connection | None, engine: sa.Engine, columns: Sequence[Column], tail: str
) -> pa.Table:
    """The rows of `SELECT columns tail`, in the types that the database has for them.

    Args:
        connection: Where the database has an ADBC driver; it is left open.
        engine: The same database.
        columns: What to read.
        tail: SQL from `FROM` on, with literals in place.

    Returns:
        One column per entry of `columns`. SQLite: string, float64 or int64 as the kinds say.

    Raises:
        TextAmongNumbers: from SQLite only.
    """
    chosen = ", ".join(f"{column.expression} AS {quoted(column.name, engine.dialect)}" for column in columns)
    query = f"SELECT {chosen} {tail}"
    if connection is None:
        return _over_sqlalchemy(engine, columns, query)
    if engine.dialect.name != "sqlite":
        return _over_adbc(connection, query)
    first = ", ".join(f"{_FIRST_ROW[column.kind]} AS {quoted(column.name, engine.dialect)}" for column in columns)
    try:
        return _over_adbc(connection, f"SELECT {first} UNION ALL {query}").slice(1)
    except OSError as error:
        if "Type mismatch" in str(error):
            raise TextAmongNumbers from error
        raise


def _over_adbc(connection: adbc_driver_manager.dbapi.Connection, query: str) -> pa.Table:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetch_arrow_table()


def _over_sqlalchemy(engine: sa.Engine, columns: Sequence[Column], query: str) -> pa.Table:
    chunks: list[list[pa.Array]] = [[] for _ in columns]
    options = {"no_parameters": True, "stream_results": True}
    with engine.connect().execution_options(**options) as connection:
        rows = connection.exec_driver_sql(query)
        while batch := rows.fetchmany(_BATCH_ROWS):
            for column, values, arrays in zip(columns, zip(*batch, strict=True), chunks, strict=True):
                arrays.append(_array(values, column.kind))
    return pa.table({column.name: _joined(arrays, column.kind) for column, arrays in zip(columns, chunks, strict=True)})


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
        # Half a surrogate pair is no text that anybody could store; its number is.
        return pa.array([text and text.encode("utf-8", "backslashreplace").decode() for text in texts], pa.string())


_ARROW_TYPES = {"number": pa.float64(), "integer": pa.int64(), "text": pa.string(), "timestamp": pa.string()}


def _plain(value: Any, kind: Kind) -> Any:
    if kind == "text":
        return value if isinstance(value, str) else str(value)
    if kind == "timestamp":
        # A day is its midnight; whatever else is no time at all stays readable for the error.
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
