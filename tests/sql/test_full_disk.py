"""What a disk that takes nothing more says: by the words of the system, of NumPy and of Arrow."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path
from tempfile import gettempdir

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sql.full_disk import FullDisk, free_bytes, is_full, told_of_full_disk
from tasks.step import is_worth_retrying

NUMBERS = np.random.default_rng(0).random(50_000)
ROWS = pa.table({"a": NUMBERS})


def write_arrow(file: Path) -> None:
    with pa.ipc.new_file(str(file), ROWS.schema) as writer:
        writer.write_table(ROWS)


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda file: np.save(file, NUMBERS), id="npy"),
        pytest.param(lambda file: np.savez(file.with_suffix(".npz"), a=NUMBERS), id="npz"),
        pytest.param(lambda file: pq.write_table(ROWS, file), id="parquet"),
        pytest.param(write_arrow, id="arrow"),
        pytest.param(lambda file: file.write_text("x" * 400_000), id="text"),
    ],
)
def test_whoever_writes_a_disk_full_is_told_the_folder_and_how_much_is_wanted(tmp_path, short_files, write):
    with pytest.raises(FullDisk) as told, told_of_full_disk(tmp_path, 400_000), short_files(100_000):
        write(tmp_path / "rows.npy")
    assert f"no space left on {tmp_path}" in str(told.value)
    assert ", 400,000 bytes are wanted, " in str(told.value)
    assert " bytes are free. Free some, or name another folder." in str(told.value)
    assert not is_worth_retrying(told.value)
    assert str(pickle.loads(pickle.dumps(told.value))) == str(told.value)  # a worker may send it home


def test_a_device_that_is_always_full_is_known():
    with pytest.raises(FullDisk, match="no space left on /dev, "), told_of_full_disk("/dev"):
        Path("/dev/full").write_text("x")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EDQUOT, r"no space left on s3://here \(the quota of this user is used up\)\. Free"),
        (errno.EROFS, "s3://here can only be read"),
    ],
)
def test_a_quota_and_a_mount_for_reading_are_told_as_such(number, words):
    with pytest.raises(FullDisk, match=words), told_of_full_disk("s3://here"):
        raise OSError(number, os.strerror(number))


def test_other_errors_stay_what_they_are():
    error = ConnectionResetError(errno.ECONNRESET, "reset")
    with pytest.raises(ConnectionResetError), told_of_full_disk("/tmp"):
        raise error
    assert is_worth_retrying(error)
    assert not is_full(ValueError("no space left"))


def test_the_free_bytes_of_a_folder_that_is_not_there_yet_are_those_of_its_disk(tmp_path):
    state = os.statvfs(tmp_path)
    found = free_bytes(tmp_path / "not" / "yet")
    assert found is not None
    assert 0 < found <= state.f_blocks * state.f_frsize


def test_where_the_folder_has_space_the_temporary_folder_that_is_full_is_named(tmp_path, monkeypatch):
    free = {str(tmp_path): 10**9, gettempdir(): 512}
    monkeypatch.setattr("sql.full_disk.free_bytes", lambda place: free.get(str(place)))
    with pytest.raises(FullDisk) as told, told_of_full_disk(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert str(told.value).startswith(f"no space left on {gettempdir()}, 512 bytes are free.")
