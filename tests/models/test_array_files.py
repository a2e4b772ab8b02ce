"""Arrays in files that may be damaged, or made by somebody who means harm."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from contextlib import suppress

import numpy as np
import pytest

from models.array_files import load_array, load_arrays, unpack_arrays

ARRAYS = {
    "dense/kernel": np.arange(12, dtype=np.float32).reshape(3, 4),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "ids": np.array(["a", "b\N{EURO SIGN}"]),
    "none": np.zeros((0, 3), np.int64),
    "one": np.array(True),
}


def header(declared: str) -> bytes:
    """The beginning of an `.npy` file with this description of its array."""
    text = declared.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def described(shape: str, descr: str = "'<f4'", order: str = "False") -> bytes:
    return header(f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}")


def test_arrays_come_back_as_they_were_saved(tmp_path):
    np.savez(tmp_path / "all.npz", allow_pickle=False, **ARRAYS)
    found = load_arrays(tmp_path / "all.npz")
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.save(tmp_path / "one.npy", array)
        for loaded in (found[name], load_array(tmp_path / "one.npy")):
            np.testing.assert_array_equal(loaded, array)
            assert (loaded.dtype, loaded.flags.f_contiguous) == (array.dtype, array.flags.f_contiguous)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"text instead of an array" * 20, id="text"),
        pytest.param(described("(1099511627776,)") + bytes(64), id="four TiB"),
        pytest.param(described("(9223372036854775807, 9223372036854775807)"), id="more than fits a number"),
        pytest.param(described("(-1,)") + bytes(4), id="a negative length"),
        pytest.param(described("(8,)"), id="cut off"),
        pytest.param(described("(2,)") + bytes(64), id="longer than declared"),
        pytest.param(described("(1000000000000,)", "'<U0'"), id="values of no bytes"),
        pytest.param(described("(1,)", "'|O'") + b"cos\nsystem\n(S'true'\ntR.", id="a pickle"),
        pytest.param(described("(1,)", "[('a', '<f4')]") + bytes(4), id="a record"),
        pytest.param(described("(1,)", "'<M8[s]'") + bytes(8), id="a time"),
        pytest.param(header("(" * 110), id="brackets"),
        pytest.param(header("__import__('os')"), id="code"),
    ],
)
def test_what_is_no_array_is_refused_by_name_before_memory_is_taken(tmp_path, content):
    (tmp_path / "ids.npy").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "all.npz", "w") as archive:
        archive.writestr("ids.npy", content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"ids\.npy"):
            load_array(tmp_path / "ids.npy")
        with pytest.raises(ValueError, match=r"all\.npz: 'ids\.npy'"):
            load_arrays(tmp_path / "all.npz")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_an_archive_that_unfolds_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "all.npz", allow_pickle=False, zeros=np.zeros(1_000_000))
    with pytest.raises(ValueError, match=r"all\.npz is compressed"):
        load_arrays(tmp_path / "all.npz")


def test_a_flipped_byte_of_an_archive_is_refused_or_changes_no_array(tmp_path):
    whole = io.BytesIO()
    np.savez(whole, a=np.arange(3, dtype=np.int16), b=np.array(["x"]))
    content = whole.getvalue()
    unchanged = 0
    for at in range(len(content)):
        (tmp_path / "all.npz").write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
        with suppress(ValueError):
            found = load_arrays(tmp_path / "all.npz")
            # The list of names at its end, which no digest covers, may have become shorter.
            assert all(array.tolist() in ([0, 1, 2], ["x"]) for array in found.values())
            unchanged += 1
    assert unchanged < len(content) / 2


def test_compressed_arrays_come_back_and_damaged_ones_are_refused():
    packed = io.BytesIO()
    np.savez_compressed(packed, allow_pickle=False, a=np.arange(100_000.0), b=np.array(["x"]))
    content = packed.getvalue()
    assert unpack_arrays(content, "here")["a"].shape == (100_000,)
    for damaged in (b"", b"text", content[:-30], content[:200] + bytes(200) + content[400:]):
        with pytest.raises(ValueError, match=r"^here"):
            unpack_arrays(damaged, "here")
