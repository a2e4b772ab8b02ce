"""The table that a file is loaded into: found, created, emptied and written, all in one transaction."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from sql.engine.connection import adbc_connection, connect, describe, storage_errors, transaction
from sql.engine.statement import quoted
from sql.errors import SourceError

_BATCH_ROWS = 10_000
_STAGING_TABLE = "nightcast_import"
_OFFSET = re.compile(r"\d:\d\d.*(Z|[+-]\d\d(:?\d\d)?)$")


_BASE_TYPES = """
    WITH RECURSIVE base AS (
        SELECT attname, atttypid AS kind, atttypmod AS limits FROM pg_attribute
        WHERE attrelid = to_regclass(:name) AND attnum > 0 AND NOT attisdropped
        UNION ALL
        SELECT attname, typbasetype, typtypmod FROM base JOIN pg_type ON oid = kind WHERE typtype = 'd'
    )
    SELECT attname, format_type(kind, limits) FROM base JOIN pg_type ON oid = kind WHERE typtype <> 'd'
"""


@dataclass(frozen=True)
class Table:
    """A table of a database.

    Attributes:
        engine: The database.
        schema: Its schema; None for the default one.
        name: Its name.
        columns: Its columns as SQLAlchemy describes them; None if there is no such table.
    """

    engine: sa.Engine
    schema: str | None
    name: str
    columns: Sequence[Any] | None

    @property
    def types(self) -> dict[str, sa.types.TypeEngine[Any]]:
        """The type of each column."""
        return {column["name"]: column["type"] for column in self.columns or []}

    @property
    def text_columns(self) -> list[str]:
        """Its columns of text."""
        return [name for name, kind in self.types.items() if isinstance(kind, sa.String)]

    @property
    def where(self) -> str:
        """The table in words."""
        name = ".".join(part for part in (self.schema, self.name) if part)
        return f"table {name!r} in {describe(self.engine.url)}"

    @property
    def quoted(self) -> str:
        """Its name in SQL."""
        return ".".join(quoted(part, self.engine.dialect) for part in (self.schema, self.name) if part)


def find_table(url: sa.URL, name: str) -> Table:
    """The table of a name, which may be `schema.name`.

    Raises:
        StorageError: where the database does not answer.
    """
    engine = connect(url)
    with storage_errors(url, "write to"):
        inspector = sa.inspect(engine)
        schema, dot, rest = name.partition(".")
        if not dot or engine.dialect.name == "sqlite" or schema not in inspector.get_schema_names():
            schema, rest = "", name
        exists = inspector.has_table(rest, schema or None)
        columns = inspector.get_columns(rest, schema or None) if exists else None
        found = Table(engine, schema or None, rest, columns)
        if any(isinstance(kind, postgresql.DOMAIN) for kind in found.types.values()):
            found = replace(found, columns=_with_base_types(found))
    return found


def _with_base_types(table: Table) -> list[Any]:
    """The columns, and each domain as the type that it rests on; SQLAlchemy gives that without its limits."""
    with table.engine.connect() as connection:
        names = dict(connection.execute(sa.text(_BASE_TYPES), {"name": table.quoted}).tuples().all())
    return [{**column, "type": _base_type(column["type"], names[column["name"]])} for column in table.columns or []]


def _base_type(kind: sa.types.TypeEngine[Any], name: str) -> sa.types.TypeEngine[Any]:
    if not isinstance(kind, postgresql.DOMAIN):
        return kind
    while isinstance(kind, postgresql.DOMAIN):
        kind = kind.data_type
    limits = [int(each) for each in re.findall(r"-?\d+", name)]
    limited: Any = type(kind)
    if isinstance(kind, sa.Numeric | sa.String) and limits:
        return limited(*limits)  # type: ignore[no-any-return]
    if isinstance(kind, postgresql.TIMESTAMP | postgresql.TIME) and limits:
        return limited(timezone=kind.timezone, precision=limits[0])  # type: ignore[no-any-return]
    return kind


def check_columns(names: Sequence[str], table: Table, *, all_of_them: bool) -> None:
    """Check that the table has the columns of a file and, if `all_of_them`, that the file has those of the table.

    A file may lack a column that the database fills in itself.

    Raises:
        SourceError: where it has not; names the columns.
    """
    unknown = [name for name in names if name not in table.types]
    if unknown:
        raise SourceError(
            f"The {table.where} lacks the columns {unknown}. It has {sorted(table.types)}. Rename the columns of the "
            "file, add these to the table, or drop the table and load the file with --mode create."
        )
    keys = sum(bool(column.get("primary_key")) for column in table.columns or [])
    lacking = [
        column["name"]
        for column in table.columns or []
        if column["name"] not in names and not _filled(column, is_only_key=keys == 1)
    ]
    if all_of_them and lacking:
        raise SourceError(
            f"The file lacks the columns {lacking} of the {table.where}, so its rows cannot replace those there. Add "
            "them to the file, or drop the table and load the file with --mode create."
        )


def _filled(column: Any, *, is_only_key: bool) -> bool:
    """Whether the database fills in a column that an INSERT leaves out."""
    # SQLite numbers the rows of a single key of type INTEGER, and of no other one.
    numbered = is_only_key and column.get("primary_key") and isinstance(column["type"], sa.Integer)
    return bool(column.get("default") or column.get("computed") or column.get("identity") or numbered)


def check_dependents(table: Table) -> None:
    """Check that deleting the rows of a table deletes and changes no rows of others, by a foreign key of theirs.

    Raises:
        SourceError: where it would; names these tables.
    """
    if table.engine.dialect.name != "postgresql":
        # SQLite obeys foreign keys only on request.
        return
    others = (
        "SELECT conrelid::regclass::text FROM pg_constraint "
        "WHERE contype = 'f' AND confdeltype IN ('c', 'n', 'd') AND confrelid = to_regclass(:name) ORDER BY 1"
    )
    with storage_errors(table.engine.url, "read from"), table.engine.connect() as connection:
        found = connection.execute(sa.text(others), {"name": table.quoted}).scalars().all()
    if found:
        raise SourceError(
            f"Foreign keys of {', '.join(found)} refer to the {table.where}, so that replacing its rows would delete "
            "or change rows there. Append to it, or replace the rows with your own SQL."
        )


def check_offsets(rows: pa.Table, table: Table) -> None:
    """Check that times with an offset from UTC go where such times are, and times without one where none have it.

    Raises:
        SourceError: where they do not.
    """
    for field in rows.schema:
        if pa.types.is_timestamp(field.type):
            aware, there = field.type.tz is not None, _has_offsets(table, field.name)
            if there is not None and there != aware:
                raise SourceError(
                    f"The file's times in {field.name!r} have {'an' if aware else 'no'} offset from UTC, but those of "
                    f"the {table.where} have {'none' if aware else 'one'}. Write the file's times in the same way."
                )


def _has_offsets(table: Table, name: str) -> bool | None:
    """Whether the times of a column have an offset from UTC; None if that cannot be told."""
    kind = table.types[name]
    if table.engine.dialect.name == "postgresql":
        return kind.timezone if isinstance(kind, sa.DateTime) else None
    if table.engine.dialect.name != "sqlite":
        return None
    column = quoted(name, table.engine.dialect)
    first = f"SELECT {column} FROM {table.quoted} WHERE {column} IS NOT NULL LIMIT 1"
    with storage_errors(table.engine.url, "read from"), table.engine.connect() as connection:
        found = connection.execution_options(no_parameters=True).exec_driver_sql(first).scalar()
    return None if found is None else _OFFSET.search(str(found)) is not None


def write_rows(rows: pa.Table, table: Table, *, empty_first: bool) -> None:
    """Write all rows in one transaction. A table that does not exist is created; one that does keeps its rights.

    Args:
        rows: Columns of string, int64, float64, bool, date or timestamp[us].
        table: Where to.
        empty_first: Whether to delete the rows that are there.

    Raises:
        StorageError: where the database refuses; it is unchanged then.
    """
    engine = table.engine
    if engine.dialect.name != "postgresql":
        rows = _with_offsets(rows)
    statements = [f"CREATE TABLE {table.quoted} ({_definitions(rows, engine)})"] if table.columns is None else []
    # Dropping the table instead would drop its grants and indexes, and fail under a view.
    statements += [f"DELETE FROM {table.quoted}"] if empty_first and table.columns is not None else []
    with storage_errors(engine.url, "write to"):
        connection = adbc_connection(engine.url)
        if connection is not None:
            with closing(connection), connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                if engine.dialect.name == "sqlite":
                    cursor.adbc_ingest(table.name, _as_iso_text(rows), mode="append")
                else:
                    # The server converts the types of the file to those of the table, from a staging table.
                    cursor.adbc_ingest(_STAGING_TABLE, rows, mode="create", temporary=True)
                    names = ", ".join(quoted(name, engine.dialect) for name in rows.column_names)
                    values = ", ".join(_cast(field, table) for field in rows.schema)
                    cursor.execute(
                        f"INSERT INTO {table.quoted} ({names}) SELECT {values} FROM pg_temp.{_STAGING_TABLE}"
                    )
                    # A pooler gives the session, with its temporary tables, to whoever comes next.
                    cursor.execute(f"DROP TABLE pg_temp.{_STAGING_TABLE}")
                connection.commit()
            return
    with transaction(engine) as plain:
        for statement in statements:
            plain.execution_options(no_parameters=True).exec_driver_sql(statement)
        kinds = {field.name: _bound_type(field, table) for field in rows.schema}
        target = sa.table(table.name, *(sa.column(name, kind) for name, kind in kinds.items()), schema=table.schema)
        for batch in rows.to_batches(max_chunksize=_BATCH_ROWS):
            plain.execute(target.insert(), batch.to_pylist())


def _bound_type(field: pa.Field, table: Table) -> sa.types.TypeEngine[Any]:
    kind = table.types.get(field.name) or _sql_type(field.type)
    # Text goes as it is to a column of another type: SQLAlchemy would write it as a JSON string, or want a number.
    is_text = isinstance(kind, sa.String) and not isinstance(kind, sa.Enum)
    return sa.types.NullType() if pa.types.is_string(field.type) and not is_text else kind


def _cast(field: pa.Field, table: Table) -> str:
    """A column of the staging table. PostgreSQL itself converts no text to another type."""
    name, kind = quoted(field.name, table.engine.dialect), table.types.get(field.name)
    if kind is None or isinstance(kind, sa.types.NullType) or not pa.types.is_string(field.type):
        return name
    if isinstance(kind, sa.String) and not isinstance(kind, sa.Enum):
        return name
    return f"CAST({name} AS {kind.compile(table.engine.dialect)})"


def _definitions(rows: pa.Table, engine: sa.Engine) -> str:
    return ", ".join(
        f"{quoted(field.name, engine.dialect)} {_sql_type(field.type).compile(engine.dialect)}" for field in rows.schema
    )


def _sql_type(kind: pa.DataType) -> sa.types.TypeEngine[Any]:
    if pa.types.is_timestamp(kind):
        return sa.DateTime(timezone=kind.tz is not None)
    for is_kind, sql_type in (
        (pa.types.is_date, sa.Date()),
        (pa.types.is_integer, sa.BigInteger()),
        (pa.types.is_floating, sa.Double()),
        (pa.types.is_boolean, sa.Boolean()),
    ):
        if is_kind(kind):
            return sql_type
    return sa.Text()


def _with_offsets(rows: pa.Table) -> pa.Table:
    """Times with a zone as text in UTC, for databases whose timestamps have no zone."""
    for i, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type) and field.type.tz:
            clock = rows[field.name].cast(pa.timestamp("us")).cast(pa.string())
            rows = rows.set_column(i, field.name, pc.binary_join_element_wise(clock, "+00:00", ""))
    return rows


def _as_iso_text(rows: pa.Table) -> pa.Table:
    for i, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type) or pa.types.is_date(field.type):
            rows = rows.set_column(i, field.name, rows[field.name].cast(pa.string()))
    return rows
