"""The loss of one evaluation: how far off the forecasts were whose actuals have arrived since the evaluation before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from models.arrays import BoolArray, FloatArray
from models.evaluation.point_errors import ErrorSums

NAN = float("nan")


@dataclass(frozen=True)
class EvaluationLoss:
    """The loss of one segment on one evaluation, in units of each series' scale, see `scaled_errors`.

    Attributes:
        loss: Mean pinball loss over points and levels; NaN where there is no point.
        baseline_loss: The same of the seasonal naive, over the points that have one.
        coverage: Share of the points inside the widest central interval; NaN where there is none.
        bias: Mean of median minus actual.
        n: Number of points.
        instability: Mean of |median of tonight - median of the night before| over the days that both forecast; NaN
            where there was no night before, or no such day.
        special_definition: What makes a day special, see `SpecialDayCriteria.text`; None where nothing does.
        special_n: Number of points on special days; None where nothing makes a day special, or there is no point.
        special_loss: `loss` over special days alone; NaN where there is none.
        special_baseline_loss: `baseline_loss` over special days alone.
    """

    loss: float
    baseline_loss: float
    coverage: float
    bias: float
    n: int
    instability: float = NAN
    special_definition: str | None = None
    special_n: int | None = None
    special_loss: float = NAN
    special_baseline_loss: float = NAN

    @classmethod
    def of(cls, sums: ErrorSums, special_definition: str | None, instability: float = NAN) -> Self:
        """Means from sums.

        Args:
            sums: Of the points of one segment, without dimension.
            special_definition: As the attribute.
            instability: As the attribute.
        """
        return cls(
            loss=share(sums.loss, sums.points),
            baseline_loss=share(sums.baseline_loss, sums.with_baseline),
            coverage=share(sums.inside, sums.with_interval),
            bias=share(sums.bias, sums.points),
            n=int(sums.points),
            instability=instability,
            special_definition=special_definition,
            special_n=int(sums.special) if special_definition is not None and sums.points else None,
            special_loss=share(sums.special_loss, sums.special),
            special_baseline_loss=share(sums.special_baseline_loss, sums.special_with_baseline),
        )


def share(part: FloatArray | float, whole: FloatArray | float) -> float:
    """One number over another; NaN where the second is zero."""
    return float(part / whole) if whole else NAN


def losses_of(
    sums: ErrorSums, segments: Mapping[str, BoolArray], special_definition: str | None
) -> dict[str, EvaluationLoss]:
    """The loss of each segment.

    Args:
        sums: Of the points of each series, shape (series,).
        segments: Name to a mask of shape (series,).
        special_definition: What makes a day special, see `EvaluationLoss`.
    """
    return {name: EvaluationLoss.of(sums.of(mask), special_definition) for name, mask in segments.items()}
