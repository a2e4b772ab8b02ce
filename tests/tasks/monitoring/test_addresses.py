"""Webhooks that can never be reached are found before there is something to tell."""

from __future__ import annotations

import socket

import pytest

from tasks.monitoring.addresses import problem_of_webhook
from tasks.settings import Notify


@pytest.fixture(autouse=True)
def looked_up(monkeypatch):
    """Names that were looked up; only `known` has an address."""
    names: list[str] = []

    def look_up(name, port):
        names.append(name)
        if name != "known":
            raise socket.gaierror(-2, "Name or service not known")
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return names


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("ftp://host/secret", "begins with 'ftp'"),
        ("mailto:secret@host", "begins with 'mailto'"),
        ("host/secret", "begins with ''"),
        ("https:///secret", "names no host"),
        ("https://", "names no host"),
        ("https://[::1/secret", "is no URL"),
        ("https://host:port/secret", "is no URL"),
        ("https://host/\nsecret", "is no URL"),
    ],
)
def test_an_address_that_is_none_is_a_problem_and_never_shown(monkeypatch, url, problem, looked_up):
    monkeypatch.setenv("HOOK", url)
    found, note = problem_of_webhook(Notify(webhook="${HOOK}"))
    assert problem in found
    assert "https://host/path" in found
    assert "secret" not in found
    assert (note, looked_up) == ("", [])


def test_a_host_without_an_address_is_a_doubt_because_nights_may_run_elsewhere(monkeypatch):
    monkeypatch.setenv("HOOK", "https://unknown/secret")
    assert problem_of_webhook(Notify(webhook="${HOOK}")) == (
        "",
        "no address is known here for the host of notify.webhook",
    )
    monkeypatch.setenv("HOOK", "https://known/secret")
    assert problem_of_webhook(Notify(webhook="${HOOK}")) == ("", "")
    assert problem_of_webhook(Notify()) == ("", "")
