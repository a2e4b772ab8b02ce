"""The record of a night: everything that its page shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from models.settings.monitoring import MonitorSettings

Row = dict[str, Any]


@dataclass(frozen=True)
class NightRecord:
    """Everything that the page of a night shows.

    Attributes:
        job: The job's name.
        cutoff: The last timestamp that the forecast could see.
        run: The row of the table `run`; empty if there is none.
        scores: Rows of `score`, of forecasts from earlier cutoffs.
        losses: Rows of `loss`, oldest first.
        hindcast: Rows of `hindcast_loss`, oldest first.
        usual: The loss over the seasonal naive's that the rule expected tonight, by segment, where it is known.
        alerts: Rows of `alert` that were not closed by then.
        versions: Rows of `model`, newest first.
        places: Where tables, Parquet files and versions are, by label.
        details: See `write_details`; None if they are on another machine.
    """

    job: str
    cutoff: datetime
    run: Row = field(default_factory=dict)
    scores: Sequence[Row] = ()
    losses: Sequence[Row] = ()
    hindcast: Sequence[Row] = ()
    usual: dict[str, float | None] = field(default_factory=dict)
    alerts: Sequence[Row] = ()
    versions: Sequence[Row] = ()
    places: dict[str, str] = field(default_factory=dict)
    details: Row | None = None

    @property
    def zone(self) -> tzinfo:
        """The job's time zone."""
        return ZoneInfo(self.forecast.get("time_zone") or "UTC")

    @property
    def forecast(self) -> Row:
        """The job's `forecast` settings."""
        return ((self.details or {}).get("job") or {}).get("forecast") or {}

    @property
    def monitor(self) -> MonitorSettings:
        """The job's `monitor` settings; the default ones where they are on another machine."""
        settings = ((self.details or {}).get("job") or {}).get("monitor") or {}
        try:
            return MonitorSettings.model_validate(settings)
        except ValidationError:
            # An older release wrote them.
            return MonitorSettings()

    def local(self, moment: datetime | str) -> datetime:
        """A moment as a local time of the job, without a zone."""
        known = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        return (known if known.tzinfo else known.replace(tzinfo=UTC)).astimezone(self.zone).replace(tzinfo=None)
