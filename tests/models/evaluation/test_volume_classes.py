"""Classes by volume: thirds of the series, the same from night to night."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.calendar.grid import TimeGrid
from models.evaluation.volume_classes import VolumeClasses, history_needed
from models.hierarchy.past_errors import rewind
from models.panel.panel import Panel

LAST = 1_007  # 35 periods of 28 days, and 27 days


def panel_of(values: np.ndarray, **facts: Any) -> Panel:
    """Series of one length that end at grid position `LAST`."""
    count, length = values.shape
    settings: dict[str, Any] = {"frequency": "D", "cutoff_index": LAST, "season_lengths": (7,), "horizon": 7, **facts}
    return Panel(
        values=values.astype(np.float32).ravel(),
        offsets=length * np.arange(count + 1),
        series_ids=np.array([f"s{i:03d}" for i in range(count)]),
        **settings,
    )


@pytest.fixture
def steady() -> Panel:
    """Series 0 to 29; the size of each is its number plus one."""
    return panel_of(np.repeat(np.arange(1.0, 31.0)[:, None], 200, axis=1))


def members(segments: dict) -> dict[str, list[int]]:
    return {name: np.flatnonzero(mask).tolist() for name, mask in segments.items()}


def test_classes_are_thirds_of_the_series_by_size(steady):
    assert members(VolumeClasses(steady).at(LAST)) == {
        "volume=low": [*range(10)], "volume=middle": [*range(10, 20)], "volume=high": [*range(20, 30)],
    }  # fmt: skip


def test_a_size_is_the_mean_of_observed_values_without_their_sign(steady):
    values = -steady.values.reshape(30, 200)
    values[29, ::2] = np.nan
    assert members(VolumeClasses(panel_of(values)).at(LAST)) == members(VolumeClasses(steady).at(LAST))


def test_series_of_one_size_share_a_class_and_an_empty_class_is_left_out():
    sizes = np.where(np.arange(30) < 25, 1.0, 9.0)
    assert members(VolumeClasses(panel_of(np.repeat(sizes[:, None], 99, axis=1))).at(LAST)) == {
        "volume=high": [*range(30)]
    }
    sizes = np.where(np.arange(30) < 15, 1.0, 9.0)
    assert members(VolumeClasses(panel_of(np.repeat(sizes[:, None], 99, axis=1))).at(LAST)) == {
        "volume=middle": [*range(15)], "volume=high": [*range(15, 30)],
    }  # fmt: skip


def test_classes_are_drawn_anew_only_once_in_four_weeks():
    noisy = panel_of(10 + np.random.default_rng(0).normal(0, 5, (60, 300)))
    drawn = [members(VolumeClasses(noisy).at(night)) for night in range(LAST - 100, LAST + 1)]
    changes = [i for i in range(1, 101) if drawn[i] != drawn[i - 1]]
    # Positions 924, 952 and 980 are multiples of 28.
    assert [LAST - 100 + i for i in changes] == [924, 952, 980]


def test_classes_do_not_depend_on_values_after_the_cutoff(steady):
    poisoned = steady.values.reshape(30, 200).copy()
    poisoned[:15, -60:] = 1e9
    night = LAST - 60
    as_it_was = VolumeClasses(rewind(steady, 60)).at(night)
    assert members(VolumeClasses(panel_of(poisoned)).at(night)) == members(as_it_was)
    assert members(VolumeClasses(panel_of(poisoned)).at(LAST)) != members(as_it_was)


def test_no_class_depends_on_more_history_than_it_says(steady):
    random = panel_of(np.random.default_rng(1).normal(5, 3, (40, 300)))
    needed = history_needed(TimeGrid("D"), 7)
    for night in (LAST, LAST - 13):
        short = random.newest(LAST - night + needed)
        assert members(VolumeClasses(short).at(night)) == members(VolumeClasses(random).at(night))


def test_a_new_series_joins_a_class_at_the_next_draw(steady):
    values = steady.values.reshape(30, 200).copy()
    new = np.full((1, 200), np.nan)
    new[0, -20:] = 1e6
    panel = panel_of(np.concatenate([values, new]))
    assert not any(mask[30] for mask in VolumeClasses(panel).at(LAST).values())
    panel = replace(panel, cutoff_index=LAST + 1)
    assert VolumeClasses(panel).at(LAST + 1)["volume=high"][30]


def test_few_series_have_no_classes_and_series_outside_the_mask_are_in_none(steady):
    assert VolumeClasses(panel_of(np.ones((29, 99)))).at(LAST) == {}
    mask = np.arange(30) < 29
    assert VolumeClasses(steady, mask).at(LAST) == {}
    both = panel_of(np.repeat(np.arange(1.0, 41.0)[:, None], 99, axis=1))
    assert not any(mask[39] for mask in VolumeClasses(both, np.arange(40) < 39).at(LAST).values())


@pytest.mark.parametrize(("frequency", "season", "steps"), [("h", 24, 3 * 672), ("MS", 12, 36), ("W-SUN", 52, 156)])
def test_a_period_is_four_weeks_or_a_season(frequency, season, steps):
    assert history_needed(TimeGrid(frequency), season) == steps
