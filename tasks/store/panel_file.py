"""The panel as a file, so that steps hand each other a path instead of a million values."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from models.panel.panel import Panel

_ARRAYS = {"values", "offsets", "series_ids", "static_numbers", "known_future", "observed_past"}


def save_panel(panel: Panel, file: Path) -> Path:
    """Write the panel to an uncompressed `.npz` file, without pickle; gives `file` back."""
    arrays: dict[str, Any] = {f"static/{name}": column for name, column in panel.static.items()}
    small: dict[str, Any] = {}
    for each in fields(panel):
        value = getattr(panel, each.name)
        if each.name in _ARRAYS:
            if value is not None:
                arrays[each.name] = value
        elif each.name != "static":
            small[each.name] = value
    np.savez(file, small=np.array(json.dumps(small)), **arrays)
    return file


def load_panel(file: Path) -> Panel:
    """The panel that `save_panel` wrote."""
    with np.load(file, allow_pickle=False) as stored:
        entries: dict[str, Any] = json.loads(str(stored["small"]))
        static = {name.removeprefix("static/"): stored[name] for name in stored.files if name.startswith("static/")}
        arrays = {name: stored[name] for name in stored.files if name in _ARRAYS}
    for name in ("season_lengths", "static_number_names", "known_future_names", "observed_past_names", "holidays"):
        entries[name] = tuple(entries[name])
    return Panel(**entries, **arrays, static=static)
