"""Any mixture of dirt: a night forecasts every series or names the problem in one clear error."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from unittest import mock

import adbc_driver_manager
import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.audit.build_panel import build_panel
from models.errors import InputError
from models.settings.audit import AuditSettings
from models.settings.forecast import ForecastSettings
from sql.engine.connection import adbc_source_connection, connect, connect_source, resolve_url, transaction
from sql.engine.statement import quoted
from sql.engine.storable import LONGEST_ID, storable
from sql.errors import SourceError, StorageError
from sql.source import database_reader
from sql.source.read import Source, read_observations
from tasks.forecasting.shard import bare_fallback, fallback_forecast

CUTOFF = datetime(2024, 1, 21, tzinfo=UTC)
FORECAST = ForecastSettings(frequency="D", horizon=3, quantile_levels=[0.1, 0.5, 0.9])
GOOD = [("good", f"2024-01-{day:02}", float(day)) for day in range(1, 22)]
# A week before the three days after the 21st.
EXPECTED = [15.0, 16.0, 17.0]

NASTY = [
    *(
        "'; DROP TABLE victim; --",
        '"; DROP TABLE victim; --',
        "a' OR '1'='1",
        "%s",
        ":until",
        "{}",
        "\\",
        "a/b",
        "a\\/b",
    ),
    *("..", " ", "\t", "\n", "ünïcödé", "Ω≈ç√", "🙂", "e\u0301", "\u202egnp", "NULL", "nan", "1", "1.0"),
    *("x" * 10_000, "🙂" * 2_500),
]
IDS = st.one_of(st.sampled_from(NASTY), st.text(st.characters(codec="utf-8"), max_size=8))
DAYS = st.dates(date(2023, 12, 20), date(2024, 2, 10)).map(str)
TIMES = st.one_of(
    DAYS,
    DAYS.map(lambda day: f"{day} 00:00:00"),
    DAYS.map(lambda day: f" {day}T07:30:01.5 "),
    st.sampled_from(["2199-12-31", "1970-01-01"]),
)
WRONG_TIMES = st.sampled_from(
    ["", "soon", "2024-13-01", "2024-01-05T00:00:00Z", None, 20240105, 0.5, b"\xff", b"2024-01-05"]
)
VALUES = st.one_of(st.floats(), st.integers(-(2**63), 2**63 - 1), st.booleans(), st.none(), st.floats(0, 9).map(str))
WRONG_VALUES = st.one_of(st.text(max_size=5), st.binary(max_size=4), st.sampled_from(["1,5", "1e999", "0x10", "-inf"]))


@st.composite
def rows(draw: st.DrawFn) -> list[tuple[object, ...]]:
    """Rows of the good series among others that are dirty, in any order; now and then a type that has no place."""
    dirty: st.SearchStrategy[tuple[object, ...]] = st.tuples(IDS, TIMES, VALUES)
    wrong: st.SearchStrategy[tuple[object, ...]] = st.one_of(
        st.tuples(IDS, WRONG_TIMES, VALUES),
        st.tuples(IDS, TIMES, WRONG_VALUES),
        st.tuples(st.sampled_from([None, 7, 7.5, b"\xff", b"goods"]), TIMES, VALUES),
    )
    found = draw(st.lists(dirty, max_size=25))
    found += draw(st.lists(wrong, max_size=2)) if draw(st.booleans()) else []
    again = draw(st.lists(st.sampled_from(found), max_size=5)) if found else []
    return draw(st.permutations([*found, *again, *GOOD]))


POLICIES = st.fixed_dictionaries(
    {},
    optional={
        "duplicates": st.sampled_from(["first", "last", "mean", "sum", "error"]),
        "off_grid": st.sampled_from(["floor", "leave_out", "error"]),
        "non_numeric": st.just("missing"),
        "infinite": st.sampled_from(["missing", "error"]),
        "gaps": st.sampled_from(["zero", "missing"]),
        "unit_changes": st.sampled_from(["rescale", "missing", "keep"]),
        "dead": st.just("forecast"),
    },
).map(lambda settings: AuditSettings(**settings))


class Database:
    """A SQLite file with one table of history, and one that nobody may touch."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "source.db"
        with closing(sqlite3.connect(self.file)) as connection, connection:
            connection.execute("CREATE TABLE victim (x)")
            connection.execute("INSERT INTO victim VALUES (1)")

    def source(self, found: list[tuple[object, object, object]], names: tuple[str, str, str, str]) -> Source:
        """A table of these rows, of the given names of table and columns, as a job's source."""
        dialect = sa.create_engine("sqlite://").dialect
        table, *columns = (quoted(name, dialect) for name in names)
        with closing(sqlite3.connect(self.file)) as connection, connection:
            connection.execute(f"DROP TABLE IF EXISTS {table}")
            # Without types, values stay what they are.
            connection.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
            connection.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", found)
        series_id, timestamp, value = names[1:]
        url = f"sqlite:///{self.file}"
        return Source(url=url, table=names[0], series_id=series_id, timestamp=timestamp, value=value)

    def digest(self) -> str:
        return hashlib.sha256(self.file.read_bytes()).hexdigest()

    def victims(self) -> int:
        with closing(sqlite3.connect(self.file)) as connection:
            return int(connection.execute("SELECT count(*) FROM victim").fetchone()[0])


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    return Database(tmp_path_factory.mktemp("dirty"))


def night(source: Source, policies: AuditSettings) -> dict[str, tuple[np.ndarray, str]]:
    """What a night without a network makes of a source: quantiles and reason of each series."""
    panel, audit = build_panel(
        read_observations(source), FORECAST, cutoff=CUTOFF, now=CUTOFF + timedelta(days=1), audit=policies
    )
    assert all(finding.count and 0 < len(finding.examples) <= 5 for finding in audit.findings)
    made = fallback_forecast(panel, bare_fallback(panel, FORECAST), "no model")
    assert np.isfinite(made.quantiles).all()
    assert (np.diff(made.quantiles, axis=-1) >= 0).all()
    return dict(zip(made.series_ids.tolist(), zip(made.quantiles, made.reason.tolist(), strict=True), strict=True))


def night_or_error(source: Source, policies: AuditSettings) -> dict[str, tuple[np.ndarray, str]] | str:
    try:
        return night(source, policies)
    except (SourceError, InputError) as error:
        return str(error)
    except StorageError as error:
        # Python's own driver reads no bytes that are not text, and raises an error of its own.
        if "decode to UTF-8 column" not in str(error):
            raise
        return str(error)


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(found=rows(), policies=POLICIES, over_adbc=st.booleans())
def test_a_night_forecasts_every_series_or_names_what_is_wrong(database, found, policies, over_adbc):
    source = database.source(found, ("history", "series_id", "timestamp", "value"))
    before = database.digest()
    way = adbc_source_connection if over_adbc else lambda url: None
    with mock.patch.object(database_reader, "adbc_source_connection", way):
        made = night_or_error(source, policies)
    if isinstance(made, str):
        assert 20 < len(made) < 3_000
    else:
        assert {storable(name, LONGEST_ID) for name, *_ in found if isinstance(name, str)} <= set(made)
        np.testing.assert_allclose(made["good"][0][:, 1], EXPECTED)
        assert all(reason for _, reason in made.values())
    assert (database.digest(), database.victims()) == (before, 1)


@settings(max_examples=25)
@given(
    st.lists(
        st.sampled_from([name for name in NASTY if name.strip() and len(name) <= 300]),
        min_size=4,
        max_size=4,
        unique_by=str.lower,
    )
)
def test_the_names_of_table_and_columns_may_be_anything(database, names):
    source = database.source(GOOD, tuple(names))
    assert list(night(source, AuditSettings())) == ["good"]
    assert database.victims() == 1


def test_the_ids_of_postgresql_may_be_anything(postgres_url):
    engine = connect(resolve_url(postgres_url))
    table, column = "'; DROP TABLE victim; --", 'a "b" %s :until'
    with transaction(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE victim (x INT)")
        connection.execution_options(no_parameters=True).exec_driver_sql(
            f"CREATE TABLE {quoted(table, engine.dialect)} ({quoted(column, engine.dialect)} TEXT, day DATE, n NUMERIC)"
        )
        history = sa.table(table, sa.column(column), sa.column("day"), sa.column("n"))
        values = [None, Decimal("NaN"), Decimal("Infinity"), Decimal(10) ** 300, Decimal("1e-400"), Decimal("1.5")]
        dirty = [
            {column: name, "day": date(2024, 1, 15 + i), "n": value} for name in NASTY for i, value in enumerate(values)
        ]
        good = [{column: name, "day": date.fromisoformat(day), "n": value} for name, day, value in GOOD]
        connection.execute(sa.insert(history), [*dirty, *good])
    source = Source(url=postgres_url, table=table, series_id=column, timestamp="day", value="n")
    made = night(source, AuditSettings())
    assert set(made) == {"good", *(storable(name, LONGEST_ID) for name in NASTY)}
    np.testing.assert_allclose(made["good"][0][:, 1], EXPECTED)
    assert sa.inspect(engine).has_table("victim")


def over_adbc(url: sa.URL, statement: str) -> None:
    connection = adbc_source_connection(url)
    assert connection is not None
    with closing(connection), connection.cursor() as cursor:
        cursor.execute(statement)
        cursor.fetchall()


@pytest.mark.parametrize(
    "statement", ["DELETE FROM t", "INSERT INTO t VALUES (2)", "DROP TABLE t", "CREATE TABLE u (x INT)"]
)
def test_what_a_source_is_read_through_cannot_write(database_url, statement):
    owner = connect(resolve_url(database_url))
    with transaction(owner) as connection:
        connection.exec_driver_sql("CREATE TABLE t (x INT)")
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
    url = resolve_url(database_url)
    refused = "read-?only|readonly"
    with pytest.raises(sa.exc.DBAPIError, match=refused), connect_source(url).begin() as connection:
        connection.exec_driver_sql(statement)
    with pytest.raises((adbc_driver_manager.Error, OSError), match=refused):
        over_adbc(url, statement)
    with owner.connect() as connection:
        assert connection.exec_driver_sql("SELECT x FROM t").all() == [(1,)]
    assert not sa.inspect(owner).has_table("u")
