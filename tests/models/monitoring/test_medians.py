"""Medians, against NumPy's, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from models.monitoring.medians import medians


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1,), (2,), (7,), (5, 8), (3, 2, 9), (4, 1), (1, 70_001), (1, 70_000)])
def test_medians_are_those_of_numpy_bit_by_bit(shape, kind):
    values = np.random.default_rng(3).standard_t(2, shape).astype(kind)
    # Nights that are equal are common: there may be no error at all.
    for each in (values, values.round(), np.asfortranarray(values)):
        found = medians(each)
        assert found.dtype == kind
        np.testing.assert_array_equal(found, np.median(each, axis=-1, keepdims=True))
