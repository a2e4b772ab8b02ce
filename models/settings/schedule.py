"""Missed nights, and runs that meet another run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from models.settings.base import Settings


class ScheduleSettings(Settings):
    """What becomes of nights that were missed, and of a run that begins while another one is on its way."""

    catch_up: Literal["all", "newest", "none"] = Field(
        "newest",
        description="Before a run without a cutoff: `all` runs the nights that were missed since the last one, oldest "
        "first; `newest` leaves them out and says so, and leaves out a late run of a night that a newer one has "
        "overtaken; `none` does not look.",
    )
    second_run: Literal["refused", "queued"] = Field(
        "refused",
        description="A run of this job while another one is on its way: an error, or it waits for it, for a day at "
        "most.",
    )
