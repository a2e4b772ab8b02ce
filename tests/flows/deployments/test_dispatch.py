"""Where a night runs: as a Prefect flow where a server answers, else in this process."""

from __future__ import annotations

import pytest

from flows.deployments import dispatch, nightly
from flows.night.request import NightRequest

REQUEST = NightRequest("small", cutoff="2024-02-10", train="never", horizon=7)


@pytest.fixture
def ran(monkeypatch):
    """Where nights were run, and what was asked for."""
    found: list[tuple[str, NightRequest]] = []
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr(dispatch, "run_here", lambda request: found.append(("here", request)))
    monkeypatch.setattr(nightly, "night_as_flow", lambda request: found.append(("flow", request)))
    return found


def test_a_night_runs_here_where_no_server_is_named(ran):
    dispatch.run_night("small", cutoff="2024-02-10", train="never", horizon=7)
    assert ran == [("here", REQUEST)]


def test_a_night_within_a_flow_is_a_flow_without_another_look_for_the_server(ran, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setattr(dispatch, "inside_flow", lambda: True)
    dispatch.dispatch(REQUEST)
    assert ran == [("flow", REQUEST)]


def test_a_night_runs_here_where_the_server_does_not_answer(ran, monkeypatch, caplog):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with caplog.at_level("WARNING", logger="nightcast"):
        dispatch.dispatch(REQUEST)
    assert ran == [("here", REQUEST)]
    assert "No Prefect server answers at http://127.0.0.1:9/api" in caplog.text
