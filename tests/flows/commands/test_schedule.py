"""The verb `schedule` without a server, and `serve` where there is nothing to serve."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from datetime import datetime

import pytest
import yaml
from click.testing import CliRunner

from flows.cli import main

JOB = {"source": {"url": "sqlite:///a.db", "table": "t"}}
FORECAST = {"frequency": "D", "horizon": 7, "time_zone": "Europe/Madrid"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with the jobs `sales` and `rents`, and no server."""
    monkeypatch.chdir(tmp_path)
    for name in ("NIGHTCAST_JOBS", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "jobs").mkdir()
    for name in ("sales", "rents"):
        document = {"name": name, **JOB, "forecast": FORECAST}
        (tmp_path / "jobs" / f"{name}.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    return tmp_path


def nightcast(*arguments):
    return CliRunner().invoke(main, [*arguments])


def test_a_job_is_put_on_a_schedule_listed_changed_and_taken_off(folder):
    done = nightcast("schedule", "sales", "0 3 * * *")
    assert done.exit_code == 0, done.output
    first, second, third = done.stdout.splitlines()
    assert first.startswith("sales runs at 0 3 * * * (Europe/Madrid): ")
    assert second == f"{folder}/jobs/schedules.yaml says so."
    assert third.startswith("It is applied when `nightcast serve` starts")
    changed = nightcast("schedule", "jobs/sales.yaml", "@hourly", "--zone", "UTC", "--json")
    told = json.loads(changed.stdout)
    assert (told["cron"], told["time_zone"], told["applied"]) == ("@hourly", "UTC", False)
    assert told["before"] == {"cron": "0 3 * * *", "time_zone": "Europe/Madrid"}
    [listed] = json.loads(nightcast("schedule", "--json").stdout)["schedules"]
    moments = [datetime.fromisoformat(each) for each in listed["next"]]
    assert [each.minute for each in moments] == [0, 0, 0]
    assert (listed["job"], listed["state"]) == ("sales", "in the file")
    off = nightcast("schedule", "sales", "--off")
    assert off.stdout.splitlines()[0] == "sales is off its schedule, @hourly (UTC)."
    assert nightcast("schedule", "sales", "--off").stdout.startswith("sales had no schedule.")
    assert nightcast("schedule").stdout.startswith("No job is on a schedule. Write: nightcast schedule JOB")


def test_a_job_that_is_gone_is_listed_as_gone_and_can_be_taken_off(folder):
    nightcast("schedule", "sales", "0 3 * * *")
    (folder / "jobs" / "sales.yaml").unlink()
    [listed] = json.loads(nightcast("schedule", "--json").stdout)["schedules"]
    assert listed["state"] == "job is gone"
    refused = nightcast("schedule", "sales", "0 4 * * *")
    assert refused.exit_code == 2
    assert "No job 'sales': no such file, and the jobs folder" in refused.stderr
    assert nightcast("schedule", "sales", "--off").exit_code == 0


def test_a_server_that_does_not_answer_leaves_the_schedule_in_the_file(folder, monkeypatch):
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{port}/api")
    done = nightcast("schedule", "sales", "0 3 * * *")
    assert done.exit_code == 0, done.output
    assert f"No Prefect server answers at http://127.0.0.1:{port}/api" in done.stdout
    assert "sales: {cron" in (folder / "jobs" / "schedules.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sales", "0", "3", "*", "*", "*"], "Put the cron in quotes"),
        (["sales", "0 3 * * *", "--off"], "--off takes a JOB, and no cron and no zone."),
        (["--off"], "--off takes a JOB"),
        (["sales", "--zone", "UTC"], "--zone belongs to a CRON"),
        (["sales", "0 3 * * * *"], "has 6 fields and needs five"),
        (["sales", "0 3 * * *", "--zone", "Europe/Madird"], "Did you mean Europe/Madrid"),
        (["sale", "0 3 * * *"], "No job 'sale': no such file, and the jobs folder"),
        (["sales", "0 3 * * *", "--jobs", "none"], "none has no job"),
    ],
)
def test_wrong_use_is_one_message_and_changes_nothing(folder, arguments, words):
    refused = nightcast("schedule", *arguments)
    assert refused.exit_code == 2
    assert words in " ".join(refused.stderr.split())
    assert not (folder / "jobs" / "schedules.yaml").exists()


def test_a_file_outside_of_the_jobs_folder_cannot_be_put_on_a_schedule(folder):
    (folder / "jobs" / "sales.yaml").rename(folder / "sales.yaml")
    refused = nightcast("schedule", "sales.yaml", "0 3 * * *")
    assert refused.exit_code == 2
    assert f"{folder}/sales.yaml is not in the jobs folder {folder}/jobs" in refused.stderr


def test_serve_names_what_is_missing_before_anything_is_started(folder, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(folder / "prefect"))
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        refused = nightcast("serve", "--port", str(port))
    assert refused.exit_code == 2
    assert (
        f"The Prefect server cannot start at http://127.0.0.1:{port}: another program listens there." in refused.stderr
    )
    assert "Choose another --port." in refused.stderr
    (folder / "empty").mkdir()
    refused = nightcast("serve", "--jobs", "empty")
    assert refused.exit_code == 2
    assert f"There is no job to serve: {folder}/empty has no job file." in refused.stderr
    assert not (folder / "prefect").exists()
