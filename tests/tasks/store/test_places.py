"""Folders and files of a night: written whole, and gone when they should be."""

from __future__ import annotations

import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from sql import full_disk
from sql.errors import SourceError
from sql.full_disk import FullDisk
from tasks.settings import Output
from tasks.store.places import PlaceError, Places, write_whole
from tasks.store.probes import check_places


def test_a_scratch_folder_goes_with_its_run(tmp_path):
    places = Places("sales", tmp_path, Output())
    with places.scratch("r1") as scratch, Places("rents", tmp_path, Output()).scratch("r1") as other:
        assert scratch != other
    assert list(tmp_path.iterdir()) == []


def test_what_is_free_is_measured_while_the_scratch_of_a_run_is_still_there(tmp_path, monkeypatch, short_files):
    seen: list[bool] = []

    def measure(folder):
        seen.append(any(Path(folder).iterdir()))
        return 7

    monkeypatch.setattr(full_disk, "free_bytes", measure)
    places = Places("sales", tmp_path, Output())
    with pytest.raises(FullDisk, match="7 bytes are free"), places.scratch("r1") as scratch, short_files(100):
        (scratch / "rows").write_bytes(bytes(1_000))
    assert set(seen) == {True}
    assert [*tmp_path.iterdir()] == []


def test_what_killed_runs_left_of_one_job_goes(tmp_path):
    places = Places("sales", tmp_path, Output())
    folder = tmp_path / "reports/.nightcast"
    for name in ("sales/r1", "sales/r2", "rents/r1"):
        (folder / name).mkdir(parents=True)
        (folder / name / "panel.npz").touch()
        (folder / name / ".owner").write_text(f"elsewhere\n{name[:5]} in {places.url_text}")
    places.remove_left_over()
    assert [file.parent.name for file in folder.rglob("*.npz")] == ["r1"]
    assert [path.name for path in folder.iterdir()] == ["rents"]


def test_a_file_that_many_write_at_once_is_one_of_theirs_whole(tmp_path):
    file = tmp_path / "reports/night.html"
    texts = [str(number) * 200_000 for number in range(8)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda text: write_whole(file, text), texts))
    assert file.read_text(encoding="utf-8") in texts
    assert list(file.parent.iterdir()) == [file]


def test_what_killed_runs_were_writing_beside_the_reports_goes(tmp_path):
    places = Places("sales", tmp_path, Output())
    page = places.report_file(datetime(2024, 3, 1, tzinfo=UTC))
    write_whole(page, "a page")
    (page.parent / f".{page.name}.mine").touch()
    dead, lives = (page.parent / f".{page.name}.{letter * 32}" for letter in "ab")
    index = page.parent.parent / f".index.html.{'c' * 32}"
    for copy in (dead, lives, index):
        copy.write_text("half")
    with lives.open("rb") as writing:
        fcntl.flock(writing, fcntl.LOCK_EX)
        places.remove_left_over()
        assert [copy.exists() for copy in (dead, lives, index)] == [False, True, False]
    assert {file.name for file in page.parent.iterdir()} == {page.name, f".{page.name}.mine", lives.name}


def test_who_writes_a_page_tries_again_where_the_copy_was_taken_for_a_dead_one(tmp_path, monkeypatch):
    places = Places("sales", tmp_path, Output())
    page, flock = places.report_file(datetime(2024, 3, 1, tzinfo=UTC)), fcntl.flock
    seen = list[str]()

    def clears_up_before(stream, operation):
        if not seen:
            seen.append(stream.name)
            Path(stream.name).unlink()
        return flock(stream, operation)

    monkeypatch.setattr("tasks.store.places.fcntl.flock", clears_up_before)
    write_whole(page, "a page")
    assert seen
    assert [(file.name, file.read_text(encoding="utf-8")) for file in page.parent.iterdir()] == [(page.name, "a page")]


def test_a_write_that_fails_leaves_the_former_text(tmp_path, monkeypatch):
    file = tmp_path / "night.html"
    write_whole(file, "before")

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        write_whole(file, "after")
    assert [(path.name, path.read_text(encoding="utf-8")) for path in Path(tmp_path).iterdir()] == [
        (file.name, "before")
    ]


@pytest.mark.parametrize("place", ["url", "parquet", "versions", "report"])
def test_a_folder_that_cannot_be_made_is_named_before_anything_is_computed(tmp_path, place):
    # Nobody can make a folder in /proc: not even root, whom every permission is granted.
    where = "sqlite:////proc/nightcast/forecasts.db" if place == "url" else "/proc/nightcast"
    with pytest.raises(PermissionError, match=r"/proc/nightcast.* cannot be written: .*name another in `output`"):
        check_places(Places("sales", tmp_path, Output.model_validate({place: where})))


@pytest.mark.parametrize(
    ("url", "words"), [("s3://bucket/forecasts", "s3fs"), ("ftpp://host/forecasts", "write a folder, or an s3://")]
)
@pytest.mark.parametrize("place", ["parquet", "versions"])
def test_a_url_that_nothing_installed_can_open_is_refused_with_the_remedy(tmp_path, place, url, words):
    with pytest.raises(PlaceError, match=words):
        check_places(Places("sales", tmp_path, Output.model_validate({place: url})))


def test_looking_whether_places_can_be_written_leaves_nothing_behind(tmp_path):
    check_places(Places("sales", tmp_path, Output()))
    assert list(tmp_path.iterdir()) == []


def test_who_only_asks_makes_no_tables(database_url, tmp_path):
    places = Places("sales", tmp_path, Output(url=database_url))
    with pytest.raises(SourceError, match=r"no night of sales has run yet. Try `nightcast run`"):
        places.ready_engine()
    assert sa.inspect(places.engine()).get_table_names() == []
