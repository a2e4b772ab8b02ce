"""The job of the simulated company."""

from __future__ import annotations

from typing import Any

from benchmarks.year.company import HORIZON
from benchmarks.year.databases import Databases

ZONE = "Europe/Madrid"
HOUR = 3
"""The hour at which a night runs, and until which rows of the day before are loaded."""


def settings_of(databases: Databases, changes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The job file as a mapping.

    Args:
        databases: Source and output.
        changes: Keys to change, by part of the job.
    """
    settings: dict[str, Any] = {
        "name": "year",
        "source": {
            "url": databases.source,
            "table": "sales",
            "series_id": ["store", "item"],
            "timestamp": "day",
            "value": "sales",
            "static": ["region"],
            "recorded_at": "loaded_at",
            "delay_hours": HOUR,
            "known_future_from": [
                {"table": "promotions", "series_id": ["store", "item"], "columns": ["promotion"]},
            ],
        },
        "forecast": {
            "frequency": "D",
            "horizon": HORIZON,
            "time_zone": ZONE,
            "holidays": "ES",
            "missing_future": "zero",
        },
        "audit": {"unit_changes": "rescale", "stale_after_steps": 0},
        "network": {"layers": [{"cell": "gru", "units": 32}]},
        # Steps end the training, not time: a busy machine must not change the model.
        "training": {"max_steps": 200, "time_limit": 3600},
        "monitor": {"segments": ["region"]},
        "output": {"url": databases.output},
    }
    return settings | {part: {**settings[part], **values} for part, values in changes.items()}
