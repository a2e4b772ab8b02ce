"""Finds the table or query of a job and checks that all its columns exist, before anything is read."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import closing, suppress
from difflib import SequenceMatcher, get_close_matches
from pathlib import Path

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy import exc

from sql.engine.connection import storage_errors
from sql.engine.outage import is_denied, passes
from sql.engine.statement import as_of, names_bound, quoted, single_select, with_bounds, within
from sql.errors import SourceError
from sql.source.reader import Bounds, wanted_columns
from sql.source.settings import LONGEST_QUERY, Source


def describe_relation(source: Source) -> str:
    """The table or query in words, such as "table 'sales'"."""
    if source.table is not None:
        return f"table {source.table!r}"
    return f"query {source.query!r}" if _is_file(source.query or "") else "the query"


def capitalize(where: str) -> str:
    """The same words with a capital, to begin a sentence."""
    return where[0].upper() + where[1:]


def _is_file(query: str) -> bool:
    return query.strip().lower().endswith(".sql") and "\n" not in query.strip()


def query_of(query: str, base: Path | None, where: str) -> str:
    """The SELECT of a job, read from its .sql file if the job names one.

    Raises:
        SourceError: where the file cannot be read, or does not hold a single SELECT.
    """
    if _is_file(query):
        path = (base or Path()) / query.strip()
        try:
            # Opening a named pipe would wait.
            if path.exists() and not path.is_file():
                raise SourceError(f"The query file {path} is no file. Give the path of a .sql file.")
            with path.open(encoding="utf-8-sig") as file:
                query = file.read(LONGEST_QUERY + 1)
        except UnicodeDecodeError as error:
            raise SourceError(f"The query file {path} is not text in UTF-8: {error}. Save it as UTF-8.") from error
        except OSError as error:
            raise SourceError(
                f"Cannot read the query file {path}: {error}. A relative path starts from the folder of the job file."
            ) from error
        if len(query) > LONGEST_QUERY:
            raise SourceError(
                f"The query file {path} has more than {LONGEST_QUERY:,} characters. Make a view, and read that."
            )
    return single_select(query, where)


def query_text(source: Source, base: Path | None) -> str:
    """The SELECT of a job, read from its .sql file if the job names one; "" if the job names a table.

    Raises:
        SourceError: as `query_of`.
    """
    return "" if source.query is None else query_of(source.query, base, capitalize(describe_relation(source)))


def takes_since(source: Source, base: Path | None) -> bool:
    """Whether the source itself can exclude old rows: a table can, and a query that names `:since`.

    Raises:
        SourceError: as `query_of`.
    """
    return source.query is None or names_bound(query_text(source, base), "since")


def query_clause(source: Source, base: Path | None, bounds: Bounds, dialect: sa.Dialect, where: str) -> str:
    """The FROM clause of the job's query, with the bounds that it names filled in.

    Raises:
        SourceError: as `query_of`.
    """
    query = query_of(source.query or "", base, capitalize(where))
    bounded = with_bounds(query, bounds.since, bounds.until, bounds.zone, dialect, capitalize(where))
    # The line break ends a comment that the query may end with.
    return f"FROM ({bounded}\n) source_rows"


def bounded(
    source: Source, origin: str, bounds: Bounds, times: pa.DataType, recorded: pa.DataType | None, dialect: sa.Dialect
) -> tuple[str, bool]:
    """A FROM clause in which the database applies as many bounds as it can.

    Args:
        source: The source.
        origin: Its FROM clause; a query has its bounds filled in.
        bounds: The rows to read.
        times: Type of the column of timestamps; the database compares only times, not text.
        recorded: Type of `recorded_at`; None if the source has none.
        dialect: That of PostgreSQL or a similar database.

    Returns:
        The clause, and whether it excludes all but the newest vintage of each row.
    """
    if is_time(times) and source.query is None:
        origin += within(quoted(source.timestamp, dialect), bounds.since, bounds.until)
    if source.recorded_at and bounds.known_at and recorded is not None and is_time(recorded):
        key = [*source.series_id, source.timestamp]
        return as_of(origin, wanted_names(source), key, source.recorded_at, bounds.known_at, dialect), True
    return origin, False


def is_time(kind: pa.DataType) -> bool:
    """Whether a column holds times that a database can compare with an instant."""
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def table_clause(engine: sa.Engine, name: str, where: str) -> str:
    """The FROM clause of a table or view.

    Raises:
        SourceError: where it does not exist; names those that do.
    """
    with storage_errors(engine.url, "list the tables of"):
        inspector = sa.inspect(engine)
        if inspector.has_table(name):
            return f"FROM {quoted(name, engine.dialect)}"
        schema, dot, rest = name.partition(".")
        if dot and schema in inspector.get_schema_names() and inspector.has_table(rest, schema):
            return f"FROM {quoted(schema, engine.dialect)}.{quoted(rest, engine.dialect)}"
        names = [*inspector.get_table_names(), *inspector.get_view_names()]
    raise no_table(name, names, where)


def no_table(name: str, names: Iterable[str], where: str) -> SourceError:
    """The error for a table that does not exist, with the names of those that do."""
    known = list(names)
    near = _near(name, known)
    question = f"Did you mean {near!r}? " if near else ""
    return SourceError(f"There is no {where}. {question}{_listing(known, 'tables')}")


def _near(name: str, names: Iterable[str]) -> str | None:
    folded = {known.casefold(): known for known in names}
    found = get_close_matches(name.casefold(), sorted(folded), n=1)
    return folded[found[0]] if found else None


def _listing(names: Iterable[str], kind: str) -> str:
    known = sorted(names)
    listed = ", ".join(known[:30]) + (", ..." if len(known) > 30 else "")
    return f"Existing {kind}: {listed or 'none'}."


def check_columns(engine: sa.Engine, source: Source, origin: str, where: str) -> None:
    """Run the query without fetching rows, and check that every column of the job exists.

    The user needs the right to read these columns and no others.

    Raises:
        SourceError: where the query fails or a column is missing.
        StorageError: where the database does not answer, or the user may not read the columns.
    """
    names = wanted_names(source)
    try:
        if engine.dialect.name == "sqlite":
            # SQLite takes a quoted name that it does not know for text.
            names = _columns_of(engine, "*", origin)
        else:
            _columns_of(engine, ", ".join(quoted(name, engine.dialect) for name in names), origin)
    except exc.DBAPIError as error:
        if not passes(error, engine.url) and not is_denied(error, engine.url):
            _refuse_columns(engine, source, origin, where)
            if source.query is not None or isinstance(error, exc.ProgrammingError):
                verb, remedy = ("run", "query") if source.query is not None else ("read", "columns of the source")
                reason = " ".join(str(error.orig).split())
                raise SourceError(f"{capitalize(where)} cannot be {verb}: {reason}. Correct the {remedy}.") from error
        with storage_errors(engine.url, f"read {describe_relation(source)} from"):
            raise
    check_names(source, names, where)


def _refuse_columns(engine: sa.Engine, source: Source, origin: str, where: str) -> None:
    """The error for missing columns, where the user may see which there are."""
    with suppress(exc.DBAPIError):
        check_names(source, _columns_of(engine, "*", origin), where)


def _columns_of(engine: sa.Engine, columns: str, origin: str) -> list[str]:
    # A cursor of the server is of one statement, whatever the query's text turns out to be.
    with (
        engine.connect().execution_options(no_parameters=True, stream_results=True) as connection,
        closing(connection.exec_driver_sql(f"SELECT {columns} {origin} WHERE 1 = 0")) as rows,
    ):
        return list(rows.keys())


def wanted_names(source: Source) -> list[str]:
    """The columns of the table or query that a job names, each once."""
    return list(dict.fromkeys(column.name for column in wanted_columns(source)))


def check_names(source: Source, found: Collection[str], where: str) -> None:
    """Check that every column of the job exists.

    Raises:
        SourceError: where columns are missing; names them, similar ones, and all that exist.
    """
    wanted = {
        "series_id": source.series_id,
        "timestamp": [source.timestamp],
        "value": [source.value],
        "static": source.static,
        "static_numbers": source.static_numbers,
        "known_future": source.known_future,
        "observed_past": source.observed_past,
        "recorded_at": [source.recorded_at] if source.recorded_at else [],
    }
    missing = {name: key for key, names in wanted.items() for name in names if name not in found}
    if missing:
        listed = " or ".join(f"{name!r} ({key})" for name, key in missing.items())
        used = {name for names in wanted.values() for name in names}
        near = _nearest(missing, [name for name in found if name not in used])
        meant = [f"{found!r} for {name!r}" if len(missing) > 1 else f"{found!r}" for name, found in near.items()]
        question = f"Did you mean {' and '.join(meant)}? " if meant else ""
        remedy = f"Name your own in the job file, as {' and '.join(dict.fromkeys(missing.values()))}."
        raise SourceError(f"There is no column {listed} in {where}. {question}{remedy} {_listing(found, 'columns')}")


def _nearest(names: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """For each name the most similar known one, if any is similar. None is taken twice: the best pairs come first."""
    left, wanted, pairs = list(known), list(names), dict[str, str]()
    while near := {name: found for name in wanted if (found := _near(name, left))}:
        best = max(near, key=lambda name: SequenceMatcher(None, name.casefold(), near[name].casefold()).ratio())
        pairs[best] = near[best]
        wanted.remove(best)
        left.remove(near[best])
    return {name: pairs[name] for name in names if name in pairs}
