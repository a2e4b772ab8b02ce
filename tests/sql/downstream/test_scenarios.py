from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from sql.downstream.scenarios import published_night, replace_scenario
from sql.engine.connection import transaction
from sql.errors import StorageError
from sql.output import publish, write
from sql.output.history import forecast_of
from sql.output.publish import publish_forecast
from sql.output.retention import forget_nights
from sql.output.tables import scenario

NIGHT = datetime(2024, 1, 31, tzinfo=UTC)


@pytest.fixture
def one_library(monkeypatch):
    """Publish with the library that reads: two libraries in one process share no locks of SQLite."""
    monkeypatch.setattr(publish, "adbc_connection", lambda url: None)


def rows(name="half price", steps=2, cutoff=NIGHT, **more):
    return [
        {
            "job": "sales",
            "scenario": name,
            "series_id": "s000000",
            "step": step,
            "cutoff": cutoff,
            "timestamp": cutoff + timedelta(days=step),
            "set_values": {"price": 0.5} if step == 1 else None,
            "mean": 2.0,
            "median": 2.5,
            "base_median": 1.0,
            "model_version": "v1",
            "created_at": NIGHT,
            "created_by": "ana",
            **more,
        }
        for step in range(1, steps + 1)
    ]


def stored(output):
    with output.connect() as connection:
        found = connection.execute(sa.text("SELECT * FROM scenario ORDER BY scenario, step")).mappings()
        return [dict(row) for row in found]


def test_a_scenario_is_written_whole_and_one_of_the_same_name_is_replaced(output, make_night):
    publish_forecast(output, make_night())
    before = forecast_of(output, "sales", NIGHT)
    assert replace_scenario(output, rows(steps=3, q0_1=1.5)) == 3
    replace_scenario(output, rows("other"))
    replace_scenario(output, rows(steps=2, q0_1=1.25, q0_9=3.0))
    found = stored(output)
    assert [(row["scenario"], row["step"], row["q0_1"], row["q0_9"]) for row in found] == [
        ("half price", 1, 1.25, 3.0),
        ("half price", 2, 1.25, 3.0),
        ("other", 1, None, None),
        ("other", 2, None, None),
    ]
    with output.connect() as connection:
        row = connection.execute(sa.select(scenario).order_by(scenario.c.scenario, scenario.c.step)).mappings().first()
    assert (row["set_values"], row["timestamp"]) == ({"price": 0.5}, NIGHT + timedelta(days=1))
    assert found[1]["set_values"] is None
    assert forecast_of(output, "sales", NIGHT).equals(before)


def test_a_scenario_that_cannot_be_written_leaves_the_one_before(output):
    replace_scenario(output, rows())
    without_zone = datetime(2024, 2, 1)
    with pytest.raises(StorageError, match="has no time zone"):
        replace_scenario(output, rows(steps=3, created_at=without_zone))
    assert len(stored(output)) == 2


def test_scenarios_are_deleted_with_their_nights(output, make_night):
    old = datetime(2023, 11, 30, tzinfo=UTC)
    publish_forecast(output, make_night(old))
    publish_forecast(output, make_night())
    replace_scenario(output, rows("old", cutoff=old))
    replace_scenario(output, rows("new"))
    forget_nights(output, "sales", datetime(2024, 1, 1, tzinfo=UTC))
    assert {row["scenario"] for row in stored(output)} == {"new"}


@pytest.mark.usefixtures("one_library")
def test_a_reader_in_the_middle_of_a_publish_sees_the_night_before_it(output, make_night):
    publish_forecast(output, make_night(value=1.0))
    seen = []

    def look():
        night = published_night(output, "sales", NIGHT, ["s000001"])
        seen.append(({row["median"] for row in night.rows}, len(night.rows), night.publication["digest"]))

    publish_forecast(output, make_night(value=2.0), before_commit=look)
    look()
    assert [each[:2] for each in seen] == [({1.0}, 3), ({2.0}, 3)]
    assert seen[0][2] != seen[1][2]


@pytest.mark.usefixtures("one_library")
def test_the_statements_of_a_reader_belong_to_one_snapshot(output, make_night):
    publish_forecast(output, make_night(value=1.0))
    write.upsert_calibration(output, {"job": "sales", "cutoff": NIGHT, "applied_calibration": b"one"})
    published = list[bool]()

    def replace_the_night(connection, cursor, statement, *_):
        if "FROM forecast" in statement and not published:
            published.append(True)
            publish_forecast(output, make_night(value=2.0))
            write.upsert_calibration(output, {"job": "sales", "cutoff": NIGHT, "applied_calibration": b"two"})

    sa.event.listen(output, "before_cursor_execute", replace_the_night)
    try:
        first = published_night(output, "sales", NIGHT)
    finally:
        sa.event.remove(output, "before_cursor_execute", replace_the_night)
    second = published_night(output, "sales", NIGHT)
    assert published
    assert ({row["median"] for row in first.rows}, first.applied_calibration) == ({1.0}, b"one")
    assert ({row["median"] for row in second.rows}, second.applied_calibration) == ({2.0}, b"two")


def test_a_night_has_its_rows_in_order_and_the_versions_of_its_job(output, make_night):
    publish_forecast(output, make_night(series=600))
    write.add_model(output, "sales", "v1", NIGHT, NIGHT, "file:///v1", "d")
    write.add_model(output, "other", "v2", NIGHT, NIGHT, "file:///v2", "d")
    whole = published_night(output, "sales", NIGHT)
    assert [(row["series_id"], row["step"]) for row in whole.rows[:4]] == [
        ("s000000", 1),
        ("s000000", 2),
        ("s000000", 3),
        ("s000001", 1),
    ]
    assert ([*whole.models], whole.applied_calibration) == (["v1"], None)
    many = published_night(output, "sales", NIGHT, [f"s{number:06d}" for number in range(550)])
    assert (len(whole.rows), len(many.rows)) == (1800, 1650)
    assert published_night(output, "sales", NIGHT + timedelta(days=1)) is None
    with transaction(output) as connection:
        connection.execute(sa.text("DELETE FROM forecast"))
    assert published_night(output, "sales", NIGHT).rows == []
