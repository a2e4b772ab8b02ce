"""SQL text: quoted names, literals, and queries that must be a single SELECT."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from sql.errors import SourceError


def _nested_comment(depth: int) -> str:
    """The pattern of a comment that holds comments, as PostgreSQL and DuckDB read it."""
    inner = "(?!)" if depth == 0 else _nested_comment(depth - 1)
    return rf"/\*(?>(?:(?!/\*|\*/).|{inner})*)\*/"


# SQLite and MySQL end a comment at its first */, so a comment that would never end is read as theirs.
_TOKEN = re.compile(
    rf"""(?P<quoted>(?<!\w)[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`
        |(?<!\w)\$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?\$(?P=tag)\$)
      | (?P<comment>--[^\n]*|{_nested_comment(4)}|/\*.*?\*/)
      | (?P<bound>(?<![:\w]):(?P<name>[A-Za-z_]\w*))
      | (?P<end>;)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)

_UNBOUNDED = {"since": "-infinity", "until": "infinity"}


def quoted(name: str, dialect: sa.Dialect) -> str:
    """A name in quotes, so that it may hold any character.

    >>> from sqlalchemy.dialects import sqlite
    >>> quoted('or"der', sqlite.dialect())
    '"or""der"'
    """
    if dialect.name in ("sqlite", "postgresql"):
        # SQLAlchemy would double a percent sign for psycopg, but ADBC takes it literally.
        return '"' + name.replace('"', '""') + '"'
    return dialect.identifier_preparer.quote_identifier(name)


def text_literal(text: str) -> str:
    """Text as an SQL literal.

    >>> text_literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def single_select(query: str, where: str) -> str:
    """The query without comments and its last semicolon, if it is one SELECT (or WITH ... SELECT, or VALUES).

    Args:
        query: SQL as a person wrote it, comments included.
        where: How an error names the query.

    Raises:
        SourceError: where the query is empty, another kind of statement, or several statements.
    """
    code = "".join(" " if token["comment"] else token[0] for token in _TOKEN.finditer(query.lstrip("\ufeff")))
    statements = [part.strip() for part in _split(code) if part.strip()]
    if not statements:
        raise SourceError(f"{where} is empty. Write a SELECT.")
    if len(statements) > 1:
        raise SourceError(f"{where} holds {len(statements)} statements. Keep one SELECT.")
    first = re.match(r"[\s(]*(\w*)", statements[0])
    keyword = first[1].upper() if first else ""
    if keyword not in ("SELECT", "WITH", "VALUES"):
        raise SourceError(
            f"{where} begins with {keyword or statements[0][:10]!r}, but a source can only be read. Write a SELECT."
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
    """The query with `:since` and `:until` replaced by literals; a bound of None excludes nothing.

    For PostgreSQL the literal is an instant. For other databases it is local time in `zone`, as
    `2024-01-31 18:00:00.000000`. A `:since` at midnight becomes the day alone, so that it
    compares correctly with days stored as text.

    Raises:
        SourceError: where the query uses another `:name`.
    """

    def literal(token: re.Match[str]) -> str:
        name = token["name"]
        if name is None:
            return token[0]
        if name not in ("since", "until"):
            raise SourceError(f"{where} uses :{name}, but only :since and :until have a value. Use one of them.")
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
    """A WHERE clause on a quoted column of times, or "". The session's time zone applies to times without one."""
    bounds = {">=": since, "<=": until}
    terms = [f"{column} {sign} {instant_literal(bound)}" for sign, bound in bounds.items() if bound is not None]
    return f" WHERE {' AND '.join(terms)}" if terms else ""


def text_since(column: str, since: datetime) -> tuple[str, list[str]]:
    """A WHERE clause on a quoted column of SQLite, whose times are text in any form, and its parameters.

    The clause may let older rows through, but excludes no newer row. The day in a text with an offset from UTC is at
    most one day from the instant's day. Leading blanks sort before every digit. Text that is not a time also passes:
    whoever reads the rows reports it.

    >>> text_since('"day"', datetime(2024, 1, 31, tzinfo=UTC))[1]
    ['2024-01-29']
    """
    text = f"CAST({column} AS TEXT)"
    earliest = since.astimezone(UTC).date() - timedelta(days=2)
    return f" WHERE ({text} >= ? OR {text} < '0' OR {text} IS NULL)", [str(earliest)]


def as_of(
    tail: str, names: Sequence[str], key: Sequence[str], recorded_at: str, moment: datetime, dialect: sa.Dialect
) -> str:
    """A FROM clause for the rows as of a moment: for each key, only the newest vintage recorded by then.

    Args:
        tail: FROM clause with or without WHERE, of PostgreSQL or DuckDB.
        names: The columns to give, `key` and `recorded_at` among them.
        key: Columns that vintages of one row share.
        recorded_at: Column of times; NULL counts as known from the start.
        moment: With a time zone.
        dialect: Decides how names are quoted.
    """
    columns, key_columns, recorded = (
        ", ".join(quoted(name, dialect) for name in group) for group in (names, key, [recorded_at])
    )
    # RANK, not ROW_NUMBER: neither of two rows recorded at the same time is newer, and the audit must report both.
    known = f"{recorded} IS NULL OR {recorded} <= {instant_literal(moment)}"
    rank = f"RANK() OVER (PARTITION BY {key_columns} ORDER BY {recorded} DESC NULLS LAST)"
    vintages = f"SELECT *, {rank} AS nightcast_rank FROM (SELECT {columns} {tail}) all_rows WHERE {known}"
    return f"FROM ({vintages}) vintages WHERE nightcast_rank = 1"


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
    """A value as an SQL literal, in the form that the output tables have; timestamps need a time zone.

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
