"""The address of the reports: which one a page gets, and which ones are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from tasks.settings import Output
from tasks.store.places import REPORT_URL, Places


def test_the_address_of_the_job_goes_before_that_of_serve(tmp_path, monkeypatch):
    page = Path("2024-03-01T000000Z.html")
    assert Places("sales", tmp_path, Output()).published_at(page) == ""
    monkeypatch.setenv(REPORT_URL, "http://127.0.0.1:4201")
    assert Places("sales", tmp_path, Output()).published_at(page) == f"http://127.0.0.1:4201/sales/{page}"
    mine = Output(report_url="https://example.org/reports/")
    assert Places("sales", tmp_path, mine).published_at(page) == f"https://example.org/reports/sales/{page}"


@pytest.mark.parametrize("address", ["http://localhost:8080", "https://[::1]/a/b", "HTTPS://example.org/a%20b/"])
def test_an_address_of_the_web_is_taken(address):
    assert Output(report_url=address).report_url == address


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "is empty; write a name, or leave the key out"),
        ("reports/", "not an address of the web"),
        ("ftp://example.org", "not an address of the web"),
        ("javascript:alert(1)", "not an address of the web"),
        ("https://", "not an address of the web"),
        ("https://example.org:port/", "not an address of the web"),
        ("https://[::1/", "not an address of the web"),
        ("https://example.org/a b", "not an address of the web"),
        ('https://example.org/"><b>', "not an address of the web"),
        ("https://example.org/\u202e", "not an address of the web"),
        ("https://${HOST}/", "not an address of the web"),
        ("https://me:secret@example.org/", "holds a user or a password"),
        ("https://example.org/?page=", "holds ? or #"),
        ("https://example.org/#", "holds ? or #"),
        ("x" * 4_001, "at most 4000"),
    ],
)
def test_what_no_browser_could_follow_is_refused(address, words):
    with pytest.raises(ValidationError, match=words.replace("?", r"\?")):
        Output(report_url=address)
