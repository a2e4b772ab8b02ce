"""Segments: named groups of series whose forecasts are evaluated apart from the whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.arrays import BoolArray
from models.evaluation.volume_classes import volume_segments
from models.panel.panel import Panel
from models.settings.monitoring import MonitorSettings


def segments_of(panel: Panel, columns: Sequence[str]) -> dict[str, BoolArray]:
    """The segment `all`, and one segment `column=value` for each value of some static columns.

    Returns:
        Name to a mask of shape (series,).
    """
    segments = {"all": np.ones(len(panel), bool)}
    for column in columns:
        for value in np.unique(panel.static[column]):
            segments[f"{column}={value}"] = panel.static[column] == value
    return segments


def watched_segments(panel: Panel, monitor: MonitorSettings) -> dict[str, BoolArray]:
    """The segments that a job watches at the panel's cutoff: its static columns, and its volume classes if enabled.

    Returns:
        Name to a mask of shape (series,).
    """
    classes = volume_segments(panel, panel.cutoff_index) if monitor.volume_classes else {}
    return segments_of(panel, monitor.segments) | classes
