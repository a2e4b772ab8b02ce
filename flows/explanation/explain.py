"""Say what moved the published forecast of a series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flows.explanation.snapshot import ask
from flows.job.job import JobError, LoadedJob
from flows.job.moments import local_day
from tasks.explanation.explain_series import Figure, describe_rule, explain_series, to_rows


@dataclass(frozen=True)
class Explained:
    """Why a series is forecast as it is.

    Attributes:
        job: The job's name.
        series_id: The series.
        cutoff: The night.
        step: The step; None for the mean of all steps.
        title: What is explained, for people.
        figures: What adds up to the forecast; empty for a series that the fallback forecast.
        rule: How the fallback forecast it; "" for a series that the model forecast.
        version: The version that forecast it; None for the fallback.
    """

    job: str
    series_id: str
    cutoff: datetime
    step: int | None
    title: str
    figures: Sequence[Figure] = ()
    rule: str = ""
    version: str | None = None

    @property
    def rows(self) -> list[Mapping[str, Any]]:
        """The figures as rows of a table, for people."""
        return to_rows(self.figures, self.step)

    def to_dict(self) -> dict[str, Any]:
        """As JSON; every figure at every step."""
        return {
            "job": self.job,
            "series_id": self.series_id,
            "cutoff": self.cutoff,
            "step": self.step,
            "model_version": self.version,
            "fallback": self.rule or None,
            "figures": [
                {
                    "kind": each.kind,
                    "name": each.name,
                    "value": each.at(self.step),
                    "by_step": each.by_step.tolist(),
                    "taken_out": each.how,
                }
                for each in self.figures
            ],
        }


def explain_job(loaded: LoadedJob, cutoff: datetime | None, series_id: str, step: int | None = None) -> Explained:
    """Forecast a series of a published night again without one thing after the other. Changes nothing.

    Args:
        loaded: The job.
        cutoff: The night; None for the newest.
        series_id: The series.
        step: The step, from 1; None for the mean of all steps.

    Raises:
        JobError: no such night, series or step; an aggregate.
        DamagedVersion: the version that forecast the night is gone.
    """
    asked = ask(loaded, cutoff, [series_id])
    if step is not None and step > asked.horizon:
        raise JobError(f"Step {step} is beyond the horizon of that night, which has {asked.horizon} steps.")
    zone, night = loaded.job.forecast.zone, asked.night.publication["cutoff"]
    day = local_day(night, zone)
    what = f"mean of {asked.horizon} steps" if step is None else f"step {step}, {_day_of(asked.night.rows, step, zone)}"
    title = f"{series_id}, night of {day}: {what}"
    if not asked.by_model:
        forecast = loaded.job.forecast
        season = min(forecast.season_lengths or forecast.grid.default_season_lengths)
        rule = describe_rule([row["median"] for row in asked.night.rows], season)
        rule = f"forecast by the fallback: {asked.fallback[series_id]}. There {rule}"
        return Explained(asked.ledger.job, series_id, night, step, title, rule=rule)
    with asked.again() as again:
        figures = explain_series(again)
    return Explained(asked.ledger.job, series_id, night, step, title, figures, version=again.version)


def _day_of(rows: Sequence[Mapping[str, Any]], step: int, zone: Any) -> str:
    return next(local_day(row["timestamp"], zone) for row in rows if row["step"] == step)
