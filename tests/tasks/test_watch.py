"""Watching the loss over nights: alerts open once, close once, and are told once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from models.scoring import EveningLoss
from models.settings import MonitorSettings
from sql import history
from sql.errors import SourceError
from tasks.notify import Notify, NotifyError, fill_in_environment, notify
from tasks.watch import acknowledge_alert, replay_rule, watch

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
NOW = datetime(2024, 6, 1, tzinfo=UTC)
RULE = MonitorSettings(min_nights=5, window=3)


@pytest.fixture
def run_nights(places):
    """Runs evenings of the given losses (the baseline's is 1), one a day from `first` on."""

    def run(losses, first=FIRST, zone=UTC, segment="all"):
        changes = []
        for day, loss in enumerate(losses):
            evening = EveningLoss(loss, 1.0 if loss == loss else float("nan"), 0.8, 0.0, 10 if loss == loss else 0)
            changes += watch(places, {segment: evening}, RULE, zone, first + timedelta(days=day), "r1").changes
        return changes

    return run


STEADY = [0.50, 0.51, 0.49, 0.50, 0.52, 0.48, 0.50, 0.51]


def test_steady_losses_open_no_alert(places, run_nights):
    assert run_nights(STEADY) == []
    assert [row["state"] for row in history.losses(places.engine(), "sales")] == ["not evaluated"] * 7 + ["ok"]


def test_a_worse_loss_opens_one_alert_with_its_effect_and_onset(places, run_nights):
    [message] = run_nights([*STEADY, 0.9, 0.9, 0.9])
    [alert] = history.alerts(places.engine(), "sales")
    assert (alert["state"], alert["onset"]) == ("open", FIRST + timedelta(days=8))
    assert alert["effect"] == pytest.approx(0.8, rel=0.1)
    assert "since 2024-01-09" in message


def test_a_loss_that_comes_back_closes_the_alert(places, run_nights):
    changes = run_nights([*STEADY, 0.9, 0.9, 0.9, 0.5, 0.5, 0.5])
    assert len(changes) == 2
    [alert] = history.alerts(places.engine(), "sales")
    assert (alert["state"], alert["closed_at"]) == ("closed", FIRST + timedelta(days=12))


def test_a_night_without_actuals_is_not_evaluated_and_closes_nothing(places, run_nights):
    run_nights([*STEADY, 0.9, 0.9, 0.9, float("nan")])
    assert history.losses(places.engine(), "sales")[-1]["state"] == "not evaluated"
    assert history.alerts(places.engine(), "sales")[0]["state"] == "open"


def test_the_same_night_twice_opens_one_alert(places, run_nights):
    losses = [*STEADY, 0.9, 0.9]
    run_nights(losses)
    run_nights(losses[-1:], first=FIRST + timedelta(days=len(losses) - 1))
    assert len(history.alerts(places.engine(), "sales")) == 1
    assert len(history.losses(places.engine(), "sales")) == len(losses)


def test_an_alert_that_a_first_run_closed_is_open_again_where_the_second_run_says_otherwise(places, run_nights):
    run_nights([*STEADY, 0.9, 0.9, 0.9, 0.5, 0.5])
    assert history.alerts(places.engine(), "sales")[0]["state"] == "closed"
    run_nights([0.9], first=FIRST + timedelta(days=12))
    [alert] = history.alerts(places.engine(), "sales")
    assert (alert["state"], alert["closed_at"]) == ("open", None)


def test_the_alert_of_a_segment_that_is_gone_ends_without_a_word_of_recovery(places, run_nights, webhook):
    url, received, _ = webhook
    run_nights([*STEADY, 0.9, 0.9, 0.9], segment="region=north")
    run_nights([0.5], first=FIRST + timedelta(days=11))
    [alert] = history.alerts(places.engine(), "sales")
    assert alert["state"] == "closed"
    assert "the segment is gone" in alert["message"]
    notify(places, Notify(webhook=url), FIRST + timedelta(days=11), NOW)
    assert received == []


def test_a_message_names_days_of_the_jobs_own_zone(run_nights):
    # Midnight in Madrid is 23:00 of the day before in UTC.
    midnight = datetime(2024, 1, 1, tzinfo=ZoneInfo("Europe/Madrid"))
    changes = run_nights([*STEADY, 0.9, 0.9, 0.9, 0.5, 0.5, 0.5], first=midnight, zone=midnight.tzinfo)
    assert [message[-10:] for message in changes] == ["2024-01-09", "2024-01-09"]


def test_a_past_night_run_again_changes_no_alert(places, run_nights):
    run_nights([*STEADY, 0.9, 0.9, 0.9])
    assert run_nights([0.5], first=FIRST + timedelta(days=9)) == []
    assert history.alerts(places.engine(), "sales")[0]["state"] == "open"


def test_an_alert_reaches_the_webhook_once_and_its_end_once(places, run_nights, webhook):
    url, received, _ = webhook
    targets = Notify(webhook=url)
    run_nights([*STEADY, 0.9, 0.9, 0.9])
    for _ in range(2):
        notify(places, targets, FIRST + timedelta(days=10), NOW)
    assert [message["event"] for message in received] == ["nightcast.loss.degraded"]
    assert received[0]["segment"] == "all"
    assert received[0]["onset"] == "2024-01-09T00:00:00+00:00"
    run_nights([0.5, 0.5, 0.5], first=FIRST + timedelta(days=11))
    for _ in range(2):
        notify(places, targets, FIRST + timedelta(days=13), NOW)
    assert [message["event"] for message in received[1:]] == ["nightcast.loss.recovered"]


def test_what_a_webhook_refuses_is_tried_again_the_next_night(places, run_nights, webhook, monkeypatch):
    monkeypatch.setattr("tasks.notify.time.sleep", lambda seconds: None)
    url, received, status = webhook
    run_nights([*STEADY, 0.9, 0.9, 0.9])
    status[0] = 500
    assert len(notify(places, Notify(webhook=url), FIRST + timedelta(days=10), NOW).undelivered) == 1
    assert len(received) == 3
    status[0] = 200
    assert len(notify(places, Notify(webhook=url), FIRST + timedelta(days=11), NOW).sent) == 1


def test_a_webhook_that_is_not_there_fails_no_night(places, run_nights, monkeypatch):
    monkeypatch.setattr("tasks.notify.time.sleep", lambda seconds: None)
    run_nights([*STEADY, 0.9, 0.9, 0.9])
    for url in ("http://127.0.0.1:1/hook", "no url"):
        assert notify(places, Notify(webhook=url), FIRST + timedelta(days=10), NOW).sent == ()


@pytest.mark.parametrize("path", ["?token=hunter2", "/a b/hunter2"])
def test_what_a_webhook_refuses_is_logged_without_its_address(places, run_nights, webhook, monkeypatch, caplog, path):
    monkeypatch.setattr("tasks.notify.time.sleep", lambda seconds: None)
    url, _, status = webhook
    status[0] = 500
    run_nights([*STEADY, 0.9, 0.9, 0.9])
    for target in (url.removesuffix("/hook") + path, "http://127.0.0.1:hunter2/"):
        assert notify(places, Notify(webhook=target), FIRST + timedelta(days=10), NOW).sent == ()
    said = [record.getMessage() for record in caplog.records if record.name == "nightcast"]
    assert any("500" in message for message in said)
    assert not any("hunter2" in message for message in said)


def test_a_webhook_that_is_set_up_later_gets_no_old_news(places, run_nights, webhook):
    url, received, _ = webhook
    run_nights([*STEADY, 0.9, 0.9, 0.9, 0.5, 0.5, 0.5])
    notify(places, Notify(webhook=url), FIRST + timedelta(days=60), NOW)
    assert received == []


def test_the_address_of_a_webhook_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("HOOK", "https://example.org/secret")
    assert fill_in_environment("${HOOK}/x") == "https://example.org/secret/x"
    with pytest.raises(NotifyError, match="GONE, which is not set"):
        fill_in_environment("${GONE}")


def test_an_open_alert_can_be_acknowledged(places, run_nights):
    run_nights([*STEADY, 0.9, 0.9, 0.9])
    acknowledge_alert(places, "all", "ana", NOW)
    [alert] = history.open_alerts(places.engine(), "sales")
    assert (alert["state"], alert["acknowledged_by"], alert["acknowledged_at"]) == ("acknowledged", "ana", NOW)
    with pytest.raises(SourceError, match=r"no open alert of segment 'north'; open ones: \['all'\]"):
        acknowledge_alert(places, "north", "ana", NOW)


def test_a_replay_says_what_the_rule_said_and_changes_nothing(places, run_nights):
    run_nights([*STEADY, 0.9, 0.9, 0.9, 0.5])
    before = history.losses(places.engine(), "sales")
    replayed = replay_rule(places, RULE)
    assert [row["state"] for row in replayed] == [row["state"] for row in before]
    assert history.losses(places.engine(), "sales") == before
    strict = replay_rule(places, RULE.model_copy(update={"min_effect": 5.0}))
    assert "degraded" not in {row["state"] for row in strict}
