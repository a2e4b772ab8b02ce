"""Which prefect.yaml is deployed, and that its schedules of jobs which are not there are told."""

from __future__ import annotations

import pytest
import yaml

from flows.job.job import JobError
from flows.server.prefect_file import OURS, check_schedules, prefect_file, scheduled_jobs


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("NIGHTCAST_JOBS", str(tmp_path / "jobs"))
    (tmp_path / "jobs").mkdir()

    def make(*scheduled, jobs=()):
        schedules = [{"cron": "0 3 * * *", "parameters": {"job": name}} for name in scheduled]
        deployments = [{"name": "nightly", "schedules": schedules}, {"name": "train"}]
        (tmp_path / "prefect.yaml").write_text(yaml.safe_dump({"deployments": deployments}), encoding="utf-8")
        for name in jobs:
            (tmp_path / "jobs" / f"{name}.yaml").write_text("name: x", encoding="utf-8")
        return tmp_path / "prefect.yaml"

    return make


def test_schedules_of_jobs_that_are_there_are_well(project):
    check_schedules(project("sales", "rents", jobs=["sales", "rents", "other"]))


def test_a_schedule_of_a_job_that_is_not_there_names_file_job_and_those_that_are(project):
    folder = project("sales", jobs=["rents"])
    with pytest.raises(JobError, match=r"prefect.yaml schedules the job 'sales', and the jobs folder .* has rents\."):
        check_schedules(folder)


def test_without_any_job_the_example_is_the_one_that_will_be_there(project):
    check_schedules(project("store-sales"))
    with pytest.raises(JobError, match=r"jobs has no job\. Put that job's file into the folder, or name another"):
        check_schedules(project("sales"))


def test_the_file_of_the_package_is_deployed_unless_the_folder_has_one_of_this_product(project):
    folder = project().parent
    assert prefect_file(folder) == OURS
    own = folder / "prefect.yaml"
    for entrypoint, wanted in (("flows.deployments.nightly.nightly", own), ("mine.py:nightly", OURS)):
        deployments = [{"name": "nightly", "entrypoint": entrypoint}]
        own.write_text(yaml.safe_dump({"deployments": deployments}), encoding="utf-8")
        assert prefect_file(folder) == wanted
    own.unlink()
    assert prefect_file(folder) == OURS
    assert scheduled_jobs(OURS) == []


def test_a_file_that_is_no_yaml_is_refused(project):
    folder = project().parent
    (folder / "prefect.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(JobError, match="line 1, column 5: not YAML"):
        prefect_file(folder)
