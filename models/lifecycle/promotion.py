"""Whether a challenger takes the champion's place: evidence that may be looked at every night, and what outweighs it.

A night's difference is ln(champion's loss / challenger's loss) over the points that came true, each forecast by both
from the same origins. Money is bet on the challenger, night after night, at odds that are fair as long as it is no
better: who began with 1 then has 20 one day with a probability of 1/20 at most (Ville's inequality), however often one
looks. So E >= 20 is evidence, tonight or on any other night.

Sources: betting on bounded means, Waudby-Smith & Ramdas (2024, arXiv 2010.09686); on differences of scores, Choe &
Ramdas (2024, arXiv 2110.00115); e-values from p-values, Vovk & Wang (2021, arXiv 1912.06116).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import stdtr

from models.arrays import FloatArray
from models.settings.training import PromotionSettings

# A difference of so many times the usual size, and any larger one, wins or loses the whole stake.
WIDTH = 3.0
# What the usual size is before there are nights: 5 %, as of so many nights.
FIRST_SIZE, FIRST_NIGHTS = 0.05, 3.0
# Of the money at most this share is bet; and what a bet foresees is drawn towards nothing by so many nights.
MOST_BET, CAUTION = 0.75, 4.0
# Nights apart at which differences may still go together, as those of overlapping forecasts do.
LAGS = 6

# Blocks of the steps that were held out: enough for a test, and long enough to be nearly independent.
BLOCKS, FEWEST_BLOCKS = 8, 5
# The weights of a new version were chosen on the steps that were held out: so much better is no evidence yet.
CHOSEN_THERE = float(np.log(1.01))

# Coverage is worse where it is so much further from nominal; and neither it nor a segment is judged by fewer points.
WORSE_COVERAGE = 0.01
FEWEST_POINTS = 100


class Evidence(NamedTuple):
    """What the bets have won.

    Attributes:
        e_value: By those on the challenger; it began as what the held-out steps said.
        champion_e_value: By those on the champion.
        nights: On how many there was something to bet on.
    """

    e_value: float
    champion_e_value: float
    nights: int


class Verdict(NamedTuple):
    """What becomes of a challenger, and why in words."""

    action: Literal["promote", "wait", "retire"]
    reason: str


class Sums(NamedTuple):
    """Sums over the points that both have forecast; losses in units of each series' scale."""

    n: float = 0.0
    loss: float = 0.0
    champion_loss: float = 0.0
    inside: float = 0.0
    champion_inside: float = 0.0

    def plus(self, other: Sequence[float]) -> Sums:
        """Both together."""
        return Sums(*(mine + its for mine, its in zip(self, other, strict=True)))

    @property
    def difference(self) -> float:
        """ln(champion's loss / challenger's loss): above 0 where the challenger is better; NaN where nothing is known.

        >>> round(Sums(10, 4.5, 5.0).difference, 3)
        0.105
        """
        if not self.n or self.loss <= 0 or self.champion_loss <= 0:
            return float("nan")
        return float(np.log(self.champion_loss / self.loss))


def evidence_of(differences: Sequence[float], held_out: tuple[float, float] = (1.0, 1.0)) -> Evidence:
    """What bets on each of the two have won by now, night by night.

    Args:
        differences: Of each night, oldest first; NaN where nothing came true, then nothing is bet.
        held_out: What both had before the first night, see `held_out_evidence`.
    """
    known = np.array([each for each in differences if not np.isnan(each)], np.float64)
    return Evidence(held_out[0] * won_by(known), held_out[1] * won_by(-known), len(known))


def won_by(differences: FloatArray) -> float:
    """What 1 has become in the end, see `winnings`; 1 before the first night."""
    money = winnings(differences)
    return float(money[-1]) if len(money) else 1.0


def winnings(differences: FloatArray) -> FloatArray:
    """What 1 has become after each night of bets on these differences being above 0.

    Each night's stake and what counts as a whole stake follow from the nights before alone, so that the bets are fair
    where a clipped difference is 0 or less in expectation, given all nights before.

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

    About the one under which money grows fastest, mean / (variance + mean^2), with the variance of a sum of nights
    that go together (Newey & West 1987): what a few good nights in a row seem to promise is not trusted.

    Args:
        outcomes: Shape (..., night).

    Returns:
        Shape (...).

    >>> float(stake(np.array([])))
    0.0
    """
    count = outcomes.shape[-1]
    mean = outcomes.sum(axis=-1) / (count + CAUTION)
    apart = outcomes - mean[..., None]
    sums = np.sum(apart**2, axis=-1) + CAUTION / WIDTH**2
    for lag in range(1, min(LAGS, count - 1) + 1):
        together = np.sum(apart[..., lag:] * apart[..., :-lag], axis=-1)
        sums += 2 * (1 - lag / (LAGS + 1)) * np.maximum(0.0, together)
    return np.asarray(np.clip(mean / (sums / (count + CAUTION) + mean**2), 0.0, MOST_BET))


def held_out_evidence(by_step: FloatArray) -> tuple[float, float]:
    """E-values for and against a new version from the steps that neither it nor the champion has learnt from.

    The steps are cut into blocks; a t-test of the blocks' differences gives a p-value, and that an e-value by the
    calibrator (1 - p + p ln p) / (p ln^2 p), which is 20 where p is 0.001. With too few steps both are 1.

    Args:
        by_step: Shape (step, 5), `Sums` of each step of time, oldest first.
    """
    blocks = [Sums(*block.sum(axis=0)).difference for block in np.array_split(by_step, min(BLOCKS, len(by_step) or 1))]
    known = np.array([each for each in blocks if not np.isnan(each)])
    spread = known.std(ddof=1) / np.sqrt(len(known)) if len(known) >= FEWEST_BLOCKS else 0.0
    if spread <= 0:
        return 1.0, 1.0

    def e_value(better: FloatArray) -> float:
        return calibrated(float(stdtr(len(known) - 1, -(better.mean() - CHOSEN_THERE) / spread)))

    return e_value(known), e_value(-known)


def calibrated(p: float) -> float:
    """The e-value of a p-value.

    >>> round(calibrated(0.001), 1), round(calibrated(1.0), 1)
    (20.8, 0.5)
    """
    p = min(max(p, 1e-15), 1 - 1e-4)
    return float((1 - p + p * np.log(p)) / (p * np.log(p) ** 2))


def widest_interval(quantile_levels: Sequence[float]) -> float | None:
    """What the widest central interval of these levels is to cover; None where there is none.

    >>> round(widest_interval([0.05, 0.5, 0.95]), 3)
    0.9
    """
    lowest, highest = min(quantile_levels), max(quantile_levels)
    return highest - lowest if highest > lowest and np.isclose(lowest + highest, 1.0) else None


def objections(
    total: Sums, segments: Mapping[str, Sums], nominal: float | None, settings: PromotionSettings
) -> list[str]:
    """What keeps a challenger from being promoted whatever the evidence, in words.

    Args:
        total: Of all points.
        segments: Of each segment's points.
        nominal: Of the widest central interval; None where there is none.
        settings: How much worse a segment may be.
    """
    found = []
    if nominal is not None and total.n >= FEWEST_POINTS:
        mine, its = total.inside / total.n, total.champion_inside / total.n
        if abs(mine - nominal) > abs(its - nominal) + WORSE_COVERAGE:
            found.append(f"coverage is {mine:.0%} where {nominal:.0%} is nominal, the champion's {its:.0%}")
    name, effect = worst_segment(segments)
    if effect >= settings.worst_segment:
        found.append(f"{name} is {effect:.0%} worse")
    return found


def worst_segment(segments: Mapping[str, Sums]) -> tuple[str, float]:
    """The segment in which the challenger does worst, and its relative loss there less 1.

    Segments of few points are left out; ("", NaN) where none is left.
    """
    effects = {name: sums.loss / sums.champion_loss - 1 for name, sums in segments.items() if _tells(sums)}
    if not effects:
        return "", float("nan")
    name = max(effects, key=lambda each: effects[each])
    return name, float(effects[name])


def _tells(sums: Sums) -> bool:
    return sums.n >= FEWEST_POINTS and sums.champion_loss > 0


def at_once(evidence: tuple[float, float], total: Sums, against: Sequence[str], settings: PromotionSettings) -> Verdict:
    """What becomes of a version that was trained from scratch tonight, beside a champion that could go on.

    Args:
        evidence: From `held_out_evidence`.
        total: Of the held-out points.
        against: From `objections`.
        settings: How much evidence is enough.
    """
    if not total.n or evidence == (1.0, 1.0):
        return Verdict("wait", "too few steps that neither has learnt from; it forecasts in the champion's shadow")
    said = f"{in_words(total)} on steps that neither has learnt from, E {evidence[0]:.3g}"
    return _decided(said, Evidence(*evidence, 0), against, settings)


def in_shadow(evidence: Evidence, total: Sums, against: Sequence[str], settings: PromotionSettings) -> Verdict:
    """What becomes of a challenger after so many nights in the champion's shadow; arguments as of `at_once`."""
    said = f"{in_words(total)} over {evidence.nights} nights in its shadow, E {evidence.e_value:.3g}"
    found = _decided(said, evidence, against, settings)
    if found.action == "wait" and evidence.nights >= settings.nights:
        return Verdict("retire", f"{said}: not enough within {settings.nights} nights")
    return found


def _decided(said: str, evidence: Evidence, against: Sequence[str], settings: PromotionSettings) -> Verdict:
    if evidence.e_value >= settings.evidence and evidence.e_value > evidence.champion_e_value:
        if against:
            return Verdict("wait", f"{said}, but {' and '.join(against)}")
        return Verdict("promote", f"{said}, {settings.evidence:g} is enough")
    if evidence.champion_e_value >= settings.evidence:
        return Verdict("retire", f"{said}, and {evidence.champion_e_value:.3g} for the champion")
    return Verdict("wait", f"{said} where {settings.evidence:g} is enough")


def in_words(total: Sums) -> str:
    """How a challenger's loss compares with the champion's.

    >>> in_words(Sums(10, 4.5, 5.0))
    "loss 10.0% lower than the champion's"
    """
    if not total.n or total.champion_loss <= 0:
        return "nothing came true yet"
    effect = total.loss / total.champion_loss - 1
    return f"loss {abs(effect):.1%} {'higher' if effect > 0 else 'lower'} than the champion's"
