"""A hindcast in a few figures, for people: what the first model would have lost before the job's first night."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class HindcastMeans:
    """The means of one segment over the evaluations of a hindcast, each weighted by its number of actuals.

    Attributes:
        segment: Its name.
        cutoffs: Number of evaluations.
        in_sample: Whether the model was trained on their actuals, because there are no others.
        first: The oldest evaluation.
        last: The newest one.
        loss: See `EvaluationLoss`, as are the next three; None where it is not known.
        baseline_loss: Of the seasonal naive.
        coverage: Share of actuals inside the widest central interval.
        n: Number of actuals.
    """

    segment: str
    cutoffs: int
    in_sample: bool
    first: datetime
    last: datetime
    loss: float | None
    baseline_loss: float | None
    coverage: float | None
    n: int

    @property
    def basis(self) -> str:
        """On what the figures are based, as a part of a sentence."""
        past = f"{self.cutoffs} past cutoff{'s' if self.cutoffs != 1 else ''}"
        trained = ", which the model was trained on" if self.in_sample else ""
        return f"judged on {past} before the job existed{trained}"


def hindcast_means(rows: Iterable[Row]) -> list[HindcastMeans]:
    """The means of each segment, `all` first; none where there are no rows.

    Evaluations whose actuals the model was trained on count only where there are no others.

    Args:
        rows: Of the table `hindcast_loss`.
    """
    known = [row for row in rows if row["n"] and _number(row["loss"]) is not None]
    known = [row for row in known if not row["in_sample"]] or known
    segments = dict.fromkeys(row["segment"] for row in known)
    return [_means(name, [row for row in known if row["segment"] == name]) for name in _all_first(segments)]


def _all_first(segments: Iterable[str]) -> list[str]:
    return sorted(segments, key=lambda name: name != "all")


def _means(segment: str, rows: list[Row]) -> HindcastMeans:
    moments = [row["evaluated_on"] for row in rows]
    return HindcastMeans(
        segment=segment,
        cutoffs=len(rows),
        in_sample=bool(rows[0]["in_sample"]),
        first=min(moments),
        last=max(moments),
        loss=_mean(rows, "loss"),
        baseline_loss=_mean(rows, "baseline_loss"),
        coverage=_mean(rows, "coverage"),
        n=sum(row["n"] for row in rows),
    )


def _mean(rows: list[Row], name: str) -> float | None:
    known = [(row["n"], value) for row in rows if (value := _number(row[name])) is not None]
    weight = sum(n for n, _ in known)
    return math.fsum(n * value for n, value in known) / weight if weight else None


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
