"""Window means worked by hand, and control limits checked by counting."""

from __future__ import annotations

import numpy as np
import pytest

from models.monitoring.window_scan import LENGTHS, WIDE, control_limits, highest_window_means, window_means

CLIP_AT = np.array([2.0, 5.0])


def test_means_leave_out_the_highest_night_and_take_the_others_as_far_as_they_count() -> None:
    means = window_means(np.array([-9.0, 1.0, 4.0, 6.0]), CLIP_AT)

    assert means[0] == pytest.approx((-2 + 1 + 2) / 3)
    six = window_means(np.array([-9.0, 1.0, 4.0, 6.0, 0.0, 0.0]), CLIP_AT)[LENGTHS == 6]
    assert six == pytest.approx([(-2 + 1 + 2) / 5, (-5 + 1 + 4) / 5])
    assert (means[LENGTHS > 4] == -np.inf).all()
    assert (window_means(np.array([]), CLIP_AT) == -np.inf).all()


def test_the_highest_window_means_of_a_year_are_those_of_its_nights_one_after_another() -> None:
    years = 2 * np.random.default_rng(0).normal(size=(3, 200))

    for parts in (1, 2):
        for year, found in zip(years, highest_window_means(years, CLIP_AT, parts), strict=True):
            every = np.array([window_means(year[: night + 1], CLIP_AT) for night in range(len(year))])
            assert found == pytest.approx(np.stack([part.max(axis=0) for part in np.split(every, parts)]))


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.5])
def test_limits_are_exceeded_as_often_as_asked(rate: float) -> None:
    random = np.random.default_rng(2)
    limits = control_limits(highest_window_means(random.normal(size=(20_000, 100)), CLIP_AT)[:, 0], rate)

    exceeded = (highest_window_means(random.normal(size=(20_000, 100)), CLIP_AT)[:, 0] > limits).any(axis=1)

    assert exceeded.mean() == pytest.approx(rate, rel=0.2)
    # The longer, the surer.
    assert (np.diff(limits[~WIDE]) < 0).all()


def test_what_never_counts_leaves_the_chance_to_what_does() -> None:
    highest = highest_window_means(np.random.default_rng(3).normal(size=(4000, 100)), CLIP_AT)[:, 0]
    least = np.where(LENGTHS > 10, 1.5, 0.0)

    fewer = control_limits(np.maximum(highest, least), 0.3)

    assert (fewer[LENGTHS < 10] < control_limits(highest, 0.3)[LENGTHS < 10]).all()
    assert (highest > np.maximum(fewer, least)).any(axis=1).mean() == pytest.approx(0.3, abs=0.02)
