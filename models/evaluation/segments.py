"""Segments: named groups of series whose forecasts are evaluated apart from the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.arrays import BoolArray
from models.evaluation.past_night import PastNight
from models.evaluation.volume_classes import VolumeClasses
from models.panel.panel import Panel
from models.settings.monitoring import MonitorSettings


@dataclass(frozen=True)
class Segments:
    """The segments of a job on each of its nights: name to a mask of shape (series,).

    Attributes:
        constant: Those that are the same on every night, `all` among them.
        volumes: Those that change every few weeks; None where the job has none.
    """

    constant: Mapping[str, BoolArray]
    volumes: VolumeClasses | None

    def at(self, cutoff_index: int) -> dict[str, BoolArray]:
        """The segments that are watched on a night, by the grid position of its cutoff."""
        return {**self.constant, **(self.volumes.at(cutoff_index) if self.volumes else {})}

    def of_night(self, night: PastNight) -> dict[str, BoolArray]:
        """The segments for which a night is scored: the watched ones, and one for each version that forecast it."""
        return self.at(night.cutoff_index) | night.version_segments(self.constant["all"])


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
    volumes = VolumeClasses(panel) if monitor.volume_classes else None
    return Segments(segments_of(panel, monitor.segments), volumes).at(panel.cutoff_index)
