"""Panels on file: what comes back is what went in."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from models.panel.panel import Panel
from tasks.store.panel_file import load_panel, save_panel


def test_a_panel_comes_back_from_its_file_as_it_was(tmp_path):
    panel = Panel(
        values=np.array([1, np.nan, 3, 4, 5], np.float32),
        offsets=np.array([0, 2, 5]),
        series_ids=np.array(["Größe/ä", "b"]),
        frequency="D",
        time_zone="Europe/Madrid",
        cutoff_index=19_000,
        season_lengths=(7, 365),
        horizon=1,
        static={"region": np.array(["north", ""])},
        static_numbers=np.array([[120.5], [np.nan]], np.float32),
        static_number_names=("floor_area",),
        known_future=np.arange(14, dtype=np.float32).reshape(7, 2),
        known_future_names=("promotion", "price"),
        holidays=("ES", "ES-MD"),
        refused={"b": "too short"},
    )
    back = load_panel(save_panel(panel, tmp_path / "panel.npz"))
    for field in fields(Panel):
        mine, theirs = getattr(panel, field.name), getattr(back, field.name)
        if field.name == "static":
            assert list(theirs) == list(mine)
            mine, theirs = mine["region"], theirs["region"]
        np.testing.assert_array_equal(theirs, mine)
    assert back.season_lengths == (7, 365)
    assert back.observed_past is None
