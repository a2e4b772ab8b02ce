"""E-values: evidence that one of two versions is better, which may be looked at every night.

Each night gives one difference, ln(champion's loss / challenger's loss), over the points whose actuals arrived; both
versions forecast each point from the same origin. Night after night, money is bet on the challenger, at odds that are
fair as long as it is no better. The e-value is what 1 has become. The probability that it ever reaches 20 without the
challenger being better is at most 1/20 (Ville's inequality), however often one looks. So an e-value of 20 is
evidence, on this night or on any other.

Sources: betting on bounded means, Waudby-Smith & Ramdas (2024, arXiv 2010.09686); on differences of scores, Choe &
Ramdas (2024, arXiv 2110.00115); e-values from p-values, Vovk & Wang (2021, arXiv 1912.06116).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr

from models.arrays import FloatArray
from models.lifecycle.paired_sums import PairedSums

# A difference of this many times the usual size, or a larger one, wins or loses the whole stake.
WIDTH = 3.0
# The usual size before the first night: 5 %, with the weight of three nights.
FIRST_SIZE, FIRST_NIGHTS = 0.05, 3.0
# At most this share of the money is bet. The expected difference is shrunk towards 0, with the weight of four nights.
MOST_BET, CAUTION = 0.75, 4.0
# Differences of nights that are at most this far apart may be correlated, as those of overlapping forecasts are.
LAGS = 6

# The held-out steps are cut into blocks: enough for a test, and long enough to be nearly independent.
BLOCKS, FEWEST_BLOCKS = 8, 5
# The weights of a new version were chosen on the held-out steps: an advantage of 1 % there is no evidence yet.
CHOSEN_THERE = float(np.log(1.01))


class EValues(NamedTuple):
    """The money that bets on either version have become, each beginning with 1.

    Attributes:
        e_value: Of bets on the challenger: evidence that it is better.
        champion_e_value: Of bets on the champion: evidence against the challenger.
        nights: Number of nights with something to bet on.
    """

    e_value: float = 1.0
    champion_e_value: float = 1.0
    nights: int = 0


NO_EVIDENCE = EValues()


def e_values_of(differences: Sequence[float], held_out: EValues = NO_EVIDENCE) -> EValues:
    """The e-values after some nights.

    Args:
        differences: For each night, oldest first, see `PairedSums.difference`; on a night with NaN nothing is bet.
        held_out: The e-values before the first night, see `held_out_e_values`.
    """
    known = np.array([each for each in differences if not np.isnan(each)], np.float64)
    return EValues(
        held_out.e_value * final_winnings(known), held_out.champion_e_value * final_winnings(-known), len(known)
    )


def final_winnings(differences: FloatArray) -> float:
    """What 1 has become after the last night, see `winnings`; 1 before the first night."""
    money = winnings(differences)
    return float(money[-1]) if len(money) else 1.0


def winnings(differences: FloatArray) -> FloatArray:
    """What 1 has become after each night of bets that the differences are above 0.

    Each night's stake, and the difference that wins a whole stake, follow from the nights before it alone. So the bets
    are fair where the expectation of a clipped difference, given all nights before, is 0 or less.

    Args:
        differences: Shape (..., night), oldest first.

    Returns:
        Shape (..., night).

    >>> winnings(np.zeros(3))
    array([1., 1., 1.])
    """
    night = np.arange(differences.shape[-1])
    before = np.cumsum(differences**2, axis=-1) - differences**2
    usual = np.sqrt((FIRST_NIGHTS * FIRST_SIZE**2 + before) / (FIRST_NIGHTS + night))
    outcomes = np.clip(differences / (WIDTH * usual), -1, 1)
    stakes = [stake(outcomes[..., :end]) for end in night]
    return np.asarray(np.cumprod(1 + np.stack(stakes, axis=-1) * outcomes, axis=-1)) if stakes else outcomes


def stake(outcomes: FloatArray) -> FloatArray:
    """The share of the money that is bet after these outcomes, each in [-1, 1].

    It is close to the share under which money grows fastest, mean / (variance + mean^2). The variance is that of a sum
    of correlated nights (Newey & West 1987), so that a few good nights in a row do not raise the stake too far.

    Args:
        outcomes: Shape (..., night).

    Returns:
        Shape (...).

    >>> float(stake(np.array([])))
    0.0
    """
    count = outcomes.shape[-1]
    mean = outcomes.sum(axis=-1) / (count + CAUTION)
    rest = outcomes - mean[..., None]
    sums = np.sum(rest**2, axis=-1) + CAUTION / WIDTH**2
    for lag in range(1, min(LAGS, count - 1) + 1):
        products = np.sum(rest[..., lag:] * rest[..., :-lag], axis=-1)
        sums += 2 * (1 - lag / (LAGS + 1)) * np.maximum(0.0, products)
    return np.asarray(np.clip(mean / (sums / (count + CAUTION) + mean**2), 0.0, MOST_BET))


def held_out_e_values(by_step: FloatArray) -> EValues:
    """E-values of a new version from the steps that neither it nor the champion has learnt from.

    The steps are cut into blocks. A t-test of the blocks' differences gives a p-value, which the calibrator
    (1 - p + p ln p) / (p ln^2 p) turns into an e-value of 20 at p = 0.001. With too few steps both e-values are 1.

    Args:
        by_step: Shape (step, 5), the `PairedSums` of each step of time, oldest first.
    """
    blocks = np.array_split(by_step, min(BLOCKS, len(by_step) or 1))
    differences = [PairedSums(*block.sum(axis=0)).difference for block in blocks]
    known = np.array([each for each in differences if not np.isnan(each)])
    spread = known.std(ddof=1) / np.sqrt(len(known)) if len(known) >= FEWEST_BLOCKS else 0.0
    if spread <= 0:
        return NO_EVIDENCE

    def e_value(better: FloatArray) -> float:
        return calibrated(float(stdtr(len(known) - 1, -(better.mean() - CHOSEN_THERE) / spread)))

    return EValues(e_value(known), e_value(-known))


def calibrated(p: float) -> float:
    """The e-value of a p-value.

    >>> round(calibrated(0.001), 1), round(calibrated(1.0), 1)
    (20.8, 0.5)
    """
    p = min(max(p, 1e-15), 1 - 1e-4)
    return float((1 - p + p * np.log(p)) / (p * np.log(p) ** 2))
