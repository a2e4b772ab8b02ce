"""A file that is not what was published counts as none, and no night waits for what is no file."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sql.migrations.migrate import migrate
from sql.output import history
from tasks.night.job import Job
from tasks.night.ledger import Ledger
from tasks.night.night import Night
from tasks.publishing.folder_columns import align_columns, columns_of_folder, file_aside, remove_old_copies
from tasks.publishing.parquet_night import night_folder
from tasks.publishing.publish import Publication, mend, publish
from tasks.publishing.shown_file import run_of_file
from tasks.settings import Output
from tasks.store.night_file import save_night
from tasks.store.ownership import hold, make_held, state_of
from tasks.store.places import Places

CUTOFF = datetime(2024, 3, 1, tzinfo=UTC)
JOB = {"name": "sales", "source": {"url": "sqlite://", "table": "sold"}, "forecast": {"frequency": "D", "horizon": 3}}


@pytest.fixture
def places(tmp_path) -> Places:
    """Places of the job `sales` on SQLite: this is about files."""
    found = Places("sales", tmp_path, Output(url=f"sqlite:///{tmp_path}/test.db"))
    migrate(found.engine())
    return found


@pytest.fixture
def publish_run(places, forecast_rows, tmp_path) -> Callable[..., Publication]:
    """Publishes a night, the same values under whatever run."""

    def publish_it(run_id: str, cutoff: datetime = CUTOFF, value: float = 1.0) -> Publication:
        job, ledger, file = Job.model_validate(JOB), Ledger(places), tmp_path / f"{run_id}.parquet"
        night = Night(job, file, places, ledger, run_id, "nightly", None, "auto", cutoff, cutoff, tmp_path, cutoff)
        return publish(night, save_night([forecast_rows(cutoff, value=value, run_id=run_id)], file))

    return publish_it


def file_of(places: Places, cutoff: datetime = CUTOFF) -> Path:
    return Path(night_folder(places, cutoff)) / "part-0.parquet"


def as_table(places: Places) -> list[tuple[str, float]]:
    """Runs and values of the night in the table, after the file was found to hold the same."""
    rows = history.forecast_of(places.engine(), "sales", CUTOFF)
    stored = sorted(zip(rows["run_id"].to_pylist(), rows["median"].to_pylist(), strict=True))
    frame = pd.read_parquet(file_of(places))
    assert sorted(zip(frame["run_id"], frame["median"], strict=True)) == stored
    return stored


NO_NIGHTS = {
    "without a run": pa.table({"x": [1]}),
    "without rows": pa.table({"run_id": pa.array([], pa.string())}),
    "without columns": pa.table({}),
    "with a run of no text": pa.table({"run_id": pa.array([None], pa.int8())}),
}


@pytest.mark.parametrize("table", NO_NIGHTS.values(), ids=NO_NIGHTS.keys())
def test_a_parquet_file_that_is_no_night_is_written_anew(places, publish_run, table):
    publish_run("r1")
    for run, group_rows in (("r2", 1), ("r3", None)):
        pq.write_table(table, file_of(places), row_group_size=group_rows)
        assert run_of_file(places, CUTOFF) in (None, ("None", 1))
        assert publish_run(run).same_as == ""
        assert as_table(places) == [(run, 1.0)] * 6
    with pq.ParquetWriter(file_of(places), table.schema):
        pass  # a file without a row group
    assert run_of_file(places, CUTOFF) is None
    mend(places, CUTOFF)
    assert as_table(places) == [("r3", 1.0)] * 6


def test_damage_anywhere_in_the_file_is_found_when_its_night_runs_again(places, publish_run):
    publish_run("r1")
    whole, chosen = file_of(places).read_bytes(), random.Random(0)
    shown, healed = pd.read_parquet(file_of(places)), 0
    for number in range(24):
        at = chosen.randrange(len(whole))
        damaged = bytearray(whole)
        damaged[at] ^= 1 << chosen.randrange(8)
        file_of(places).write_bytes(damaged if number % 4 else whole[:at])
        same_as = publish_run(f"r{number + 2}").same_as
        healed += same_as == ""
        # What stays as it is, such as a bit of a statistic, no reader sees.
        frame = pd.read_parquet(file_of(places))
        ours = ["run_id", "created_at"] if same_as == "" else []
        pd.testing.assert_frame_equal(frame.drop(columns=ours), shown.drop(columns=ours))
        if same_as == "":
            whole, shown = file_of(places).read_bytes(), frame
    assert healed > 12


def test_a_damaged_file_of_another_night_stops_no_night_and_is_not_copied(places, publish_run, forecast_rows):
    publish_run("r1")
    whole, chosen = file_of(places).read_bytes(), random.Random(1)
    later = save_night([forecast_rows().append_column("q0_95", pa.array([1.0] * 6))], places.base / "later.parquet")
    shown = file_of(places, CUTOFF + timedelta(days=1))
    shown.parent.mkdir()
    shown.write_bytes(later.read_bytes())
    told = []
    for _ in range(100):
        damaged = bytearray(whole)
        for _ in range(2):
            damaged[chosen.randrange(len(whole))] ^= 1 << chosen.randrange(8)
        file_of(places).write_bytes(damaged)
        columns_of_folder(places.parquet)
        try:
            align_columns(places.parquet, str(shown))
        except OSError as error:
            told.append(str(error))
        else:
            # What no checksum covers are not the values.
            with suppress(pa.ArrowException, UnicodeDecodeError):
                assert pq.ParquetFile(file_of(places)).read(["median"])["median"].to_pylist() == [1.0] * 6
    assert len(told) > 50
    assert all(str(file_of(places)) in message for message in told)


def test_a_value_that_somebody_changed_is_found_and_a_column_of_another_night_is_not_damage(places, publish_run):
    publish_run("r1")
    rows = pq.read_table(file_of(places))
    empty = rows.append_column("q0_33", pa.nulls(6, pa.float64()))
    pq.write_table(empty, file_of(places))
    assert publish_run("r2").same_as == "r1"
    pq.write_table(rows.append_column("q0_33", pa.array([None] * 5 + [1.0])), file_of(places))
    assert publish_run("r3").same_as == ""
    rows = pq.read_table(file_of(places)).to_pandas()
    rows.loc[3, "median"] += 1e-9
    rows.to_parquet(file_of(places))
    assert publish_run("r4").same_as == ""
    assert as_table(places) == [("r4", 1.0)] * 6
    assert pl.read_parquet(places.parquet)["median"].to_list() == [1.0] * 6


def make_special(path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        # A socket's path is short, so it is made from within its folder.
        monkeypatch.chdir(path.parent)
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()


KINDS = ["pipe", "socket", "device", "folder"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_night_looks_at_regular_files_only(places, publish_run, monkeypatch, kind):
    before, after, job = CUTOFF - timedelta(days=1), CUTOFF + timedelta(days=1), "job=other/cutoff=2024-01-01T000000Z"
    for file in (file_of(places, before), file_of(places, after), Path(places.parquet, job, "part-0.parquet")):
        make_special(file, kind, monkeypatch)
    aside = file_aside(places.parquet, str(file_of(places)), "new")
    make_special(aside, kind, monkeypatch)
    publish_run("r1")
    publish_run("r2", value=2.0)
    assert columns_of_folder(places.parquet) == ["local_time", "q0_1", "q0_5", "q0_9"]
    assert as_table(places) == [("r2", 2.0)] * 6
    assert run_of_file(places, before) is None
    assert hold(file_of(places, before)) is None
    assert state_of(file_of(places, before)) == "unknown"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_at_the_nights_own_place_is_replaced_or_named(places, publish_run, monkeypatch, kind):
    make_special(file_of(places), kind, monkeypatch)
    monkeypatch.setattr("tasks.step.time.sleep", lambda seconds: None)
    if kind == "folder":
        with pytest.raises(OSError, match=r"part-0\.parquet is a folder, but the night's Parquet file belongs there"):
            publish_run("r1")
        assert history.publications(places.engine(), "sales") == []
        file_of(places).rmdir()
    publish_run("r1")
    assert as_table(places) == [("r1", 1.0)] * 6
    file_of(places).unlink()
    make_special(file_of(places), kind, monkeypatch)
    if kind == "folder":
        with pytest.raises(OSError, match="is a folder"):
            mend(places, CUTOFF)
        file_of(places).rmdir()
    mend(places, CUTOFF)
    assert as_table(places) == [("r1", 1.0)] * 6


@pytest.mark.parametrize(
    ("made_on", "seconds", "goes"), [("here", 0, True), ("there", 0, False), ("there", 3_700, True)]
)
def test_a_copy_that_a_run_was_killed_while_making_goes_at_once_where_it_ran_here(
    places, publish_run, monkeypatch, made_on, seconds, goes
):
    publish_run("r1")
    with monkeypatch.context() as patch:
        patch.setattr("tasks.publishing.folder_columns.host", lambda: made_on)
        aside = file_aside(places.parquet, str(file_of(places)), "new")

    replace, made = os.replace, []

    def note(source: Path, target: Path) -> None:
        made.append(source)
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", note)
        held = make_held(aside)
    held.close()
    aside.unlink()
    [left] = made
    left.touch()  # what a kill between the two leaves
    now = left.stat().st_ctime
    monkeypatch.setattr("tasks.publishing.folder_columns.host", lambda: "here")
    monkeypatch.setattr("tasks.publishing.folder_columns.time.time", lambda: now + seconds)
    remove_old_copies(places.parquet, str(file_of(places)))
    assert left.exists() != goes
