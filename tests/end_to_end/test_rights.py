"""A night whose user lacks a right on its database ends at once, and `check` has said so before."""

import pytest
import yaml

from flows.deployments.dispatch import run_night
from flows.night.check import check_job
from sql.errors import NotPermitted


@pytest.fixture
def pauses(monkeypatch):
    """The pauses that the steps of a night made before they tried again; no pause takes time."""
    made: list[float] = []
    monkeypatch.setattr("tasks.step.time.sleep", made.append)
    return made


def test_an_output_that_may_not_be_written_is_found_by_check_and_ends_the_night_at_once(
    make_job, other_user_url, pauses
):
    job = make_job(output={"url": other_user_url})
    [problem] = check_job(job).problems
    assert problem.startswith("output: ")
    assert "GRANT USAGE, CREATE ON SCHEMA public" in problem
    with pytest.raises(NotPermitted, match="may not create tables"):
        run_night(job, cutoff="2024-02-03")
    assert pauses == []


def test_a_source_that_may_not_be_read_is_found_by_check_and_ends_the_night_at_once(
    make_job, postgres_url, other_user_url, pauses
):
    job = make_job(url=postgres_url)
    content = yaml.safe_load(job.read_text())
    content["source"]["url"] = other_user_url
    job.write_text(yaml.safe_dump(content))
    with pytest.raises(NotPermitted, match="permission denied for table history"):
        run_night(job, cutoff="2024-02-03")
    assert pauses == []
    assert any("permission denied for table history" in problem for problem in check_job(job).problems)
