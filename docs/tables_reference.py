"""Every table of the output database: purpose, columns, types and meanings."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sql.output.tables import metadata


def tables_reference() -> str:
    """Every table of the output database: its purpose; columns with types and meanings."""
    return "\n".join(_table(table) for table in sorted(metadata.tables.values(), key=lambda each: each.name))


def _table(table: sa.Table) -> str:
    rows = ["| column | type | meaning |", "|---|---|---|"]
    for column in table.columns:
        kind = f"{_sql_words(column.type)}, key" if column.primary_key else _sql_words(column.type)
        rows.append(f"| `{column.name}` | {kind} | {column.doc} |")
    return "\n".join([f"### `{table.name}`", "", table.info["purpose"], "", *rows, ""])


def _sql_words(kind: sa.types.TypeEngine[Any]) -> str:
    known = {
        "UTCDateTime": "timestamp, UTC",
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
