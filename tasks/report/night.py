"""Everything that the page of a night is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

Row = dict[str, Any]


@dataclass(frozen=True)
class Night:
    """Everything that a page is made from.

    Attributes:
        job: The job's name.
        cutoff: The last timestamp that the forecast could see.
        run: The row of the `run` table, empty where there is none.
        scores: Rows of `score`, forecasts of earlier cutoffs.
        losses: Rows of `loss`, oldest first.
        alerts: Rows of `alert` that are not closed.
        versions: Rows of `model`, newest first.
        places: Label to place: where tables, Parquet and versions lie.
        details: What the night kept beside its tables; None where that is on another machine.
    """

    job: str
    cutoff: datetime
    run: Row = field(default_factory=dict)
    scores: Sequence[Row] = ()
    losses: Sequence[Row] = ()
    alerts: Sequence[Row] = ()
    versions: Sequence[Row] = ()
    places: dict[str, str] = field(default_factory=dict)
    details: Row | None = None

    @property
    def zone(self) -> tzinfo:
        """The job's own zone, in which its days are meant."""
        return ZoneInfo(self.forecast.get("time_zone") or "UTC")

    @property
    def forecast(self) -> Row:
        """The job's `forecast` settings."""
        return ((self.details or {}).get("job") or {}).get("forecast") or {}

    def local(self, moment: datetime | str) -> datetime:
        """A moment as a naive time of the job's zone."""
        known = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        return (known if known.tzinfo else known.replace(tzinfo=UTC)).astimezone(self.zone).replace(tzinfo=None)
