"""Every table and view of the output database: purpose, columns, types, meanings and examples."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from column_examples import example_of

from sql.output.tables import metadata
from sql.output.views import views


def tables_reference() -> str:
    """Every table and view: its purpose; columns with types, meanings and examples."""
    tables = [*metadata.tables.values(), *views.tables.values()]
    return "\n".join(_table(table) for table in sorted(tables, key=lambda each: each.name))


def _table(table: sa.Table) -> str:
    rows = ["| column | type | meaning | example |", "|---|---|---|---|"]
    for column in table.columns:
        kind = f"{_sql_words(column.type)}, key" if column.primary_key else _sql_words(column.type)
        rows.append(f"| `{column.name}` | {kind} | {column.doc} | {example_of(table.name, column.name)} |")
    return "\n".join([f"### `{table.name}`", "", table.info["purpose"], "", *rows, ""])


def _sql_words(kind: sa.types.TypeEngine[Any]) -> str:
    known = {
        "UTCDateTime": "timestamp, UTC",
        "LocalDateTime": "timestamp, local",
        "Date": "date",
        "Double": "double precision",
        "BigInteger": "bigint",
        "Integer": "integer",
        "JSON": "JSON",
        "Boolean": "boolean",
        "LargeBinary": "bytes",
        "String": "text",
        "Text": "text",
    }
    return known.get(type(kind).__name__, type(kind).__name__)
