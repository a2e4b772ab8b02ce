"""Numbers in sixteen bits: close to what they were, and exact where they have few decimals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tasks.report.series.quantised import MISSING, quantise


def read_back(values):
    counts, base, unit = quantise(values)
    shape = (-1, *(1,) * (values.ndim - 1))
    found = base.reshape(shape) + counts * unit.reshape(shape)
    return np.where(counts == MISSING, np.nan, found)


numbers = st.floats(-1e30, 1e30, allow_nan=False) | st.just(np.nan)


@given(arrays(np.float64, (3, 8), elements=numbers))
def test_every_number_comes_back_within_a_thousandth_of_the_range_of_its_series(values):
    found = read_back(values)
    assert (np.isnan(found) == np.isnan(values)).all()
    for row, back in zip(values, found, strict=True):
        known = row[~np.isnan(row)]
        if known.size:
            allowed = np.ptp(known) / 2_000 + 1e-9 * np.abs(known).max() + 1e-250
            assert np.nanmax(np.abs(back - row)) <= allowed


@pytest.mark.parametrize("unit", [0.01, 0.1, 1.0, 10.0])
def test_numbers_with_few_decimals_are_exact(unit):
    values = (unit * np.random.default_rng(1).integers(0, 40_000, (2, 50))).astype(np.float32)
    assert read_back(values) == pytest.approx(values.astype(float), abs=unit / 1000, rel=1e-6)


def test_a_series_without_numbers_stays_without():
    assert np.isnan(read_back(np.full((1, 2, 3), np.nan))).all()
    assert np.isnan(read_back(np.array([[np.inf, 1.0]]))).tolist() == [[True, False]]
