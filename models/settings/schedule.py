"""What happens to missed nights, and to a run that starts while another one is running."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from models.settings.base import Settings


class ScheduleSettings(Settings):
    """What happens to missed nights, and to a run that starts while another one is running."""

    catch_up: Literal["all", "newest", "none"] = Field(
        "newest",
        description="What a run without a cutoff does about missed nights. `all` runs them first, oldest first. "
        "`newest` skips and reports them, and also skips a late run of a night that a newer night has overtaken. "
        "`none` does not look for them.",
    )
    second_run: Literal["refused", "queued"] = Field(
        "refused",
        description="What a run does while another run of this job is running: `refused` is an error, `queued` waits "
        "for the other run, for a day at most.",
    )
