"""Arrays in files of NumPy's format. A file that is not what it says costs no memory and runs no code."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
import numpy.typing as npt

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
# Numbers, booleans and text: no objects, which would be pickles.
_KINDS = "biufU"
# Deflate makes of one byte 1,032 at most.
_MOST_COMPRESSED = 1_032


def load_array(file: Path) -> npt.NDArray[Any]:
    """The array of an `.npy` file.

    Raises:
        OSError: the file cannot be opened.
        ValueError: it is no array of numbers or text, or its length is not the one that it declares; names the file.
    """
    with file.open("rb") as stream:
        return _read(stream, os.fstat(stream.fileno()).st_size, file.name)


def load_arrays(file: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an uncompressed `.npz` file, by name.

    Raises:
        OSError: the file cannot be opened.
        ValueError: as `load_array`.
    """
    with file.open("rb") as stream:
        return _read_all(stream, os.fstat(stream.fileno()).st_size, file.name)


def unpack_arrays(content: bytes, name: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a compressed `.npz` file that lies in memory.

    Args:
        content: The file.
        name: What it is, for messages.

    Raises:
        ValueError: as `load_array`.
    """
    return _read_all(io.BytesIO(content), len(content) * _MOST_COMPRESSED, name, {ZIP_STORED, ZIP_DEFLATED})


def _read_all(
    stream: IO[bytes], most_bytes: int, name: str, kinds: Collection[int] = (ZIP_STORED,)
) -> dict[str, npt.NDArray[Any]]:
    try:
        return _arrays_of(stream, most_bytes, name, kinds)
    except ValueError:
        raise
    except Exception as error:
        # A damaged archive makes `zipfile` raise a dozen classes, which it does not list.
        raise ValueError(f"{name} is no archive of arrays: {error}") from error


def _arrays_of(stream: IO[bytes], most_bytes: int, name: str, kinds: Collection[int]) -> dict[str, npt.NDArray[Any]]:
    left, arrays = most_bytes, {}
    with ZipFile(stream) as archive:
        for entry in archive.infolist():
            left -= entry.file_size
            if entry.compress_type not in kinds or left < 0:
                raise ValueError(f"{name} is compressed, or declares more bytes than it has")
            with archive.open(entry) as part:
                arrays[entry.filename.removesuffix(".npy")] = _read(
                    part, entry.file_size, f"{name}: {entry.filename[:80]!r}"
                )
    return arrays


def _read(stream: IO[bytes], size: int, name: str) -> npt.NDArray[Any]:
    """The array of a stream of `size` bytes. Nothing is allocated before its shape is compared with them."""
    try:
        read_header = _HEADERS[np.lib.format.read_magic(stream)]
        shape, is_fortran, dtype = read_header(stream)
    except Exception as error:
        # The header is parsed as Python literals, which fail in many ways.
        raise ValueError(f"{name} is no array: {error}") from error
    number, left = math.prod(shape), size - stream.tell()
    if dtype.kind not in _KINDS or min(shape, default=0) < 0 or (number and not dtype.itemsize):
        raise ValueError(f"{name} is no array of numbers or text: it declares {number:,} of type {dtype}")
    if number * dtype.itemsize != left:
        raise ValueError(f"{name} declares {number * dtype.itemsize:,} bytes of values, and holds {left:,}")
    content = bytearray(stream.read(left))
    if len(content) != left:
        raise ValueError(f"{name} ends after {len(content):,} of {left:,} bytes of values")
    return np.ndarray(shape, dtype, content, order="F" if is_fortran else "C")
