"""A panel cut into shards, and what lies in each."""

from __future__ import annotations

import numpy as np

from models.panel.panel import Panel
from models.panel.shards import shards


def test_a_shard_has_the_values_covariates_and_reasons_of_its_own_series() -> None:
    # Series of 1, 2 and 3 steps, and a known-future column that goes two steps further in each.
    panel = Panel(
        values=np.array([10, 20, 21, 30, 31, 32], np.float32),
        offsets=np.array([0, 1, 3, 6]),
        series_ids=np.array(["a", "b", "c"]),
        frequency="D",
        cutoff_index=9,
        season_lengths=(7,),
        horizon=2,
        static={"region": np.array(["north", "south", "east"])},
        static_numbers=np.array([[1], [2], [3]], np.float32),
        static_number_names=("area",),
        known_future=np.array([[1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3]], np.float32).T,
        known_future_names=("price",),
        observed_past=np.array([[1, 2, 2, 3, 3, 3]], np.float32).T,
        observed_past_names=("visitors",),
        refused={"a": "short", "c": "dead"},
    )

    shard = panel.part(slice(1, 3))

    assert shard.series_ids.tolist() == ["b", "c"]
    assert [shard.series(i).tolist() for i in range(2)] == [[20, 21], [30, 31, 32]]
    assert shard.known_future is not None
    assert shard.known_future[:, 0].tolist() == [2] * 4 + [3] * 5
    assert shard.observed_past is not None
    assert shard.observed_past[:, 0].tolist() == [2, 2, 3, 3, 3]
    assert shard.static["region"].tolist() == ["south", "east"]
    assert shard.static_numbers is not None
    assert shard.static_numbers[:, 0].tolist() == [2, 3]
    assert shard.refused == {"c": "dead"}
    assert np.shares_memory(shard.values, panel.values)


def test_shards_hold_every_series_once() -> None:
    assert [list(range(10))[part] for part in shards(10, 4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert list(shards(0, 4)) == []
