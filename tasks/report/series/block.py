"""One block of text that holds a header and arrays of numbers, small enough for a page.

The block is base64 of a zlib stream of the header's length (four bytes, little-endian), the header as JSON, and the
bytes of the arrays, one after the other. The first bytes of all numbers of an array come first, then all second bytes,
and so on, which compresses better. `explorer.js` reads it.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.strict_json import strict_json

_KINDS = {"u1": np.uint8, "u2": np.uint16, "f4": np.float32, "f8": np.float64}
_LEVEL = 1
"""Of compression: higher ones take up to twice as long, and save 2 %."""


def pack(header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """The block of a header and arrays of uint8, uint16, float32 or float64."""
    parts = []
    listed = []
    for name, array in arrays.items():
        kind = f"{array.dtype.kind}{array.dtype.itemsize}"
        listed.append({"name": name, "kind": kind, "shape": list(array.shape)})
        flat = np.ascontiguousarray(array, _KINDS[kind]).astype(f"<{kind}").reshape(-1)
        parts.append(flat.view(np.uint8).reshape(len(flat), array.dtype.itemsize).T.tobytes())
    text = strict_json({**header, "arrays": listed}).encode()
    content = b"".join([len(text).to_bytes(4, "little"), text, *parts])
    return base64.b64encode(zlib.compress(content, _LEVEL)).decode()


def unpack(block: str) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """The header and the arrays of a block.

    >>> unpack(pack({"job": "sales"}, {"values": np.array([1, 2], np.uint16)}))
    ({'job': 'sales'}, {'values': array([1, 2], dtype=uint16)})
    """
    content = zlib.decompress(base64.b64decode(block))
    length = int.from_bytes(content[:4], "little")
    header = json.loads(content[4 : 4 + length])
    at, arrays = 4 + length, {}
    for each in header.pop("arrays"):
        size, number = int(each["kind"][1:]), int(np.prod(each["shape"], dtype=np.int64))
        planes = np.frombuffer(content, np.uint8, size * number, at).reshape(size, number)
        arrays[each["name"]] = np.ascontiguousarray(planes.T).view(f"<{each['kind']}").reshape(each["shape"])
        at += size * number
    return header, arrays
