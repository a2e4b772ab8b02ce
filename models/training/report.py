"""How training went."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

TrainingMode = Literal["scratch", "warm"]


@dataclass(frozen=True)
class Start:
    """What a training begins from.

    Attributes:
        mode: "scratch", or "warm" for a start from the champion's weights.
        steps_before: The steps that there was time for in an earlier training of the job in this mode; None for none.
    """

    mode: TrainingMode
    steps_before: int | None = None


FROM_SCRATCH = Start("scratch")


@dataclass
class TrainingReport:
    """How training went; losses are mean pinball losses in units of the seasonal naive's error.

    Attributes:
        mode: "scratch", or "warm" for a start from the champion's weights.
        seconds: Wall time, compilation included.
        steps: Training steps, settling included.
        steps_per_second: Without the first round, which compiles; 0 where there was no other.
        validation_loss: Of the weights that were kept.
        champion_validation_loss: Of the weights that a warm start began from, on the same windows.
        history: For each round: step, loss, validation_loss.
        stopped: Why training ended, and how many steps followed with the newest windows.
        cut: Why there was no time for all steps; "" where there was.
        planned_steps, steps_in_time: For each member, the steps that were planned, and those that there was time for.
        kept_champion: Whether a warm start found nothing better than the weights that it began from.
        series, all_series: Series that were learnt from, and those that could have been; see `training_sample`.
    """

    mode: TrainingMode
    seconds: float = 0.0
    steps: int = 0
    steps_per_second: float = 0.0
    validation_loss: float = float("nan")
    champion_validation_loss: float | None = None
    history: list[dict[str, float]] = field(default_factory=list)
    stopped: str = ""
    cut: str = ""
    planned_steps: list[int] = field(default_factory=list)
    steps_in_time: list[int] = field(default_factory=list)
    kept_champion: bool = False
    series: int = 0
    all_series: int = 0


def merged(reports: list[TrainingReport]) -> TrainingReport:
    """The trainings of several members as one; losses are means, and `history` is that of the first."""
    first = reports[0]
    if len(reports) == 1:
        return first
    steps = sum(report.steps for report in reports)
    champions = [r.champion_validation_loss for r in reports if r.champion_validation_loss is not None]
    return TrainingReport(
        mode=first.mode,
        seconds=sum(report.seconds for report in reports),
        steps=steps,
        steps_per_second=sum(report.steps_per_second * report.steps for report in reports) / max(steps, 1),
        validation_loss=float(np.mean([report.validation_loss for report in reports])),
        champion_validation_loss=float(np.mean(champions)) if champions else None,
        history=first.history,
        stopped="; ".join(report.stopped for report in reports),
        cut="; ".join(f"member {number}: {report.cut}" for number, report in enumerate(reports, 1) if report.cut),
        planned_steps=[steps for report in reports for steps in report.planned_steps],
        steps_in_time=[steps for report in reports for steps in report.steps_in_time],
        kept_champion=all(report.kept_champion for report in reports),
    )
