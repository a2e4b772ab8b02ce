from datetime import UTC, datetime, timedelta

from sql.output.history import forecast_of, latest_forecast, publications
from sql.output.publish import publish_forecast
from sql.output.retention import forget_nights

FIRST = datetime(2024, 1, 30, tzinfo=UTC)


def test_nights_before_an_instant_are_let_go_of_one_job_only(output, make_night):
    limit = datetime(2024, 2, 1, tzinfo=UTC)
    for job in ("sales", "other"):
        for day in range(4):
            publish_forecast(output, make_night(FIRST + timedelta(days=day), job=job))

    assert forget_nights(output, "sales", limit) == 2

    assert [night["cutoff"] for night in publications(output, "sales")] == [limit, limit + timedelta(days=1)]
    assert forecast_of(output, "sales", FIRST).num_rows == 0
    assert latest_forecast(output, "sales").num_rows == 6
    assert len(publications(output, "other")) == 4
    assert forget_nights(output, "sales", limit) == 0
    assert forget_nights(output, "nobody", limit) == 0


def test_a_night_that_was_let_go_can_be_published_again(output, make_night):
    publish_forecast(output, make_night(FIRST))
    forget_nights(output, "sales", FIRST + timedelta(days=60))
    publish_forecast(output, make_night(FIRST, value=2.0))
    assert forecast_of(output, "sales", FIRST)["median"].to_pylist() == [2.0] * 6


def test_sqlite_lets_go_to_the_day(sqlite_url, make_night):
    from sql.engine.connection import connect, resolve_url
    from sql.migrations.migrate import migrate

    engine = connect(resolve_url(sqlite_url))
    migrate(engine)
    for day in range(10):
        publish_forecast(engine, make_night(FIRST + timedelta(days=day)))
    assert forget_nights(engine, "sales", FIRST + timedelta(days=7)) == 7
    assert len(publications(engine, "sales")) == 3
