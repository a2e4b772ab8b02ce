"""A night as a flow whose server goes away: what becomes of the night decides, not what the server heard of it."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest

from flows.deployments import nightly
from flows.night.request import NightRequest
from models.errors import InputError

REQUEST = NightRequest("small", cutoff="2024-02-10", train="never")
AWAY = httpx.ConnectError("All connection attempts failed")


@pytest.fixture
def run(monkeypatch, caplog):
    """Runs a night of which the server hears nothing: the flow comes to `outcome`, and raises `AWAY`."""
    monkeypatch.setattr(nightly, "run_here", lambda request: request)
    monkeypatch.setattr(nightly, "note_lost", lambda error: None)
    monkeypatch.setattr(nightly, "logger", lambda: logging.getLogger("nightcast"))

    def run(*outcome: Any) -> Any:
        def flow(*arguments: object) -> None:
            nightly._OUTCOME.get().extend(outcome)
            raise AWAY

        monkeypatch.setattr(nightly, "night_of_file", flow)
        return nightly.night_as_flow(REQUEST)

    with caplog.at_level("WARNING", logger="nightcast"):
        yield run


def test_a_night_that_was_done_is_done(run, caplog):
    summary = object()
    assert run(summary) is summary
    assert "The Prefect server does not know how the night ended (All connection attempts failed)" in caplog.text


def test_a_night_that_failed_says_what_it_failed_with(run):
    with pytest.raises(InputError, match="nothing observed"):
        run(InputError("nothing observed"))


def test_a_night_that_the_server_never_took_runs_without_one(run, caplog):
    assert run() is REQUEST
    assert "The Prefect server took no run (All connection attempts failed)" in caplog.text
    with pytest.raises(LookupError):
        nightly._OUTCOME.get()
