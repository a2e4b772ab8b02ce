"""Database URLs in a job file: variables, relative paths, and passwords that no message shows."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode

import sqlalchemy as sa
from sqlalchemy import exc

from sql.errors import SourceError
from sql.secrets.known import MASK, hide, remember, remember_as
from sql.secrets.places import remember_url, remember_variable, secret_options

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_PASSWORD = re.compile(r"://[^:/@]*:(?!\$\{)[^@]+@")
# The same parts as SQLAlchemy finds, but all hosts with their ports in one.
_URL = re.compile(r"(?P<scheme>[\w+]+)://(?P<user>(?:[^:/]*(?::[^@]*)?@)?)(?P<hosts>[^/?]*)(?P<rest>.*)", re.DOTALL)
_HOST = re.compile(r"(?P<host>\[[^\]]*\]|[^:@\[\]]*)(?::(?P<port>[0-9]*))?")
_LARGEST_PORT = 65_535
_SHORT = 4
# What every file system of Linux and macOS allows.
_LONGEST_NAME = 255
_LONGEST_VARIABLE = 10_000
_WINDOWS_PATH = re.compile(r"/?[A-Za-z]:[\\/]|.*\\", re.DOTALL)
# A byte-order mark counts as a blank.
_BLANKS = " \t\r\n\ufeff"
SOURCES_ONLY = ("duckdb", "parquet")
"""Backends that can be a source but not an output: they have readers of their own, without SQLAlchemy."""

IN_FILES = {"sqlite": "SQLite file", "duckdb": "DuckDB file", "parquet": "folder of Parquet files"}
"""Backends that are files, each with what its URL names."""


def resolve_url(url: str, base: Path | None = None) -> sa.URL:
    """The URL with each `${NAME}` read from the environment, and the path of a file or folder made absolute.

    A variable may stand for the whole URL or for one part of it, such as the password. A password in a
    variable needs no percent-encoding.

    Args:
        url: Any SQLAlchemy URL. `postgresql://` and `postgres://` mean psycopg; hosts may be several (`a:5432,b:5432`).
        base: The folder that relative paths start from; the working directory if None.

    Raises:
        SourceError: where a variable is not set, the URL is not valid, or the database would be
            in memory and therefore lost at once.

    >>> resolve_url("sqlite:///example.db", Path("/data")).database
    '/data/example.db'
    """
    # Before anything can go wrong with it.
    remember_url(url)
    resolved = _with_variables(url)
    _remember(resolved)
    backend = resolved.get_backend_name()
    if backend == "postgresql" and "+" not in resolved.drivername:
        resolved = resolved.set(drivername="postgresql+psycopg")
    if backend in IN_FILES:
        path = _absolute_path(resolved, url, base or Path())
        if _VARIABLE.search(url):
            remember_as(path, url.strip(_BLANKS).partition("://")[2].lstrip("/") or url.strip(_BLANKS))
        resolved = resolved.set(database=path)
    return resolved


def _absolute_path(resolved: sa.URL, url: str, base: Path) -> str:
    """The path of a file or folder that a URL names."""
    backend, database = resolved.get_backend_name(), resolved.database
    shown = _without_password(url)
    ending = {"sqlite": ".db", "duckdb": ".duckdb"}.get(backend, "")
    if resolved.host:
        path = "/".join(part for part in (resolved.host, database) if part)
        raise SourceError(
            f"The database URL {shown!r} has two slashes where it needs three. Write {backend}:///{path} (relative) or "
            f"{backend}:////folder/name{ending} (absolute)."
        )
    if not database or database == ":memory:" or database.startswith("file:"):
        raise SourceError(
            f"The database URL {shown!r} names no {IN_FILES[backend]}. Write {backend}:///name{ending} (relative) "
            f"or {backend}:////folder/name{ending} (absolute)."
        )
    if _WINDOWS_PATH.match(database):
        raise SourceError(
            f"The database URL {shown!r} names a path of Windows, but nights run on Linux or macOS. Write the path as "
            f"it is there, with slashes: {backend}:////folder/name{ending}."
        )
    path = os.path.abspath(base / Path(database).expanduser())
    if any(len(os.fsencode(name)) > _LONGEST_NAME for name in path.split("/")):
        raise SourceError(
            f"The database URL {shown[:_LONGEST_NAME]!r} holds a name of more than {_LONGEST_NAME} bytes. Shorten it."
        )
    if backend != "parquet" and os.path.exists(path) and not os.path.isfile(path):
        raise SourceError(f"The database URL {shown!r} names {path}, which is no file. Name a {IN_FILES[backend]}.")
    return path


def _with_variables(url: str) -> sa.URL:
    def value(match: re.Match[str]) -> str:
        name = match[1]
        if not os.environ.get(name):
            raise SourceError(
                f"The database URL {_without_password(url)!r} names the environment variable {name}, which is not set. "
                f"Set it on the machine that runs the job: export {name}=..."
            )
        # A line break at the end comes from the file of a secret.
        found = os.environ[name].rstrip("\r\n")
        if len(found) > _LONGEST_VARIABLE or any("\ud800" <= character <= "\udfff" for character in found):
            raise SourceError(
                f"The environment variable {name}, which a database URL names, has more than {_LONGEST_VARIABLE:,} "
                "characters or is not UTF-8. Correct its value."
            )
        remember_variable(name, found)
        return found

    text = url.strip(_BLANKS)
    if _URL.match(text) is None:
        text = _VARIABLE.sub(value, text).strip(_BLANKS)
    try:
        # Split the URL first and fill in variables then, because a password may hold any character.
        parts = sa.make_url(_normalized(text, value))
        filled: dict[str, Any] = {
            name: _VARIABLE.sub(value, part)
            for name in ("username", "password", "host", "database")
            if isinstance(part := getattr(parts, name), str)
        }
        query = {k: _VARIABLE.sub(value, v) if isinstance(v, str) else v for k, v in parts.query.items()}
        return parts.set(**filled, query=query)
    except _PortError as error:
        raise SourceError(
            f"{_without_password(url)!r} is not a database URL: {error}. Write host:port with a number from 1 to "
            f"{_LARGEST_PORT}. In a password, write @ as %40 and : as %3A, or let ${{NAME}} stand for the password."
        ) from None
    except (exc.ArgumentError, ValueError) as error:
        if isinstance(error, SourceError):
            raise
        # Show the text without its variables filled in: it would hold the password.
        raise SourceError(
            f"{_without_password(url)!r} is not a database URL. Write for example sqlite:///example.db or "
            "postgresql://user:${PASSWORD}@host/database."
        ) from None


class _PortError(ValueError):
    """Hosts and ports of a URL cannot be told apart."""


def _normalized(url: str, value: Callable[[re.Match[str]], str]) -> str:
    """A URL as SQLAlchemy reads it: scheme in full, hosts and ports filled in, several hosts or sockets as options.

    >>> _normalized("postgres://me@a:5432,b/d?sslmode=require", lambda variable: "")
    'postgresql://me@/d?host=a%2Cb&port=5432%2C&sslmode=require'
    """
    parts = _URL.match(url)
    if parts is None:
        return url
    scheme = parts["scheme"].lower()
    if scheme.partition("+")[0] == "postgres":
        scheme = f"postgresql{scheme.removeprefix('postgres')}"

    def host_value(match: re.Match[str]) -> str:
        filled = value(match)
        return f"[{filled}]" if _is_ipv6(filled) and match.string[match.start() - 1 : match.start()] != "[" else filled

    hosts, rest = _VARIABLE.sub(host_value, parts["hosts"]), parts["rest"]
    found = [_HOST.fullmatch(host) for host in hosts.split(",")]
    for host in found:
        if host is None:
            raise _PortError("what follows the host is no port")
        if host["port"] and not 1 <= int(host["port"]) <= _LARGEST_PORT:
            raise _PortError(f"{host['port'][:9]} is no port")
    several = [host for host in found if host is not None]
    # A port may be empty.
    hosts = ",".join(f"{host['host']}:{host['port']}" if host["port"] else host["host"] for host in several)
    # A folder of sockets would end the host at its first slash.
    as_options = len(several) > 1 or hosts.startswith("/")
    if as_options and scheme.partition("+")[0] == "postgresql":
        path, _, query = rest.partition("?")
        options = {"host": ",".join(host["host"].strip("[]") for host in several)}
        if any(host["port"] for host in several):
            options["port"] = ",".join(host["port"] or "" for host in several)
        hosts, rest = "", f"{path}?{urlencode(options)}{'&' if query else ''}{query}"
    return f"{scheme}://{parts['user']}{hosts}{rest}"


def _is_ipv6(host: str) -> bool:
    """Whether a host is an address of IPv6 without brackets, whose colons would look like that of a port."""
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def holds_password(url: str) -> bool:
    """Whether a URL holds a password as plain text, before the host or as an option, instead of as ${NAME}.

    >>> holds_password("postgresql://me:secret@host/db"), holds_password("postgresql://me:${PASSWORD}@host/db")
    (True, False)
    """
    try:
        parts = sa.make_url(_normalized(url.strip(_BLANKS), lambda variable: "1"))
    except (exc.ArgumentError, ValueError):
        return _PASSWORD.search(url) is not None
    # `passfile` names a file of passwords, which keeps them out of the URL.
    options = (each for key, value in parts.query.items() for each in secret_options(f"{key}={quote(str(value))}"))
    secrets = [parts.password, *(unquote(each) for each in options)]
    return any(secret and not _VARIABLE.search(str(secret)) for secret in secrets)


def _without_password(text: str) -> str:
    """What somebody wrote as a URL, with *** for whatever may be a password."""
    remember_url(text)

    def mask(match: re.Match[str]) -> str:
        return match[0] if _VARIABLE.fullmatch(match[2]) else f"{match[1]}***{match[3]}"

    without = re.sub(r"(:)(?!//)(.*)(@)", mask, text, count=1, flags=re.DOTALL)
    shown = re.sub(r"(\w*(?:pass|secret|token)\w*\s*=\s*)([^&\s]+)()", mask, without, flags=re.IGNORECASE)
    return hide(shown)


def _remember(url: sa.URL) -> None:
    """Remember the password of a URL and its options that are secret."""
    visible = (url.username or "", url.host or "", url.database or "", url.get_backend_name())
    options = (each for key, value in url.query.items() for each in secret_options(f"{key}={quote(str(value))}"))
    for secret in (url.password, *options):
        if secret:
            remember(str(secret), visible)


def hide_secrets(text: str, url: sa.URL) -> str:
    """Text of a driver without the passwords of a URL and any other secret."""
    _remember(url)
    password = str(url.password or "")
    # A short password that is no word occurs nowhere else by chance.
    return hide(text.replace(password, MASK) if len(password) >= _SHORT and not password.isalnum() else text)


def describe(url: sa.URL) -> str:
    """The URL without its password, for messages."""
    return hide(identity_of(url))


def identity_of(url: sa.URL) -> str:
    """The URL without its password and nothing else changed, for comparing and keeping it: two databases stay two.

    >>> identity_of(sa.make_url("postgresql://me:hunter2@shop/sales?password=hunter3"))
    'postgresql://me:***@shop/sales?password=%2A%2A%2A'
    """
    query = {key: _without_options(key, value) for key, value in url.query.items()}
    return url.set(query=query).render_as_string(hide_password=True)


def _without_options(key: str, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """The value of an option, with *** for what is secret in it."""
    shown = str(value)
    for secret in secret_options(f"{key}={quote(shown)}"):
        shown = shown.replace(unquote(secret) or secret, MASK) if secret else shown
    return value if shown == str(value) else shown
