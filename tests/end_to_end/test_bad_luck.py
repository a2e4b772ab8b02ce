"""Bad luck on the real path: targets that do not take a message, actuals that come twice or change, and none at all."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from flows.cli import main
from flows.deployments.dispatch import run_night
from flows.job.job import load_job
from sql.engine.connection import connect
from sql.engine.url import resolve_url
from sql.imports.import_file import import_file
from sql.output import history, write


@pytest.fixture
def untrained(make_job):
    """A job that forecasts by the fallback alone, which takes no training."""
    return lambda frame=None, **parts: make_job(frame, **{"forecast": {"min_history": 10_000}, **parts})


@pytest.fixture
def broken(request, webhook, monkeypatch) -> Iterator[str]:
    """The URL of a target that refuses, answers 500 or hangs."""
    monkeypatch.setattr("tasks.monitoring.deliver._SECONDS_BEFORE_RETRY", (0.0, 0.0))
    url, _, status = webhook
    if request.param == "refuses":
        yield "http://127.0.0.1:1/hook"
    elif request.param == "answers 500":
        status[0] = 500
        yield url
    else:
        monkeypatch.setattr("tasks.monitoring.deliver._SECONDS", 0.2)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            yield f"http://127.0.0.1:{silent.getsockname()[1]}/hook"


def night_of(job: Path, day: str):
    return run_night(job, cutoff=day, now=datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1))


@pytest.mark.parametrize("broken", ["refuses", "answers 500", "hangs"], indirect=True)
def test_what_a_webhook_does_not_take_is_noted_and_sent_with_the_next_night(untrained, broken, webhook, monkeypatch):
    url, received, status = webhook
    monkeypatch.setenv("HOOK", broken)
    job = untrained(notify={"webhook": "${HOOK}"})
    # The newest value is of 17 February.
    night = night_of(job, "2024-02-22")
    engine = load_job(job).places.engine()
    [alert] = history.alerts(engine, "small")
    assert (night.state, night.stale, alert["signal"]) == ("completed", True, "input")
    assert history.runs(engine, "small")[0]["state"] == "completed"
    assert list(alert["delivery_errors"]) == ["webhook"]
    assert alert["last_sent_at"] is None
    assert [each.startswith(alert["message"]) for each in night.undelivered] == [True]
    tried = len(received)
    assert tried == (3 if status[0] == 500 else 0)

    status[0] = 200
    monkeypatch.setattr("tasks.monitoring.deliver._SECONDS", 15.0)
    monkeypatch.setenv("HOOK", url)
    assert night_of(job, "2024-02-23").undelivered == []
    night_of(job, "2024-02-23")
    assert [each["event"] for each in received[tried:]] == ["nightcast.input.stale"]
    assert history.alerts(engine, "small")[0]["delivery_errors"] is None


def replace_source(job: Path, frame: pd.DataFrame) -> None:
    rows = job.with_name("now.parquet")
    frame.to_parquet(rows, index=False)
    import_file(rows, resolve_url("sqlite:///source.db", job.parent), "history", "replace")


def first_step(job: Path, metric: str = "mae") -> dict:
    rows = history.scores(
        load_job(job).places.engine(), "small", datetime(2024, 2, 1, tzinfo=UTC), segment="all", metric=metric
    )
    return next(row for row in rows if row["step"] == 1)


def test_an_actual_that_comes_twice_counts_once_and_one_that_is_revised_is_judged_again(untrained, history_frame):
    job = untrained()
    night_of(job, "2024-02-01")
    of_the_day = history_frame["day"] == "2024-02-02"
    replace_source(job, pd.concat([history_frame, history_frame[of_the_day]]))
    night_of(job, "2024-02-02")
    once = first_step(job)
    forecast = history.forecast_of(load_job(job).places.engine(), "small", datetime(2024, 2, 1, tzinfo=UTC)).to_pandas()
    median = forecast[forecast["step"] == 1].set_index("series_id")["median"]
    actual = history_frame[of_the_day].set_index("series_id")["value"]
    assert (once["n"], once["value"]) == (6, pytest.approx((median - actual).abs().mean(), rel=1e-5))

    revised = history_frame.assign(value=history_frame["value"].where(~of_the_day, history_frame["value"] + 3))
    replace_source(job, revised)
    night_of(job, "2024-02-03")
    again = first_step(job)
    assert (again["n"], again["value"]) == (6, pytest.approx((median - actual - 3).abs().mean(), rel=1e-5))
    assert again["baseline_value"] != once["baseline_value"]


def test_a_column_that_is_gone_from_the_source_is_named_with_a_remedy(untrained):
    job = untrained()
    night_of(job, "2024-02-01")
    with connect(resolve_url("sqlite:///source.db", job.parent)).begin() as connection:
        connection.exec_driver_sql("ALTER TABLE history DROP COLUMN region")
    result = CliRunner().invoke(main, ["run", str(job), "--cutoff", "2024-02-02"])
    assert result.exit_code == 2
    assert "region" in result.stderr
    assert history.runs(load_job(job).places.engine(), "small")[0]["state"] == "failed"
    # The next night that has it again goes on.
    with connect(resolve_url("sqlite:///source.db", job.parent)).begin() as connection:
        connection.exec_driver_sql("ALTER TABLE history ADD COLUMN region TEXT")
    night = night_of(job, "2024-02-02")
    assert {row["segment"] for row in night.losses} == {"all", "region="}


def test_a_month_without_actuals_is_not_evaluated_and_after_it_the_rule_goes_on(untrained, history_frame):
    silent = history_frame["day"].between("2024-01-10", "2024-02-10")
    watched = {"reference_nights": 28, "signals": ["loss"]}
    job = untrained(history_frame.assign(value=history_frame["value"].mask(silent)), monitor=watched)
    verdicts: dict[str, Any] = {"2024-01-08": None}
    night_of(job, "2024-01-08")
    engine = load_job(job).places.engine()
    row = {"job": "small", "segment": "all", "model_version": "v1", "in_sample": False, "n": 12}
    before = [
        {
            **row, "evaluated_on": datetime(2023, 11, 20, tzinfo=UTC) + timedelta(days=day), "loss": 0.3 + day % 3 / 50,
            "baseline_loss": 0.3, "coverage": 0.8 + day % 5 / 50, "bias": (day % 4 - 1.5) / 50,
        }
        for day in range(40)
    ]  # fmt: skip
    write.upsert_hindcast_losses(engine, before)
    for day in ("2024-01-09", "2024-01-25", "2024-02-09", "2024-02-12"):
        [verdicts[day]] = [loss for loss in night_of(job, day).losses if loss["segment"] == "all"]
    assert verdicts["2024-01-09"]["state"] == "ok"
    for day in ("2024-01-25", "2024-02-09"):
        assert (verdicts[day]["state"], verdicts[day]["reason"]) == ("not evaluated", "no new actual has arrived")
    assert (verdicts["2024-02-12"]["state"], verdicts["2024-02-12"]["n"]) == ("ok", 12)
    assert [alert["signal"] for alert in history.alerts(engine, "small")] == ["input"]
    assert history.open_alerts(engine, "small") == []
