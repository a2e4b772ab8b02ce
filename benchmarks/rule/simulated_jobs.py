"""Simulated jobs of many kinds: losses of evaluations relative to the seasonal naive's, while nothing is wrong."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.arrays import FloatArray

REFERENCE_NIGHTS, YEAR = 180, 365
OUT_OF_SAMPLE = (28, 60, 180)
"""How many of the reference nights the network has not learnt from; the jobs of a kind take turns."""
_BEFORE = 200


class Kind(NamedTuple):
    """How the logarithm of a job's loss over the naive's moves.

    Attributes:
        deviation: Standard deviation of one night.
        follows: Autocorrelation from one night to the next.
        luck: Share of the variance that comes from cutoffs; each evaluation mixes 28 of them.
        wander: Share of the variance that comes from a slow process with an autocorrelation of 0.98.
        width: Standard deviation of the logarithm of the noise's width, which drifts over months.
        gaps: Share of nights without a figure.
        actuals: Number of actuals of a night if they are few, so that the loss is a mean over them; 0 if many.
        tails: Degrees of freedom of the noise's Student's t.
        weekend: Width of the noise at weekends, relative to other days.
    """

    deviation: float
    follows: float = 0.3
    luck: float = 0.0
    wander: float = 0.0
    width: float = 0.0
    gaps: float = 0.0
    actuals: int = 0
    tails: float = 4.0
    weekend: float = 1.5


KINDS = {
    **{
        f"noise {deviation:.0%}, follows {follows}": Kind(deviation, follows)
        for deviation in (0.03, 0.05, 0.1, 0.2)
        for follows in (0.0, 0.5, 0.8)
    },
    "luck of cutoffs 5%": Kind(0.05, luck=0.25, width=0.25),
    "luck of cutoffs 10%": Kind(0.1, luck=0.25, width=0.25),
    "slow wander 5%": Kind(0.05, wander=0.15),
    "slow wander 10%": Kind(0.1, wander=0.15),
    "drifting width 10%": Kind(0.1, width=0.35),
    "heavy tails 10%": Kind(0.1, tails=3.0, weekend=2.0),
    "gaps 10%": Kind(0.1, follows=0.5, gaps=0.15),
    "few actuals": Kind(0.4, actuals=5, gaps=0.1),
}


def simulate(kind: Kind, jobs: int, seed: int, years: int = 1) -> tuple[FloatArray, FloatArray]:
    """Log ratios, NaN on nights without one, and logs of the naive's losses; each of shape (job, night)."""
    random, total = np.random.default_rng(seed), REFERENCE_NIGHTS + years * YEAR + _BEFORE
    day = np.arange(total)
    shape = (jobs, total)
    shock = random.standard_t(kind.tails, shape) / np.sqrt(kind.tails / (kind.tails - 2))
    shock *= np.where(day % 7 >= 5, kind.weekend, 0.9) * np.exp(
        kind.width * _autoregressive(random.normal(size=shape), 0.97)
    )
    noise = _autoregressive(shock, kind.follows)
    if kind.actuals:
        sizes = random.gamma(kind.actuals, size=(2, *shape))
        noise = np.log(sizes[0]) - np.log(sizes[1]) / 2
    weights = np.exp(-np.arange(28) / 10)
    luck = np.stack([np.convolve(each, weights)[:total] for each in random.normal(size=shape)])
    wander = _autoregressive(random.normal(size=shape), 0.98)
    parts = [(1 - kind.luck - kind.wander, noise), (kind.luck, luck), (kind.wander, wander)]
    mixed = sum(np.sqrt(share) * (part - part[:, 50:].mean()) / part[:, 50:].std() for share, part in parts)
    ratio = -0.5 + 0.04 * np.sin(2 * np.pi * day / 7) + kind.deviation * mixed
    ratio[random.random(shape) < kind.gaps] = np.nan
    cycles = 0.15 * np.sin(2 * np.pi * day / 7) + 0.1 * np.sin(2 * np.pi * day / 365 + random.uniform(0, 6, (jobs, 1)))
    naive = cycles + 0.15 * random.normal(size=shape)
    return ratio[:, _BEFORE:], naive[:, _BEFORE:]


def _autoregressive(shocks: FloatArray, autocorrelation: float) -> FloatArray:
    """A first-order autoregressive process with the variance of its shocks; shape (job, night)."""
    nights = shocks.copy()
    for night in range(1, shocks.shape[1]):
        nights[:, night] = autocorrelation * nights[:, night - 1] + np.sqrt(1 - autocorrelation**2) * shocks[:, night]
    return nights
