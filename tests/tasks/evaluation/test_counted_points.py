"""What had been counted before an evaluation, by the order in which nights ran."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from models.calendar.grid import TimeGrid
from sql.output import write
from sql.output.tables import loss, publication
from sql.output.upsert import upsert
from tasks.evaluation.counted_points import counted_points
from tasks.night.ledger import Ledger

GRID = TimeGrid("D", "UTC")
BEGAN = datetime(2024, 6, 1, tzinfo=UTC)
HORIZON = 7


def day(number: int) -> datetime:
    return datetime(2024, 3, number, tzinfo=UTC)


@pytest.fixture
def ran(places):
    """Writes a run of a night, an hour after the run before it, and the rows that it left."""
    runs: list[str] = []

    def note(number, points=6, part="nightly", state="completed"):
        run_id, begins = f"r{len(runs)}", BEGAN + timedelta(hours=len(runs))
        runs.append(run_id)
        engine, key = places.engine(), {"job": "sales", "run_id": run_id}
        write.start_run(engine, run_id, "sales", day(number), begins, part)
        if part in ("nightly", "forecast"):
            ends = {"first_timestamp": day(number + 1), "last_timestamp": day(number + HORIZON)}
            row = {"cutoff": day(number), "rows": 42, "published_at": begins, **ends}
            upsert(engine, publication, [key | row])
        if part in ("nightly", "score"):
            upsert(
                engine,
                loss,
                [key | {"evaluated_on": day(number), "segment": "all", "state": "ok", "n": points}],
            )
        if state != "running":
            write.finish_run(engine, run_id, state, begins + timedelta(minutes=5))

    return note


def found(places, number):
    """Days of March: the evaluation before, and the day until which the points of each night were counted."""
    counted, first = counted_points(Ledger(places), day(number), GRID), GRID.position(day(1)) - 1
    assert counted.cutoff_index - first == number
    until = {night.day: index - first for night, index in counted.counted_until.items()}
    return counted.previous_index - first, until


def test_before_the_first_evaluation_nothing_is_counted(places, ran):
    assert found(places, 3) == (3, {})
    ran(3, points=0)
    ran(4, points=0)
    # An evaluation without an actual counts no point, so the next one counts its days too.
    assert found(places, 5) == (3, {3: 3, 4: 4})


def test_every_night_is_counted_until_the_evaluation_before(places, ran):
    for number in (3, 4, 5):
        ran(number, points=6 * (number - 3))
    assert found(places, 6) == (5, {3: 5, 4: 5, 5: 5})
    assert found(places, 5) == (4, {3: 4, 4: 4})


def test_a_night_that_is_filled_in_finds_only_the_nights_counted_that_were_there(places, ran):
    for number in (2, 3, 6, 4, 5):
        ran(number, points=0 if number == 2 else 6)
    assert found(places, 4) == (3, {2: 6, 3: 6})
    assert found(places, 5) == (4, {2: 6, 3: 6, 4: 4})
    # The sixth evaluation saw neither the fourth night nor the fifth, also when it runs again.
    assert found(places, 6) == (3, {2: 3, 3: 3, 4: 6, 5: 6})
    assert found(places, 7) == (6, {2: 6, 3: 6, 4: 5, 5: 5, 6: 6})
    counted = counted_points(Ledger(places), day(7), GRID)
    assert [counted.has_uncounted(day(number), counted.cutoff_index) for number in (3, 5, 7)] == [True, True, False]
    assert not counted.has_uncounted(day(3), counted.cutoff_index - 1)
    assert counted.has_uncounted(day(4), counted.cutoff_index - 1)


def test_a_night_that_runs_again_keeps_its_place_in_the_order(places, ran):
    for number in (2, 3, 4, 2, 3):
        ran(number)
    assert found(places, 4) == (3, {2: 3, 3: 3})
    assert found(places, 5) == (4, {2: 4, 3: 4, 4: 4})


def test_a_part_of_a_night_counts_for_what_it_did(places, ran):
    ran(2, part="forecast")
    ran(3, part="train")
    ran(3, part="score")
    ran(3, part="forecast")
    ran(4, part="score")
    # The third night was published after the third evaluation, and before the fourth.
    assert found(places, 5) == (4, {2: 4, 3: 4})
    assert found(places, 3) == (2, {2: 2})


def test_a_run_that_failed_counts_where_its_rows_are_there(places, ran):
    ran(2)
    ran(3, state="failed")
    ran(4, state="running")
    ran(3, part="train")
    assert found(places, 5) == (4, {2: 4, 3: 4, 4: 4})
    # A failed run that left no row does not count.
    write.start_run(places.engine(), "early", "sales", day(6), BEGAN - timedelta(days=1))
    write.finish_run(places.engine(), "early", "failed", BEGAN)
    ran(6)
    assert found(places, 7) == (6, dict.fromkeys((2, 3, 4, 6), 6))
    assert found(places, 6) == (4, {2: 4, 3: 4, 4: 4})


def test_nights_without_a_row_in_run_were_on_time(places, ran):
    for number in (4, 3, 2):
        ran(number)
    with places.engine().begin() as connection:
        connection.exec_driver_sql("DELETE FROM run")
    assert found(places, 5) == (4, {2: 4, 3: 4, 4: 4})
    assert found(places, 4) == (3, {2: 3, 3: 3})


def test_an_evaluation_that_counted_nothing_comes_after_all_that_counted(places, ran):
    for number, points in ((2, 0), (3, 6), (4, 0), (5, 12)):
        ran(number, points)
    assert found(places, 4) == (3, {2: 5, 3: 5})


def test_a_cutoff_may_be_in_another_zone_than_the_tables(places, ran):
    ran(1)
    in_madrid = day(3).astimezone(ZoneInfo("Europe/Madrid"))
    assert counted_points(Ledger(places), in_madrid, GRID) == counted_points(Ledger(places), day(3), GRID)
