"""Database URLs in a job file: variables, relative paths, and passwords that no message shows."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from sql.errors import SourceError

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_PASSWORD = re.compile(r"://[^:/@]*:(?!\$\{)[^@/]+@")
SOURCES_ONLY = ("duckdb", "parquet")
"""Backends that can be a source but not an output: they have readers of their own, without SQLAlchemy."""

_IN_FILES = {"sqlite": "SQLite file", "duckdb": "DuckDB file", "parquet": "folder of Parquet files"}
_SECRET_KEY = re.compile(r"pass|secret|token", re.IGNORECASE)


def resolve_url(url: str, base: Path | None = None) -> sa.URL:
    """The URL with each `${NAME}` read from the environment, and the path of a file or folder made absolute.

    A variable may stand for the whole URL or for one part of it, such as the password. A password in a
    variable needs no percent-encoding.

    Args:
        url: Any SQLAlchemy URL; `postgresql://` means psycopg.
        base: The folder that relative paths start from; the working directory if None.

    Raises:
        SourceError: where a variable is not set, the URL is not valid, or the database would be
            in memory and therefore lost at once.

    >>> resolve_url("sqlite:///example.db", Path("/data")).database
    '/data/example.db'
    """
    resolved = _with_variables(url)
    backend = resolved.get_backend_name()
    if backend == "postgresql" and "+" not in resolved.drivername:
        resolved = resolved.set(drivername="postgresql+psycopg")
    if backend in _IN_FILES:
        database = resolved.database
        ending = {"sqlite": ".db", "duckdb": ".duckdb"}.get(backend, "")
        if not database or database == ":memory:" or database.startswith("file:"):
            raise SourceError(
                f"The database URL {url!r} names no {_IN_FILES[backend]}. Write {backend}:///name{ending} (relative) "
                f"or {backend}:////folder/name{ending} (absolute)."
            )
        resolved = resolved.set(database=os.path.abspath((base or Path()) / Path(database).expanduser()))
    return resolved


def _with_variables(url: str) -> sa.URL:
    def value(match: re.Match[str]) -> str:
        name = match[1]
        if not os.environ.get(name):
            raise SourceError(
                f"The database URL {url!r} names the environment variable {name}, which is not set. "
                f"Set it on the machine that runs the job: export {name}=..."
            )
        return os.environ[name]

    try:
        # Split the URL first and fill in variables then, because a password may hold any character.
        parts = sa.make_url(url)
    except exc.ArgumentError:
        parts = None
    try:
        if parts is None:
            return sa.make_url(_VARIABLE.sub(value, url))
        filled: dict[str, Any] = {
            name: _VARIABLE.sub(value, text)
            for name in ("username", "password", "host", "database")
            if isinstance(text := getattr(parts, name), str)
        }
        query = {k: _VARIABLE.sub(value, v) if isinstance(v, str) else v for k, v in parts.query.items()}
        return parts.set(**filled, query=query)
    except (exc.ArgumentError, ValueError) as error:
        if isinstance(error, SourceError):
            raise
        # Show the text without its variables filled in: it would hold the password.
        raise SourceError(
            f"{_without_password(url)!r} is not a database URL. Write for example sqlite:///example.db or "
            "postgresql://user:${PASSWORD}@host/database."
        ) from None


def holds_password(url: str) -> bool:
    """Whether a URL holds a password as plain text, before the host or as an option, instead of as ${NAME}.

    >>> holds_password("postgresql://me:secret@host/db"), holds_password("postgresql://me:${PASSWORD}@host/db")
    (True, False)
    """
    try:
        parts = sa.make_url(url)
    except (exc.ArgumentError, ValueError):
        return _PASSWORD.search(url) is not None
    # `passfile` names a file of passwords, which keeps them out of the URL.
    options = (value for key, value in parts.query.items() if _SECRET_KEY.search(key) and not key.endswith("file"))
    secrets = [parts.password, *options]
    return any(secret and not _VARIABLE.search(str(secret)) for secret in secrets)


def _without_password(text: str) -> str:
    return re.sub(r"(://[^:/@]*:).*@", r"\1***@", text)


def describe(url: sa.URL) -> str:
    """The URL without its password, for messages."""
    query = {k: "***" if _SECRET_KEY.search(k) else v for k, v in url.query.items()}
    return url.set(query=query).render_as_string(hide_password=True)
