"""Parts of a night: each does its own stages of the one night, and leaves the others' tables as they were."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from click.testing import CliRunner

from flows.cli import main
from flows.job.job import load_job
from flows.night.night import run_here
from flows.night.request import NightRequest
from models.errors import InputError
from sql.output import history


def run(job, kind, cutoff, train):
    return run_here(NightRequest(job, kind, cutoff, train, now=datetime(2024, 2, 20, tzinfo=UTC)))


def tables(job):
    engine = load_job(job).places.engine()
    nights = [row["cutoff"] for row in history.publications(engine, "small")]
    evaluations = sorted({row["evaluated_on"] for row in history.losses(engine, "small")})
    return nights, evaluations, history.champion(engine, "small")["version"], len(history.models(engine, "small"))


def test_training_alone_makes_a_champion_and_no_forecast(two_nights):
    nights, evaluations, champion, versions = tables(two_nights)
    settings = yaml.safe_load(two_nights.read_text(encoding="utf-8")) | {"promotion": {"policy": "always"}}
    two_nights.write_text(yaml.safe_dump(settings), encoding="utf-8")
    trained = run(two_nights, "train", "2024-02-17", "scratch")
    assert (trained.message, trained.rows) == (f"scratch: {trained.model_version}", 0)
    assert tables(two_nights) == (nights, evaluations, trained.model_version, versions + 1)
    assert trained.model_version != champion


def test_training_alone_leaves_a_champion_where_nothing_says_that_the_new_one_is_better(two_nights):
    nights, evaluations, champion, versions = tables(two_nights)
    trained = run(two_nights, "train", "2024-02-17", "scratch")
    assert tables(two_nights) == (nights, evaluations, champion, versions + 1)
    assert (trained.model_version, trained.train_mode) == (champion, "scratch")
    assert "is a challenger: loss" in trained.train_reason
    assert "on steps that neither has learnt from, e-value" in trained.train_reason


def test_forecasting_alone_publishes_by_the_champion_and_judges_nothing(two_nights):
    nights, evaluations, champion, versions = tables(two_nights)
    forecast = run(two_nights, "forecast", "2024-02-17", "never")
    assert (forecast.model_version, forecast.train_mode, forecast.rows) == (champion, "load", 49)
    newest = datetime(2024, 2, 17, tzinfo=UTC)
    assert tables(two_nights) == ([*nights, newest], evaluations, champion, versions)


def test_forecasting_alone_without_a_champion_says_how_to_get_one(make_job):
    with pytest.raises(InputError, match=r"has nothing to load: .*Run once with training scratch \(--train scratch\)"):
        run(make_job(), "forecast", "2024-02-10", "never")


def test_scoring_alone_judges_what_came_true_and_publishes_nothing(two_nights):
    nights, evaluations, champion, versions = tables(two_nights)
    scored = run(two_nights, "score", "2024-02-17", "never")
    # The night of the 10th was forecast a week ahead, and all of that week has come.
    assert {loss["n"] for loss in scored.losses if loss["segment"] == "all"} == {6 * 7}
    evaluation = datetime(2024, 2, 10, tzinfo=UTC) + timedelta(days=7)
    assert tables(two_nights) == (nights, [*evaluations, evaluation], champion, versions)
    assert re.match(
        r"mae \d\S* \(seasonal naive \d\S*\), 7 steps of the night of 2024-02-10 .*; all: \d", scored.message
    )


def test_another_horizon_for_one_run_leaves_the_champion_to_the_next_night(two_nights):
    *_, champion, versions = tables(two_nights)
    asked = ["run", str(two_nights), "--cutoff", "2024-02-17", "--horizon", "3", "--time-limit", "15", "--json"]
    shorter = json.loads(CliRunner().invoke(main, asked).stdout)
    assert (shorter["train_mode"], shorter["rows"]) == ("scratch", 7 * 3)
    assert tables(two_nights)[2:] == (champion, versions + 1)
    details = json.loads(load_job(two_nights).places.details_file(datetime(2024, 2, 17, tzinfo=UTC)).read_bytes())
    assert details["job"]["training"]["time_limit"] == 15
