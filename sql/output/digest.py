"""A digest of a night's forecasts: equal forecasts have equal digests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# A second run with the same forecasts differs only in these, and job and cutoff are known anyway.
_EXCLUDED = ("run_id", "created_at", "job", "cutoff")


class NightDigest:
    """A digest of rows that come in parts; how they are divided does not matter.

    It covers every column except those of the run itself. The order of rows and the types of columns matter: parts must
    have the types of the table.
    """

    def __init__(self) -> None:
        self._columns: dict[str, list[Any]] = {}

    def update(self, part: pa.Table) -> None:
        """Add the next rows."""
        for name in part.column_names:
            if name in _EXCLUDED:
                continue
            hashes = self._columns.setdefault(name, [hashlib.sha256(), hashlib.sha256()])
            for digest, content in zip(hashes, _contents(part[name]), strict=True):
                digest.update(content)

    def hexdigest(self) -> str:
        """The digest of all rows so far; the order of columns does not matter."""
        parts = (
            f"{name} {known.hexdigest()} {content.hexdigest()}" for name, (known, content) in self._columns.items()
        )
        return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()


def _contents(column: pa.ChunkedArray) -> Iterator[Any]:
    """Two byte sequences: which values are present (for texts, their lengths), and the values."""
    if pa.types.is_string(column.type):
        texts = column.combine_chunks()
        yield pc.fill_null(pc.binary_length(texts), -1).to_numpy(zero_copy_only=False)
        yield _concatenated(texts.drop_null().cast(pa.large_binary()))
        return
    numbers = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
    yield pc.is_valid(numbers).to_numpy()
    # Adding 0 makes -0.0 equal to 0.0.
    yield pc.fill_null(numbers, 0).to_numpy() + 0


def _concatenated(texts: pa.LargeBinaryArray) -> bytes | memoryview:
    if not len(texts):
        return b""
    _, ends, letters = texts.buffers()
    ends = np.frombuffer(ends, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return memoryview(letters)[ends[0] : ends[-1]] if letters else b""
