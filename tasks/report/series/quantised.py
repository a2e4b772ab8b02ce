"""Numbers in sixteen bits: each series in steps of a power of ten, fine enough that no eye sees a difference."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.arrays import FloatArray

MISSING = 65_535
"""Stands for NaN."""

_FEWEST_STEPS, _MOST_STEPS = 2_000, 60_000
_FIRST_FEW = 16
# The relative error of a number that was stored in 32 bits.
_ROUNDING = 2e-7
# Numbers that differ by less count as equal.
_SMALLEST_SPAN = 1e-250


class Quantised(NamedTuple):
    """Numbers as `base + unit * counts`.

    Attributes:
        counts: Shape (series, ...), uint16; `MISSING` for NaN.
        base: Shape (series,).
        unit: Shape (series,), powers of ten.
    """

    counts: npt.NDArray[np.uint16]
    base: FloatArray
    unit: FloatArray


def quantise(values: npt.NDArray[Any]) -> Quantised:
    """Numbers in sixteen bits.

    Numbers with few decimals stay as they are, if their range allows it. Of others, the range of a series is cut into
    at least 2,000 steps.

    Args:
        values: Shape (series, ...); NaN where there is none. Infinite numbers count as NaN.

    >>> found = quantise(np.array([[0.0, 3.0, np.nan], [0.1, 0.2, 12.3]]))
    >>> found.counts.tolist(), found.unit.tolist()
    ([[0, 3, 65535], [0, 1, 122]], [1.0, 0.1])
    """
    rows = values.reshape(len(values), -1).astype(np.float64)
    known = np.isfinite(rows)
    low = np.where(known, rows, np.inf).min(axis=1, initial=np.inf)
    high = np.where(known, rows, -np.inf).max(axis=1, initial=-np.inf)
    empty = ~known.any(axis=1)
    low, high = np.where(empty, 0.0, low), np.where(empty, 0.0, high)
    unit = _units(rows, known, high - low)
    with np.errstate(invalid="ignore", over="ignore"):
        count = np.rint((rows - low[:, None]) / unit[:, None])
    packed = np.where(known, count, MISSING).astype(np.uint16)
    return Quantised(packed.reshape(values.shape), low, unit)


def _units(rows: FloatArray, known: npt.NDArray[np.bool_], span: FloatArray) -> FloatArray:
    """The unit of each row: the coarsest in which its numbers are whole, if that is fine, else a fine one."""
    undecided = span > _SMALLEST_SPAN
    fine = np.ceil(np.log10(np.where(undecided, span, 1.0) / (10 * _FEWEST_STEPS)))
    unit = 10.0**fine
    for power in (2, 1, 0, -1, -2):
        # Coarser units first. The fine one has up to 20,000 steps, so the next finer one may fit too.
        candidates = np.flatnonzero(undecided & (power >= fine - 1) & (span / 10.0**power < _MOST_STEPS))
        if not len(candidates):
            continue
        # Of most series the first few numbers tell that the unit is too coarse.
        for part in (slice(_FIRST_FEW), slice(None)):
            scaled = np.where(known[candidates, part], rows[candidates, part] / 10.0**power, 0.0)
            candidates = candidates[(np.abs(scaled - np.rint(scaled)) <= _ROUNDING * np.abs(scaled)).all(axis=1)]
        unit[candidates], undecided[candidates] = 10.0**power, False
    return unit
