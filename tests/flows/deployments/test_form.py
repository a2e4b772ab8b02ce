"""What a flow makes of parameters that were sent past its form, in the words of the command line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from prefect.exceptions import ParameterTypeError

from flows.deployments.backfill import backfill
from flows.deployments.form import unknown_parameters
from flows.deployments.nightly import nightly
from flows.deployments.parts import backtest, train
from flows.job.job import JobError, load_job

JOB = {
    "name": "small",
    "source": {"url": "sqlite:///source.db", "table": "history"},
    "forecast": {"frequency": "D", "horizon": 7},
}


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(JOB), encoding="utf-8")
    monkeypatch.setenv("NIGHTCAST_JOBS", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("flow", "parameters", "words"),
    [
        (nightly, {"job": "smal"}, "job: .*No job 'smal'.* has small"),
        (nightly, {"job": "small", "cutoff": "2024-02-30"}, "cutoff: .*'2024-02-30' is not a timestamp; write 2024"),
        (nightly, {"job": "small", "train": "now"}, "train: Input should be 'auto', 'scratch', 'warm' or 'never'"),
        (nightly, {"job": "small", "horizon": 0}, "horizon: Input should be greater than or equal to 1"),
        (nightly, {"job": "small", "time_limit": 90_000}, "time_limit: Input should be less than or equal to 86400"),
        (train, {"job": "small", "train": "never"}, "train: Input should be 'scratch' or 'warm'"),
        (backtest, {"job": "small", "cutoffs": 0}, "cutoffs: Input should be greater than or equal to 1"),
        (backfill, {"job": "small", "first": "x", "last": "2024-02-01"}, "first: .*'x' is not a timestamp"),
    ],
)
@pytest.mark.usefixtures("jobs")
def test_a_wrong_value_is_refused_with_its_field_and_the_remedy(flow, parameters, words):
    with pytest.raises(ParameterTypeError, match=f"(?s){words}"):
        flow.validate_parameters(parameters)


@pytest.mark.parametrize(
    ("flow", "parameters", "words"),
    [
        (nightly, {"job": "small"}, ""),
        (
            nightly,
            {"job": "small", "colour": "red"},
            "takes job, cutoff, .*: it knows no 'colour'. .* from another ver",
        ),
        (nightly, {}, "it needs 'job'. .* paused or resumed .*: `nightcast schedule JOB CRON` gives it back"),
        (
            backfill,
            {"job": "small", "begin": "x", "last": "y"},
            "it knows no 'begin', and needs 'first'. .* or deploy again",
        ),
    ],
)
def test_parameters_of_another_version_than_the_code_are_named_with_the_remedy(flow, parameters, words):
    assert re.search(words, unknown_parameters(flow, parameters))
    assert bool(words) is bool(unknown_parameters(flow, parameters))


def test_a_job_whose_file_has_vanished_since_the_deployment_is_refused_by_name(jobs):
    assert nightly.validate_parameters({"job": "small"})["job"] == "small"
    (jobs / "small.yaml").unlink()
    with pytest.raises(ParameterTypeError, match=r"No job 'small': no such file, and the jobs folder .* has no job\."):
        nightly.validate_parameters({"job": "small"})


def test_a_deployment_takes_no_path_even_of_a_file_that_is_there(jobs):
    path = str(jobs / "small.yaml")
    assert load_job(path).path == load_job("small").path
    with pytest.raises(ParameterTypeError, match=r"is a path, and a deployment takes names: .* has small\. Pick one"):
        nightly.validate_parameters({"job": path})


@pytest.mark.usefixtures("jobs")
def test_what_is_changed_for_one_run_holds_as_if_the_file_said_so():
    assert load_job("small", {"forecast": {"horizon": 3}, "training": {}}).job.forecast.horizon == 3
    with pytest.raises(JobError, match=r"small.yaml: forecast.horizon: .*greater than or equal to 1 \(found 0\)"):
        load_job("small", {"forecast": {"horizon": 0}})


def test_without_a_jobs_folder_jobs_are_those_of_the_demo(tmp_path, monkeypatch):
    monkeypatch.delenv("NIGHTCAST_JOBS", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "mine.yaml").write_text(yaml.safe_dump(JOB), encoding="utf-8")
    assert load_job("mine").job.name == "small"
    (tmp_path / "jobs").mkdir()
    with pytest.raises(JobError, match="jobs has no job"):
        load_job("mine")
