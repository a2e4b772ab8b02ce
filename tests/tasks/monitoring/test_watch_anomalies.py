"""More anomalies than chance explains: one alert for as long as they last, which names five series."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from sql.downstream.anomalies import Judged
from sql.errors import SourceError
from sql.output import history
from tasks.monitoring.answer import accept_alert, acknowledge_alert
from tasks.monitoring.explained import explanation_of
from tasks.monitoring.notify import alert_message
from tasks.monitoring.watch_anomalies import watch_anomalies
from tasks.night.ledger import Ledger

NIGHT = datetime(2024, 3, 1, tzinfo=UTC)
INSTANT = pa.timestamp("us", "UTC")


@pytest.fixture
def evaluate(make_night, places):
    """Stores what a night found: series to (probability, actual), all expected at 10; gives news and alerts."""

    def evaluate(day: int, found: dict[str, tuple[float, float]], state: str, **parts) -> tuple[tuple[str, ...], list]:
        night, count = make_night(NIGHT + timedelta(days=day), **parts), len(found)
        instants = pa.array([night.cutoff] * count, INSTANT)
        actual = [value for _, value in found.values()]
        names, jobs = pa.array([*found], pa.string()), pa.array(["sales"] * count, pa.string())
        key = {"job": jobs, "timestamp": instants, "series_id": names}
        rows = pa.table(key | {
            "actual": pa.array(actual, pa.float64()), "expected": pa.array([10.0] * count, pa.float64()),
            "probability": pa.array([p for p, _ in found.values()], pa.float64()),
            "direction": pa.array(["above" if value > 10 else "below" for value in actual], pa.string()),
            "since": instants, "model_version": pa.array([None] * count, pa.string()), "cutoff": instants,
            "evaluated_on": instants,
        })  # fmt: skip
        stored = pa.table(key | {"value": pa.array(actual, pa.float64()), "evaluated_on": instants})
        rate = {"job": "sales", "evaluated_on": night.cutoff, "rate": 0.001, "actuals": 2_000, "anomalies": count,
                "state": state, "tail_counts": {"0": 2_000}}  # fmt: skip
        if count:
            none = rows.select([*key]).slice(0, 0)
            night.ledger.keep_actuals(stored, none, Judged(rows, none, rate))
        return watch_anomalies(night), history.alerts(places.engine(), "sales")

    return evaluate


FOUND = {
    "a": (1e-5, 30.0), "b": (1e-9, 40.0), "c": (1e-9, -50.0), "d": (1e-4, 31.0), "e": (1e-6, 32.0),
    "f": (1e-7, 33.0), "g": (1e-8, 34.0),
}  # fmt: skip


def test_as_many_as_chance_explains_raise_no_alert(evaluate):
    assert evaluate(0, {"a": (1e-4, 50.0)}, "ok") == ((), [])


def test_more_open_one_alert_that_names_the_five_series_that_explain_it_most(evaluate):
    [message], [alert] = evaluate(0, FOUND, "many")
    assert message == (
        "sales: 7 of 2,000 actuals lie where forecasts did not expect them; a rate of 0.001 explains 2.0 (6 above, 1 "
        "below); the series that explain it most are c (-50, expected 10), b (40, expected 10), g (34, expected 10), "
        "f (33, expected 10), e (32, expected 10)"
    )
    assert (alert["segment"], alert["signal"], alert["state"], alert["onset"]) == ("all", "anomaly", "open", NIGHT)
    assert alert["effect"] == pytest.approx(0.0035)
    assert alert_message(alert | {"message_id": "x"}, NIGHT)["event"] == "nightcast.anomaly.many"
    # A loss that is worse too does not hide which series did it.
    assert explanation_of(alert, [alert, {"segment": "all", "signal": "loss", "closed_at": None}]) is None
    # The night that runs again finds its alert.
    assert evaluate(0, {}, "many")[1][0]["opened_at"] == NIGHT
    assert len(evaluate(1, FOUND, "many")[1]) == 1


def test_a_night_that_finds_no_more_than_chance_explains_closes_it(evaluate):
    evaluate(0, FOUND, "many")
    assert evaluate(1, {}, "ok")[0] == ()
    news, [alert] = evaluate(2, {"a": (1e-4, 50.0)}, "ok")
    assert news == ("sales: no more anomalies than chance explains",)
    assert (alert["state"], alert["closed_at"]) == ("closed", NIGHT + timedelta(days=2))
    assert alert_message(alert | {"message_id": "x"}, NIGHT)["event"] == "nightcast.anomaly.few"


def test_a_job_that_judges_none_any_more_closes_it(evaluate):
    evaluate(0, FOUND, "many")
    news, [alert] = evaluate(1, {}, "ok", anomalies={"enabled": False})
    assert news == ("sales: actuals are not judged any more",)
    assert alert["state"] == "closed"


def test_an_alert_of_anomalies_can_be_acknowledged_and_not_accepted(evaluate, places):
    evaluate(0, FOUND, "many")
    with pytest.raises(SourceError, match=r"is about anomalies.*alerts acknowledge"):
        accept_alert(Ledger(places), "all", "ana", NIGHT)
    [alert] = acknowledge_alert(Ledger(places), "all", "ana", NIGHT)
    assert (alert["signal"], alert["state"]) == ("anomaly", "acknowledged")
