"""How many actuals lie at or below each quantile before and after calibration, beside split conformal and plain ACI.

    python -m benchmarks.intervals [--series 200]

Made-up series of 28 days to learn from and then a year; every night forecasts 14 days ahead at seven levels. Forecasts
follow a level that moves from day to day, so that errors grow along the horizon and neighbouring nights miss together;
a third of the variance of each day is common to all series. Five kinds:

    narrow     quantiles lie at six tenths of their true distance from the median
    uneven     each series is as wide as it likes (log-normal, 0.4), Saturdays and Sundays twice, tails are Student's t
               with 4 degrees of freedom; the forecasts say one width of normal distributions
    shift      as narrow, and on the 183rd night the level of every series moves by four deviations, which the forecasts
               follow within weeks
    drifting   right at first; the true width doubles over the year
    counts     zero on seven days of ten, Poisson else; forecasts are those of a Poisson of the same mean

`level_error` is the largest distance of a level's share of actuals from the level, over all nights and steps;
`interval_error` that of the central intervals, `step_error` the first of any single step, `after_28` in the 28 nights
after the shift. Where many actuals lie on a quantile, as at zero, any share from those below it to those at or below it
is right. `wql` and `mae` are over those of the forecasts before.

Split conformal adds to each level and step the quantile of errors, in widths of the forecast, at rank q (n + 1) of the
28 days; ACI (Gibbs & Candès 2021) takes those of the newest 60 evaluations at a level that moves by 0.01 of each
evaluation's miss.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from benchmarks.shared.record import asked, record
from models.calibration.calibration import Calibration
from models.calibration.estimate import calibration_of
from models.calibration.evidence import EvaluationCounts, Evidence
from models.settings.monitoring import CalibrationSettings

FloatArray = npt.NDArray[np.float64]

LEVELS = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
BEFORE, YEAR, HORIZON, SHIFT = 28, 365, 14, 183
NIGHTS = BEFORE + YEAR
SETTINGS = CalibrationSettings()
FOLLOWS, MOVES = 0.2, 0.25


class Made:
    """A made-up job.

    Attributes:
        actual: Shape (day, series); the day after night n is day n.
        raw: Shape (night, series, horizon, level).
        bounds: Of its forecasts.
    """

    actual: FloatArray
    raw: FloatArray

    def __init__(self, kind: str, series: int, seed: int) -> None:
        self.kind, random = kind, np.random.default_rng(seed)
        days = NIGHTS + HORIZON
        self.bounds: tuple[float | None, float | None] = (None, None)
        if kind == "counts":
            self._counts(series, days, random)
            return
        draw: Callable[[tuple[int, int]], FloatArray] = random.standard_normal
        width = np.ones((days, series))
        if kind == "uneven":
            draw = lambda shape: random.standard_t(4, shape) / np.sqrt(2)  # noqa: E731
            width = np.exp(0.4 * random.standard_normal(series)) * np.where(np.arange(days) % 7 >= 5, 2.0, 1.0)[:, None]
        if kind == "drifting":
            width = np.ones((days, series)) * 2 ** (np.clip(np.arange(days) - BEFORE, 0, None) / YEAR)[:, None]
        noise = width * (np.sqrt(2 / 3) * draw((days, series)) + np.sqrt(1 / 3) * draw((days, 1)))
        level = np.cumsum(MOVES * width * draw((days, series)), axis=0)
        if kind == "shift":
            level[BEFORE + SHIFT :] += 4.0
        self.actual = 20 + level + noise
        middle, known = np.empty((NIGHTS, series)), 20 + level[0]
        for day in range(NIGHTS):
            middle[day] = known
            known = known + FOLLOWS * (self.actual[day] - known)
        # An exponential mean of a level that moves errs by this much, and more with every step.
        behind = (FOLLOWS + (1 - FOLLOWS) ** 2 * MOVES**2 / FOLLOWS) / (2 - FOLLOWS)
        deviation = np.sqrt(1 + behind + MOVES**2 * np.arange(1, HORIZON + 1))
        said = 0.6 if kind in ("narrow", "shift") else 1.0
        self.raw = middle[:, :, None, None] + said * deviation[:, None] * ndtri(LEVELS)

    def _counts(self, series: int, days: int, random: np.random.Generator) -> None:
        from scipy.stats import poisson

        mean = np.exp(1 + 0.5 * random.standard_normal(series))
        busy = random.random((days, series)) < 0.3
        self.actual = np.where(busy, random.poisson(mean, (days, series)), 0).astype(np.float64)
        quantiles = poisson.ppf(LEVELS, 0.3 * mean[:, None])
        self.raw = np.broadcast_to(quantiles[None, :, None], (NIGHTS, series, HORIZON, len(LEVELS)))
        self.bounds = 0.0, None


def ours(made: Made) -> FloatArray:
    """What the product publishes, shape (night, series, horizon, level); the nights before the year as they were."""
    series = made.raw.shape[1]
    ids = np.array([f"s{number:05d}" for number in range(series)])
    evidence, used, published = Evidence.empty(LEVELS, HORIZON), dict[int, Calibration](), made.raw.copy()
    alone = np.zeros(series, np.int64)
    everybody = np.arange(series)
    for night in range(NIGHTS):
        used[night] = Calibration.identity(LEVELS, HORIZON, ids, made.bounds)
        if night >= BEFORE:
            used[night] = calibration_of(evidence, ids, alone, made.bounds)
            published[night] = used[night].quantiles(made.raw[night])
        evaluation = EvaluationCounts(night, LEVELS, HORIZON, ids)
        for step in range(min(HORIZON, night)):
            by = night - 1 - step
            at = np.full(series, step)
            evaluation.add(everybody, at, made.actual[night - 1], published[by, :, step], used[by])
        live = night > BEFORE
        lag = np.arange(1.0, HORIZON + 1) if live else None
        weight = 1.0 if live else SETTINGS.hindcast_weight
        if night:
            evidence = evidence.updated(evaluation, SETTINGS.half_life, SETTINGS.rate, lag, weight)
    return published


def split_conformal(made: Made) -> FloatArray:
    """Quantiles moved by those of the errors of the nights before the year."""
    errors, width = _errors(made)
    published = made.raw.copy()
    for step in range(HORIZON):
        past = errors[: BEFORE - step, :, step].reshape(-1, len(LEVELS))
        rank = np.clip(LEVELS * (1 + 1 / len(past)), 0, 1)
        moves = [np.quantile(past[:, place], each) for place, each in enumerate(rank)]
        published[BEFORE:, :, step] += width[BEFORE:, :, step, None] * np.array(moves)
    return np.asarray(np.clip(np.sort(published, axis=-1), *made.bounds))


def plain_aci(made: Made, rate: float = 0.01, window: int = 60) -> FloatArray:
    """The same of the newest evaluations, at levels that follow what was covered."""
    errors, width = _errors(made)
    published = made.raw.copy()
    at = np.tile(LEVELS, (HORIZON, 1))
    for night in range(BEFORE, NIGHTS):
        for step in range(HORIZON):
            newest = night - 1 - step
            past = errors[max(0, newest + 1 - window) : newest + 1, :, step].reshape(-1, len(LEVELS))
            if newest >= BEFORE:
                below = made.actual[night - 1][:, None] <= published[newest, :, step]
                at[step] += rate * (LEVELS - below.mean(axis=0))
            moves = [np.quantile(past[:, place], each) for place, each in enumerate(np.clip(at[step], 0, 1))]
            moved = made.raw[night, :, step] + width[night, :, step, None] * np.array(moves)
            published[night, :, step] = np.clip(np.sort(moved, axis=-1), *made.bounds)
    return published


def _errors(made: Made) -> tuple[FloatArray, FloatArray]:
    """Actuals less quantiles in widths of the forecast, (night, series, horizon, level), and those widths."""
    width = np.maximum(made.raw[..., -1] - made.raw[..., 0], 1e-9)
    return (_realised(made)[..., None] - made.raw) / width[..., None], width


def _realised(made: Made) -> FloatArray:
    """Shape (night, series, horizon)."""
    return np.stack([made.actual[step : step + NIGHTS] for step in range(HORIZON)], axis=-1)


def coverage_errors(actual: FloatArray, quantiles: FloatArray) -> tuple[FloatArray, FloatArray]:
    """How far each level, and each central interval, is from what it should hold; shape (level,), (level // 2,).

    Args:
        actual: Shape (...).
        quantiles: Shape (..., level).
    """
    axes = tuple(range(actual.ndim))
    below = (actual[..., None] < quantiles).mean(axis=axes)
    up_to = (actual[..., None] <= quantiles).mean(axis=axes)
    pairs = len(LEVELS) // 2
    nominal = (LEVELS[::-1] - LEVELS)[:pairs]
    inside, with_ends = (below[::-1] - up_to)[:pairs], (up_to[::-1] - below)[:pairs]
    return np.abs(LEVELS - np.clip(LEVELS, below, up_to)), np.abs(nominal - np.clip(nominal, inside, with_ends))


def judged(made: Made, published: FloatArray) -> dict[str, float]:
    """Errors of coverage, and the loss."""
    actual = _realised(made)
    year, after = slice(BEFORE, NIGHTS), slice(BEFORE + SHIFT, BEFORE + SHIFT + 28)
    level_error, interval_error = coverage_errors(actual[year], published[year])
    by_step = [coverage_errors(actual[year, :, step], published[year, :, step])[0] for step in range(HORIZON)]
    error = actual[year][..., None] - published[year]
    return {
        "level_error": float(level_error.max()),
        "interval_error": float(interval_error.max()),
        "step_error": float(np.max(by_step)),
        "after_28": float(coverage_errors(actual[after], published[after])[0].max()),
        "wql": float(np.maximum(LEVELS * error, (LEVELS - 1) * error).mean()),
        "mae": float(np.abs(error[..., len(LEVELS) // 2]).mean()),
    }


KINDS = ("narrow", "uneven", "shift", "drifting", "counts")
METHODS: dict[str, Callable[[Made], FloatArray]] = {
    "before": lambda made: made.raw,
    "ours": ours,
    "split": split_conformal,
    "aci": plain_aci,
}


def main() -> None:
    """Simulate, judge, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=200)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dry", action="store_true", help="do not keep the figures")
    given = parser.parse_args()
    figures: dict[str, float | int | str | None] = {"series": given.series, "nights": YEAR}
    for kind in given.kinds:
        made = Made(kind, given.series, given.seed)
        raw = judged(made, made.raw)
        for method in given.methods:
            found = judged(made, METHODS[method](made))
            found["wql"], found["mae"] = found["wql"] / raw["wql"], found["mae"] / raw["mae"]
            figures |= {f"{kind}.{method}.{key}": value for key, value in found.items()}
            print(
                f"{kind:<10}{method:<8}" + "".join(f"{key} {value:.3f}  " for key, value in found.items()), flush=True
            )
    if not given.dry:
        print(record("intervals", figures, asked("intervals", sys.argv[1:])))


if __name__ == "__main__":
    main()
