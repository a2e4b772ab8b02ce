"""Each alert is sent once to each target, a real web server; a refused one is sent again with the next night."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler

import pytest

from sql.output import history, write
from tasks.monitoring.answer import acknowledge_alert
from tasks.monitoring.deliver import NotifyError, fill_in_environment
from tasks.monitoring.episodes import AlertFacts, find_alert
from tasks.monitoring.episodes import close_alert as close_alert_row
from tasks.monitoring.episodes import open_alert as open_alert_row
from tasks.monitoring.notify import check_targets, night_message, notify
from tasks.night.ledger import Ledger
from tasks.settings import Notify

NIGHT = datetime(2024, 3, 1, tzinfo=UTC)
NOW = datetime(2024, 3, 2, 3, tzinfo=UTC)


@pytest.fixture
def no_waiting(monkeypatch):
    monkeypatch.setattr("tasks.monitoring.deliver._SECONDS_BEFORE_RETRY", (0.0, 0.0))


@pytest.fixture
def open_alert(places):
    """Opens the alert of a segment and signal on a night."""

    def open_one(segment="all", signal="loss", night=NIGHT):
        found = find_alert(history.alerts(places.engine(), "sales"), segment, signal, night)
        key = {"job": "sales", "segment": segment, "signal": signal, "opened_at": night}
        facts = AlertFacts(night - timedelta(days=3), 0.2, "r1", None, f"sales, {segment}: {signal} is worse")
        write.upsert_alerts(places.engine(), [open_alert_row(found, key, facts)])

    return open_one


@pytest.fixture
def close_alert(places):
    def close_one(segment="all", signal="loss", night=NIGHT):
        found = find_alert(history.alerts(places.engine(), "sales"), segment, signal, night)
        closed = close_alert_row(found, night, f"sales, {segment}: {signal} is well")
        write.upsert_alerts(places.engine(), [closed])

    return close_one


def test_an_alert_reaches_the_webhook_once_and_its_end_once(make_night, open_alert, close_alert, webhook):
    url, received, _ = webhook
    open_alert()
    for _ in range(2):
        notify(make_night(NIGHT, started_at=NOW, notify=Notify(webhook=url)))
    assert [(each["event"], each["segment"], each["effect"]) for each in received] == [
        ("nightcast.loss.degraded", "all", 0.2)
    ]
    assert received[0]["onset"] == "2024-02-27T00:00:00+00:00"
    close_alert(night=NIGHT + timedelta(days=1))
    for _ in range(2):
        notify(make_night(NIGHT + timedelta(days=1), started_at=NOW + timedelta(days=1), notify=Notify(webhook=url)))
    assert [each["event"] for each in received[1:]] == ["nightcast.loss.recovered"]


@pytest.mark.parametrize("named", [True, False])
def test_a_message_leads_to_the_page_of_the_night_where_it_is_published(
    make_night, open_alert, places, webhook, monkeypatch, named
):
    url, received, _ = webhook
    events = []
    monkeypatch.setattr("tasks.monitoring.notify.emit", lambda event, payload: events.append(payload["report"]))
    if named:
        monkeypatch.setenv("NIGHTCAST_REPORT_URL", "http://127.0.0.1:4201/")
    open_alert()
    notify(make_night(NIGHT, started_at=NOW, notify=Notify(webhook=url)))
    page = "http://127.0.0.1:4201/sales/2024-03-01T000000Z.html" if named else None
    assert (received[0]["report"], events) == (page, [page])
    [alert] = history.alerts(places.engine(), "sales")
    text = night_message("sales", [alert], NIGHT, page)["text"]
    assert text.splitlines()[1:-1] == ([f"Report: {page}"] if named else [])


def test_a_nights_alerts_are_one_message_however_many_segments(make_night, open_alert, webhook):
    url, received, _ = webhook
    for number in range(5):
        open_alert(f"region={number}")
    delivery = notify(make_night(NIGHT, started_at=NOW, notify=Notify(webhook=url)))
    assert len(delivery.sent) == 5
    [message] = received
    assert [each["segment"] for each in message["alerts"]] == [f"region={number}" for number in range(5)]
    assert message["segment"] == "region=0"


def test_the_whole_job_explains_its_segments_and_a_loss_its_bias_and_coverage(
    make_night, open_alert, close_alert, webhook
):
    url, received, _ = webhook
    for segment, signal in (("all", "loss"), ("region=1", "loss"), ("all", "bias"), ("region=2", "coverage")):
        open_alert(segment, signal)
    notify(make_night(NIGHT, started_at=NOW, notify=Notify(webhook=url)))
    [message] = received
    assert [(each["segment"], each["signal"]) for each in message["alerts"]] == [("all", "loss")]
    close_alert()
    notify(make_night(NIGHT, started_at=NOW, notify=Notify(webhook=url)))
    assert {(each["segment"], each["signal"], each["state"]) for each in received[1]["alerts"]} == {
        ("all", "loss", "closed"), ("all", "bias", "open"), ("region=1", "loss", "open"),
        ("region=2", "coverage", "open"),
    }  # fmt: skip


def test_a_stale_source_explains_all_else_until_it_has_values_again(make_night, open_alert, close_alert, webhook):
    url, received, _ = webhook
    for signal in ("loss", "bias", "input"):
        open_alert(signal=signal)
    open_alert("region=1", "coverage")
    notify(make_night(NIGHT, started_at=NOW, notify=Notify(webhook=url)))
    assert [each["signal"] for each in received[0]["alerts"]] == ["input"]
    close_alert("region=1", "coverage")
    close_alert(signal="input")
    notify(make_night(NIGHT, started_at=NOW, notify=Notify(webhook=url)))
    # The end of an alert that was never sent is not sent either.
    assert [(each["signal"], each["state"]) for each in received[1]["alerts"]] == [
        ("loss", "open"),
        ("input", "closed"),
    ]


def test_an_open_alert_is_repeated_weekly_until_somebody_acknowledges_it(places, make_night, open_alert, webhook):
    url, received, _ = webhook
    open_alert()
    sent = []
    for day in range(16):
        before = len(received)
        notify(
            make_night(NIGHT + timedelta(days=day), started_at=NOW + timedelta(days=day), notify=Notify(webhook=url))
        )
        sent += [day] * (len(received) - before)
    acknowledge_alert(Ledger(places), "all", "ana", NOW)
    notify(make_night(NIGHT + timedelta(days=30), started_at=NOW + timedelta(days=30), notify=Notify(webhook=url)))
    assert sent == [0, 7, 14]
    assert len(received) == 3


def test_what_a_webhook_refuses_is_tried_again_noted_and_sent_with_the_next_night(
    places, make_night, open_alert, webhook, no_waiting
):
    url, received, status = webhook
    open_alert("region=0")
    status[0] = 500
    delivery = notify(make_night(NIGHT, started_at=NOW, notify=Notify(webhook=url)))
    [alert] = history.alerts(places.engine(), "sales")
    assert len(received) == 3
    assert alert["delivery_errors"] == {"webhook": "it answered 500 Internal Server Error"}
    assert alert["last_sent_at"] is None
    assert delivery.undelivered == ("sales, region=0: loss is worse (webhook: it answered 500 Internal Server Error)",)
    status[0] = 200
    open_alert("region=1", "coverage", NIGHT + timedelta(days=1))
    notify(make_night(NIGHT + timedelta(days=1), started_at=NOW + timedelta(days=1), notify=Notify(webhook=url)))
    assert [each["segment"] for each in received[3]["alerts"]] == ["region=0", "region=1"]
    assert [each["delivery_errors"] for each in history.alerts(places.engine(), "sales")] == [None, None]


def test_one_target_that_fails_does_not_send_the_others_anything_twice(
    places, make_night, open_alert, webhook, no_waiting, monkeypatch
):
    url, received, _ = webhook
    monkeypatch.setenv("CHAT", url.replace("http:", "json:"))
    targets = Notify(webhook="http://127.0.0.1:1/hook", targets=["${CHAT}"])
    open_alert()
    notify(make_night(NIGHT, started_at=NOW, notify=targets))
    [alert] = history.alerts(places.engine(), "sales")
    assert (alert["last_sent_at"], list(alert["delivery_errors"])) == (NOW, ["webhook"])
    [text] = [each["message"] for each in received]
    assert text.splitlines()[0] == "sales, all: loss is worse"
    assert received[0]["title"] == "sales: 1 alert open, 0 closed"
    notify(make_night(NIGHT, started_at=NOW + timedelta(days=1), notify=Notify(webhook=url, targets=["${CHAT}"])))
    assert [each.get("event") for each in received] == [None, "nightcast.loss.degraded"]
    assert history.alerts(places.engine(), "sales")[0]["delivery_errors"] is None


def test_what_apprise_cannot_deliver_is_noted_under_the_name_of_its_variable(
    places, make_night, open_alert, webhook, no_waiting, monkeypatch
):
    url, received, status = webhook
    status[0] = 500
    monkeypatch.setenv("CHAT", url.replace("http:", "json:"))
    open_alert()
    notify(make_night(NIGHT, started_at=NOW, notify=Notify(targets=["${CHAT}"])))
    [(name, reason)] = history.alerts(places.engine(), "sales")[0]["delivery_errors"].items()
    assert name == "CHAT"
    assert reason.startswith("JSON refused it, or did not answer: Failed to send JSON POST notification: ")
    assert reason.endswith("error=500.")
    assert len(received) == 3


def test_a_webhook_that_hangs_holds_no_night_up(make_night, open_alert, no_waiting, monkeypatch):
    monkeypatch.setattr("tasks.monitoring.deliver._SECONDS", 0.1)
    open_alert()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        delivery = notify(make_night(NIGHT, started_at=NOW, notify=Notify(webhook=url)))
    assert delivery.undelivered == ("sales, all: loss is worse (webhook: no answer within 0.1 seconds)",)


def test_a_webhook_that_is_not_there_fails_no_night(make_night, open_alert, no_waiting):
    open_alert()
    for url in ("http://127.0.0.1:1/hook", "no url"):
        assert notify(make_night(NIGHT, started_at=NOW, notify=Notify(webhook=url))).sent == ()


@pytest.mark.parametrize("path", ["?token=hunter2", "/a b/hunter2"])
def test_what_a_webhook_refuses_is_logged_without_its_address(
    make_night, open_alert, webhook, no_waiting, caplog, path
):
    url, _, status = webhook
    status[0] = 500
    open_alert()
    for target in (url.removesuffix("/hook") + path, "http://127.0.0.1:hunter2/"):
        assert notify(make_night(NIGHT, started_at=NOW, notify=Notify(webhook=target))).sent == ()
    messages = [record.getMessage() for record in caplog.records if record.name == "nightcast"]
    assert any("500" in message for message in messages)
    assert not any("hunter2" in message for message in messages)


def test_a_webhook_that_is_set_up_later_gets_no_old_news(make_night, open_alert, close_alert, webhook):
    url, received, _ = webhook
    open_alert()
    close_alert(night=NIGHT + timedelta(days=1))
    notify(make_night(NIGHT + timedelta(days=60), started_at=NOW + timedelta(days=60), notify=Notify(webhook=url)))
    assert received == []


def test_addresses_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("HOOK", "https://example.org/secret")
    assert fill_in_environment("${HOOK}/x") == "https://example.org/secret/x"
    with pytest.raises(NotifyError, match="GONE, which is not set"):
        check_targets(Notify(webhook="${GONE}"))
    with pytest.raises(NotifyError, match=r"notify\.targets names the environment variable GONE"):
        check_targets(Notify(targets=["${GONE}"]))
    monkeypatch.setenv("HOOK", "carrier-pigeon://secret")
    with pytest.raises(NotifyError, match=r"variable HOOK of notify\.targets holds no URL that Apprise knows"):
        check_targets(Notify(targets=["${HOOK}"]))


def test_a_target_written_out_is_refused_for_its_secrets():
    with pytest.raises(ValueError, match=r"target 1: write the name of an environment variable, such as \$"):
        Notify(targets=["slack://token/channel"])


def test_a_job_without_anyone_to_tell_misses_no_message(make_night, open_alert, webhook):
    url, received, _ = webhook
    open_alert()
    delivery = notify(make_night(NIGHT, started_at=NOW))
    assert (delivery.sent, delivery.undelivered) == ((), ())
    # Whoever is added later is told.
    assert len(notify(make_night(NIGHT, started_at=NOW, notify=Notify(webhook=url))).sent) == len(received) == 1


def ids(received):
    """The ids of the alerts of each message, and the message's own."""
    return [([alert["id"] for alert in each["alerts"]], each["message_id"]) for each in received]


def test_a_message_sent_again_after_a_kill_or_a_late_answer_has_the_same_id(
    places, make_night, open_alert, close_alert, webhook, no_waiting, monkeypatch
):
    url, received, status = webhook
    open_alert()
    with monkeypatch.context() as patch:

        def killed(*_):
            raise KeyboardInterrupt

        patch.setattr(Ledger, "upsert_alerts", killed)
        with pytest.raises(KeyboardInterrupt):
            notify(make_night(NIGHT, started_at=NOW, notify=Notify(webhook=url)))
    status[0] = 500
    # The next night has newer figures, and tries three times.
    open_alert(night=NIGHT + timedelta(days=1))
    notify(make_night(NIGHT + timedelta(days=1), started_at=NOW + timedelta(days=1), notify=Notify(webhook=url)))
    status[0] = 200
    notify(make_night(NIGHT + timedelta(days=2), started_at=NOW + timedelta(days=2), notify=Notify(webhook=url)))
    assert len(received) == 5
    assert len({str(each) for each in ids(received)}) == 1
    [alert] = history.alerts(places.engine(), "sales")
    assert alert["message_id"] == received[0]["id"] == received[0]["alerts"][0]["id"]


def test_every_piece_of_news_has_an_id_of_its_own(places, make_night, open_alert, close_alert, webhook):
    url, received, _ = webhook
    open_alert()
    for days in (0, 7, 14):
        later = timedelta(days=days)
        notify(make_night(NIGHT + later, started_at=NOW + later, notify=Notify(webhook=url)))
    closed = NIGHT + timedelta(days=15)
    close_alert(night=closed)
    notify(make_night(closed, started_at=NOW + timedelta(days=15), notify=Notify(webhook=url)))
    # The night runs again, and no longer closes it.
    open_alert(night=closed)
    notify(make_night(closed, started_at=NOW + timedelta(days=15, hours=1), notify=Notify(webhook=url)))
    assert [each["state"] for each in received] == ["open", "open", "open", "closed", "open"]
    assert len({each["id"] for each in received}) == len({each["message_id"] for each in received}) == 5


def test_a_target_that_is_sent_a_message_later_gets_the_id_that_the_others_got(
    make_night, open_alert, webhook, no_waiting, monkeypatch
):
    url, received, _ = webhook
    monkeypatch.setenv("CHAT", url.replace("http:", "json:"))
    open_alert()
    notify(make_night(NIGHT, started_at=NOW, notify=Notify(webhook="http://127.0.0.1:1/", targets=["${CHAT}"])))
    notify(make_night(NIGHT, started_at=NOW, notify=Notify(webhook=url, targets=["${CHAT}"])))
    chat, hook = received
    assert chat["message"].splitlines()[-1] == f"Message {hook['message_id']}"


@pytest.fixture
def answering(serve_http):
    """A real HTTP server that answers as it is told, and keeps what it is sent."""
    answers: list[bytes] = []
    received: list[tuple[str, dict[str, str], bytes]] = []

    class Target(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.path, dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.wfile.write(answers[0])
            self.close_connection = True

        do_GET = do_POST

        def log_message(self, *arguments: object) -> None:
            pass

    return f"//127.0.0.1:{serve_http(Target)}/hook", answers, received


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_no_target_follows_a_redirect(make_night, open_alert, answering, no_waiting, monkeypatch, code):
    address, answers, received = answering
    answers.append(f"HTTP/1.1 {code} Moved\r\nLocation: http:{address}/token-77\r\nContent-Length: 0\r\n\r\n".encode())
    monkeypatch.setenv("CHAT", f"json:{address}?redirect=yes")
    open_alert()
    [missed] = notify(
        make_night(NIGHT, started_at=NOW, notify=Notify(webhook=f"http:{address}", targets=["${CHAT}"]))
    ).undelivered
    assert {path for path, _, _ in received} == {"/hook"}
    assert f"webhook: it answered {code} Moved and points to 127.0.0.1, which is not followed" in missed
    assert f"error={code}" in missed
    assert "token-77" not in missed


def test_what_a_server_answers_is_cut_and_acts_on_no_terminal(make_night, open_alert, answering, no_waiting, caplog):
    address, answers, received = answering
    answers.append(b"HTTP/1.1 500 no\x1b[2J\xe2\x80\xae" + b"x" * 5_000 + b"\r\n\r\n" + b"y" * 1_000_000)
    open_alert()
    [missed] = notify(make_night(NIGHT, started_at=NOW, notify=Notify(webhook=f"http:{address}"))).undelivered
    assert len(missed) < 300
    for text in (missed, caplog.text):
        assert not {"\x1b", "\u202e"} & set(text)
    assert len({headers["Idempotency-Key"] for _, headers, _ in received}) == 1
