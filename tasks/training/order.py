"""What to train, and how training went: small JSON files in one folder, with the model's files beside them.

The folder holds the same three, whether this machine trains or another one:

    order.json    what to train, on which panel, from which version
    model/        the new version's files; missing where the champion was kept
    trained.json  how training went; written last
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import Field

from models.errors import TrainingFailed
from models.hierarchy.aggregation_levels import AggregationLevels
from models.settings.base import Settings
from models.settings.forecast import ForecastSettings
from models.settings.network import NetworkSettings
from models.settings.training import TrainingSettings
from sql.secrets.places import remember_text
from tasks.runner.cluster import PACKAGE
from tasks.store.version_store import StoredVersion

ORDER, MODEL, TRAINED = "order.json", "model", "trained.json"


class Order(Settings):
    """What to train.

    Attributes:
        package: Version of this package where the night runs.
        job: The job's name, under which progress is shown.
        panel: URL or path of the panel's file.
        start: The version to continue; None to train from scratch.
        forecast: What the job forecasts.
        network: The network.
        training: The job's `training`, with the policy of this night.
        levels: The aggregation levels.
        source_fingerprint: That of the history, see `source_fingerprint`.
        steps_before: For each member, the steps that there was time for in an earlier training of the same mode.
        champion: The version that the new one is compared with; None for none.
        champion_until: The newest timestamp that it has learnt from.
        segments: Static columns whose groups are compared separately.
    """

    package: str
    job: str
    panel: str
    start: StoredVersion | None
    forecast: ForecastSettings
    network: NetworkSettings
    training: TrainingSettings
    levels: AggregationLevels
    source_fingerprint: str
    steps_before: list[int] = Field(default=[])
    champion: StoredVersion | None = None
    champion_until: datetime | None = None
    segments: list[str] = Field(default=[])

    def write(self, folder: Path) -> Path:
        """Write the order into a folder; gives the file."""
        file = folder / ORDER
        file.write_text(self.model_dump_json(), encoding="utf-8")
        return file

    @classmethod
    def read(cls, folder: Path) -> Order:
        """The order that was written into a folder.

        Raises:
            TrainingFailed: another version of this package wrote it, and its settings may mean something else.
        """
        text = (folder / ORDER).read_bytes()
        remember_text(text.decode())
        written_by, installed = json.loads(text)["package"], version(PACKAGE)
        if written_by != installed:
            raise TrainingFailed(
                f"the worker on {os.uname().nodename} has {PACKAGE} {installed}, the night {written_by}. Install "
                f"{written_by} there, and start the worker again."
            )
        return cls.model_validate_json(text)


@dataclass(frozen=True)
class Trained:
    """How a training went.

    Attributes:
        facts: The `TrainingReport`, as JSON.
        built_for: What the version was built for, see `built_for`.
        choices: What was chosen for the network, and why.
        summary: Table of the network's layers.
        by_step: `PairedSums` of each step that neither it nor the champion has learnt from, oldest first.
        by_segment: `PairedSums` of each segment over the same steps.
    """

    facts: dict[str, Any]
    built_for: dict[str, Any]
    choices: list[str]
    summary: str
    by_step: list[list[float]] = field(default_factory=list)
    by_segment: dict[str, list[float]] = field(default_factory=dict)

    @property
    def kept_champion(self) -> bool:
        """Whether training found nothing better than the version that it began from, and so made no model."""
        return bool(self.facts["kept_champion"])

    def write(self, folder: Path) -> Path:
        """Write the answer into a folder; gives its file."""
        file = folder / TRAINED
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return file

    @classmethod
    def read(cls, folder: Path) -> Trained:
        """The answer that was written into a folder."""
        return cls(**json.loads((folder / TRAINED).read_bytes()))
