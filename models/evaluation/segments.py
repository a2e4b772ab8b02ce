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

# The first part of segments that the product names itself, such as `volume=low` and `version=fallback`.
_OWN_NAMES = ("volume", "version")
_STATIC = "static."


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
    """The segment `all`, and one segment for each value of some static columns, see `segment_name`.

    Returns:
        Name to a mask of shape (series,). The value of series without a category is "".
    """
    segments = {"all": np.ones(len(panel), bool)}
    for column in columns:
        for value in np.unique(panel.static[column]):
            segments[segment_name(column, str(value))] = panel.static[column] == value
    return segments


def segment_name(column: str, value: str) -> str:
    r"""The name of the segment of series with one value in a static column; no other segment has the same name.

    A column that is called as a kind of segment of the product itself is written with `static.` before it. A "=" or
    "\" in the name of a column gets a "\" before it, so the first "=" without one ends the name.

    >>> segment_name("region", "north"), segment_name("volume", "high")
    ('region=north', 'static.volume=high')
    >>> print(segment_name("a", "b=c"), segment_name("a=b", "c"))
    a=b=c a\=b=c
    """
    escaped = column.replace("\\", "\\\\").replace("=", "\\=")
    is_taken = column in _OWN_NAMES or column.startswith(_STATIC)
    return f"{_STATIC if is_taken else ''}{escaped}={value}"


def watched_segments(panel: Panel, monitor: MonitorSettings) -> dict[str, BoolArray]:
    """The segments that a job watches at the panel's cutoff: its static columns, and its volume classes if enabled.

    Returns:
        Name to a mask of shape (series,).
    """
    volumes = VolumeClasses(panel) if monitor.volume_classes else None
    return Segments(segments_of(panel, monitor.segments), volumes).at(panel.cutoff_index)
