from datetime import UTC, datetime, timedelta

import pyarrow as pa

from sql.downstream.actuals import keep_actuals
from sql.downstream.anomalies import Judged, anomalies_since, anomaly_totals
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


def test_anomalies_go_with_their_nights_and_their_number_stays(output, make_night):
    for day in (0, 40):
        publish_forecast(output, make_night(FIRST + timedelta(days=day)))
    instants = [FIRST + timedelta(days=day) for day in (1, 41)]
    keys = {"job": ["sales"] * 2, "timestamp": pa.array(instants, pa.timestamp("us", "UTC")), "series_id": ["a", "b"]}
    rest = {"actual": [9.0] * 2, "expected": [1.0] * 2, "probability": [1e-6] * 2, "direction": ["above"] * 2}
    rest |= {"model_version": pa.array([None] * 2, pa.string())}
    rest |= dict.fromkeys(("since", "cutoff", "evaluated_on"), keys["timestamp"])
    stored = pa.table({**keys, "value": [9.0] * 2, "evaluated_on": keys["timestamp"]})
    rate = {"job": "sales", "evaluated_on": FIRST, "rate": 0.001, "actuals": 2, "anomalies": 2, "state": "ok",
            "tail_counts": {"300": 2}}  # fmt: skip
    none = pa.table(keys).slice(0, 0)
    keep_actuals(output, stored, none, Judged(pa.table(keys | rest), none, rate))

    forget_nights(output, "sales", FIRST + timedelta(days=40))

    assert anomalies_since(output, "sales", None)["series_id"].to_pylist() == ["b"]
    assert anomaly_totals(output, "sales") == (2, 2)
