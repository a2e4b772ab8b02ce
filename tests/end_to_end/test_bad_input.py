"""Each bad input: one clear error, the right exit code, no traceback, and everything left as it was."""

from __future__ import annotations

import json
import logging
import re
import shutil
import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import fsspec
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from flows.cli import main
from flows.deployments.dispatch import run_night
from flows.job.job import load_job
from models.network import version_file
from sql.engine.connection import transaction
from sql.migrations.migrate import migrate
from sql.output import history
from sql.output.tables import model
from tasks.store.version_store import store_version


def snapshot(folder: Path) -> dict[str, object]:
    """Every file by its content; a database by its rows, without the note of the failed run, which the home shows."""
    kept: dict[str, object] = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.name.endswith(("-wal", "-shm", ".yaml", "index.html", "index.json")):
            kept[str(file.relative_to(folder))] = rows_of(file) if file.suffix == ".db" else file.read_bytes()
    return kept


def rows_of(database: Path) -> dict[str, list]:
    with closing(sqlite3.connect(database)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in names if name != "run"}


def refused(job: Path, *arguments: str, code: int) -> str:
    result = CliRunner().invoke(main, ["run", str(job), *arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    assert result.stderr.count("Error: ") == 1
    return result.stderr


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr("tasks.step.time.sleep", lambda seconds: None)


def with_its_own_versions(job: Path) -> Path:
    """A copied job whose versions lie beside it, so that they may be spoilt."""
    loaded = load_job(job)
    with transaction(loaded.places.engine()) as connection:
        [row] = history.models(loaded.places.engine(), "small")
        uri = f"{loaded.places.versions}/small/{row['version']}"
        connection.execute(model.update().values(uri=uri))
    return job


@pytest.fixture
def told_on_the_way(caplog):
    """What a run logs, which its `text` holds."""
    log = logging.getLogger("nightcast")
    caplog.set_level("INFO", log.name)
    log.addHandler(caplog.handler)
    yield caplog
    log.removeHandler(caplog.handler)


@pytest.fixture(scope="module")
def ran_once(make_job_in, tmp_path_factory):
    """A job that has run one night, by the fallback alone, which takes no training; and a copy of its folder."""
    file = make_job_in(tmp_path_factory.mktemp("ran_once") / "job", forecast={"min_history": 10_000})
    assert CliRunner().invoke(main, ["run", str(file), "--cutoff", "2024-02-01"]).exit_code == 0
    return file, shutil.copytree(file.parent, file.parent.with_name("kept"))


@pytest.fixture
def job(ran_once):
    """A job that has run one night, as that night left it."""
    file, kept = ran_once
    # At the path where it ran: elsewhere, its name would be that of another job.
    shutil.rmtree(file.parent)
    shutil.copytree(kept, file.parent)
    return file


def change(job: Path, **parts) -> Path:
    content = yaml.safe_load(job.read_text(encoding="utf-8"))
    for name, part in parts.items():
        content[name] = {**content.get(name, {}), **part}
    job.write_text(yaml.safe_dump(content), encoding="utf-8")
    return job


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"source": {"table": "histroy"}}, "'history'"),
        ({"source": {"value": "valeu"}}, "'value'"),
        ({"source": {"static": ["regoin"]}, "monitor": {"segments": []}}, "'region'"),
        ({"source": {"url": "sqlite:///elsewhere.db"}}, "elsewhere.db"),
        ({"source": {"url": "${NOT_SET_ANYWHERE}"}}, "NOT_SET_ANYWHERE"),
        ({"source": {"url": "nonsense"}}, "nonsense"),
        ({"forecast": {"horizon": 0}}, "forecast.horizon"),
        ({"forecast": {"lower_bound": float("inf")}}, "forecast.lower_bound"),
        ({"forecast": {"horzion": 7}}, "did you mean 'horizon'"),
        ({"forecast": {"frequency": "MS"}}, "off the grid"),
        ({"training": {"policy": "never"}, "forecast": {"min_history": 3}}, "--train scratch"),
    ],
)
def test_a_job_that_does_not_fit_its_source_is_wrong_use_and_changes_nothing(job, parts, words):
    before = snapshot(job.parent)
    assert words in refused(change(job, **parts), code=2)
    assert snapshot(job.parent) == before


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda frame: frame.head(0), "no rows|empty"),
        (lambda frame: frame.assign(value=["twelve", *map(str, frame["value"][1:])]), "twelve"),
        (lambda frame: frame.assign(day=["31/12/2O23", *frame["day"][1:]]), "31/12/2O23"),
        (lambda frame: pd.concat([frame, frame.head(1).assign(value=-1.0)]), "1 timestamp with different values"),
    ],
    ids=["empty", "text in the value column", "a timestamp that does not parse", "two values for one timestamp"],
)
def test_a_source_that_nobody_could_forecast_from_is_bad_input_and_changes_nothing(job, history_frame, spoil, words):
    rows = spoil(history_frame.assign(day=history_frame["day"].astype(str)))
    with closing(sqlite3.connect(job.parent / "source.db")) as connection, connection:
        rows.to_sql("history", connection, if_exists="replace", index=False)
    before = snapshot(job.parent)
    assert re.search(words, refused(change(job, audit={"duplicates": "error"}), code=2))
    assert snapshot(job.parent) == before


def test_a_first_night_that_fails_makes_nothing_at_all(make_job):
    job = make_job(source={"table": "nowhere"})
    before = sorted(path.name for path in job.parent.iterdir())
    refused(job, code=2)
    after = sorted(path.name for path in job.parent.iterdir())
    assert set(after) - set(before) <= {"source.db-shm", "source.db-wal"}


def test_a_failed_night_is_noted_with_its_reason(job):
    refused(change(job, source={"table": "nowhere"}), code=2)
    run = history.runs(load_job(job).places.engine(), "small")[0]
    assert run["state"] == "failed"
    assert "nowhere" in run["error"]


def test_a_webhook_whose_variable_is_not_set_is_found_before_there_is_an_alert_to_tell(job):
    before = snapshot(job.parent)
    content = yaml.safe_load(job.read_text(encoding="utf-8"))
    job.write_text(yaml.safe_dump(content | {"notify": {"webhook": "${NOT_SET_ANYWHERE}"}}), encoding="utf-8")
    assert "NOT_SET_ANYWHERE" in refused(job, code=2)
    assert snapshot(job.parent) == before


def test_a_cutoff_that_has_not_come_yet_is_wrong_use_and_changes_nothing(job):
    before = snapshot(job.parent)
    assert "has not come yet" in refused(job, "--cutoff", "2199-02-02", code=2)
    result = CliRunner().invoke(main, ["backfill", str(job), "--from", "2024-02-01", "--to", "2199-02-02"])
    assert (result.exit_code, snapshot(job.parent)) == (2, before)


@pytest.mark.parametrize("verb", [["run", "--cutoff"], ["backfill", "--to", "2022-12-31", "--from"]])
def test_a_cutoff_before_the_first_row_is_wrong_use_that_names_both(job, verb):
    before = snapshot(job.parent)
    result = CliRunner().invoke(main, [verb[0], str(job), *verb[1:], "2022-12-31"])
    assert result.exit_code == 2
    table = f"table 'history' in sqlite:///{job.parent}/source.db"
    assert (
        f"Error: No row of {table} is as old as the cutoff 2022-12-31 00:00: the first is of 2023-10-01 00:00 (UTC). "
        "Give a later cutoff.\n"
    ) in result.stderr
    assert snapshot(job.parent) == before


@pytest.mark.parametrize(
    "verb",
    [
        ["models", "list"],
        ["models", "show"],
        ["models", "promote"],
        ["models", "rollback"],
        ["alerts", "list"],
        ["alerts", "replay"],
        ["alerts", "acknowledge"],
        ["alerts", "accept"],
        ["report"],
    ],
    ids=" ".join,
)
def test_a_verb_that_asks_about_nights_before_the_first_one_says_so_and_makes_nothing(make_job, verb):
    job = make_job()
    before = sorted(job.parent.iterdir())
    version = ["v1"] if verb[-1] == "promote" else []
    result = CliRunner().invoke(main, [*verb, str(job), *version, "--json"])
    told = json.loads(result.stdout)
    assert (result.exit_code, told["exit_code"]) == (2, 2)
    assert re.search(r"forecasts.db is not there: no night of small has run yet. Try `nightcast run`", told["error"])
    assert sorted(job.parent.iterdir()) == before


@pytest.mark.parametrize("verb", [["models", "show"], ["report"], ["report", "--cutoff", "2024-02-01"]], ids=" ".join)
def test_a_job_without_nights_in_a_database_that_has_its_tables_is_told_to_run(make_job, verb):
    job = make_job()
    migrate(load_job(job).places.engine())
    result = CliRunner().invoke(main, [*verb, str(job)])
    assert result.exit_code == 2
    assert re.search(r" yet.* Try `nightcast run`\.$", result.stderr)
    assert "[]" not in result.stderr


@pytest.mark.parametrize("part", ["source", "output"])
def test_a_database_that_does_not_answer_is_a_failure(job, part):
    before = snapshot(job.parent)
    message = refused(change(job, **{part: {"url": "postgresql://me@127.0.0.1:1/db"}}), code=1)
    assert "127.0.0.1" in message
    assert snapshot(job.parent) == before


@pytest.mark.parametrize("part", ["source", "output"])
def test_a_database_that_never_answers_is_given_up_in_seconds(job, monkeypatch, part):
    pauses: list[float] = []
    monkeypatch.setattr("tasks.step.time.sleep", pauses.append)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"postgresql://me@127.0.0.1:{silent.getsockname()[1]}/db?connect_timeout=2"
        began = time.monotonic()
        message = refused(change(job, **{part: {"url": url}}), code=1)
    assert "could not be noted" not in message
    # Left to itself, a connection is given up after 5 s: 15 s for two tries and the pause between them, not 9.
    assert sum(pauses) <= 5
    assert time.monotonic() - began < 12


@pytest.mark.parametrize("place", ["parquet", "report", "versions"])
def test_an_output_folder_that_cannot_be_one_is_a_failure(job, place):
    (job.parent / "occupied").write_text("in the way", encoding="utf-8")
    before = snapshot(job.parent)
    assert "occupied is a file" in refused(change(job, output={place: "occupied/folder"}), code=1)
    assert snapshot(job.parent) == before


def test_a_file_that_is_no_database_is_a_failure(job):
    (job.parent / "noise.db").write_bytes(b"no database at all" * 100)
    assert "noise.db" in refused(change(job, output={"url": "sqlite:///noise.db"}), code=1)
    assert (job.parent / "noise.db").read_bytes() == b"no database at all" * 100


def spoil(job: Path, name: str) -> None:
    """Cut one file of the only version short; take the whole folder away where the name is empty."""
    [manifest] = (job.parent / "versions").rglob("manifest.json")
    if name:
        (manifest.parent / name).write_bytes((manifest.parent / name).read_bytes()[:50])
    else:
        shutil.rmtree(manifest.parent)


@pytest.mark.parametrize("name", ["forecaster.json", "member-0.npz", "series_ids.npy", "manifest.json", ""])
def test_where_nothing_may_be_trained_a_damaged_champion_is_a_failure_that_names_the_file(two_nights, name):
    job = with_its_own_versions(two_nights)
    spoil(job, name)
    before = snapshot(job.parent)
    message = refused(job, "--cutoff", "2024-02-11", "--train", "never", code=1)
    assert name in message
    assert "--train scratch" in message
    assert snapshot(job.parent) == before


def test_a_night_before_every_version_that_may_not_train_names_the_champion_and_what_it_has_seen(two_nights):
    champion = history.champion(load_job(two_nights).places.engine(), "small")["version"]
    before = snapshot(two_nights.parent)
    message = refused(two_nights, "--cutoff", "2024-01-27", "--train", "never", code=2)
    assert f"no version was trained by the cutoff 2024-01-27 00:00 UTC: champion {champion}" in message
    assert "has learnt up to 2024-02-03 00:00 UTC. Give a later cutoff" in message
    assert snapshot(two_nights.parent) == before


@pytest.mark.parametrize(
    ("policy", "name", "cutoff"),
    [
        ("auto", "member-0.npz", "2024-02-11"),
        ("auto", "", "2024-02-03"),
        ("warm", "manifest.json", "2024-02-11"),
    ],
)
def test_a_night_that_may_train_replaces_a_damaged_champion_and_says_why(
    two_nights, told_on_the_way, policy, name, cutoff
):
    job = with_its_own_versions(two_nights)
    champion = history.champion(load_job(job).places.engine(), "small")
    spoil(job, name)
    # With another limit it is another training, and another version, than the damaged one.
    result = CliRunner().invoke(
        main, ["run", str(job), "--cutoff", cutoff, "--train", policy, "--time-limit", "61", "--json"]
    )
    assert result.exit_code == 0, result.output
    night = json.loads(result.stdout)
    assert (night["train_mode"], night["fallback_series"]) == ("scratch", 1)
    what = rf"{name or 'manifest.json'} is (damaged|missing)"
    reason = f"champion {champion['version']} cannot be read: .*{what}; training from scratch"
    replaced = f"; {night['model_version']} is the champion: no other can forecast this night"
    assert re.fullmatch(reason + replaced, night["train_reason"])
    [row] = [row for row in history.runs(load_job(job).places.engine(), "small") if row["run_id"] == night["run_id"]]
    assert row["train_reason"] == night["train_reason"]
    for told in (told_on_the_way.text, Path(night["report"]).read_text(encoding="utf-8")):
        assert re.search(reason, told)
    assert CliRunner().invoke(main, ["run", str(job), "--cutoff", "2024-02-12", "--train", "never"]).exit_code == 0


def test_a_champion_of_another_release_is_replaced_and_the_night_says_why(two_nights, monkeypatch):
    job = with_its_own_versions(two_nights)
    champion = history.champion(load_job(job).places.engine(), "small")
    monkeypatch.setattr(version_file, "FORMAT", version_file.FORMAT + 1)
    result = CliRunner().invoke(main, ["run", str(job), "--cutoff", "2024-02-11", "--json"])
    assert result.exit_code == 0, result.output
    night = json.loads(result.stdout)
    assert night["train_mode"] == "scratch"
    reason = f"champion {champion['version']} cannot be read: it has format {version_file.FORMAT - 1}, this release"
    assert night["train_reason"].startswith(reason)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("series_ids.npy", b"no array", "series_ids.npy is no array"),
        (
            "member-0.npz",
            b"\x93NUMPY\x01\x00\x40\x00" + b"{'descr': '<f4', 'fortran_order': False, 'shape': (1 << 40,)}".ljust(64),
            "member-0.npz is no archive of arrays",
        ),
        ("forecaster.json", b"[" * 100_000, "maximum recursion depth"),
    ],
)
def test_a_champion_that_was_stored_unreadable_is_replaced_and_the_night_says_why(two_nights, name, content, told):
    job = with_its_own_versions(two_nights)
    places = load_job(job).places
    champion = history.champion(places.engine(), "small")
    saved = Path(fsspec.core.url_to_fs(champion["uri"])[1])
    (saved / "manifest.json").unlink()
    (saved / name).write_bytes(content)
    stored = store_version(saved, places.versions, "small", champion["trained_until"], places.lock)
    with places.engine().begin() as connection:
        connection.execute(
            model.update().where(model.c.stage == "champion").values(uri=stored.uri, digest=stored.digest)
        )
    night = run_night(job, cutoff="2024-02-11")
    assert (night.train_mode, night.fallback_series) == ("scratch", 1)
    assert re.match(
        f"champion {champion['version']} cannot be read: .*{told}.*; training from scratch", night.train_reason
    )


def test_check_tells_every_problem_and_changes_nothing(make_job):
    job = make_job(source={"table": "nowhere"}, output={"parquet": "small.yaml/forecasts"})
    before = snapshot(job.parent)
    result = CliRunner().invoke(main, ["check", str(job)])
    assert result.exit_code == 2
    assert "output: " in result.stdout
    assert "source: " in result.stdout
    assert snapshot(job.parent) == before


def test_check_leaves_a_database_that_others_use_without_a_log(make_job):
    job = make_job(output={"url": "sqlite:///source.db"})
    database = job.parent / "source.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    before = rows_of(database)
    assert CliRunner().invoke(main, ["check", str(job)]).exit_code == 0
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert rows_of(database) == before
    assert sorted(file.name for file in job.parent.iterdir()) == ["history.parquet", "small.yaml", "source.db"]


def test_check_of_a_job_that_is_well_describes_its_source(make_job):
    result = CliRunner().invoke(main, ["check", str(make_job())])
    assert result.exit_code == 0
    assert "842 rows, 7 series" in result.stdout
