"""Which published nights an evaluation scores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from models.calendar.grid import TimeGrid
from models.settings.monitoring import MonitorSettings
from sql.output.tables import loss, publication
from sql.output.upsert import upsert
from tasks.evaluation.counted_points import counted_points
from tasks.evaluation.nights_due import nights_due, oldest_night_due, rescored_after
from tasks.night.ledger import Ledger

GRID = TimeGrid("D", "UTC")
HORIZON, SEASON = 7, 2


def day(number: int) -> datetime:
    return datetime(2024, 3, number, tzinfo=UTC)


@pytest.fixture
def ledger(places):
    """Nights of 1 to 20 March that ran on time, each with an evaluation from the second on."""
    key = {"job": "sales", "run_id": "r1"}
    for number in range(1, 21):
        ends = {"first_timestamp": day(number + 1), "last_timestamp": day(number) + timedelta(days=HORIZON)}
        row = {"cutoff": day(number), "rows": 42, "published_at": day(number), **ends}
        upsert(places.engine(), publication, [key | row])
        evaluation = {"evaluated_on": day(number), "segment": "all", "state": "ok", "n": 6 * (number > 1)}
        upsert(places.engine(), loss, [key | evaluation])
    return Ledger(places)


def due_on(ledger, number: int, monitor: MonitorSettings) -> dict[int, int]:
    """Days of March: each night that is due, and the day until which its points were counted."""
    counted, first = counted_points(ledger, day(number), GRID), GRID.position(day(1)) - 1
    due = nights_due(ledger, counted, GRID, rescored_after(counted, monitor, SEASON))
    return {night.publication["cutoff"].day: night.counted_until - first for night in due}


def test_nights_with_a_step_since_the_season_before_the_cutoff_are_due(ledger):
    # The night of the 12th reaches to the 19th, after the 18th, a season of two days before the cutoff.
    assert due_on(ledger, 20, MonitorSettings()) == dict.fromkeys(range(12, 20), 19)


def test_more_nights_are_due_where_the_job_scores_late_actuals_again(ledger):
    assert list(due_on(ledger, 20, MonitorSettings(rescore_steps=5))) == [*range(9, 20)]


def test_a_past_evaluation_scores_no_later_night(ledger):
    assert list(due_on(ledger, 10, MonitorSettings())) == [*range(2, 10)]


def test_the_oldest_night_due_is_known_before_the_rows_are_read(ledger):
    monitor = MonitorSettings()
    first = GRID.position(day(1)) - 1
    assert oldest_night_due(ledger, GRID, [day(20)], monitor, SEASON) - first == 12
    # Tonight may be the night after the newest one, too.
    assert oldest_night_due(ledger, GRID, [day(21), day(22)], monitor, SEASON) - first == 13
    assert oldest_night_due(ledger, GRID, [day(1)], monitor, SEASON) - first == 1
