"""The file that says what a model version is; read without Keras, so that a night can look before it loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FORMAT = 3
_FILE = "forecaster.json"


def write_description(folder: Path, content: dict[str, Any]) -> None:
    """Write what a version is, beside its weights.

    Args:
        folder: The version's folder.
        content: JSON-able; its format is added.
    """
    (folder / _FILE).write_text(json.dumps({"format": FORMAT, **content}, ensure_ascii=False), encoding="utf-8")


def read_description(folder: Path) -> dict[str, Any]:
    """What `write_description` wrote.

    Raises:
        OSError: where the file is missing.
        ValueError: where it is no JSON object, or one of another release.
    """
    content = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    if not isinstance(content, dict) or "format" not in content:
        raise ValueError(f"{_FILE} says no format")
    if content["format"] != FORMAT:
        raise ValueError(f"it has format {content['format']}, this release reads {FORMAT}")
    return content


def what_is_wrong(folder: Path) -> str:
    """Why this release cannot read a version whose files are whole, in words; "" where it can."""
    try:
        read_description(folder)
    except (OSError, ValueError) as error:
        return str(error)
    return ""
