"""The scripts that give a role of PostgreSQL its rights."""

from __future__ import annotations

from importlib.resources import files

from sqlalchemy.dialects.postgresql import dialect

OUTPUT_SCHEMA = "nightcast"
SCRIPTS = ("source_reader", "output_writer", "forecast_reader")


def script(
    name: str,
    *,
    role: str,
    database: str,
    schema: str | None = None,
    table: str = "observations",
    writer: str = "nightcast_writer",
) -> str:
    """One of `SCRIPTS` with names filled in, which are quoted where they must be.

    Args:
        name: Which script.
        role: The role that gets the rights; it is made where there is none.
        database: The database.
        schema: The schema of the source's table, or of the output's tables. By default `public` for the source, and
            for the output one of its own, because nobody but its owner may make tables in `public`.
        table: For `source_reader`, the table.
        writer: For `forecast_reader`, the role of `output_writer`.

    >>> print(script("output_writer", role="Ann's", database="d").splitlines()[-1])
    ALTER ROLE "Ann's" IN DATABASE d SET search_path = nightcast;
    """
    schema = schema or ("public" if name == "source_reader" else OUTPUT_SCHEMA)
    quote = dialect().identifier_preparer.quote  # type: ignore[no-untyped-call]
    names = {"role": role, "database": database, "schema": schema, "table": table, "writer": writer}
    filled = {key: quote(value) for key, value in names.items()}
    text = (files(__package__) / f"{name}.sql").read_text(encoding="utf-8")
    return text.format(**filled, role_text="'" + role.replace("'", "''") + "'")
