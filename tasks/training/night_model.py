"""The model that forecasts one night."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.lifecycle.promotion import PromotionDecision
from tasks.store.version_store import StoredVersion


@dataclass(frozen=True)
class NightModel:
    """The model of one night, and the version that was trained that night.

    Attributes:
        mode: scratch, warm, load or none.
        serving_version: The version that forecasts; None for none.
        folder: Local folder of its files; None for none.
        new_version: The version that was trained that night; None for none. It forecasts where it takes over.
        training: How training went, as JSON; None where nothing was trained.
        failure: Why there is no new version and what the night takes instead; "" where training and storing went well.
        promotion: What happens to the new version, and why; None where there is none.
        evaluation: Row of the table `promotion` of the new version; None where no champion stood beside it.
    """

    mode: str
    serving_version: StoredVersion | None = None
    folder: Path | None = None
    new_version: StoredVersion | None = None
    training: dict[str, Any] | None = None
    failure: str = ""
    promotion: PromotionDecision | None = None
    evaluation: Mapping[str, Any] | None = None

    @property
    def version(self) -> str:
        """Name of the version that forecasts; "" for none."""
        return "" if self.serving_version is None else self.serving_version.version

    @property
    def takes_over(self) -> bool:
        """Whether the new version takes the champion's place."""
        return self.promotion is not None and self.promotion.action == "promote"

    @property
    def outcome(self) -> str:
        """What becomes of the new version, for people; "" where there is none."""
        if self.promotion is None or self.new_version is None:
            return ""
        words = {"promote": "is the champion", "wait": "is a challenger", "retire": "is not taken"}
        return f"{self.new_version.version} {words[self.promotion.action]}: {self.promotion.reason}"

    @property
    def trained_on(self) -> str:
        """The share of the series that training used, for people; "" where it used all or there was none."""
        used, available = ((self.training or {}).get(name, 0) for name in ("series", "all_series"))
        return f"trained on {used:,} of {available:,} series" if used < available else ""

    @property
    def cut(self) -> str:
        """Why training had no time for all its steps, for people; "" where it had, or there was none."""
        return str((self.training or {}).get("cut", ""))
