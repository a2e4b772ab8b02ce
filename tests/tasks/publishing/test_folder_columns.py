"""A folder of Parquet files whose quantile columns differ from night to night and from job to job."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import fsspec
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from tasks.night.ledger import Ledger
from tasks.publishing import folder_columns
from tasks.publishing.folder_columns import align_columns, columns_of_folder
from tasks.publishing.parquet_night import night_folder
from tasks.publishing.publish import mend, publish
from tasks.publishing.retention import delete_old_nights
from tasks.settings import Output
from tasks.store.night_file import save_night
from tasks.store.places import Places

FIRST = datetime(2024, 2, 29, 23, tzinfo=UTC)
STAMP = "%Y-%m-%dT%H%M%SZ"
READERS: dict[str, Callable[[str], pd.DataFrame]] = {
    "pandas": pd.read_parquet,
    "pyarrow": lambda folder: pq.read_table(folder).to_pandas(),
    "polars": lambda folder: pd.DataFrame(pl.read_parquet(folder).to_dict(as_series=False)),
    "duckdb": lambda folder: duckdb.sql(f"FROM '{folder}/**/*.parquet'").to_arrow_table().to_pandas(),
}
# The rows of forecast_rows have levels 0.1, 0.5 and 0.9.
LEVELS = ["q0_1", "q0_5", "q0_9"]


@pytest.fixture
def publish_night(places, make_night, forecast_rows, tmp_path):
    """Publishes the night so many days after the first, of this job, with these quantile levels beside 0.5."""

    def publish_one(
        day: int = 0, *levels: str, job: str = "sales", root: str = "forecasts/", value: float = 1.0
    ) -> Places:
        there = replace(places, job=job, output=Output(url=places.output.url, parquet=root))
        rows = forecast_rows(FIRST + timedelta(days=day), value=value).drop_columns(["q0_1", "q0_9"])
        rows = rows.set_column(0, "job", pa.array([job] * len(rows)))
        for level in levels:
            rows = rows.append_column(level, pa.array([value + float(level[1:].replace("_", "."))] * len(rows)))
        night = make_night(FIRST + timedelta(days=day))
        night = replace(
            night,
            job=night.job.model_copy(update={"name": job, "output": there.output}),
            places=there,
            ledger=Ledger(there),
        )
        publish(night, save_night([rows], tmp_path / "night.parquet"))
        return there

    return publish_one


def quantiles_of(frame: pd.DataFrame) -> list[str]:
    return sorted(name for name in frame.columns if name.startswith("q0_"))


@pytest.mark.parametrize("reader", READERS)
def test_a_folder_reads_as_one_table_after_the_levels_of_a_job_changed(publish_night, reader):
    publish_night(0, "q0_1", "q0_9")
    publish_night(1, "q0_1", "q0_9")
    places = publish_night(2, "q0_05", "q0_95")
    frame = READERS[reader](places.parquet)
    assert quantiles_of(frame) == ["q0_05", "q0_1", "q0_5", "q0_9", "q0_95"]
    # Two series of three steps a night: two nights have the old levels, and one the new ones.
    assert frame[["q0_05", "q0_1", "q0_5", "q0_9", "q0_95"]].notna().sum().to_list() == [6, 12, 18, 12, 6]
    assert set(frame["q0_9"].dropna()) == {1.9}
    assert set(frame["q0_05"].dropna()) == {1.05}


@pytest.mark.parametrize("reader", READERS)
def test_two_jobs_with_different_levels_share_a_folder(publish_night, reader):
    publish_night(0, "q0_1", job="sales")
    publish_night(0, "q0_2", job="rents")
    places = publish_night(1, "q0_1", job="sales")
    frame = READERS[reader](places.parquet)
    count = frame.groupby(frame["job"].astype(str))[["q0_1", "q0_2", "q0_5"]].count()
    assert [*count.loc["sales"]] == [12, 0, 12]
    assert [*count.loc["rents"]] == [0, 6, 6]
    # One job alone reads too, and has the same columns.
    alone = READERS[reader](f"{places.parquet}/job=rents")
    assert (len(alone), quantiles_of(alone)) == (6, ["q0_1", "q0_2", "q0_5"])


@pytest.mark.parametrize("reader", READERS)
def test_a_folder_reads_as_one_table_after_its_oldest_nights_were_deleted(publish_night, make_night, reader):
    publish_night(0, "q0_1")
    publish_night(3, "q0_2")
    places = publish_night(4, "q0_3")
    night = make_night(FIRST + timedelta(days=4))
    output = places.output.model_copy(update={"keep_days": 2})
    night = replace(night, job=night.job.model_copy(update={"output": output}), places=places, ledger=Ledger(places))
    delete_old_nights(night)
    frame = READERS[reader](places.parquet)
    # On PostgreSQL the rows of a month go together, but files go one by one.
    assert (len(frame), quantiles_of(frame)) == (12, ["q0_1", "q0_2", "q0_3", "q0_5"])
    publish_night(5, "q0_4")
    assert len(READERS[reader](places.parquet)) == 18


def with_bad_footer(content: bytes) -> bytes:
    """A Parquet file whose marks are right and whose description of the columns is not."""
    length = int.from_bytes(content[-8:-4], "little")
    return content[: -8 - length] + b"\xff" * length + content[-8:]


@pytest.mark.parametrize("damage", [lambda content: b"a killed run", with_bad_footer])
@pytest.mark.parametrize("reader", READERS)
def test_a_night_that_runs_again_or_is_mended_keeps_the_columns_of_the_folder(publish_night, reader, damage):
    publish_night(0, "q0_1")
    publish_night(1, "q0_2")
    publish_night(0, "q0_1", value=5.0)
    places = publish_night(-1, "q0_3")
    file = Path(night_folder(places, FIRST)) / "part-0.parquet"
    file.write_bytes(damage(file.read_bytes()))
    mend(places, FIRST)
    frame = READERS[reader](places.parquet)
    assert frame[["q0_1", "q0_2", "q0_3", "q0_5"]].notna().sum().to_list() == [6, 6, 6, 18]
    assert set(frame["q0_1"].dropna()) == {5.1}


def test_a_folder_on_another_file_system_reads_as_one_table(publish_night):
    root = "memory://columns/forecasts"
    publish_night(0, "q0_1", root=root)
    publish_night(1, "q0_2", root=root)
    publish_night(0, "q0_3", job="rents", root=root)
    frame = pd.read_parquet(root)
    assert frame[["q0_1", "q0_2", "q0_3", "q0_5"]].notna().sum().to_list() == [6, 6, 6, 18]
    system = fsspec.filesystem("memory")
    for file in system.glob("/columns/forecasts/*/*/*.parquet"):
        assert quantiles_of(pd.read_parquet(f"memory:/{file}")) == ["q0_1", "q0_2", "q0_3", "q0_5"]


def test_a_night_whose_levels_did_not_change_leaves_all_other_files_alone(publish_night):
    places = publish_night(0, "q0_1")
    publish_night(1, "q0_1")
    files = sorted(Path(places.parquet).rglob("*.parquet"))
    before = [file.stat().st_ino for file in files]
    publish_night(2, "q0_1")
    assert [file.stat().st_ino for file in files] == before


def test_what_a_killed_run_left_to_do_is_done_by_the_next_night(publish_night, monkeypatch, caplog):
    for day in range(4):
        publish_night(day, "q0_1")
    add, done = folder_columns._add_columns, list[str]()

    def add_two(files, file, names):
        if len(done) == 2:
            raise OSError("the disk is full")
        done.append(file)
        add(files, file, names)

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "nightcast"):
        patch.setattr(folder_columns, "_add_columns", add_two)
        places = publish_night(4, "q0_2")
    assert "may have different quantile columns" in caplog.text
    assert "the disk is full" in caplog.text
    # The night is published all the same.
    assert len(pd.read_parquet(night_folder(places, FIRST + timedelta(days=4)))) == 6
    publish_night(5, "q0_2")
    assert {tuple(quantiles_of(pd.read_parquet(file))) for file in Path(places.parquet).rglob("*.parquet")} == {
        ("q0_1", "q0_2", "q0_5")
    }


def test_a_file_that_another_job_publishes_meanwhile_stays_as_that_job_wrote_it(publish_night, monkeypatch):
    publish_night(0, "q0_1", job="rents")
    copy = folder_columns._copy

    def copy_while_rents_runs(night, names, target):
        copy(night, names, target)
        monkeypatch.setattr(folder_columns, "_copy", copy)
        publish_night(0, "q0_1", job="rents", value=7.0)

    monkeypatch.setattr(folder_columns, "_copy", copy_while_rents_runs)
    places = publish_night(0, "q0_2", job="sales")
    frame = pd.read_parquet(places.parquet)
    assert set(frame["median"][frame["job"] == "rents"]) == {7.0}
    assert quantiles_of(frame) == ["q0_1", "q0_2", "q0_5"]


def test_a_file_that_is_no_parquet_file_does_not_keep_the_others_from_their_columns(publish_night):
    places = publish_night(0, "q0_1")
    broken = Path(places.parquet) / "job=other/cutoff=2024-01-01T000000Z/part-0.parquet"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"not Parquet")
    (Path(places.parquet) / "notes").mkdir()
    publish_night(1, "q0_2")
    assert quantiles_of(pd.read_parquet(f"{places.parquet}/job=sales")) == ["q0_1", "q0_2", "q0_5"]


@pytest.mark.parametrize("place", ["", "memory:/"])
def test_a_damaged_file_of_another_job_is_told_and_stops_no_night(publish_night, caplog, tmp_path, place):
    root = f"{place}{tmp_path}/forecasts"
    places = publish_night(0, "q0_1", root=root)
    publish_night(0, "q0_2", job="rents", root=root)
    system, folder = fsspec.core.url_to_fs(places.parquet)
    broken = f"{folder}/job=other/cutoff=2024-01-01T000000Z/part-0.parquet"
    system.makedirs(broken.rpartition("/")[0])
    [whole] = system.glob(f"{folder}/job=rents/*/*.parquet")
    system.pipe_file(broken, with_bad_footer(system.cat_file(whole)))
    with caplog.at_level(logging.WARNING, "nightcast"):
        publish_night(1, "q0_3", root=root)
    assert f"{broken} is damaged or may not be read (Couldn't deserialize thrift" in caplog.text
    assert "restore or delete it. The next night tries again" in caplog.text
    for job in ("sales", "rents"):
        frame = pd.read_parquet(f"{places.parquet}/job={job}")
        assert quantiles_of(frame) == ["q0_1", "q0_2", "q0_3", "q0_5"]


def test_a_file_of_another_job_that_may_not_be_read_is_told_and_stops_no_night(publish_night, monkeypatch, caplog):
    publish_night(0, "q0_2", job="rents")
    read = LocalFileSystem._open

    def refuse_rents(system, path, *more, **settings):
        if "job=rents" in path:
            raise PermissionError(13, "Permission denied", path)
        return read(system, path, *more, **settings)

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "nightcast"):
        patch.setattr(LocalFileSystem, "_open", refuse_rents)
        places = publish_night(0, "q0_1")
    assert "Permission denied" in caplog.text
    assert quantiles_of(pd.read_parquet(f"{places.parquet}/job=sales")) == ["q0_1", "q0_5"]
    publish_night(1, "q0_1")
    assert quantiles_of(pd.read_parquet(places.parquet)) == ["q0_1", "q0_2", "q0_5"]


def test_what_an_object_store_listed_before_hides_no_file_that_another_job_wrote(publish_night, monkeypatch, tmp_path):
    root, listed = f"memory:/{tmp_path}/forecasts", dict[str, object]()
    publish_night(0, "q0_1", job="rents", root=root)
    look, forget, copy = MemoryFileSystem.info, MemoryFileSystem.invalidate_cache, folder_columns._copy

    def look_once(system, path, **settings):
        return listed.setdefault(path, look(system, path, **settings))

    def forget_listed(system, path=None):
        listed.clear()
        forget(system, path)

    def copy_while_rents_runs(night, names, target):
        copy(night, names, target)
        if "q0_2" not in names:
            # This is not the file of rents, but that of sales before it is shown.
            return
        monkeypatch.setattr(folder_columns, "_copy", copy)
        # The other job is a process of its own: what it writes clears nothing here.
        known = dict(listed)
        publish_night(0, "q0_1", job="rents", root=root, value=7.0)
        listed.update(known)

    monkeypatch.setattr(MemoryFileSystem, "info", look_once)
    monkeypatch.setattr(MemoryFileSystem, "invalidate_cache", forget_listed)
    monkeypatch.setattr(folder_columns, "_copy", copy_while_rents_runs)
    places = publish_night(0, "q0_2", job="sales", root=root)
    assert set(pd.read_parquet(f"{places.parquet}/job=rents")["median"]) == {7.0}


def test_a_folder_that_does_not_exist_has_no_columns(tmp_path):
    assert columns_of_folder(str(tmp_path / "none")) == []
    align_columns(str(tmp_path / "none"), "none")


@pytest.mark.parametrize("folder_is_closed", [False, True])
def test_polars_reads_the_folder_while_a_night_is_published_or_was_killed(publish_night, monkeypatch, folder_is_closed):
    seen = list[int]()
    places = publish_night(0, "q0_1")
    if folder_is_closed:
        # Beside the folder nobody may write: the copy then lies in the night's own folder.
        monkeypatch.setattr("tasks.publishing.folder_columns.os.access", lambda path, mode: False)

    def look(ledger, rows, before_commit):
        seen.append(len(list(Path(places.parquet).rglob(".*"))))
        if not folder_is_closed:
            assert pl.read_parquet(places.parquet).shape[0] == 6
        return 0

    monkeypatch.setattr(Ledger, "publish_forecast", look)
    publish_night(1, "q0_1")
    assert seen == [int(folder_is_closed)]
    assert not list(Path(places.parquet).parent.rglob(".forecasts*"))


def test_the_cutoff_of_a_path_becomes_a_time_as_the_documentation_says(publish_night):
    publish_night(0, "q0_1")
    folder = publish_night(1, "q0_1").parquet
    expected = [FIRST, FIRST + timedelta(days=1)]
    with_pandas = pd.to_datetime(pd.read_parquet(folder)["cutoff"].astype(str), format=STAMP, utc=True)
    assert sorted(with_pandas.unique()) == expected
    table = pq.read_table(folder)
    with_pyarrow = pa.compute.strptime(table["cutoff"].cast(pa.string()), STAMP, "s").cast(pa.timestamp("s", "UTC"))
    assert sorted(with_pyarrow.unique().to_pylist()) == expected
    # Polars finds out by itself.
    assert sorted(pl.read_parquet(folder)["cutoff"].unique().to_list()) == expected
    query = f"SELECT DISTINCT strptime(cutoff, '{STAMP}') FROM '{folder}/**/*.parquet' ORDER BY 1"
    assert [row[0].replace(tzinfo=UTC) for row in duckdb.sql(query).fetchall()] == expected
