"""Means over the newest nights, many lengths at once, and how high chance takes them.

A large rise shows in three nights, a small one in two months only. To look at all lengths at once is the generalised
likelihood ratio test for a change at an unknown night (Lai 1998, doi 10.1109/18.737522). Each mean leaves out its
highest night and takes the others only as far as a night counts, so that one night of luck decides nothing. How far
that is has two answers: a little, which finds small rises soonest, and over one week or two also much, which finds
those that are far beyond all luck. Three nights are too few for either: two bad ones of them are no rarity.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from models.arrays import FloatArray
from models.monitoring.pareto_tail import pareto_excess

LENGTHS = np.array([4, 6, 8, 11, 15, 21, 30, 42, 60, 90, 6, 8, 11, 15])
"""Nights of each mean."""
WIDE = np.arange(len(LENGTHS)) >= 10
"""Which means take nights further."""
# Limits that so few cases exceed are counted; rarer ones are told from how these go on: as an exponential tail does, or
# a heavy one where that is further.
COUNTED = 0.03


def newest_means(nights: FloatArray, most: FloatArray) -> FloatArray:
    """Mean of the newest nights but the highest, over each of `LENGTHS`; -inf where there are fewer.

    Args:
        nights: Shape (night,), oldest first, none NaN.
        most: Shape (2,), how far a night counts in means that are not `WIDE`, and in those that are.

    Returns:
        Shape (mean,).

    >>> newest_means(np.array([0.0, 1.0, 5.0, 2.0]), np.array([4.0, 4.0]))[:2]
    array([  1., -inf])
    """
    means = np.full(len(LENGTHS), -np.inf)
    for place, (length, wide) in enumerate(zip(LENGTHS.tolist(), WIDE.tolist(), strict=True)):
        if length <= len(nights):
            z = np.clip(nights[-length:], -most[int(wide)], most[int(wide)])
            means[place] = (z.sum() - z.max()) / (length - 1)
    return means


def highest_means(nights: FloatArray, most: FloatArray, parts: int = 1) -> FloatArray:
    """The highest that each of the means gets in each part of a year.

    Args:
        nights: Shape (year, night).
        most: As in `newest_means`.
        parts: Into how many to part each year, of more than the longest mean's nights each.

    Returns:
        Shape (year, part, mean), of means that end in the part.
    """
    begin = np.arange(parts) * (nights.shape[1] // parts)
    found = [
        np.maximum.reduceat(means, np.maximum(begin - length + 1, 0), axis=1)
        for length, means in zip(LENGTHS.tolist(), every_mean(nights, most), strict=True)
    ]
    return np.stack(found, axis=2)


def every_mean(nights: FloatArray, most: FloatArray) -> Iterator[FloatArray]:
    """Each of the means as of every night that has enough before it; shape (year, night - length + 1) each.

    Args:
        nights: Shape (year, night).
        most: As in `newest_means`.
    """
    for wide in (False, True):
        z = np.clip(nights, -most[int(wide)], most[int(wide)])
        sums = np.cumsum(np.pad(z, ((0, 0), (1, 0))), axis=1, dtype=z.dtype)
        for length in LENGTHS[wide == WIDE].tolist():
            yield (sums[:, length:] - sums[:, :-length] - _highest_of(z, length)) / (length - 1)


def _highest_of(z: FloatArray, length: int) -> FloatArray:
    """The highest of so many nights, shape (year, night - length + 1)."""
    covered = 1
    while covered < length:
        more = min(covered, length - covered)
        z, covered = np.maximum(z[:, more:], z[:, :-more]), covered + more
    return z


def limits_for(highest: FloatArray, rate: float) -> FloatArray:
    """Limits that the means exceed by chance in a share `rate` of cases, all lengths together.

    Args:
        highest: Shape (case, mean), of what is made up.
        rate: Above 0 and below 1.

    Returns:
        Shape (mean,), as rare for each as for the others.
    """
    ordered = np.sort(highest, axis=0)
    ranks = [np.searchsorted(ordered[:, i], highest[:, i]) for i in range(highest.shape[1])]
    counted = max(rate, COUNTED)
    place = int(np.quantile(np.max(ranks, axis=0), 1 - counted, method="higher"))
    # Either tail is told from the mean of what lies beyond.
    beyond, rarer = (ordered[place:] - ordered[place]).mean(axis=0), counted / rate
    return np.asarray(ordered[place] + beyond * max(np.log(rarer), pareto_excess(rarer)))
