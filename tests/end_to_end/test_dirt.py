"""Nights on dirty input report it: in words, in tables, on the page and by a webhook."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from click.testing import CliRunner

from flows.cli import main


def run(*arguments: str) -> dict:
    """The JSON answer of a verb that ended well."""
    result = CliRunner().invoke(main, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_stale_source_is_reported_by_the_night_its_table_its_page_and_its_webhook(make_job, webhook):
    url, received, _ = webhook
    job = make_job(forecast={"min_history": 10_000}, notify={"webhook": url})
    fresh = run("run", str(job), "--cutoff", "2024-02-16")
    assert (fresh["stale"], fresh["alerts"], received) == (False, [], [])
    # The source ends on 17 February 2024, long before now.
    night = run("run", str(job))
    assert night["stale"]
    assert "the source is stale" in night["message"]
    [alert] = run("alerts", "list", str(job))["alerts"]
    assert (alert["signal"], alert["opened_at"][:10]) == ("input", "2024-02-17")
    [message] = received
    assert (message["event"], message["segment"]) == ("nightcast.input.stale", "all")
    page = Path(night["report"]).read_text(encoding="utf-8")
    assert "The source is stale" in page
    assert "audit.stale" in page
    run("run", str(job))
    assert len(received) == 1


def test_where_a_stale_source_is_an_error_the_night_reports_it_and_fails(make_job, webhook):
    url, received, _ = webhook
    job = make_job(forecast={"min_history": 10_000}, notify={"webhook": url}, audit={"stale": "error"})
    result = CliRunner().invoke(main, ["run", str(job)])
    assert result.exit_code == 2
    assert "the newest value of any series is from 2024-02-17 00:00 UTC" in result.stderr
    assert [message["event"] for message in received] == ["nightcast.input.stale"]
    check = CliRunner().invoke(main, ["check", str(job), "--json"])
    answer = json.loads(check.stdout)
    assert (check.exit_code, answer["ok"], len(answer["problems"])) == (2, False, 1)
    run("run", str(job), "--cutoff", "2024-02-17")


def test_check_reports_the_audit_in_words_and_as_json(make_job, history_frame):
    twice = history_frame.head(1).assign(value=history_frame["value"][0] + 2)
    job = make_job(pd.concat([history_frame, twice]), forecast={"lower_bound": 12})
    words = CliRunner().invoke(main, ["check", str(job)]).stdout
    assert "finding  1 timestamp with different values (a at 2023-10-01T00:00Z: " in words
    found = {finding["kind"]: finding for finding in run("check", str(job))["audit"]["findings"]}
    assert found["timestamps with different values"]["setting"] == "audit.duplicates"
    assert found["values below the lower bound"]["count"] == (history_frame["value"] < 12).sum()
    assert found["short series"]["examples"] == ["short"]
    assert found["steps without a value of any series"]["count"] > 365
