"""Scales of series, as each night could know them."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.scales import scales_at
from models.metrics.seasonal_error import seasonal_error

NAN = float("nan")


@pytest.mark.parametrize("behind", [0, 1, 4, 9])
def test_a_scale_is_the_seasonal_error_of_what_the_night_could_see(behind, panel_of):
    rng = np.random.default_rng(0)
    series = [rng.normal(size=n) for n in (30, 3, 11)]
    series[0][4:9] = NAN
    panel = panel_of(*[each.tolist() for each in series])
    seen = [each[: max(len(each) - behind, 0)].astype(np.float32) for each in series]
    offsets = np.concatenate([[0], np.cumsum([len(each) for each in seen])])
    expected = seasonal_error(np.concatenate(seen), offsets, 2)
    np.testing.assert_allclose(scales_at(panel, 2, [100, 100 - behind])[1], expected, rtol=1e-6)


def test_a_huge_series_does_not_swallow_the_scale_of_the_next(panel_of):
    panel = panel_of([1e30, -1e30, 3e30, 1e30], [1, 2, 3, 4])
    np.testing.assert_allclose(scales_at(panel, 2, [100])[0], [2e30, 2])
