"""What `check` tries: folders, remote stores and databases that can, or cannot, be written."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import pytest

from sql.full_disk import FullDisk
from tasks.settings import Output
from tasks.store import probes as module
from tasks.store.places import PlaceError, Places
from tasks.store.probes import check_places, probe_place, probe_places

NOW = datetime(2024, 3, 1, tzinfo=UTC)


def problems_of(places):
    return [probe.problem for probe in probe_places(places, ["q0_5"], NOW) if probe.problem]


def test_places_that_can_be_written_are_told_one_by_one_and_left_as_they_were(tmp_path):
    places = Places("sales", tmp_path, Output(parquet="not/yet"))
    probes = probe_places(places, ["q0_5"], NOW)
    assert [probe.problem for probe in probes] == [""] * 5
    assert probes[0].what == f"write, rename and delete a file in {tmp_path}/not/yet (Parquet files)"
    assert probes[-1].note == "the database is not there yet; the first night makes it and its tables"
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("memory://lake", "all of it is lost when the process ends"),
        ("http://host/lake", "it can only be read"),
        ("https://host/lake", "it can only be read"),
        ("ftp://host/lake", "files that are half written"),
        ("s3://bucket/lake", "s3fs"),
        ("nowhere://lake", "write a folder, or an s3://"),
        ("zip::file://lake", "a chain of file systems"),
    ],
)
@pytest.mark.parametrize("use", ["parquet", "versions"])
def test_addresses_that_a_night_cannot_keep_anything_at_are_refused_with_the_reason(tmp_path, place, words, use):
    places = Places("sales", tmp_path, Output.model_validate({use: place}))
    [problem] = problems_of(places)
    assert words in problem
    with pytest.raises(PlaceError, match=words):
        check_places(places)


def test_a_store_is_really_written_and_cleared(monkeypatch):
    monkeypatch.setattr(module, "REFUSED", {})
    memory = fsspec.filesystem("memory")
    probe_place("memory://bucket/lake")
    assert memory.find("/bucket") == []

    def deny(*arguments, **others):
        raise RuntimeError("AccessDenied")

    monkeypatch.setattr(type(memory), "pipe_file", deny)
    with pytest.raises(PermissionError, match=r"memory://bucket/lake cannot be written: AccessDenied\. Grant"):
        probe_place("memory://bucket/lake")


def test_a_folder_that_may_not_be_entered_is_told_as_one_that_cannot_be_written(tmp_path, monkeypatch):
    def deny(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", deny)
    with pytest.raises(PermissionError, match=f"^{tmp_path}/reports cannot be written: Permission denied"):
        probe_place(f"{tmp_path}/reports")


def test_a_disk_that_takes_no_probe_is_full(tmp_path, short_files):
    with pytest.raises(FullDisk, match="4,096 bytes are wanted"), short_files(1_000):
        probe_place(str(tmp_path))
    assert [*tmp_path.iterdir()] == []


def test_a_file_of_sqlite_that_can_only_be_read_is_found(tmp_path, monkeypatch):
    with closing(sqlite3.connect(tmp_path / "forecasts.db")) as connection:
        connection.execute("CREATE TABLE mine (a)")
    # The rights of a file do not bind root, who may run the tests.
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode, **how: mode != os.W_OK and allowed(path, mode, **how))
    assert "The SQLite file" in problems_of(Places("sales", tmp_path, Output()))[0]


def test_tables_of_another_application_are_found(tmp_path):
    with closing(sqlite3.connect(tmp_path / "forecasts.db")) as connection:
        connection.execute("CREATE TABLE run (a)")
    [problem] = problems_of(Places("sales", tmp_path, Output()))
    assert "another application" in problem


def test_what_a_killed_probe_left_goes_with_the_next_one_and_what_another_process_tries_stays(tmp_path):
    left, held = tmp_path / ".nightcast-abcdefgh", tmp_path / ".nightcast-01234567"
    for folder in (left, held):
        folder.mkdir()
        (folder / "night").write_bytes(b"0")
    opened = os.open(held, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        probe_place(str(tmp_path))
        assert [*tmp_path.iterdir()] == [held]
        assert (held / "night").exists()
    finally:
        os.close(opened)
    probe_place(str(tmp_path))
    assert not [*tmp_path.iterdir()]
