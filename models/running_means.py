"""Means over the newest nights, many lengths at once, and how high chance takes them.

A large rise shows in the mean of two nights, a small one in that of two months only. To look at all lengths at once is
the generalised likelihood ratio test for a change at an unknown night (Lai 1998, doi 10.1109/18.737522), here of
clipped nights, so that none decides alone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

WINDOWS = np.array([2, 3, 4, 6, 8, 11, 15, 21, 30, 42, 60, 90])
# Limits that so few cases exceed are counted; rarer ones are told from how these go on.
COUNTED = 0.03


def newest_means(z: FloatArray) -> FloatArray:
    """Mean of the newest nights, over each length of `WINDOWS`; -inf where there are fewer.

    Args:
        z: Shape (night,), oldest first, none NaN.

    Returns:
        Shape (window,).

    >>> newest_means(np.array([0.0, 1.0, 2.0]))[:3]
    array([ 1.5,  1. , -inf])
    """
    sums = np.cumsum(z[::-1][: WINDOWS[-1]])
    means = np.full(len(WINDOWS), -np.inf)
    enough = np.flatnonzero(len(z) >= WINDOWS)
    means[enough] = sums[WINDOWS[enough] - 1] / WINDOWS[enough]
    return means


def highest_means(z: FloatArray, parts: int = 1) -> FloatArray:
    """The highest that the mean over each length of `WINDOWS` gets, in each part of a year.

    Args:
        z: Shape (year, night).
        parts: Into how many to part each year, of more than `WINDOWS[-1]` nights each.

    Returns:
        Shape (year, part, window), of means that end in the part.
    """
    sums = np.cumsum(np.pad(z, ((0, 0), (1, 0))), axis=1, dtype=z.dtype)
    begin = np.arange(parts) * (z.shape[1] // parts)
    return np.stack(
        [np.maximum.reduceat(sums[:, w:] - sums[:, :-w], np.maximum(begin - w + 1, 0), axis=1) / w for w in WINDOWS],
        axis=2,
    )


def limits_for(highest: FloatArray, rate: float) -> FloatArray:
    """Limits that the means exceed by chance in a share `rate` of cases, all lengths together.

    Args:
        highest: Shape (case, window), of what is made up.
        rate: Above 0 and below 1.

    Returns:
        Shape (window,), as rare for each length as for the others.
    """
    ordered = np.sort(highest, axis=0)
    ranks = [np.searchsorted(ordered[:, i], highest[:, i]) for i in range(len(WINDOWS))]
    counted = max(rate, COUNTED)
    place = int(np.quantile(np.max(ranks, axis=0), 1 - counted, method="higher"))
    # Beyond, each further step is as rare as the one before: an exponential tail (Pickands 1975).
    beyond = (ordered[place:] - ordered[place]).mean(axis=0)
    return np.asarray(ordered[place] + beyond * np.log(counted / rate))
