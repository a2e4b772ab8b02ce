"""Cumulative sums that show a lasting rise sooner than any single night does.

`S = max(0, S + z - k)` gathers what the nights z lie above an allowance k, and falls back to zero in nights that
do not (Page 1954, doi 10.1093/biomet/41.1-2.100). A small allowance finds small rises, a large one large rises soon,
so several are kept at once, each with a limit of its own (Sparks 2000, doi 10.1080/00224065.2000.11979996).
What happens by chance is not taken from a formula that believes in independent normal nights, but from the job's
own nights, drawn anew in blocks of neighbours (Künsch 1989, doi 10.1214/aos/1176347265).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ALLOWANCES = np.array([0.25, 0.5, 1.0])
# Twice the limit is beyond doubt, and a sum need not grow further.
CAP = 2.0
BLOCK = 14


def follow(z: FloatArray, limits: FloatArray) -> FloatArray:
    """The sums of each night over their limits, the highest of the allowances.

    Args:
        z: Shape (..., night), nights in standard units; NaN where there was none, which changes no sum.
        limits: Shape (..., allowance), that of each of `ALLOWANCES`.

    Returns:
        Shape (..., night), in [0, `CAP`]: above 1 is more than chance.

    >>> follow(np.array([1.5, 1.5, np.nan, -4.0]), np.array([5.0, 4.0, 2.0]))
    array([0.25, 0.5 , 0.5 , 0.  ])
    """
    step = np.where(np.isnan(z)[..., None], 0.0, np.nan_to_num(z)[..., None] - ALLOWANCES) / limits[..., None, :]
    sums = np.zeros((*z.shape[:-1], len(ALLOWANCES)))
    highest = np.zeros(z.shape)
    for night in range(z.shape[-1]):
        sums = np.clip(sums + step[..., night, :], 0.0, CAP)
        highest[..., night] = sums.max(axis=-1)
    return highest


def resample(nights: int, count: int, length: int, seed: int) -> IntArray:
    """Indices of made-up series of nights, drawn in blocks of `BLOCK` neighbours, the ends joined.

    Args:
        nights: How many there are to draw from.
        count: Number of series.
        length: Nights of each.
        seed: Of the draw.

    Returns:
        Shape (count, length), each in [0, nights).
    """
    begin = np.random.default_rng(seed).integers(0, nights, (count, -(-length // BLOCK)))
    return np.asarray((begin[..., None] + np.arange(BLOCK)).reshape(count, -1)[:, :length] % nights)


def limits_for(z: FloatArray, rate: float) -> FloatArray:
    """Limits that the sums exceed by chance in a share `rate` of years, all allowances together.

    Args:
        z: Shape (year, night), made-up years of nights in standard units.
        rate: In (0, 1).

    Returns:
        Shape (allowance,), 1 at least.
    """
    highest = np.stack([_highest(z - allowance) for allowance in ALLOWANCES], axis=-1)
    ordered = np.sort(highest, axis=0)
    # As rare for each allowance as for the others, and so rare that together they are exceeded in `rate` of all years.
    ranks = [np.searchsorted(ordered[:, i], highest[:, i]) for i in range(len(ALLOWANCES))]
    place = int(np.quantile(np.max(ranks, axis=0), 1 - rate, method="higher"))
    return np.asarray(np.maximum(ordered[place], 1.0))


def _highest(steps: FloatArray) -> FloatArray:
    """The highest that the sum of each year's steps gets, shape (year,)."""
    total = np.cumsum(np.concatenate([np.zeros((len(steps), 1)), steps], axis=1), axis=1)
    return np.asarray((total - np.minimum.accumulate(total, axis=1)).max(axis=1))
