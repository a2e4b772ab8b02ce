"""Which tail probabilities are anomalies: ranked among those of past actuals, so that the asked rate is held.

The forecast's own probability is only as good as its quantiles. So an actual is judged as in conformal anomaly
detection: by the share of past actuals that lay at least as far out, by the same measure. Further out than the
thirtieth of them, the share falls as a power of the forecast's probability, as the thirty furthest show it.

Source: Laxhammar & Falkman (2010), doi 10.1109/ICMLA.2010.151, after Vovk, Gammerman & Shafer (2005), for the ranks;
Weissman (1978), doi 10.1080/01621459.1978.10480104, for what is further out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.special import betainc

from models.anomalies.tail_probability import LEAST
from models.arrays import FloatArray, IntArray

_PER_DECADE = 50
BINS = round(-float(np.log10(LEAST)) * _PER_DECADE) + 1
ENOUGH = 30.0
"""Past actuals are used until so many anomalies are expected among them, and the furthest so many show the tail."""
PRIOR = 100.0
"""As many actuals as the forecast's own probabilities count for, in case few are known."""
MIN_NIGHTS, MAX_NIGHTS = 60, 400
"""The fewest and the most evaluations that are looked at."""
RARE_NIGHTS = 0.1
"""Up to this share of evaluations may be left out for having more anomalies than chance explains."""
ALERT_SHARE, MIN_MANY = 0.001, 3
"""The share of evaluations that chance may call too many, and the fewest anomalies that are."""
_DISPERSION_NIGHTS = 20


def bin_of(probability: FloatArray) -> IntArray:
    """The bin of each tail probability: 0 for 1, fifty to a power of ten.

    >>> bin_of(np.array([1.0, 0.1, 0.001, 0.0])).tolist()
    [0, 50, 150, 600]
    """
    # A hair above, so that powers of ten begin their bin.
    return np.asarray(np.floor(-np.log10(np.maximum(probability, LEAST)) * _PER_DECADE + 1e-6), np.int64)


def count_bins(probability: FloatArray) -> dict[str, int]:
    """How many tail probabilities lie in each bin that is not empty, for the table; see `bin_of`.

    >>> count_bins(np.array([1.0, 0.001, 0.001]))
    {'0': 1, '150': 2}
    """
    bins, counts = np.unique(bin_of(probability), return_counts=True)
    return {str(place): count for place, count in zip(bins.tolist(), counts.tolist(), strict=True)}


def add_counts(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """The counts of two sets of tail probabilities together.

    >>> add_counts({"0": 1, "150": 2}, {"150": 1, "7": 1})
    {'0': 1, '7': 1, '150': 3}
    """
    return {key: one.get(key, 0) + other.get(key, 0) for key in sorted({*one, *other}, key=int)}


def _upper_end(place: IntArray) -> FloatArray:
    """The highest probability of a bin."""
    return np.asarray(10.0 ** (-np.asarray(place) / _PER_DECADE))


@dataclass(frozen=True)
class PastTails:
    """The tail probabilities of past actuals, as first seen.

    Attributes:
        rate: The share of actuals that the job wants to see as anomalies.
        at_least: Shape (bin,), how many lie in this bin or further out, the prior included.
        dispersion: How much more the number of anomalies varies from one evaluation to the next than if series were
            independent; 1 or more.
    """

    rate: float
    at_least: FloatArray
    dispersion: float

    @classmethod
    def of(cls, nights: Sequence[Mapping[str, Any]], rate: float) -> Self:
        """What is known from past evaluations.

        Evaluations with more anomalies than chance explains say what happened, not how far out actuals usually lie.
        They are left out, unless they are more than `RARE_NIGHTS` of all: then this is how the job is.

        Args:
            nights: Rows of the table `anomaly_rate`, newest first.
            rate: The asked rate.
        """
        used: list[Mapping[str, Any]] = []
        actuals = 0
        for night in nights[:MAX_NIGHTS]:
            if len(used) >= MIN_NIGHTS and actuals >= ENOUGH / rate:
                break
            used.append(night)
            actuals += night["actuals"]
        usual = [night for night in used if night["state"] != "many"]
        if len(used) - len(usual) > RARE_NIGHTS * len(used):
            usual = used
        counts = [0] * BINS
        for night in usual:
            for place, count in night["tail_counts"].items():
                counts[int(place)] += count
        at_least = np.cumsum(counts[::-1])[::-1] + PRIOR * _upper_end(np.arange(BINS))
        return cls(rate, at_least, _dispersion(usual, rate))

    def probability(self, tail_probability: FloatArray) -> FloatArray:
        """The probability of an actual as far out, by the forecast and by past actuals; shape as given.

        An actual is an anomaly where this is at most `rate`.
        """
        known = ~np.isnan(tail_probability)
        given = np.where(known, tail_probability, 1.0)
        share = self.at_least / self.at_least[0]
        last = int(np.flatnonzero(self.at_least >= ENOUGH)[-1])
        edge, power = float(_upper_end(np.array(last))), self._power(last)
        beyond = share[last] * (np.clip(given, LEAST, edge) / edge) ** power
        ranked = share[bin_of(given)]
        return np.asarray(np.where(known, np.where(given < edge, np.minimum(beyond, ranked), ranked), np.nan))

    def _power(self, last: int) -> float:
        """How the share falls beyond the beginning of a bin: Hill's estimator, in bins."""
        beyond = -np.diff(np.append(self.at_least[last:], 0.0))
        distance = (np.arange(len(beyond)) + 0.5) * np.log(10) / _PER_DECADE
        return float(beyond.sum() / (beyond * distance).sum())

    def is_many(self, anomalies: int, actuals: int) -> bool:
        """Whether there are more anomalies among some actuals than chance explains.

        The number of anomalies is taken as binomial, of as many fewer independent actuals as `dispersion` says. Chance
        may say so on `ALERT_SHARE` of all evaluations.
        """
        if anomalies < MIN_MANY:
            return False
        found, independent = anomalies / self.dispersion, actuals / self.dispersion
        return found > independent * self.rate and _binomial_tail(found, independent, self.rate) < ALERT_SHARE


def _dispersion(nights: Sequence[Mapping[str, Any]], rate: float) -> float:
    """Pearson's dispersion of the number of anomalies of evaluations, drawn towards 1 while few are known."""
    judged = [(night["anomalies"], night["actuals"]) for night in nights if night["actuals"]]
    if not judged:
        return 1.0
    found, actuals = np.array(judged, np.float64).T
    # Around their own mean: whether the rate is held is another question.
    share = max(found.sum() / actuals.sum(), rate / 10)
    squares = float(((found - actuals * share) ** 2 / (actuals * share * (1 - share))).sum())
    return max(1.0, (squares + _DISPERSION_NIGHTS) / (len(judged) + _DISPERSION_NIGHTS))


def _binomial_tail(found: float, actuals: float, rate: float) -> float:
    """The probability of `found` or more of `actuals`; neither needs to be whole."""
    return 1.0 if found <= 0 else float(betainc(found, max(actuals - found, 0.0) + 1, rate))
