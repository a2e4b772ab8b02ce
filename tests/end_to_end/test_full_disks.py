"""Nights whose disks are full: they go on where they can, say what lacks space, and leave nothing that takes more."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from flows.cli import main
from flows.deployments.dispatch import run_night
from flows.job.job import load_job
from sql.output import history
from tasks.store import probes


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """The pauses before another try; where a disk is full there are none."""
    made: list[float] = []
    monkeypatch.setattr("tasks.step.time.sleep", made.append)
    yield made
    assert made == []


@pytest.fixture
def full_while(monkeypatch, short_files):
    """Lets a function, named by its module, find a disk that takes no file beyond so many bytes."""

    def limit(name: str, longest: int) -> None:
        module, _, function = name.rpartition(".")
        whole = getattr(__import__(module, fromlist=[function]), function)

        def limited(*arguments, **others):
            with short_files(longest):
                return whole(*arguments, **others)

        monkeypatch.setattr(name, limited)

    return limit


def files_below(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*")}


@pytest.mark.parametrize(
    ("place", "longest", "what"),
    [
        ("tasks.store.probes._probe_local", 1_000, "no new version could be stored"),
        ("tasks.training.fit_model.store_version", 1_000, "the new version could not be stored"),
        ("tasks.training.train._save_model", 1_000, "training failed"),
    ],
)
@pytest.mark.parametrize("had_champion", [True, False])
def test_a_night_without_space_for_a_new_version_goes_on_with_what_it_has(
    request, full_while, make_job, place, longest, what, had_champion, monkeypatch
):
    job = request.getfixturevalue("two_nights") if had_champion else make_job()
    places = load_job(job).places
    before = files_below(Path(places.versions))
    full_while(place, longest)
    if place.startswith("tasks.store.probes"):
        # The disk of the versions is full from the beginning, and is another one than that of the rest.
        limited = probes.probe_place
        monkeypatch.setattr(probes, "probe_place", lambda folder: folder == places.versions and limited(folder))
    night = run_night(job, cutoff="2024-02-11", train="scratch")
    assert night.state == "completed"
    if had_champion:
        champion = history.champion(places.engine(), "small")["version"]
        instead, model, left = f"{champion} as it was", champion, 1
    else:
        instead, model, left = "the fallback for every series", "", 7
    assert (night.model_version, night.fallback_series) == (model, left)
    assert f"{what}, so tonight takes {instead}: no space left on {job.parent}" in night.train_reason
    assert "bytes are free" in night.train_reason
    assert night.train_reason in {each["train_reason"] for each in history.runs(places.engine(), "small")}
    assert {name for name in files_below(Path(places.versions)) - before if "/" in name} == set()
    assert night.train_reason.split(": no space")[0] in Path(night.report).read_text(encoding="utf-8")


def test_a_folder_of_parquet_files_without_space_fails_the_night_at_once_and_whole(make_job, full_while):
    job = make_job(forecast={"min_history": 10_000})
    run_night(job, cutoff="2024-02-03")
    places = load_job(job).places
    before = files_below(job.parent)
    full_while("tasks.publishing.parquet_night.write_copy", 2_000)
    result = CliRunner().invoke(main, ["run", str(job), "--cutoff", "2024-02-04", "--json"])
    assert result.exit_code == 1
    message = json.loads(result.stdout)["error"]
    assert re.search(rf"no space left on {job.parent} .*, [0-9,]+ bytes are wanted, [0-9,]+ bytes are free", message)
    assert files_below(job.parent) - before <= {"forecasts.db-wal", "forecasts.db-shm"}
    [failed] = [row for row in history.runs(places.engine(), "small") if row["state"] == "failed"]
    assert failed["error"] == message
    assert [row["cutoff"] for row in history.publications(places.engine(), "small")] == [
        datetime(2024, 2, 3, tzinfo=UTC)
    ]


def test_a_database_without_space_for_its_tables_is_one_clear_message(make_job, caplog):
    job = make_job(forecast={"min_history": 10_000})
    engine = load_job(job).places.engine()
    sa.event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count = 3"))
    log = logging.getLogger("nightcast")
    log.addHandler(caplog.handler)
    try:
        result = CliRunner().invoke(main, ["run", str(job), "--cutoff", "2024-02-04"])
    finally:
        log.removeHandler(caplog.handler)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("no space left on") == 1
    assert f"database or disk is full. There is no space left on {job.parent}, " in result.stderr
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert not (job.parent / "reports").exists()
