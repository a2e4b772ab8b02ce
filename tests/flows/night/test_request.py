"""A request becomes a run: the job with the settings that are asked for, and nothing read or written yet."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flows.job.job import JobError
from flows.night.request import NightRequest

JOB = """
name: sales
source: {url: "sqlite:///source.db", table: sold}
forecast: {frequency: D, horizon: 28, time_zone: Europe/Madrid}
training: {policy: warm, time_limit: 300}
"""
NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def job(tmp_path):
    file = tmp_path / "sales.yaml"
    file.write_text(JOB, encoding="utf-8")
    return file


def test_a_run_has_the_settings_of_the_file_where_nothing_else_is_asked_for(job):
    run = NightRequest(job, now=NOW).run("r1")
    assert (run.job.name, run.job.forecast.horizon, run.policy, run.training.time_limit) == ("sales", 28, "warm", 300)
    assert (run.kind, run.requested_cutoff, run.now, run.run_id) == ("nightly", None, NOW, "r1")


def test_settings_that_are_asked_for_replace_those_of_the_file(job):
    run = NightRequest(job, train="scratch", horizon=7, time_limit=20, now=NOW).run("r1")
    assert (run.job.forecast.horizon, run.training.policy, run.training.time_limit) == (7, "scratch", 20)
    # What the job itself does on other nights decides how a new version is judged.
    assert (run.job.training.policy, run.job.promotion_settings.policy) == ("warm", "evidence")


def test_a_network_for_another_horizon_than_the_jobs_is_not_promoted(job):
    assert NightRequest(job).promotes
    assert NightRequest(job, horizon=28).promotes
    assert not NightRequest(job, horizon=7).promotes


def test_a_model_that_is_asked_for_forecasts_whatever_becomes_of_it(job):
    assert NightRequest(job, train="scratch").uses_new_model
    assert not NightRequest(job, train="warm").uses_new_model
    assert not NightRequest(job, "train", train="scratch").uses_new_model


def test_a_day_is_its_midnight_in_the_zone_of_the_job(job):
    run = NightRequest(job, cutoff="2024-02-29", now=NOW).run("r1")
    assert run.requested_cutoff == datetime(2024, 2, 28, 23, tzinfo=UTC)
    # As the tables hold it: moments of two zones cannot be compared by every library.
    assert run.requested_cutoff.tzinfo is UTC


def test_a_cutoff_that_has_not_come_is_refused(job):
    with pytest.raises(JobError, match="has not come yet"):
        NightRequest(job, cutoff="2024-03-02", now=NOW).run("r1")


def test_a_run_is_a_night_once_its_cutoff_is_known_and_nothing_is_made_by_then(job):
    run = NightRequest(job, "score", now=NOW).run("r1")
    night = run.at(NOW)
    assert (night.cutoff, night.run_id, night.ledger) == (NOW, "r1", run.ledger)
    assert (night.needs_model, night.forecasts, night.judges) == (False, False, True)
    assert night.grid == run.job.forecast.grid
    assert list(job.parent.iterdir()) == [job]
