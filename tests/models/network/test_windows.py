from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from keras import ops

from models.errors import ModelError
from models.network.features import flatten
from models.network.vocabulary import Vocabulary
from models.network.windows import gather
from models.trailing.window_shape import WindowShape

SHAPE = WindowShape(segment=2, recurrent_steps=3, horizon=3, seasons=(2, 4), cycles=(2, 1), smoothing=(0.5,))
WEEKS = replace(SHAPE, seasons=(7,), cycles=(1,))


def gathered(panel, series, origin, shape=SHAPE, origins=1):
    arrays = flatten(panel, Vocabulary.of(panel), level_window=4, scale_window=8, window=shape)
    flat = {name: ops.convert_to_tensor(array) for name, array in arrays.items()}
    rows, ends = (ops.convert_to_tensor(np.array(each, np.int32)) for each in (series, origin))
    batch = gather(flat, rows, ends, shape, origins=origins, ops=ops)
    return {name: ops.convert_to_numpy(tensor) for name, tensor in batch.items()}, arrays


@pytest.fixture
def panel(make_panel):
    known = np.arange(2 * (20 + 3), dtype=np.float32)[:, None]
    return make_panel(
        {"a": np.arange(20), "b": 100 + np.arange(20)},
        season_lengths=(2, 4),
        horizon=3,
        known_future=known,
        known_future_names=("k",),
    )


def test_a_lag_is_the_newest_cycle_that_the_origin_has_seen():
    # Season 2 at steps 1, 2, 3: one, one and two cycles back; season 4: one cycle back.
    np.testing.assert_array_equal(SHAPE.lags, [[2, 4, 4], [2, 4, 4], [4, 6, 4]])
    np.testing.assert_array_equal(SHAPE.cycle_starts, [0, 2, 0])


def test_a_window_holds_the_values_up_to_its_origin_and_targets_after_it(panel):
    batch, _ = gathered(panel, [1], [20 + 9])
    np.testing.assert_array_equal(batch["segments"][0], [[104, 105], [106, 107], [108, 109]])
    np.testing.assert_array_equal(batch["target"][0, 0], [110, 111, 112])
    # Steps are positions 10, 11 and 12 of the series; their lags lie at SHAPE.lags before them.
    np.testing.assert_array_equal(batch["lags"][0, 0], [[108, 106, 106], [109, 107, 107], [108, 106, 108]])


def test_a_window_holds_the_profile_of_the_newest_cycle_of_each_step(panel):
    shape = replace(SHAPE, profile_seasons=(2, 4), profile_weights=(0.5,))
    batch, _ = gathered(panel, [1, 1], [20 + 9, 20 + 1], shape)
    # Each cycle counts half as much as the one after it, back to the beginning of the series at 100.
    two = (108 + 106 / 2 + 104 / 4 + 102 / 8 + 100 / 16) / (2 - 1 / 16)
    four, four_newer = (106 + 102 / 2) / 1.5, (108 + 104 / 2 + 100 / 4) / 1.75
    expected = [[two, four], [two + 1, four + 1], [two, four_newer]]
    np.testing.assert_allclose(batch["profile"][0, 0], expected, rtol=1e-6)
    np.testing.assert_array_equal(batch["profile_observed"][0, 0], 1)
    np.testing.assert_array_equal(batch["profile_observed"][1, 0], [[1, 0], [1, 0], [1, 1]])
    np.testing.assert_array_equal(batch["profile"][1, 0, :, 1], [0, 0, 100])


def test_every_recurrent_step_is_an_origin_of_its_own(panel):
    batch, _ = gathered(panel, [0], [9], origins=3)
    np.testing.assert_array_equal(batch["target"][0], [[6, 7, 8], [8, 9, 10], [10, 11, 12]])


def test_an_origin_knows_level_and_scale_of_its_own_time(panel):
    batch, arrays = gathered(panel, [0], [9], origins=3)
    np.testing.assert_array_equal(batch["level"][0], arrays["level"][[5, 7, 9]])
    np.testing.assert_array_equal(batch["lag_level"][0, -1], arrays["level"][[9, 7, 9]])


def test_what_lies_outside_the_series_is_not_observed(panel):
    batch, _ = gathered(panel, [1], [20 + 1])
    np.testing.assert_array_equal(batch["observed"][0], [[0, 0], [0, 0], [1, 1]])
    np.testing.assert_array_equal(batch["segments"][0, :2], 0)
    batch, _ = gathered(panel, [0], [18])
    np.testing.assert_array_equal(batch["target_observed"][0, 0], [1, 0, 0])


def test_known_future_covariates_follow_their_series(panel):
    batch, _ = gathered(panel, [1], [39])
    mean, deviation = Vocabulary.of(panel).known_future["k"]
    known = (np.array([43, 44, 45]) - mean) / deviation
    np.testing.assert_allclose(batch["future_covariates"][0, 0, :, 0], known, rtol=1e-5)


def test_calendar_features_belong_to_the_same_day_in_every_series(make_panel):
    panel = make_panel({"long": np.arange(30), "short": np.arange(10)}, horizon=3)
    batch, _ = gathered(panel, [0, 1], [29, 39], replace(SHAPE, seasons=(7,), cycles=(1,)))
    np.testing.assert_array_equal(batch["future_calendar"][0], batch["future_calendar"][1])
    # Grid position 1000 of days is 1972-09-27, a Wednesday; one-hot weekdays begin with Monday.
    assert batch["calendar"][0, -1, 2] == 1
    assert batch["future_calendar"][0, 0, 0, 3] == 1


def test_a_window_looks_the_same_whatever_lies_after_its_origin(panel):
    poisoned = replace(panel, values=np.where(np.arange(40) % 20 > 9, np.float32(666.0), panel.values))
    clean, _ = gathered(panel, [0, 1], [9, 29], origins=3)
    other, _ = gathered(poisoned, [0, 1], [9, 29], origins=3)
    for name in ("segments", "observed", "level", "scale", "lags", "lag_level", "lag_scale", "calendar"):
        np.testing.assert_array_equal(clean[name], other[name], err_msg=name)


def test_the_holidays_of_every_step_and_of_its_newest_lags_stand_beside_other_covariates(make_panel):
    # Grid position 19723 of days is 1 January 2024: the third step ahead of a panel that ends on 29 December.
    known = np.zeros((30 + 3 + 10 + 3, 1), np.float32)
    panel = make_panel(
        {"long": np.arange(30), "short": np.arange(10)},
        cutoff_index=19_720,
        horizon=3,
        holidays=("ES",),
        known_future=known,
        known_future_names=("k",),
    )
    batch, _ = gathered(panel, [0, 1], [29, 39], WEEKS)
    for window in (0, 1):
        # Whether the day is a holiday, whether the day before is one, and the day after.
        np.testing.assert_array_equal(
            batch["future_covariates"][window, 0] > 0, [[0, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0]]
        )
        # A week before 1 January is Christmas; 25 December is the second step of the window's first segment.
        np.testing.assert_array_equal(batch["lag_covariates"][window, 0, :, 1] > 0, [0, 0, 1])
        np.testing.assert_array_equal(batch["past_covariates"][window, :, [1, 5]].T > 0, [[0, 1], [0, 0], [0, 0]])


def test_static_numbers_are_counted_in_standard_deviations_and_unknown_ones_are_said(make_panel):
    # The known ones, 10 and 30, have mean 20 and deviation 10.
    facts = {"static_numbers": np.array([[10], [30], [np.nan]], np.float32), "static_number_names": ("area",)}
    panel = make_panel({name: np.arange(20) for name in "abc"}, horizon=3, **facts)
    batch, _ = gathered(panel, [2, 1, 0], [59, 39, 19])
    np.testing.assert_array_equal(batch["static_numbers"], [[0, 0], [1, 1], [-1, 1]])


def test_covariates_are_taken_by_their_names_in_the_order_in_which_they_were_learnt(make_panel):
    known = np.stack([np.arange(23), 100 - np.arange(23)], axis=1).astype(np.float32)
    learnt = make_panel({"a": np.arange(20)}, horizon=3, known_future=known, known_future_names=("rise", "fall"))
    vocabulary = Vocabulary.of(learnt)
    turned = replace(learnt, known_future=known[:, ::-1], known_future_names=("fall", "rise"))
    windows: dict[str, Any] = {"level_window": 4, "scale_window": 8, "window": WEEKS}
    mine, theirs = (flatten(each, vocabulary, **windows)["future_covariates"] for each in (learnt, turned))
    np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(ModelError, match=r"trained with the covariates \['rise', 'fall'\].* has no \['rise'\]"):
        flatten(replace(turned, known_future_names=("fall", "raise")), vocabulary, **windows)


def test_a_category_that_nobody_has_learnt_gets_the_row_for_unknown_ones(make_panel):
    panel = make_panel({name: np.arange(20) for name in "abc"}, static={"region": np.array(["north", "south", ""])})
    vocabulary = Vocabulary.of(panel)
    assert vocabulary.categories == {"region": {"north": 1, "south": 2}}
    tonight = replace(panel, static={"region": np.array(["south", "never seen", ""])})
    arrays = flatten(tonight, vocabulary, level_window=4, scale_window=8, window=WEEKS)
    np.testing.assert_array_equal(arrays["static"][:, 0], [2, 0, 0])
