"""Samples of tables, and the tables of a database."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from sql.engine.connection import resolve_url
from sql.errors import SourceError
from sql.migrations.migrate import migrate
from sql.sample import table_sample
from sql.sample.list_tables import has_table, only_table
from sql.sample.table_sample import sample_table


@pytest.fixture
def fill(engine, run_sql):
    """Makes a table of two columns with a number of rows, the first of shop 0."""

    def filled(name, rows):
        run_sql(f"CREATE TABLE {name} (shop TEXT, sold_on DATE, units INTEGER)")
        with engine.begin() as connection:
            values = [{"shop": str(i // 100), "day": "2024-01-01", "units": i} for i in range(rows)]
            statement = f"INSERT INTO {name} VALUES (:shop, CAST(:day AS DATE), :units)"
            if engine.dialect.name == "sqlite":
                statement = statement.replace("CAST(:day AS DATE)", ":day")
            connection.execute(sa.text(statement), values)

    return filled


def test_a_small_table_is_looked_at_as_a_whole(database_url, fill):
    fill("sales", 3)
    found = sample_table(resolve_url(database_url), "sales")
    assert (found.whole, found.only_first) == (True, False)
    assert [str(field.type) for field in found.rows.schema] == ["string", "date32[day]", "int64"]


def test_a_large_table_gives_rows_from_its_first_to_its_last_without_being_read(database_url, fill, monkeypatch):
    monkeypatch.setattr(table_sample, "most_rows", lambda columns: 500)
    fill("sales", 20_000)
    found = sample_table(resolve_url(database_url), "sales")
    units = found.rows.to_pydict()["units"]
    assert (found.whole, found.only_first) == (False, False)
    assert units[0] == 0
    assert max(units) > 19_000
    assert len(set(found.rows.to_pydict()["shop"])) >= 5
    assert len(units) <= 500


def test_of_a_view_the_first_rows_are_enough(database_url, fill, run_sql, monkeypatch):
    monkeypatch.setattr(table_sample, "most_rows", lambda columns: 50)
    fill("sales", 1_000)
    run_sql("CREATE VIEW seen AS SELECT shop, sold_on, units FROM sales")
    found = sample_table(resolve_url(database_url), "seen")
    assert (found.rows.num_rows, found.only_first) == (50, True)


def test_a_table_without_rows_is_refused(database_url, fill, run_sql):
    run_sql("CREATE TABLE sales (shop TEXT)")
    with pytest.raises(SourceError, match=r"'sales' in .* has no rows\. Load the history"):
        sample_table(resolve_url(database_url), "sales")


def test_a_table_that_is_not_there_is_refused_with_those_that_are(database_url, fill):
    fill("sales", 1)
    with pytest.raises(SourceError, match="Did you mean 'sales'"):
        sample_table(resolve_url(database_url), "sale")


def test_of_many_tables_those_with_a_time_and_a_number_are_listed(database_url, engine, run_sql):
    migrate(engine)
    run_sql(*(f"CREATE TABLE t{i} (a TEXT, b INTEGER)" for i in range(30)))
    run_sql("CREATE TABLE load_of_day (made_at TIMESTAMP, mw REAL)", "CREATE TABLE ages (day DATE, age INTEGER)")
    with pytest.raises(SourceError, match=r"32 tables and views\. 2 of them .*: load_of_day, ages\. Say which"):
        only_table(resolve_url(database_url))
    run_sql("DROP TABLE ages")
    assert only_table(resolve_url(database_url)) == "load_of_day"


def test_whether_a_table_is_there(database_url, fill):
    fill("sales", 1)
    assert has_table(resolve_url(database_url), "sales")
    assert not has_table(resolve_url(database_url), "orders")
