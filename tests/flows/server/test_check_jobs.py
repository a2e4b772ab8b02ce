"""What the job files alone tell, before a server is started."""

from __future__ import annotations

import pytest
import yaml

from flows.job.job import JobError
from flows.server.check_jobs import check_jobs

GOOD = {"source": {"url": "sqlite:///a.db", "table": "t"}, "forecast": {"frequency": "D", "horizon": 7}}
WRONG = """\
name: wrong
source:
  url: sqlite:///a.db
  tabel: t
forecast:
  frequency: D
  # weeks
  horizon: 0
"""


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    monkeypatch.setenv("NIGHTCAST_JOBS", str(tmp_path))
    monkeypatch.delenv("SALES_URL", raising=False)

    def write(name, document):
        text = document if isinstance(document, str) else yaml.safe_dump({"name": name} | document)
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
        return tmp_path

    return write


def test_a_broken_file_is_told_with_its_lines_and_the_others_are_ready(jobs):
    jobs("good", GOOD)
    jobs("wrong", WRONG)
    folder = jobs("no-yaml", "name: [")
    found = check_jobs()
    assert found.ready == ["good"]
    first, second = found.problems["wrong"].split("\n")
    assert first == f"{folder}/wrong.yaml, line 4: unknown key 'source.tabel'; did you mean 'table'?"
    assert second.startswith(f"{folder}/wrong.yaml, line 8: forecast.horizon: ")
    assert found.problems["no-yaml"].startswith(f"{folder}/no-yaml.yaml, line 1, column 8: not YAML")


def test_a_key_that_is_missing_has_the_line_of_its_part(jobs):
    jobs("good", GOOD)
    folder = jobs("short", "# mine\nname: short\nsource: {url: 'sqlite:///a.db', table: t}\nforecast: {frequency: D}\n")
    message = f"{folder}/short.yaml, line 4: forecast.horizon is missing; every job needs it."
    assert check_jobs().problems == {"short": message}


def test_a_variable_that_is_not_set_and_a_folder_that_takes_no_report_are_told(jobs, monkeypatch):
    jobs("good", GOOD)
    jobs("sales", GOOD | {"source": {"url": "${SALES_URL}", "table": "t"}})
    assert "SALES_URL" in check_jobs().problems["sales"]
    # Root may write everywhere.
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(JobError, match=r"good.yaml: its reports cannot be written below .*: this user may not"):
        check_jobs()


def test_without_a_single_job_there_is_nothing_to_serve(jobs, tmp_path, monkeypatch):
    with pytest.raises(JobError, match=r"There is no job to serve: .* has no job file\. `nightcast init FILE` makes"):
        check_jobs()
    jobs("wrong", WRONG)
    with pytest.raises(JobError, match=r"No job file can be used\.\n.*wrong.yaml, line 4: "):
        check_jobs()
    monkeypatch.setenv("NIGHTCAST_JOBS", str(tmp_path / "none"))
    with pytest.raises(JobError, match=r"none is no folder"):
        check_jobs()
