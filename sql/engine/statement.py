"""SQL text that is made or checked here: quoted names, one SELECT and no more, timestamps as literals."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from sql.errors import SourceError

_TOKEN = re.compile(
    r"""(?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
      | (?P<comment>--[^\n]*|/\*.*?\*/)
      | (?P<bound>(?<![:\w]):(?P<name>[A-Za-z_]\w*))
      | (?P<end>;)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)

_UNBOUNDED = {"since": "-infinity", "until": "infinity"}


def quoted(name: str, dialect: sa.Dialect) -> str:
    """A name as the database wants it, whatever characters it holds.

    >>> from sqlalchemy.dialects import sqlite
    >>> quoted('or"der', sqlite.dialect())
    '"or""der"'
    """
    if dialect.name in ("sqlite", "postgresql"):
        # SQLAlchemy would double a percent sign for psycopg, which ADBC takes literally.
        return '"' + name.replace('"', '""') + '"'
    return dialect.identifier_preparer.quote_identifier(name)


def text_literal(text: str) -> str:
    """Text as an SQL literal.

    >>> text_literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def single_select(query: str, where: str) -> str:
    """The query without its last semicolon, where it is one SELECT (or WITH ... SELECT).

    Args:
        query: SQL as a person wrote it, comments included.
        where: What to call it in an error.

    Raises:
        SourceError: where it is empty, another kind of statement, or several.
    """
    code = "".join(" " if token["comment"] else token[0] for token in _TOKEN.finditer(query))
    statements = [part.strip() for part in _split(code) if part.strip()]
    if not statements:
        raise SourceError(f"{where} is empty; write a SELECT.")
    if len(statements) > 1:
        raise SourceError(f"{where} holds {len(statements)} statements; keep one SELECT.")
    first = re.match(r"[\s(]*(\w*)", statements[0])
    word = first[1].upper() if first else ""
    if word not in ("SELECT", "WITH", "VALUES"):
        raise SourceError(
            f"{where} begins with {word or statements[0][:10]!r}, but the source is only read: write a SELECT."
        )
    return statements[0]


def _split(code: str) -> list[str]:
    parts = [""]
    for token in _TOKEN.finditer(code):
        if token["end"]:
            parts.append("")
        else:
            parts[-1] += token[0]
    return parts


def with_bounds(
    query: str, since: datetime | None, until: datetime | None, zone: ZoneInfo, dialect: sa.Dialect, where: str
) -> str:
    """The query with `:since` and `:until` as literals; a bound that is None leaves nothing out.

    PostgreSQL gets instants. Elsewhere the literal is the wall clock of `zone`, as
    `2024-01-31 18:00:00.000000`, and for a `:since` at midnight the day alone, so that it
    compares well with days kept as text.

    Raises:
        SourceError: for any other `:name`.
    """

    def literal(token: re.Match[str]) -> str:
        name = token["name"]
        if name is None:
            return token[0]
        if name not in ("since", "until"):
            raise SourceError(f"{where} uses :{name}, but only :since and :until are given to it.")
        if dialect.name == "postgresql":
            instant = since if name == "since" else until
            return instant_literal(instant) if instant else f"TIMESTAMPTZ '{_UNBOUNDED[name]}'"
        return text_literal(_since_text(since, zone) if name == "since" else _until_text(until, zone))

    return "".join(literal(token) for token in _TOKEN.finditer(query))


def names_bound(query: str, name: str) -> bool:
    """Whether a query uses `:name`, outside of quotes and comments.

    >>> names_bound("SELECT * FROM t WHERE day >= :since -- :until", "until")
    False
    """
    return any(token["name"] == name for token in _TOKEN.finditer(query))


def instant_literal(instant: datetime) -> str:
    """An aware timestamp as PostgreSQL writes it.

    >>> instant_literal(datetime(2024, 1, 31, tzinfo=UTC))
    "TIMESTAMPTZ '2024-01-31 00:00:00+00:00'"
    """
    return f"TIMESTAMPTZ '{instant.astimezone(UTC).isoformat(' ')}'"


def within(column: str, since: datetime | None, until: datetime | None) -> str:
    """A WHERE clause on a quoted column of real times, or nothing; naive ones are meant in the session's zone."""
    bounds = {">=": since, "<=": until}
    terms = [f"{column} {sign} {instant_literal(bound)}" for sign, bound in bounds.items() if bound is not None]
    return f" WHERE {' AND '.join(terms)}" if terms else ""


def text_since(column: str, since: datetime) -> tuple[str, list[str]]:
    """A WHERE clause on a quoted column of SQLite, which keeps times as text of any form, and its parameters.

    It may let older rows through, and never leaves out one that is not older: a text with an offset from UTC shows a
    day that is at most one away from its instant's, blanks before a time sort before every digit, and what is no time
    is for the reader to name.

    >>> text_since('"day"', datetime(2024, 1, 31, tzinfo=UTC))[1]
    ['2024-01-29']
    """
    text = f"CAST({column} AS TEXT)"
    earliest = since.astimezone(UTC).date() - timedelta(days=2)
    return f" WHERE ({text} >= ? OR {text} < '0' OR {text} IS NULL)", [str(earliest)]


def as_of(tail: str, key: Sequence[str], recorded_at: str, moment: datetime, dialect: sa.Dialect) -> str:
    """A FROM clause of the rows that were known at a moment: of several with one key, those recorded last by then.

    Args:
        tail: FROM clause with or without WHERE, of PostgreSQL or DuckDB.
        key: Columns that make rows revisions of each other.
        recorded_at: Column of real times; NULL was known from the start.
        moment: With a zone.
        dialect: For the names.
    """
    of, recorded = (", ".join(quoted(name, dialect) for name in names) for names in (key, [recorded_at]))
    # RANK, not ROW_NUMBER: of two rows recorded at once neither is the newer, and the audit has to say so.
    known = f"{recorded} IS NULL OR {recorded} <= {instant_literal(moment)}"
    rank = f"RANK() OVER (PARTITION BY {of} ORDER BY {recorded} DESC NULLS LAST)"
    revisions = f"SELECT *, {rank} AS nightcast_rank FROM (SELECT * {tail}) all_rows WHERE {known}"
    return f"FROM ({revisions}) revisions WHERE nightcast_rank = 1"


def _since_text(since: datetime | None, zone: ZoneInfo) -> str:
    if since is None:
        return "0001-01-01"
    local = since.astimezone(zone).replace(tzinfo=None)
    return str(local.date()) if local.time() == datetime.min.time() else local.isoformat(" ", "microseconds")


def _until_text(until: datetime | None, zone: ZoneInfo) -> str:
    if until is None:
        return "9999-12-31 23:59:59.999999"
    return until.astimezone(zone).replace(tzinfo=None).isoformat(" ", "microseconds")


def literal(value: str | int | datetime | None, dialect: sa.Dialect) -> str:
    """A value as the tables of this project hold it, as an SQL literal; timestamps are aware.

    >>> from sqlalchemy.dialects import sqlite
    >>> literal(datetime(2024, 1, 31, tzinfo=UTC), sqlite.dialect())
    "'2024-01-31 00:00:00.000000'"
    """
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return text_literal(value)
    if dialect.name == "postgresql":
        return instant_literal(value)
    return text_literal(_until_text(value, ZoneInfo("UTC")))
