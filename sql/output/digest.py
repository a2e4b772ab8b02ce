"""Whether two nights say the same, told from a few characters of each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# A run that comes to the same forecasts again has another name and another hour; of which night they are, is known.
_LEFT_OUT = ("run_id", "created_at", "job", "cutoff")


class NightDigest:
    """A digest of rows that come in parts, wherever they are cut; of every column but those of the run itself.

    The order of rows counts, and so does the type of a column: parts are in the tables' own types.
    """

    def __init__(self) -> None:
        self._columns: dict[str, list[Any]] = {}

    def update(self, part: pa.Table) -> None:
        """Take in the next rows."""
        for name in part.column_names:
            if name in _LEFT_OUT:
                continue
            hashes = self._columns.setdefault(name, [hashlib.sha256(), hashlib.sha256()])
            for each, content in zip(hashes, _contents(part[name]), strict=True):
                each.update(content)

    def hexdigest(self) -> str:
        """Of all rows so far; the order of columns is of no account."""
        parts = (
            f"{name} {known.hexdigest()} {content.hexdigest()}" for name, (known, content) in self._columns.items()
        )
        return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()


def _contents(column: pa.ChunkedArray) -> Iterator[Any]:
    """Two stretches of bytes: which values are there (of texts, how long each is), and the values."""
    if pa.types.is_string(column.type):
        texts = column.combine_chunks()
        yield pc.fill_null(pc.binary_length(texts), -1).to_numpy(zero_copy_only=False)
        yield _end_to_end(texts.drop_null().cast(pa.large_binary()))
        return
    numbers = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
    yield pc.is_valid(numbers).to_numpy()
    # A zero of either sign is one and the same number.
    yield pc.fill_null(numbers, 0).to_numpy() + 0


def _end_to_end(texts: pa.LargeBinaryArray) -> bytes | memoryview:
    if not len(texts):
        return b""
    _, ends, letters = texts.buffers()
    ends = np.frombuffer(ends, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return memoryview(letters)[ends[0] : ends[-1]] if letters else b""
