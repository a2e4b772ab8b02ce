"""Sources whose user may read some columns only."""

from datetime import UTC, datetime

import psycopg
import pytest
import sqlalchemy as sa

from sql.errors import NotPermitted, SourceError
from sql.source import database_reader
from sql.source.read import Source, check_source, read_observations

MOMENT = datetime(2024, 1, 2, tzinfo=UTC)


@pytest.fixture(params=["over ADBC", "over SQLAlchemy"])
def way(request, monkeypatch):
    if request.param == "over SQLAlchemy":
        monkeypatch.setattr(database_reader, "adbc_source_connection", lambda url: None)


@pytest.fixture
def grant(postgres_url, other_user_url):
    """Makes a table of sales and grants its columns to the other user."""

    def make(columns):
        user = sa.make_url(other_user_url).username
        with psycopg.connect(postgres_url) as owner:
            owner.execute(
                "CREATE TABLE sales "
                "(series_id TEXT, timestamp TIMESTAMP, value FLOAT, loaded_at TIMESTAMPTZ, secret TEXT)"
            )
            owner.execute("INSERT INTO sales VALUES ('a', '2024-01-01', 1, '2024-01-01', 'x')")
            owner.execute("CREATE VIEW shown AS SELECT series_id, timestamp, value FROM sales")
            if columns:
                owner.execute(f"GRANT SELECT ({columns}) ON sales TO {user}")

    return make


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    "changes",
    [
        {"table": "sales"},
        {"table": "public.sales"},
        {"query": "SELECT series_id, timestamp, value, loaded_at FROM sales"},
        {"table": "sales", "recorded_at": "loaded_at"},
    ],
)
def test_rights_to_the_columns_of_the_job_are_enough(grant, other_user_url, changes):
    grant("series_id, timestamp, value, loaded_at")
    source = Source(url=other_user_url, **changes)
    check_source(source)
    assert read_observations(source, known_at=MOMENT)["value"].to_pylist() == [1.0]


@pytest.mark.parametrize("columns", ["", "series_id, timestamp"])
@pytest.mark.parametrize("origin", [{"table": "sales"}, {"table": "shown"}, {"query": "SELECT * FROM sales"}])
def test_missing_rights_to_a_column_are_named_as_such(grant, other_user_url, columns, origin):
    grant(columns)
    with pytest.raises(NotPermitted, match=r"permission denied for .*\. Grant this right to the user"):
        check_source(Source(url=other_user_url, **origin))


def test_missing_rights_to_a_schema_are_named_as_such(postgres_url, other_user_url):
    with psycopg.connect(postgres_url) as owner:
        owner.execute("CREATE SCHEMA hidden CREATE TABLE sales (series_id TEXT, timestamp TIMESTAMP, value FLOAT)")
    with pytest.raises(NotPermitted, match="permission denied for schema hidden"):
        check_source(Source(url=other_user_url, table="hidden.sales"))


def test_a_column_that_is_missing_beside_columns_without_rights_is_named(grant, other_user_url):
    grant("series_id, timestamp, value")
    with pytest.raises(SourceError, match='column "valeu" does not exist'):
        check_source(Source(url=other_user_url, table="sales", value="valeu"))
