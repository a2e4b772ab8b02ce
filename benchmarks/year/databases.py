"""The two databases of the simulated company: the source of its rows, and the output of its forecasts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pandas as pd
import sqlalchemy as sa

from benchmarks.shared.databases import postgres_server

TABLES = {
    "sales": "store TEXT, item TEXT, region TEXT, day TIMESTAMP, sales DOUBLE PRECISION, loaded_at TIMESTAMP",
    "promotions": "store TEXT, item TEXT, day TIMESTAMP, promotion DOUBLE PRECISION",
}


class Databases(Protocol):
    """URLs of the source and of the output."""

    source: str
    output: str

    def refuse(self) -> None:
        """Make the source unreachable."""

    def allow(self) -> None:
        """Make it reachable again, if it is not."""


class Files:
    """Two SQLite files in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file, self._moved = folder / "source.db", folder / "source.db.away"
        self.source, self.output = f"sqlite:///{self._file}", f"sqlite:///{folder / 'forecasts.db'}"

    def refuse(self) -> None:
        os.replace(self._file, self._moved)

    def allow(self) -> None:
        if self._moved.exists():
            os.replace(self._moved, self._file)


class Served:
    """Two databases of a PostgreSQL server."""

    def __init__(self, server: sa.URL) -> None:
        admin = server.set(database="postgres").render_as_string()
        self._admin = sa.create_engine(_psycopg(admin), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        existing = self._execute("SELECT datname FROM pg_database")
        for name in ("source", "output"):
            if name not in existing:
                self._execute(f"CREATE DATABASE {name}")
        self.source, self.output = (server.set(database=name).render_as_string() for name in ("source", "output"))

    def refuse(self) -> None:
        self._execute("ALTER DATABASE source WITH ALLOW_CONNECTIONS false")
        self._execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'source'")

    def allow(self) -> None:
        self._execute("ALTER DATABASE source WITH ALLOW_CONNECTIONS true")

    def _execute(self, statement: str) -> list[object]:
        """Execute a statement; the first column of its rows."""
        with self._admin.connect() as connection:
            found = connection.execute(sa.text(statement))
            return [row[0] for row in found] if found.returns_rows else []


@contextmanager
def opened(kind: str, folder: Path) -> Iterator[Databases]:
    """The company's databases in a folder; `kind` is "sqlite" or "postgresql"."""
    if kind == "sqlite":
        yield Files(folder)
        return
    folder.mkdir(parents=True, exist_ok=True)
    # If root runs this, the server runs as another user, who must be able to enter the folder.
    folder.chmod(0o755)
    with postgres_server(folder / "postgres") as server:
        yield Served(server)


def add_rows(url: str, table: str, rows: pd.DataFrame) -> None:
    """Add rows to one of the company's tables in one transaction; make the table if it is missing."""
    engine = sa.create_engine(_psycopg(url), poolclass=sa.NullPool)
    names = [column.split()[0] for column in TABLES[table].split(", ")]
    places = ", ".join(f":{name}" for name in names)
    columns = {name: rows[name].dt.strftime("%Y-%m-%d %H:%M:%S") if rows[name].dtype.kind == "M" else rows[name]
               for name in names}  # fmt: skip
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE TABLE IF NOT EXISTS {table} ({TABLES[table]})"))
        if len(rows):
            statement = sa.text(f"INSERT INTO {table} VALUES ({places})")
            records = pd.DataFrame(columns).itertuples(index=False, name=None)
            connection.execute(statement, [dict(zip(names, record, strict=True)) for record in records])


def drop_tables(url: str) -> None:
    """Drop the company's tables."""
    engine = sa.create_engine(_psycopg(url), poolclass=sa.NullPool)
    with engine.begin() as connection:
        for table in TABLES:
            connection.execute(sa.text(f"DROP TABLE IF EXISTS {table}"))


def forget_after(url: str, morning: pd.Timestamp) -> None:
    """Delete rows that were loaded after a morning, for nights that did not end."""
    engine = sa.create_engine(_psycopg(url), poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM sales WHERE loaded_at > :morning"), {"morning": str(morning)})


def _psycopg(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)
