"""Segments never share a name, whatever static columns and categories are called."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from models.evaluation.past_night import ForecastRows, PastNight
from models.evaluation.segments import Segments, segment_name, segments_of, watched_segments
from models.evaluation.volume_classes import CLASSES, VolumeClasses
from models.hierarchy.aggregation_levels import AggregationLevels
from models.settings.monitoring import MonitorSettings


def members(segments: dict) -> dict[str, list[int]]:
    return {name: np.flatnonzero(mask).tolist() for name, mask in segments.items()}


def test_a_static_column_called_volume_is_kept_apart_from_the_volume_classes(panel_of):
    # Thirty series of sizes 1 to 30; the column says the opposite of their size.
    column = np.repeat(["high", "middle", "low"], 10)
    panel = panel_of(*([float(size)] * 101 for size in range(1, 31)), static={"volume": column})
    found = members(watched_segments(panel, MonitorSettings(segments=["volume"])))
    classes = members(VolumeClasses(panel).at(panel.cutoff_index))
    assert found == {
        "all": list(range(30)),
        "static.volume=high": list(range(10)),
        "static.volume=middle": list(range(10, 20)),
        "static.volume=low": list(range(20, 30)),
        **classes,
    }
    assert classes["volume=low"] == list(range(10))


def test_a_static_column_called_version_is_kept_apart_from_the_versions(panel_of):
    panel = panel_of([1, 2], [3, 4], static={"version": np.array(["fallback", "v1"])})
    figures = np.array([[1.0], [1.0]]), np.ones(2), np.ones(2)
    rows = ForecastRows(np.arange(2), np.ones(2, int), np.array([0.5]), *figures, ("v1", ""), np.array([0, 1]))
    night = PastNight.of_rows(rows, panel, 99, 3)
    found = members(Segments(segments_of(panel, ["version"]), None).of_night(night))
    assert found == {
        "all": [0, 1],
        "static.version=fallback": [0],
        "static.version=v1": [1],
        "version=v1": [0],
        "version=fallback": [1],
    }


@pytest.mark.parametrize("column", ["all", "series", "total", "by store", "loss", "fallback", "regi\u00f3n"])
def test_other_columns_keep_their_names(column):
    assert segment_name(column, "x") == f"{column}=x"


def test_no_two_columns_and_values_share_a_segment_and_none_has_a_name_of_the_product():
    columns = ["a", "a=b", "a\\", "a\\=b", "volume", "static.volume", "static.static.volume", "version", "by a", "all"]
    values = ["", "b", "=b", "b=c", "c", "b/c", "\\", "=", " ", "A", "a", "a "]
    names = [segment_name(column, value) for column in columns for value in values]
    own = {"all", "total", *(f"volume={name}" for name in CLASSES), "version=v1", "version=fallback"}
    ids = ["a", "b", "a/b", "a=b", "b/c", "a=b/c", "a\\"]
    levels = [AggregationLevels.of([*ids, "d"], [each]).names[0] for n in (1, 2, 3) for each in combinations(ids, n)]
    together = [*names, *levels, *own]
    assert len(set(together)) == len(together)


def test_series_without_a_category_are_a_segment_of_their_own(panel_of):
    panel = panel_of([1], [2], [3], static={"region": np.array(["", "north", "=/"])})
    assert members(segments_of(panel, ["region"])) == {
        "all": [0, 1, 2], "region=": [0], "region=north": [1], "region==/": [2],
    }  # fmt: skip
