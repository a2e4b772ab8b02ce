"""A stale source: one alert for as long as it lasts, sent once, and closed when there are new values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.audit.build_panel import Audit
from models.errors import InputError
from models.settings.audit import AuditSettings
from models.settings.forecast import ForecastSettings
from sql.output import history
from sql.output.write import publish_forecast
from tasks.monitoring.answer import acknowledge_alert
from tasks.monitoring.notify import alert_message, notify
from tasks.monitoring.watch_input import watch_input
from tasks.night.ledger import Ledger
from tasks.reading.audit import refuse_stale

NEWEST = datetime(2024, 1, 9, 23, tzinfo=UTC)  # midnight of the 10th in Madrid
NOW = datetime(2024, 2, 1, tzinfo=UTC)
MADRID = ForecastSettings(frequency="D", horizon=3, time_zone="Europe/Madrid")


def audit(stale: bool, newest: datetime = NEWEST, cutoff: datetime | None = None, late: int = 5) -> Audit:
    return Audit(10, 1, 10, NEWEST - timedelta(days=9), newest, cutoff or newest, (), late if stale else 0, stale)


@pytest.fixture
def look(places, make_night):
    """The messages of `watch_input` for an audit, and the alerts after it."""

    def look(account: Audit) -> tuple[tuple[str, ...], list[dict]]:
        news = watch_input(make_night(account.cutoff, forecast=MADRID), account)
        return news, history.alerts(places.engine(), places.job)

    return look


def test_a_source_with_new_values_has_no_alert(look):
    assert look(audit(stale=False)) == ((), [])


def test_a_stale_source_opens_one_alert_however_many_nights_it_lasts(look):
    news, [first] = look(audit(stale=True))
    assert news == ("sales: the source is stale. Its newest value is from 2024-01-10 00:00, 5 whole steps ago",)
    _, [alert] = look(audit(stale=True, late=6))
    # Nights with a cutoff of their own go on while the source stands still.
    _, [alert] = look(audit(stale=True, cutoff=NEWEST + timedelta(days=7), late=7))
    assert (alert["opened_at"], alert["onset"], alert["effect"]) == (first["opened_at"], NEWEST, 7.0)
    assert (alert["segment"], alert["signal"], alert["state"]) == ("all", "input", "open")


def test_new_values_close_the_alert_and_staleness_later_opens_another(look):
    look(audit(stale=True))
    news, [closed] = look(audit(stale=False, newest=NEWEST + timedelta(days=6)))
    assert closed["state"] == "closed"
    assert news == ("sales: the source has new values again, up to 2024-01-16 00:00",)
    assert look(audit(stale=False, newest=NEWEST + timedelta(days=7)))[0] == ()
    _, alerts = look(audit(stale=True, newest=NEWEST + timedelta(days=8)))
    assert [alert["state"] for alert in alerts] == ["open", "closed"]


def test_a_past_night_run_again_opens_no_alert_today(places, look, forecast_rows):
    publish_forecast(places.engine(), forecast_rows(NEWEST + timedelta(days=20)))
    assert look(audit(stale=True)) == ((), [])


def test_the_alert_is_sent_once_as_its_own_event_when_it_opens_and_when_it_closes(make_night, look, monkeypatch):
    sent: list[tuple[str, float]] = []

    def emit(event: str, payload: dict[str, Any]) -> bool:
        sent.append((event, payload["effect"]))
        return True

    monkeypatch.setattr("tasks.monitoring.notify.emit", emit)
    for stale, cutoff in ((True, NEWEST), (True, NEWEST), (False, NEWEST + timedelta(days=6))):
        look(audit(stale=stale, newest=cutoff))
        notify(make_night(cutoff, started_at=NOW))
    assert sent == [("nightcast.input.stale", 5.0), ("nightcast.input.fresh", 5.0)]


def test_the_message_names_job_segment_effect_and_onset(look):
    _, [alert] = look(audit(stale=True))
    message = alert_message(alert, NEWEST)
    assert {key: message[key] for key in ("event", "job", "segment", "signal", "effect", "onset")} == {
        "event": "nightcast.input.stale", "job": "sales", "segment": "all", "signal": "input", "effect": 5.0,
        "onset": "2024-01-09T23:00:00+00:00",
    }  # fmt: skip


def test_who_knows_of_the_alert_of_the_input_is_noted_beside_one_of_the_loss(places, look):
    look(audit(stale=True))
    acknowledge_alert(Ledger(places), "all", "me", NOW)
    _, [alert] = look(audit(stale=True, late=9))
    assert (alert["state"], alert["acknowledged_by"], alert["effect"]) == ("acknowledged", "me", 9.0)


def test_a_stale_source_stops_the_night_only_where_the_job_says_so():
    refuse_stale(audit(stale=True), "table 't'", AuditSettings())
    refuse_stale(audit(stale=False), "table 't'", AuditSettings(stale="error"))
    with pytest.raises(InputError, match=r"table 't': the newest value .* 2024-01-09 23:00 UTC, 5 whole steps ago"):
        refuse_stale(audit(stale=True), "table 't'", AuditSettings(stale="error"))
