"""The tables of a database, and which of them are likely to hold a history."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.engine.reflection import ObjectKind

from sql.engine.connection import connect_source, describe, ping, storage_errors
from sql.errors import SourceError
from sql.output.tables import metadata
from sql.source.duckdb_reader import connected_duckdb

# What a night itself writes.
_OURS = {*metadata.tables, "latest_forecast", "forecast_vs_actual", "nightcast_version"}
_OUR_PARTITION = re.compile(r"forecast_\d{4}_\d\d")
_LIKE_A_TIME = re.compile(r"(?i)(^|_)(timestamp|time|date|datetime|day|month|ds|at|on)($|_)")
_LIKE_A_HISTORY = re.compile(r"(?i)sales|demand|load|hist|observ|consum|order|visit|traffic|meter|measure|daily|hourly")
_NUMBERS = re.compile(r"(?i)int|dec|num|real|float|double")
_TIMES = re.compile(r"(?i)date|time")
_SYSTEM = re.compile(r"pg_.*|information_schema|sys|mysql|performance_schema|INFORMATION_SCHEMA")
_MOST_LISTED = 10


class Table(NamedTuple):
    """A table or view, and whether it seems to hold a time and a number."""

    name: str
    is_likely: bool


def only_table(url: sa.URL) -> str:
    """The one table of a database, or the one of several that is likely to hold a history.

    Raises:
        SourceError: where there is none, or which one is meant is open; names the likely ones.
        StorageError: where the database does not answer.
    """
    tables = [table for table in list_tables(url) if not _is_ours(table.name)]
    likely = [table.name for table in tables if table.is_likely]
    if len(tables) == 1 or len(likely) == 1:
        return likely[0] if likely else tables[0].name
    where = describe(url)
    if not tables:
        raise SourceError(f"{where} has no table. Load a file into it with `nightcast import`, or name another one.")
    ordered = sorted(likely, key=lambda name: (_LIKE_A_HISTORY.search(name) is None, name))
    listed = ", ".join(ordered[:_MOST_LISTED]) + (", ..." if len(ordered) > _MOST_LISTED else "")
    hint = f"{len(likely):,} of them have a time and a number: {listed}" if likely else "None has a time and a number"
    raise SourceError(f"{where} has {len(tables):,} tables and views. {hint}. Say which one with --table.")


def _is_ours(name: str) -> bool:
    return name in _OURS or _OUR_PARTITION.fullmatch(name) is not None


def list_tables(url: sa.URL) -> Iterator[Table]:
    """Every table and view of a database; those of a schema of its own as `schema.name`.

    Raises:
        SourceError: where there is no such file or folder.
        StorageError: where the database does not answer.
    """
    if url.get_backend_name() == "parquet":
        folder = Path(str(url.database))
        if not folder.is_dir():
            raise SourceError(f"There is no folder {folder}. Name the folder of the Parquet files.")
        found = sorted(each for each in folder.iterdir() if each.is_dir() or each.suffix == ".parquet")
        yield from (Table(each.stem, is_likely=False) for each in found)
    elif url.get_backend_name() == "duckdb":
        yield from _of_duckdb(url)
    else:
        yield from _of_database(url)


def _of_duckdb(url: sa.URL) -> Iterator[Table]:
    query = (
        "SELECT schema_name, table_name, list(column_name), list(data_type) FROM duckdb_columns() "
        "WHERE NOT internal AND database_name = current_database() GROUP BY ALL ORDER BY ALL"
    )
    with connected_duckdb(url) as connection:
        for schema, name, columns, kinds in connection.sql(query).fetchall():
            kept = name if schema == "main" else f"{schema}.{name}"
            yield Table(kept, _is_likely(dict(zip(columns, kinds, strict=True))))


def _of_database(url: sa.URL) -> Iterator[Table]:
    engine = connect_source(url)
    ping(engine)
    with storage_errors(url, "list the tables of"):
        inspector = sa.inspect(engine)
        default = inspector.default_schema_name
        schemas: Collection[str | None] = [None]
        if engine.dialect.name not in ("sqlite", "mysql", "mariadb"):
            schemas = [None, *(each for each in inspector.get_schema_names() if not _is_hidden(each, default))]
        for schema in schemas:
            found = inspector.get_multi_columns(schema, kind=ObjectKind.ANY)
            for (_, name), columns in sorted(found.items(), key=lambda each: each[0][1]):
                yield Table(name if schema is None else f"{schema}.{name}", _is_likely(_kinds(columns)))


def _is_hidden(schema: str, default: str | None) -> bool:
    return schema == default or _SYSTEM.fullmatch(schema) is not None


def _kinds(columns: Collection[ReflectedColumn]) -> dict[str, str]:
    return {each["name"]: type(each["type"]).__name__ for each in columns}


def _is_likely(kinds: dict[str, str]) -> bool:
    """Whether a table has a column of times, by its type or as text by its name, and a column of numbers."""
    by_name = {name for name in kinds if _LIKE_A_TIME.search(name)}
    times = {name for name, kind in kinds.items() if _TIMES.search(kind) or name in by_name}
    return bool(times) and any(_NUMBERS.search(kind) for name, kind in kinds.items() if name not in times)


def has_table(url: sa.URL, name: str) -> bool:
    """Whether a database has a table or view, which may be `schema.name`. A SQLite file that is missing has none.

    Raises:
        StorageError: where the database does not answer.
    """
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        return False
    engine = connect_source(url)
    ping(engine)
    with storage_errors(url, "list the tables of"):
        inspector = sa.inspect(engine)
        schema, dot, rest = name.partition(".")
        in_schema = bool(dot) and engine.dialect.name != "sqlite" and schema in inspector.get_schema_names()
        return bool(inspector.has_table(name) or (in_schema and inspector.has_table(rest, schema)))
