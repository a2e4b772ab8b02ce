"""Reading history for a night: what it would have seen, and a cutoff before everything."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from models.errors import InputError
from models.settings.forecast import ForecastSettings
from sql.engine.connection import connect, resolve_url, transaction
from sql.errors import NoRows
from sql.source.read import Source
from tasks.night.job import Job
from tasks.reading.read_series import Extent, read_series
from tasks.store.rows_file import load_rows

MADRID = ForecastSettings(frequency="D", horizon=2, time_zone="Europe/Madrid")
NOW = datetime(2024, 4, 1, tzinfo=UTC)
QUERY = "SELECT * FROM sales WHERE timestamp <= :until"


@pytest.fixture
def make_source(database_url):
    """Makes the table `sales` of so many days from 1 March 2024, in local time; gives the source."""

    def make(days: int, **settings) -> Source:
        with transaction(connect(resolve_url(database_url))) as connection:
            connection.exec_driver_sql(
                "CREATE TABLE sales (series_id TEXT, timestamp TIMESTAMP, value REAL, promotion REAL)"
            )
            for day in range(1, days + 1):
                connection.exec_driver_sql(f"INSERT INTO sales VALUES ('a', '2024-03-{day:02d} 00:00:00', {day}, 0)")
        return Source(**{"url": database_url, "table": "sales", **settings})

    return make


def job_of(source) -> Job:
    return Job.model_validate({"name": "sales", "source": source, "forecast": MADRID})


def read(source, cutoff, folder):
    return load_rows(read_series(job_of(source), folder, Extent(cutoff, NOW), folder))["value"].to_pylist()


def test_a_night_sees_what_came_up_to_its_cutoff(make_source, tmp_path):
    source = make_source(5)
    assert sorted(read(source, None, tmp_path)) == [1, 2, 3, 4, 5]
    assert sorted(read(source, datetime(2024, 3, 3, 12, tzinfo=UTC), tmp_path)) == [1, 2, 3]


@pytest.mark.parametrize(
    "settings", [{}, {"table": None, "query": QUERY}, {"known_future": ["promotion"]}], ids=["table", "query", "known"]
)
def test_a_cutoff_before_the_first_row_is_an_error_that_names_both(make_source, tmp_path, settings):
    words = r"cutoff 2024-02-09 00:00: the first is of 2024-03-01 00:00 .Europe/Madrid.. Give a later cutoff"
    with pytest.raises(InputError, match=words):
        read(make_source(5, **settings), datetime(2024, 2, 8, 23, 30, tzinfo=UTC), tmp_path)


def test_a_source_without_rows_is_no_matter_of_the_cutoff(make_source, tmp_path):
    with pytest.raises(NoRows, match="There are no rows in table 'sales'"):
        read(make_source(0), datetime(2024, 3, 3, tzinfo=UTC), tmp_path)


@pytest.mark.parametrize(("expected", "share"), [(10, 0.5), (4, 0.99), (None, 0.0)])
def test_reading_shows_its_progress_where_an_earlier_night_read_as_much(
    make_source, tmp_path, monkeypatch, expected, share
):
    shown: list[tuple[float, str]] = []
    monkeypatch.setattr("tasks.reading.read_series.show_progress", lambda stage: lambda *far: shown.append(far))
    read_series(job_of(make_source(5)), tmp_path, Extent(now=NOW), tmp_path, expected)
    assert (shown[0], shown[-1][0]) == ((share, "5 rows"), 1.0)
