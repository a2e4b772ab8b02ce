"""Old nights: gone from the tables and from the folder, and nothing else with them."""

from __future__ import annotations

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
from tasks.night.ledger import Ledger
from tasks.publishing.publish import publish
from tasks.publishing.retention import delete_old_nights
from tasks.store.night_file import save_night

FIRST = datetime(2024, 1, 31, tzinfo=UTC)


@pytest.fixture
def night_of(places, make_night):
    """Makes the night so many days after the first one, of a job with these settings of `output`."""

    def make(days, **settings):
        output = places.output.model_copy(update=settings)
        night, there = make_night(FIRST + timedelta(days=days)), replace(places, output=output)
        return replace(night, job=night.job.model_copy(update={"output": output}), places=there, ledger=Ledger(there))

    return make


@pytest.fixture
def publish_nights(night_of, forecast_rows, tmp_path):
    """Publishes a night each day, from the first on."""

    def nights(count=4, **settings):
        for day in range(count):
            night = night_of(day, **settings)
            publish(night, save_night([forecast_rows(night.cutoff)], tmp_path / "night.parquet"))

    return nights


def test_all_nights_are_kept_unless_the_job_says_for_how_long(places, night_of, publish_nights):
    publish_nights()
    assert delete_old_nights(night_of(900)) == 0
    assert len(history.publications(places.engine(), "sales")) == 4


def test_nights_older_than_the_job_keeps_them_leave_tables_and_folder(places, night_of, publish_nights, tmp_path):
    publish_nights()
    folder = tmp_path / "forecasts/job=sales"
    (folder / "cutoff=notes").mkdir()
    # The newest night is of 3 February: two days before lies the 1st, which stays, and the month with it.
    assert delete_old_nights(night_of(3, keep_days=2)) == 1

    dates = [f"2024-02-0{day}T000000Z" for day in (1, 2, 3)]
    assert sorted(path.name for path in folder.iterdir()) == [*(f"cutoff={date}" for date in dates), "cutoff=notes"]
    assert [row["cutoff"].day for row in history.publications(places.engine(), "sales")] == [1, 2, 3]


def test_pages_go_with_their_nights_and_those_of_backtests_and_of_people_stay(places, night_of, publish_nights):
    publish_nights()
    stamps = [f"2024-0{month}T000000Z" for month in ("1-31", "2-01", "2-02", "2-03")]
    nights = [f"{stamp}.html" for stamp in stamps]
    series = [f"series/{stamp}-Madrid.html" for stamp in stamps]
    others = ["index.html", "backtest-2024-01-01T000000Z.html", "2024-01-31 notes.html"]
    (places.report / "series").mkdir(parents=True)
    for name in (*nights, *series, *others):
        (places.report / name).write_text("<html>")
    delete_old_nights(night_of(3, keep_days=2))
    kept = {str(page.relative_to(places.report)) for page in places.report.rglob("*.html")}
    assert kept == {*nights[1:], *series[1:], *others}


def test_a_folder_on_another_file_system_is_cleared_too(night_of, publish_nights):
    remote = {"keep_days": 2, "parquet": "memory://old-lake/forecasts"}
    publish_nights(**remote)
    delete_old_nights(night_of(3, **remote))
    kept = fsspec.filesystem("memory").glob("/old-lake/forecasts/job=sales/*")
    assert [path[-18:-8] for path in kept] == ["2024-02-01", "2024-02-02", "2024-02-03"]


def test_a_database_that_refuses_leaves_everything_until_the_next_night(
    places, night_of, publish_nights, monkeypatch, caplog
):
    publish_nights()

    def refuse(*_):
        raise StorageError("a reader stays")

    monkeypatch.setattr(Ledger, "delete_nights", refuse)
    with caplog.at_level(logging.WARNING, "nightcast"):
        assert delete_old_nights(night_of(3, keep_days=1)) == 0
    assert caplog.messages == ["Old nights stay until the next run. a reader stays"]
    assert len(list(Path(places.parquet).glob("job=sales/*"))) == 4


def test_a_job_that_never_published_deletes_nothing(night_of):
    assert delete_old_nights(night_of(0, keep_days=1)) == 0


@pytest.mark.parametrize(
    ("frequency", "horizon", "days"),
    [("D", 28, 28), ("h", 48, 2), ("15min", 100, 2), ("MS", 12, 366), ("MS", 5, 153), ("W-SUN", 3, 21)],
)
def test_a_night_is_needed_for_as_long_as_its_horizon_at_its_longest(frequency, horizon, days):
    assert days_to_judge(ForecastSettings(frequency=frequency, horizon=horizon)) == days
