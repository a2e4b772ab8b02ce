"""The file that describes a model version. It is read without Keras, so that a night can look before it loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FORMAT = 5
_FILE = "forecaster.json"


def write_description(folder: Path, content: dict[str, Any]) -> None:
    """Write the description of a version beside its weights.

    Args:
        folder: The version's folder.
        content: JSON-able; the number of the format is added.
    """
    (folder / _FILE).write_text(json.dumps({"format": FORMAT, **content}, ensure_ascii=False), encoding="utf-8")


def read_description(folder: Path) -> dict[str, Any]:
    """Read the description of a version.

    Raises:
        OSError: where the file is missing.
        ValueError: where it is no JSON object, or has the format of another release.
    """
    content = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    if not isinstance(content, dict) or "format" not in content:
        raise ValueError(f"{_FILE} names no format")
    if content["format"] != FORMAT:
        raise ValueError(f"it has format {content['format']}, this release reads {FORMAT}")
    return content
