"""Nights that are killed at every stage, or whose server goes away: what is left, and what comes next."""

from __future__ import annotations

import json
import subprocess
import sys

import pandas as pd
import pytest

from flows.deployments.dispatch import run_night
from flows.job.job import load_job
from flows.night.backfill import Span, backfill_nights
from flows.night.night import run_here
from sql.output import history
from tasks.store.places import stamp

STAGES = [
    "read_series", "audit_input", "begin_run", "decide", "fit_model", "predict", "publish", "the commit",
    "store_actuals", "score", "watch", "notify", "write_report", "end_run",
]  # fmt: skip

# Each night in a process of its own, which is forked before anything has started a thread.
KILLED_AT_EVERY_STAGE = """
import json, os, signal, sqlite3, sys
from pathlib import Path
import flows.night.night as nights, flows.night.reading as reading, flows.night.stages as stages_of_night
import tasks.publishing.parquet_night as publishing
from flows.deployments.dispatch import run_night

job, stages, found = Path(sys.argv[1]), json.loads(sys.argv[2]), {}

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def show_and_die(night, show=publishing.ParquetNight.show):
    show(night)
    die()

def in_a_child(cutoff, stage):
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    stages_of_night.write_report = lambda night, *_: night.places.report
    if stage == "the commit":
        publishing.ParquetNight.show = show_and_die
    elif stage:
        [module] = [each for each in (nights, reading, stages_of_night) if hasattr(each, stage)]
        setattr(module, stage, die)
    run_night(job, cutoff=cutoff)
    os._exit(0)

def left():
    with sqlite3.connect(job.parent / "forecasts.db") as database:
        rows = database.execute("SELECT cutoff, count(*) FROM forecast GROUP BY cutoff").fetchall()
        published = database.execute("SELECT cutoff, rows FROM publication").fetchall()
    return sorted(rows) == sorted(published), len(published)

assert in_a_child("2024-01-01", None) == 0
for number, stage in enumerate(stages):
    before = left()[1]
    ended = in_a_child(f"2024-01-{number + 2:02d}", stage)
    whole, after = left()
    found[stage] = [ended, whole, after - before]
assert in_a_child("2024-01-20", None) == 0
print(json.dumps(found))
"""


@pytest.fixture
def untrained(make_job, monkeypatch):
    """Makes a job that forecasts by the fallback alone, without reports, which take most of so small a night."""
    monkeypatch.setattr("flows.night.stages.write_report", lambda night, *_: night.places.report)
    return lambda **settings: make_job(**{"forecast": {"min_history": 10_000}, **settings})


def test_a_night_that_is_killed_at_any_stage_leaves_whole_tables_and_the_next_ones_run(untrained):
    job = untrained()
    command = [sys.executable, "-c", KILLED_AT_EVERY_STAGE, str(job), json.dumps(STAGES)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    published = STAGES.index("the commit") + 1
    assert found == {stage: [9, True, int(number >= published)] for number, stage in enumerate(STAGES)}

    places = load_job(job).places
    states = {row["cutoff"].day: row["state"] for row in history.runs(places.engine(), "small")}
    assert states == {1: "completed", 20: "completed"} | {number + 2: "crashed" for number in range(len(STAGES))}
    assert not (job.parent / "reports/.nightcast").exists()
    # The file that was shown before its rows were committed has been taken back.
    in_files = pd.read_parquet(places.parquet).groupby("cutoff", observed=True).size()
    in_table = {row["cutoff"]: row["rows"] for row in history.publications(places.engine(), "small")}
    assert in_files.to_dict() == {stamp(night): rows for night, rows in in_table.items()}
    # A backfill goes on where they were killed: from before the commit of the ninth to after that of the eleventh.
    filled = backfill_nights(job, Span("2024-01-09", "2024-01-11"), run_here)
    assert [night.state for night in filled.nights] == ["completed", "unchanged", "unchanged"]
    # One of the seven series begins on the ninth.
    for row in history.publications(places.engine(), "small"):
        assert row["rows"] == (49 if row["cutoff"].day >= 9 else 42)


def test_a_night_runs_without_the_server_that_does_not_answer_and_says_so(untrained, monkeypatch, caplog):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with caplog.at_level("WARNING", logger="nightcast"):
        assert run_night(untrained(), cutoff="2024-02-01").state == "completed"
    assert "No Prefect server answers at http://127.0.0.1:9/api" in caplog.text
