"""Window scan: means over the newest nights for many window lengths, and the control limits of these means.

A large rise shows within three nights, a small one only within two months. Scanning all window lengths at once is the
generalised likelihood ratio test for a change at an unknown night (Lai 1998, doi 10.1109/18.737522). Each mean leaves
out its highest night and clips the others, so that one night of bad luck decides nothing. Narrow clipping finds small
rises soonest. Over one or two weeks there is also a mean with wide clipping, which finds rises that are far beyond
chance. Windows of three nights are not scanned: two bad nights among three are too common.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from models.arrays import FloatArray
from models.monitoring.pareto_tail import pareto_excess

LENGTHS = np.array([4, 6, 8, 11, 15, 21, 30, 42, 60, 90, 6, 8, 11, 15])
"""Number of nights in each window."""
WIDE = np.arange(len(LENGTHS)) >= 10
"""Which windows clip nights widely."""
# A limit that at least this share of cases exceeds is counted. A rarer one is extrapolated from there, by an
# exponential tail or by a heavy one, whichever lies further out.
COUNTED = 0.03


def window_means(nights: FloatArray, clip_at: FloatArray) -> FloatArray:
    """Mean of the newest nights without the highest, over each of `LENGTHS`; -inf where there are fewer nights.

    Args:
        nights: Shape (night,), oldest first, none NaN.
        clip_at: Shape (2,), the size at which a night is clipped in windows that are not `WIDE`, and in those that are.

    Returns:
        Shape (window,).

    >>> window_means(np.array([0.0, 1.0, 5.0, 2.0]), np.array([4.0, 4.0]))[:2]
    array([  1., -inf])
    """
    means = np.full(len(LENGTHS), -np.inf)
    for place, (length, wide) in enumerate(zip(LENGTHS.tolist(), WIDE.tolist(), strict=True)):
        if length <= len(nights):
            z = np.clip(nights[-length:], -clip_at[int(wide)], clip_at[int(wide)])
            means[place] = (z.sum() - z.max()) / (length - 1)
    return means


def highest_window_means(nights: FloatArray, clip_at: FloatArray, parts: int = 1) -> FloatArray:
    """The highest value of each window mean in each part of a year.

    Args:
        nights: Shape (year, night).
        clip_at: As in `window_means`.
        parts: Number of equal parts of each year; a part must have more nights than the longest window.

    Returns:
        Shape (year, part, window), over the windows that end in the part.
    """
    scanned = zip(LENGTHS.tolist(), all_window_means(nights, clip_at), strict=True)
    return np.stack([highest_in_parts(means, length, parts) for length, means in scanned], axis=2)


def highest_in_parts(means: FloatArray, length: int, parts: int) -> FloatArray:
    """The highest of the means over one window in each part of a year, shape (year, part).

    Args:
        means: Shape (year, night - length + 1), see `all_window_means`.
        length: Number of nights in the window.
        parts: Number of equal parts of each year.
    """
    begin = np.arange(parts) * ((means.shape[1] + length - 1) // parts)
    return np.asarray(np.maximum.reduceat(means, np.maximum(begin - length + 1, 0), axis=1))


def all_window_means(nights: FloatArray, clip_at: FloatArray) -> Iterator[FloatArray]:
    """Each window mean as of every night that has enough nights before it.

    Args:
        nights: Shape (year, night).
        clip_at: As in `window_means`.

    Yields:
        For each of `LENGTHS`, shape (year, night - length + 1).
    """
    for wide in (False, True):
        z = np.clip(nights, -clip_at[int(wide)], clip_at[int(wide)])
        sums = np.cumsum(np.pad(z, ((0, 0), (1, 0))), axis=1, dtype=z.dtype)
        # The highest night of each window whose length is a power of two.
        highest = {1: z}
        for length in LENGTHS[wide == WIDE].tolist():
            yield (sums[:, length:] - sums[:, :-length] - _highest_in_windows(highest, length)) / (length - 1)


def _highest_in_windows(highest: dict[int, FloatArray], length: int) -> FloatArray:
    """The highest night of each window, shape (year, night - length + 1): two windows of half the length cover it.

    Args:
        highest: The same of each length that is a power of two, from the nights themselves on. Longer ones are added.
        length: Number of nights in the window.
    """
    covered = 1 << (length.bit_length() - 1)
    for shorter in (1 << power for power in range(covered.bit_length() - 1)):
        if 2 * shorter not in highest:
            highest[2 * shorter] = _highest_of_pairs(highest[shorter], shorter)
    return _highest_of_pairs(highest[covered], length - covered)


def _highest_of_pairs(z: FloatArray, apart: int) -> FloatArray:
    return np.maximum(z[:, apart:], z[:, :-apart]) if apart else z


def control_limits(highest: FloatArray, rate: float) -> FloatArray:
    """Limits that any of the window means exceeds by chance in a share `rate` of cases.

    Args:
        highest: Shape (case, window), from simulated cases without a fault.
        rate: Above 0 and below 1.

    Returns:
        Shape (window,), exceeded equally rarely by each mean.
    """
    ordered = np.sort(highest, axis=0)
    ranks = [np.searchsorted(ordered[:, i], highest[:, i]) for i in range(highest.shape[1])]
    counted = max(rate, COUNTED)
    place = int(np.quantile(np.max(ranks, axis=0), 1 - counted, method="higher"))
    # Both tails have one parameter: the mean excess over the counted limit.
    excess, rarer = (ordered[place:] - ordered[place]).mean(axis=0), counted / rate
    return np.asarray(ordered[place] + excess * max(np.log(rarer), pareto_excess(rarer)))
