"""Inserts rows, and overwrites those that exist, in the SQL of each database."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from sql.engine.connection import transaction
from sql.engine.patience import patiently
from sql.engine.storable import storable

Row = Mapping[str, Any]


@patiently
def upsert(engine: sa.Engine, table: sa.Table, rows: Sequence[Row]) -> int:
    """Insert rows in one transaction; where a row with the same key exists, overwrite its named columns.

    Args:
        engine: The output database, migrated.
        table: One of `sql.output.tables`.
        rows: Column name to value; NaN is written as NULL. Columns that a row does not name keep their values.

    Returns:
        The number of rows.

    Raises:
        ValueError: where a row has an unknown column, or lacks a key column.
        StorageError: where the database refuses; nothing is written then.
    """
    keys = key_columns(table)
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        unknown, missing = set(row) - set(table.c.keys()), set(keys) - set(row)
        if unknown or missing:
            raise ValueError(
                f"A row of {table.name} has unknown columns {sorted(unknown)} and lacks keys {sorted(missing)}."
            )
        groups.setdefault(tuple(sorted(row)), []).append({name: plain(value) for name, value in row.items()})
    if not groups:
        return 0
    with transaction(engine) as connection:
        for names, group in groups.items():
            write_rows(connection, table, group, overwrite=[name for name in names if name not in keys])
    return len(rows)


def key_columns(table: sa.Table) -> list[str]:
    """The names of a table's key columns."""
    return [column.name for column in table.primary_key]


def plain(value: Any) -> Any:
    """A NumPy scalar as a Python one, NaN, which means "not known", as None, and text as every database takes it."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, str):
        # The message of an error may hold whatever a file or a source holds.
        return storable(value)
    return None if isinstance(value, float) and math.isnan(value) else value


def write_rows(
    connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]], overwrite: Sequence[str]
) -> None:
    """Insert rows of one set of columns; where a row with the same key exists, overwrite these columns of it."""
    keys = key_columns(table)
    if connection.dialect.name in ("sqlite", "postgresql"):
        insert = _insert(connection.dialect.name, table)
        if overwrite:
            newer = {name: insert.excluded[name] for name in overwrite}
            insert = insert.on_conflict_do_update(index_elements=keys, set_=newer)
        else:
            insert = insert.on_conflict_do_nothing()
        connection.execute(insert, rows)
        return
    for row in rows:
        same_key = sa.and_(*(table.c[key] == row[key] for key in keys))
        exists = connection.execute(sa.select(sa.func.count()).select_from(table).where(same_key)).scalar_one()
        if not exists:
            connection.execute(table.insert(), row)
        elif overwrite:
            connection.execute(table.update().where(same_key).values({name: row[name] for name in overwrite}))


def _insert(dialect: str, table: sa.Table) -> Any:
    # Each dialect imports all of its drivers, so only the one that is used is imported.
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)
