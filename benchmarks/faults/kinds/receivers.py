"""Receivers of alerts that hang, refuse, or send the message elsewhere, and nights that are killed at a message."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from benchmarks.faults.site import PASSWORD, TOKEN
from benchmarks.faults.trial import Trial


class Receiver:
    """What a webhook was sent, and how it answers.

    Attributes:
        way: `accepts`, `hangs`, `drips`, `refuses` or `redirects`.
        messages: What it was sent.
        url: Where it listens, with a password and a token.
        came: Set when a message has come.
    """

    def __init__(self, way: str, server: ThreadingHTTPServer) -> None:
        self.way, self.messages, self.came = way, list[dict[str, Any]](), threading.Event()
        self.closed = threading.Event()
        self.port = server.server_port

    @property
    def url(self) -> str:
        return f"http://user:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/{TOKEN}"


@contextmanager
def receiver(way: str) -> Iterator[Receiver]:
    """A webhook that answers in some way until the end of the block."""

    class Target(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            made.messages.append(json.loads(body))
            made.came.set()
            if made.way == "hangs":
                made.closed.wait(120)
                return
            if made.way == "redirects":
                self.send_response(307)
                self.send_header("Location", f"/elsewhere/{TOKEN}")
                self.end_headers()
                return
            answer = f"\x1b[2J \u202e {TOKEN}".encode().decode("latin-1")
            self.send_response(200 if made.way == "accepts" else 500, answer)
            self.end_headers()
            for _ in range(1 if made.way == "accepts" else 100):
                if made.way == "drips":
                    made.closed.wait(0.3)
                self.wfile.write(b"\x1b[2J" + TOKEN.encode() * 1_000)

        def log_message(self, *arguments: object) -> None:
            pass

        def handle_one_request(self) -> None:
            # A night that is killed drops its connection.
            try:
                super().handle_one_request()
            except OSError:
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Target)
    server.daemon_threads = True
    made = Receiver(way, server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.closed.set()
        server.shutdown()
        server.server_close()


def webhook(trial: Trial) -> None:
    """The webhook hangs, drips, refuses or redirects: the night ends all the same, and says so without its address."""
    ways = ["refuses", "redirects", "hangs", "drips"]
    way = trial.random.choice(ways[:2] if trial.workshop.plain else ways)
    trial.how = f"the webhook {way}"
    with receiver(way) as target:
        _with_webhook(trial, target)
        night = trial.start()
        trial.ended(night, settled=True, allowed=[0])
        raw = [each for each in ("\x1b[2J", "\u202e") if each in night.said]
        trial.findings.add("unexpected", len(raw), f"raw control characters are printed: {raw}")
        target.way = "accepts"
        trial.follow()


def killed_at_message(trial: Trial) -> None:
    """SIGKILL between a message and its note: the message may come again, with the id that it had."""
    with receiver("accepts") as target:
        _with_webhook(trial, target)
        night = trial.start()
        while not target.came.wait(0.001) and night.poll() is None:
            pass
        time.sleep(trial.random.uniform(0, 0.02))
        night.signal(signal.SIGKILL)
        trial.ended(night, allowed=(0, -9))
        trial.how = f"{len(target.messages)} messages"
        trial.follow()
        trial.how += f", {len(target.messages)} after the next night"
        ids = {(each["event"], each.get("id")) for each in target.messages}
        events = {each["event"] for each in target.messages}
        if len(ids) != len(events) or any(each.get("id") is None for each in target.messages):
            trial.findings.add("unexpected", 1, f"a message that comes again has no id, or another one: {ids}")


def _with_webhook(trial: Trial, target: Receiver) -> None:
    """Make a job that tells the receiver of its source, which is stale."""
    site = trial.begin(again=False)
    site.edit(lambda job: job.update(notify={"webhook": "${HOOK}"}))
    site.given["HOOK"] = target.url
    with site.source().begin() as source:
        source.execute(sa.text("DELETE FROM history WHERE day > '2024-01-30'"))
    site.edit(lambda job: job.update(audit={"stale_after_steps": 0}))
