"""Old nights: gone from the tables and from the folder, and nothing else with them."""

from __future__ import annotations

import doctest
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fsspec
import pytest

from models.settings.forecast import ForecastSettings
from sql.errors import StorageError
from sql.output import history
from tasks.night.job import days_to_judge
from tasks.publishing import retention
from tasks.publishing.publish import publish
from tasks.publishing.retention import forget
from tasks.store.night_file import save_night

FIRST = datetime(2024, 1, 31, tzinfo=UTC)


@pytest.fixture
def publish_nights(forecast_rows, tmp_path):
    """Publishes a night each day, from the first on."""

    def nights(places, count=4):
        for day in range(count):
            cutoff = FIRST + timedelta(days=day)
            publish(places, save_night([forecast_rows(cutoff)], tmp_path / "night.parquet"), cutoff)

    return nights


def keeping(places, **settings):
    return replace(places, output=places.output.model_copy(update=settings))


def test_the_examples_in_the_documentation_hold():
    result = doctest.testmod(retention)
    assert (result.attempted > 0, result.failed) == (True, 0)


def test_all_nights_are_kept_unless_the_job_says_for_how_long(places, publish_nights):
    publish_nights(places)
    assert forget(places, FIRST + timedelta(days=900)) == 0
    assert len(history.publications(places.engine(), "sales")) == 4


def test_nights_older_than_the_job_keeps_them_leave_tables_and_folder(places, publish_nights, tmp_path):
    publish_nights(places)
    folder = tmp_path / "forecasts/job=sales"
    (folder / "cutoff=notes").mkdir()
    # The newest night is of 3 February: two days before lies the 1st, which stays, and the month with it.
    assert forget(keeping(places, keep_days=2), FIRST + timedelta(days=3)) == 1

    dates = [f"2024-02-0{day}T000000Z" for day in (1, 2, 3)]
    assert sorted(path.name for path in folder.iterdir()) == [*(f"cutoff={date}" for date in dates), "cutoff=notes"]
    assert [row["cutoff"].day for row in history.publications(places.engine(), "sales")] == [1, 2, 3]


def test_a_folder_on_another_file_system_is_cleared_too(places, publish_nights):
    remote = keeping(places, keep_days=2, parquet="memory://old-lake/forecasts")
    publish_nights(remote)
    forget(remote, FIRST + timedelta(days=3))
    kept = fsspec.filesystem("memory").glob("/old-lake/forecasts/job=sales/*")
    assert [path[-18:-8] for path in kept] == ["2024-02-01", "2024-02-02", "2024-02-03"]


def test_a_database_that_refuses_leaves_everything_until_the_next_night(places, publish_nights, monkeypatch, caplog):
    publish_nights(places)

    def refuse(*_):
        raise StorageError("a reader stays")

    monkeypatch.setattr(retention, "forget_nights", refuse)
    with caplog.at_level(logging.WARNING, "nightcast"):
        assert forget(keeping(places, keep_days=1), FIRST + timedelta(days=3)) == 0
    assert caplog.messages == ["Old nights stay until the next run. a reader stays"]
    assert len(list(Path(places.parquet).glob("job=sales/*"))) == 4


def test_a_job_that_never_published_forgets_nothing(places):
    assert forget(keeping(places, keep_days=1), FIRST) == 0


@pytest.mark.parametrize(
    ("frequency", "horizon", "days"),
    [("D", 28, 28), ("h", 48, 2), ("15min", 100, 2), ("MS", 12, 366), ("MS", 5, 153), ("W-SUN", 3, 21)],
)
def test_a_night_is_needed_for_as_long_as_its_horizon_at_its_longest(frequency, horizon, days):
    assert days_to_judge(ForecastSettings(frequency=frequency, horizon=horizon)) == days
