"""The series that the report shows."""

from __future__ import annotations

import numpy as np
import pytest

from models.panel.panel import Panel
from tasks.report.shown_series import choose_series_to_show


def panel_of(sizes: list[float], length: int = 20) -> Panel:
    """Series of one constant value each; NaN for one that has been silent for long."""
    values = np.repeat(np.array(sizes, dtype=np.float32), length)
    return Panel(
        values=values,
        offsets=np.arange(len(sizes) + 1) * length,
        series_ids=np.array([f"s{i:03}" for i in range(len(sizes))]),
        frequency="D",
        cutoff_index=length - 1,
        season_lengths=(7,),
        horizon=3,
    )


def test_big_middling_and_small_series_are_shown_big_ones_first() -> None:
    panel = panel_of([float(i) for i in range(101)])
    assert choose_series_to_show(panel, ["model"] * 101, count=5) == [100, 75, 50, 25, 0]


def test_one_series_without_the_model_is_shown_last() -> None:
    panel = panel_of([1.0, float("nan"), 5.0, 3.0, 2.0])
    source = ["model", "fallback", "model", "fallback", "model"]
    assert choose_series_to_show(panel, source, count=3) == [2, 0, 3]


def test_all_series_are_shown_once_where_there_are_few() -> None:
    panel = panel_of([1.0, 2.0, float("nan")])
    assert choose_series_to_show(panel, ["model", "model", "fallback"]) == [1, 0, 2]
    assert choose_series_to_show(panel, ["fallback"] * 3) == [1, 0, 2]


def test_one_word_for_each_series_is_needed() -> None:
    with pytest.raises(ValueError, match="holds 2"):
        choose_series_to_show(panel_of([1.0, 2.0]), ["model"])
