"""The model store: immutable versions, checked files."""

from __future__ import annotations

import json
import pickle
import shutil
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError

import fsspec
import pytest

from models.errors import ModelError
from tasks.store.version_store import (
    MANIFEST,
    DamagedVersion,
    StoredVersion,
    fetch_version,
    locate_version,
    store_version,
)

CUTOFF = datetime(2024, 3, 1, 6, tzinfo=UTC)


@pytest.fixture
def saved(tmp_path):
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "forecaster.json").write_text('{"plan": 1}', encoding="utf-8")
    (folder / "member-0.npz").write_bytes(bytes(range(256)) * 40)
    return folder


@pytest.fixture(params=["local", "memory"])
def versions(request, tmp_path):
    """A store in a local folder, and one on a file system that is none."""
    if request.param == "local":
        yield str(tmp_path / "versions")
        return
    yield "memory://versions"
    fsspec.filesystem("memory").rm("/versions", recursive=True)


def test_a_version_comes_back_as_it_was_stored(saved, versions, tmp_path):
    stored = store_version(saved, versions, "sales", CUTOFF)
    assert stored.version == f"20240301T060000Z-{stored.digest[:8]}"
    folder = fetch_version(stored, tmp_path / "scratch")
    assert (folder / "member-0.npz").read_bytes() == (saved / "member-0.npz").read_bytes()


def test_the_same_files_are_the_same_version_and_are_stored_once(saved, versions):
    assert store_version(saved, versions, "sales", CUTOFF) == store_version(saved, versions, "sales", CUTOFF)


def test_other_weights_are_another_version(saved, versions):
    before = store_version(saved, versions, "sales", CUTOFF)
    (saved / "member-0.npz").write_bytes(b"other")
    assert store_version(saved, versions, "sales", CUTOFF).version != before.version


@pytest.mark.parametrize("name", ["forecaster.json", "member-0.npz"])
def test_a_truncated_file_is_named_with_what_to_do(saved, versions, tmp_path, name):
    stored = store_version(saved, versions, "sales", CUTOFF)
    with fsspec.open(f"{stored.uri}/{name}", "rb") as file:
        whole = file.read()
    with fsspec.open(f"{stored.uri}/{name}", "wb") as file:
        file.write(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=f"{name} of model version .* is damaged.*--train scratch"):
        fetch_version(stored, tmp_path / "scratch")


def test_a_missing_file_is_named(saved, versions, tmp_path):
    stored = store_version(saved, versions, "sales", CUTOFF)
    system, root = fsspec.core.url_to_fs(stored.uri)
    system.rm(f"{root}/member-0.npz")
    with pytest.raises(ModelError, match=r"member-0.npz of model version .* is missing"):
        fetch_version(stored, tmp_path / "scratch")


def test_a_version_tells_the_libraries_that_are_there_and_needs_none_of_keras_backends_but_one(
    saved, versions, monkeypatch
):
    def found(name: str) -> str:
        if name == "tensorflow":
            raise PackageNotFoundError(name)
        return f"{name} 1"

    monkeypatch.setattr("tasks.store.version_store.installed_version", found)
    stored = store_version(saved, versions, "sales", CUTOFF)
    with fsspec.open(f"{stored.uri}/{MANIFEST}") as file:
        assert json.load(file)["libraries"] == {name: f"{name} 1" for name in ("keras", "jax", "numpy")}


@pytest.mark.parametrize(
    ("content", "words"), [(b"{", "damaged"), (b'{"files": {}}', "is not the one"), (None, "missing")]
)
def test_a_manifest_that_is_not_the_stored_one_is_refused(saved, versions, tmp_path, content, words):
    stored = store_version(saved, versions, "sales", CUTOFF)
    system, root = fsspec.core.url_to_fs(stored.uri)
    system.rm(f"{root}/{MANIFEST}")
    if content is not None:
        system.pipe_file(f"{root}/{MANIFEST}", content)
    with pytest.raises(ModelError, match=words):
        fetch_version(stored, tmp_path / "scratch")


def test_a_file_where_the_folder_of_a_version_was_is_a_missing_manifest(saved, tmp_path):
    stored = store_version(saved, str(tmp_path / "versions"), "sales", CUTOFF)
    folder = tmp_path / "versions" / "sales" / stored.version
    shutil.rmtree(folder)
    folder.write_text("in the way", encoding="utf-8")
    with pytest.raises(DamagedVersion, match="is missing") as told:
        fetch_version(stored, tmp_path / "scratch")
    assert told.value.found == f"{folder}/{MANIFEST} is missing"
    assert pickle.loads(pickle.dumps(told.value)).found == told.value.found  # a worker may send it home


def test_a_copy_that_was_cut_short_is_no_version_and_is_replaced(saved, tmp_path):
    stored = store_version(saved, str(tmp_path / "versions"), "sales", CUTOFF)
    folder = tmp_path / "versions" / "sales" / stored.version
    (folder / MANIFEST).unlink()
    (folder / "member-0.npz").write_bytes(b"half")
    assert store_version(saved, str(tmp_path / "versions"), "sales", CUTOFF) == stored
    assert fetch_version(stored, tmp_path) == folder
    assert sorted(file.name for file in folder.parent.iterdir()) == [stored.version]


def test_a_store_that_cannot_be_written_is_an_error_that_leaves_nothing(saved, tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(OSError, match="file"):
        store_version(saved, str(tmp_path / "file"), "sales", CUTOFF)


def test_a_version_of_a_store_that_is_gone_is_a_missing_manifest(tmp_path):
    gone = StoredVersion("20240301T060000Z-00000000", f"file://{tmp_path}/gone", "0" * 64)
    with pytest.raises(ModelError, match="missing"):
        fetch_version(gone, tmp_path)


def test_two_runs_that_store_the_same_version_at_once_both_find_it(saved, tmp_path, monkeypatch):
    versions = str(tmp_path / "versions")
    copy, first = shutil.copytree, []

    def slower(source, aside):
        copy(source, aside)
        monkeypatch.setattr(shutil, "copytree", copy)
        other = store_version(saved, versions, "sales", CUTOFF)
        first.append(fetch_version(other, tmp_path).stat().st_ino)

    monkeypatch.setattr(shutil, "copytree", slower)
    stored = store_version(saved, versions, "sales", CUTOFF)
    # The first run may be reading the folder that it stored: the very same one is still there.
    assert [fetch_version(stored, tmp_path).stat().st_ino] == first
    assert [path.name for path in (tmp_path / "versions/sales").iterdir()] == [stored.version]


@pytest.mark.parametrize("name", ["member-0.npz", MANIFEST])
def test_storing_a_version_again_mends_a_damaged_one(saved, versions, tmp_path, name):
    stored = store_version(saved, versions, "sales", CUTOFF)
    with fsspec.open(f"{stored.uri}/{name}", "wb") as file:
        file.write(b"half")
    assert store_version(saved, versions, "sales", CUTOFF) == stored
    folder = fetch_version(stored, tmp_path / "scratch")
    assert (folder / "member-0.npz").read_bytes() == (saved / "member-0.npz").read_bytes()


def test_a_version_is_found_where_the_versions_were_moved_to(saved, tmp_path):
    stored = store_version(saved, str(tmp_path / "versions"), "sales", CUTOFF)
    assert locate_version(stored, str(tmp_path / "elsewhere"), "sales") == stored
    (tmp_path / "versions").rename(tmp_path / "elsewhere")
    found = locate_version(stored, str(tmp_path / "elsewhere"), "sales")
    assert fetch_version(found, tmp_path) == tmp_path / "elsewhere/sales" / stored.version


def test_a_version_that_is_nowhere_stays_where_it_was_noted(tmp_path):
    gone = StoredVersion("20240301T060000Z-00000000", f"file://{tmp_path}/gone", "0" * 64)
    assert locate_version(gone, str(tmp_path / "versions"), "sales") == gone
