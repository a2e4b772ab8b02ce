"""Two job files with one name: the second one is refused before it writes anything, whichever way it is run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml
from click.testing import CliRunner

from flows.cli import main
from flows.job.job import load_job
from flows.night.night import run_here
from flows.night.request import NightRequest
from sql.engine.connection import connect, resolve_url
from tasks.night.owner import NameTaken


@pytest.fixture
def job(make_job, database_url, tmp_path) -> Path:
    """A job that has scored a night, with its tables in a database that other folders share."""
    file: Path = make_job(output={"url": database_url})
    assert run_here(NightRequest(file, "score")).state == "completed"
    return file


@pytest.fixture
def copy(job) -> Path:
    """A copy of the job file beside it, of another table."""
    document = yaml.safe_load(job.read_text())
    document["source"]["table"] = "returns"
    file = job.with_name("returns.yaml")
    file.write_text(yaml.safe_dump(document))
    return file


@pytest.fixture
def everything(database_url, job):
    """All rows of all tables, and the files of the folder of the job."""

    def read() -> tuple[dict, set]:
        engine, tables = connect(resolve_url(database_url)), sa.MetaData()
        tables.reflect(engine)
        with engine.connect() as connection:
            rows = {name: connection.execute(sa.select(table)).all() for name, table in tables.tables.items()}
        return rows, {str(file) for file in job.parent.rglob("*") if "sqlite" not in file.name}

    return read


def test_every_way_to_run_a_copied_job_is_refused_before_anything_is_written(job, copy, everything):
    before = everything()
    for kind in ("nightly", "train", "forecast", "score"):
        with pytest.raises(NameTaken, match=r"belongs to .*small\.yaml \(table history in "):
            run_here(NightRequest(copy, kind))
    for arguments in (["run"], ["backfill", "--from", "2024-02-01", "--to", "2024-02-02"], ["check"]):
        result = CliRunner().invoke(main, [arguments[0], str(copy), *arguments[1:], "--json"])
        assert result.exit_code == 2, result.output
        answer = json.loads(result.stdout)
        problem = answer["problems"][0] if arguments == ["check"] else answer["error"]
        assert f"and this is {copy} (table returns in " in problem
        assert f"write `replaces: {job}`" in problem
    assert everything() == before


@pytest.mark.parametrize(
    "arguments",
    [["models", "promote", "v1"], ["models", "rollback"], ["alerts", "acknowledge"], ["alerts", "accept"]],
    ids=lambda arguments: arguments[1],
)
def test_no_verb_changes_the_versions_or_alerts_of_another_job(copy, everything, arguments):
    before = everything()
    result = CliRunner().invoke(main, [*arguments[:2], str(copy), *arguments[2:]])
    assert (result.exit_code, everything()) == (2, before)
    assert "Error: The job name 'small' in " in result.output
    assert CliRunner().invoke(main, [arguments[0], "list", str(copy)]).exit_code == 0


def test_a_copied_job_that_says_what_it_replaces_runs_and_notes_it(job, copy, database_url):
    document = yaml.safe_load(copy.read_text())
    document["source"]["table"] = "history"
    copy.write_text(yaml.safe_dump(document | {"replaces": "small.yaml"}))
    summary = run_here(NightRequest(copy, "score"))
    assert summary.note.startswith(f"the name was of {job} (table history in ")
    assert CliRunner().invoke(main, ["check", str(copy)]).exit_code == 0
    with pytest.raises(NameTaken):
        run_here(NightRequest(job, "score"))
    assert load_job(job).job.name == load_job(copy).job.name
