"""The model store: immutable versions, checked files."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pickle
import re
import shutil
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError

import fsspec
import numpy as np
import pytest

from models.errors import DamagedVersion, ModelError
from sql.full_disk import FullDisk
from tasks.store.version_store import (
    MANIFEST,
    SERIES_FILE,
    StoredVersion,
    fetch_version,
    known_series,
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
    stored = store_version(saved, versions, "sales", CUTOFF, "lock")
    assert stored.version == f"20240301T060000Z-{stored.digest[:8]}"
    folder = fetch_version(stored, tmp_path / "scratch")
    assert (folder / "member-0.npz").read_bytes() == (saved / "member-0.npz").read_bytes()


def test_the_same_files_are_the_same_version_and_are_stored_once(saved, versions):
    assert store_version(saved, versions, "sales", CUTOFF, "lock") == store_version(
        saved, versions, "sales", CUTOFF, "lock"
    )


def test_other_weights_are_another_version(saved, versions):
    before = store_version(saved, versions, "sales", CUTOFF, "lock")
    (saved / "member-0.npz").write_bytes(b"other")
    assert store_version(saved, versions, "sales", CUTOFF, "lock").version != before.version


@pytest.mark.parametrize("name", ["forecaster.json", "member-0.npz"])
def test_a_truncated_file_is_named_with_what_to_do(saved, versions, tmp_path, name):
    stored = store_version(saved, versions, "sales", CUTOFF, "lock")
    with fsspec.open(f"{stored.uri}/{name}", "rb") as file:
        whole = file.read()
    with fsspec.open(f"{stored.uri}/{name}", "wb") as file:
        file.write(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=f"{name} of model version .* is damaged.*--train scratch"):
        fetch_version(stored, tmp_path / "scratch")


def test_a_missing_file_is_named(saved, versions, tmp_path):
    stored = store_version(saved, versions, "sales", CUTOFF, "lock")
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
    stored = store_version(saved, versions, "sales", CUTOFF, "lock")
    with fsspec.open(f"{stored.uri}/{MANIFEST}") as file:
        assert json.load(file)["libraries"] == {name: f"{name} 1" for name in ("keras", "jax", "numpy")}


@pytest.mark.parametrize(("content", "words"), [(b"{", "damaged"), (b'{"files": {}}', "is damaged"), (None, "missing")])
def test_a_manifest_that_is_not_the_stored_one_is_refused(saved, versions, tmp_path, content, words):
    stored = store_version(saved, versions, "sales", CUTOFF, "lock")
    system, root = fsspec.core.url_to_fs(stored.uri)
    system.rm(f"{root}/{MANIFEST}")
    if content is not None:
        system.pipe_file(f"{root}/{MANIFEST}", content)
    with pytest.raises(ModelError, match=words):
        fetch_version(stored, tmp_path / "scratch")


def test_a_file_where_the_folder_of_a_version_was_is_a_missing_manifest(saved, tmp_path):
    stored = store_version(saved, str(tmp_path / "versions"), "sales", CUTOFF, "lock")
    folder = tmp_path / "versions" / "sales" / stored.version
    shutil.rmtree(folder)
    folder.write_text("in the way", encoding="utf-8")
    with pytest.raises(DamagedVersion, match="is missing") as told:
        fetch_version(stored, tmp_path / "scratch")
    assert told.value.found == f"{folder}/{MANIFEST} is missing"
    assert pickle.loads(pickle.dumps(told.value)).found == told.value.found  # a worker may send it home


def test_a_copy_that_was_cut_short_is_no_version_and_is_replaced(saved, tmp_path):
    stored = store_version(saved, str(tmp_path / "versions"), "sales", CUTOFF, "lock")
    folder = tmp_path / "versions" / "sales" / stored.version
    (folder / MANIFEST).unlink()
    (folder / "member-0.npz").write_bytes(b"half")
    assert store_version(saved, str(tmp_path / "versions"), "sales", CUTOFF, "lock") == stored
    assert fetch_version(stored, tmp_path) == folder
    assert sorted(file.name for file in folder.parent.iterdir()) == [stored.version]


def test_a_store_that_cannot_be_written_is_an_error_that_leaves_nothing(saved, tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(OSError, match="file"):
        store_version(saved, str(tmp_path / "file"), "sales", CUTOFF, "lock")


def test_a_version_of_a_store_that_is_gone_is_a_missing_manifest(tmp_path):
    gone = StoredVersion("20240301T060000Z-00000000", f"file://{tmp_path}/gone", "0" * 64)
    with pytest.raises(ModelError, match="missing"):
        fetch_version(gone, tmp_path)


def test_two_runs_that_store_the_same_version_at_once_both_find_it(saved, tmp_path, monkeypatch):
    versions = str(tmp_path / "versions")
    copy, first = shutil.copyfile, []

    def slower(source, target):
        copy(source, target)
        monkeypatch.setattr(shutil, "copyfile", copy)
        other = store_version(saved, versions, "sales", CUTOFF, "lock")
        first.append(fetch_version(other, tmp_path).stat().st_ino)

    monkeypatch.setattr(shutil, "copyfile", slower)
    stored = store_version(saved, versions, "sales", CUTOFF, "lock")
    # The first run may be reading the folder that it stored: the very same one is still there.
    assert [fetch_version(stored, tmp_path).stat().st_ino] == first
    assert [path.name for path in (tmp_path / "versions/sales").iterdir()] == [stored.version]


@pytest.mark.parametrize("name", ["member-0.npz", MANIFEST])
def test_storing_a_version_again_mends_a_damaged_one(saved, versions, tmp_path, name):
    stored = store_version(saved, versions, "sales", CUTOFF, "lock")
    with fsspec.open(f"{stored.uri}/{name}", "wb") as file:
        file.write(b"half")
    assert store_version(saved, versions, "sales", CUTOFF, "lock") == stored
    folder = fetch_version(stored, tmp_path / "scratch")
    assert (folder / "member-0.npz").read_bytes() == (saved / "member-0.npz").read_bytes()


def test_a_version_is_found_where_the_versions_were_moved_to(saved, tmp_path):
    stored = store_version(saved, str(tmp_path / "versions"), "sales", CUTOFF, "lock")
    assert locate_version(stored, str(tmp_path / "elsewhere"), "sales") == stored
    (tmp_path / "versions").rename(tmp_path / "elsewhere")
    found = locate_version(stored, str(tmp_path / "elsewhere"), "sales")
    assert fetch_version(found, tmp_path) == tmp_path / "elsewhere/sales" / stored.version


def test_a_version_that_is_nowhere_stays_where_it_was_noted(tmp_path):
    gone = StoredVersion("20240301T060000Z-00000000", f"file://{tmp_path}/gone", "0" * 64)
    assert locate_version(gone, str(tmp_path / "versions"), "sales") == gone


@pytest.fixture
def small(saved, tmp_path):
    """A version of small files in a local store, and its folder."""
    (saved / "member-0.npz").write_bytes(bytes(range(64)))
    stored = store_version(saved, str(tmp_path / "versions"), "sales", CUTOFF, "lock")
    return stored, tmp_path / "versions" / "sales" / stored.version


def assert_damaged(stored, scratch, name):
    with pytest.raises(DamagedVersion) as told:
        fetch_version(stored, scratch)
    assert f"/{name} " in told.value.found
    assert f"{name} of model version {stored.version}" in str(told.value)


def test_every_flipped_byte_of_a_version_is_found_in_its_manifest_too(small, tmp_path):
    stored, folder = small
    for file in sorted(folder.iterdir()):
        whole = file.read_bytes()
        for at in range(len(whole)):
            file.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
            assert_damaged(stored, tmp_path, file.name)
        for length in range(len(whole)):
            file.write_bytes(whole[:length])
            assert_damaged(stored, tmp_path, file.name)
        file.write_bytes(whole + b"\0")
        assert_damaged(stored, tmp_path, file.name)
        file.write_bytes(whole)
        assert fetch_version(stored, tmp_path) == folder


@pytest.mark.parametrize("name", ["forecaster.json", "member-0.npz", MANIFEST])
def test_whatever_stands_in_the_place_of_a_file_of_a_version_is_found(small, tmp_path, name):
    stored, folder = small
    file, whole = folder / name, (folder / name).read_bytes()
    for other in {"forecaster.json", "member-0.npz", MANIFEST} - {name}:
        file.write_bytes((folder / other).read_bytes())
        assert_damaged(stored, tmp_path, name)
    with file.open("wb") as sparse:
        sparse.truncate(2 << 30)
    assert_damaged(stored, tmp_path, name)
    outside = tmp_path / "outside"
    for content, is_damaged in ((whole, False), (b"other", True)):
        outside.write_bytes(content)
        file.unlink()
        file.symlink_to(outside)
        if is_damaged:
            assert_damaged(stored, tmp_path, name)
        else:
            assert (fetch_version(stored, tmp_path) / name).read_bytes() == whole
    for target in ("/dev/zero", file, tmp_path / "nowhere"):
        file.unlink()
        file.symlink_to(target)
        assert_damaged(stored, tmp_path, name)
    file.unlink()
    os.mkfifo(file)
    assert_damaged(stored, tmp_path, name)
    file.unlink()
    file.mkdir()
    assert_damaged(stored, tmp_path, name)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "nowhere://bucket/a",
        "s3://bucket/versions/a",
        "file:///a\0b",
        "https://[::1",
        "github://me:you@/a",
        "::",
        "/dev/null",
    ],
)
def test_a_version_whose_address_cannot_be_opened_is_found_where_the_versions_are_now(saved, tmp_path, uri):
    stored = store_version(saved, str(tmp_path / "versions"), "sales", CUTOFF, "lock")
    lost = StoredVersion(stored.version, uri, stored.digest)
    assert locate_version(lost, str(tmp_path / "versions"), "sales") == stored
    gone = locate_version(lost, str(tmp_path / "elsewhere"), "sales")
    with pytest.raises(DamagedVersion, match=stored.version):
        fetch_version(gone, tmp_path)


def test_a_version_whose_folder_was_damaged_is_found_where_a_whole_copy_lies(small, tmp_path):
    stored, folder = small
    shutil.copytree(tmp_path / "versions", tmp_path / "copy")
    (folder / MANIFEST).write_bytes(b"{")
    found = locate_version(stored, str(tmp_path / "copy"), "sales")
    assert fetch_version(found, tmp_path) == tmp_path / "copy" / "sales" / stored.version


def test_a_manifest_that_names_files_outside_of_its_folder_is_refused(versions, tmp_path):
    content = json.dumps({"files": {"../../escaped": {"bytes": 1, "sha256": "0"}}}).encode()
    stored = StoredVersion("v1", f"{versions}/sales/v1", hashlib.sha256(content).hexdigest())
    system, root = fsspec.core.url_to_fs(stored.uri)
    system.makedirs(root)
    system.pipe_file(f"{root}/{MANIFEST}", content)
    with pytest.raises(DamagedVersion, match="outside of its folder"):
        fetch_version(stored, tmp_path / "scratch")


@pytest.mark.parametrize("versions", ["memory"], indirect=True)
def test_a_store_whose_network_fails_is_no_damaged_version(saved, versions, tmp_path, monkeypatch):
    stored = store_version(saved, versions, "sales", CUTOFF, "lock")

    def fail(*arguments, **others):
        raise RuntimeError("the token has expired")

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "cat_file", fail)
    with pytest.raises(OSError, match="cannot be read: RuntimeError: the token has expired"):
        fetch_version(stored, tmp_path)


def test_a_list_of_known_series_that_is_no_array_is_a_damaged_version(tmp_path):
    np.save(tmp_path / SERIES_FILE, np.array(["a", "b"]))
    assert known_series(tmp_path).tolist() == ["a", "b"]
    (tmp_path / SERIES_FILE).write_bytes(b"no array")
    with pytest.raises(DamagedVersion, match=f"{tmp_path} cannot be read: {SERIES_FILE} is no array.*--train scratch"):
        known_series(tmp_path)


def test_a_version_for_which_there_is_no_space_says_how_much_it_wants_and_leaves_nothing(saved, tmp_path, short_files):
    wanted = sum(file.stat().st_size for file in saved.iterdir())
    words = f"no space left on {tmp_path}/versions/sales.*, 10,[0-9]+ bytes are wanted"
    with pytest.raises(FullDisk, match=words) as told, short_files(5_000):
        store_version(saved, str(tmp_path / "versions"), "sales", CUTOFF, "lock")
    assert wanted < int(re.search(r"([0-9,]+) bytes are wanted", str(told.value))[1].replace(",", "")) < wanted + 1_000
    assert [*(tmp_path / "versions" / "sales").iterdir()] == []
    assert fetch_version(store_version(saved, str(tmp_path / "versions"), "sales", CUTOFF, "lock"), tmp_path).exists()


@pytest.mark.parametrize("versions", ["memory"], indirect=True)
def test_a_version_that_a_store_takes_in_part_is_removed_from_it(saved, versions, monkeypatch):
    def fail(*arguments, **others):
        raise OSError(errno.EDQUOT, "the bucket is full")

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "pipe_file", fail)
    with pytest.raises(FullDisk, match="no space left on memory:///versions/sales/"):
        store_version(saved, versions, "sales", CUTOFF, "lock")
    assert fsspec.filesystem("memory").find("/versions") == []
