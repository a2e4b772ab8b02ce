"""What a job file may say about its surroundings: where results go, where work is done, and who is told.

The parts of a job that `tasks/` obeys. Nothing here imports what obeys them: a job file is read in
milliseconds.
"""

from __future__ import annotations

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from models.panel.shards import SHARD_SERIES
from models.settings.base import Settings


class Output(Settings):
    """Where forecasts, scores, model versions and reports go."""

    url: str = Field("sqlite:///forecasts.db", description="Database of the tables; ${NAME} is the environment's.")
    parquet: str = Field("forecasts/", description="Folder of the Parquet files: local, or s3://, gs://, az://.")
    versions: str = Field("versions/", description="Folder of the model versions: local, or s3://, gs://, az://.")
    report: str = Field("reports/", description="Local folder of the reports.")
    keep_days: int | None = Field(
        None,
        ge=1,
        description="Days before the newest cutoff for which nights are kept, tables and Parquet, the horizon at "
        "least; left out, all are. On PostgreSQL a month (UTC) goes once all of it is older.",
    )


class Notify(Settings):
    """Who is told when the forecasts get worse or the source stale, and when it is well again."""

    webhook: str | None = Field(
        None, description="URL that gets each night's alerts as JSON; ${NAME} is the environment's."
    )
    targets: list[str] = Field(
        [],
        description="E-mail, Slack, Teams and a hundred more: each `${NAME}`, the environment variable that holds "
        "the target's URL as Apprise writes it, such as mailtos://, slack:// or msteams://.",
    )
    repeat_after_days: float = Field(
        7.0,
        gt=0,
        description="An alert that is open still, and that nobody acknowledged, is told again after these.",
    )

    @field_validator("targets")
    @classmethod
    def _only_names(cls, targets: list[str]) -> list[str]:
        for number, target in enumerate(targets):
            if not (target.startswith("${") and target.endswith("}") and target[2:-1].isidentifier()):
                raise ValueError(
                    f"target {number + 1} must be the name of an environment variable, such as ${{SLACK_URL}}, for its "
                    "URL holds its secrets; set that variable to the URL"
                )
        return targets


class Runner(Settings):
    """Where work is done: where the night runs, unless `train_on`, `dask` or `processes` says otherwise."""

    train_on: Literal["here", "gpu"] = Field(
        "here",
        description="Where the network is trained: where the night runs, or by a worker of the Prefect work pool "
        "`gpu`; where no Prefect server is configured, `gpu` is here too.",
    )
    gpu_wait: float = Field(
        900.0,
        gt=0,
        description="Seconds that a worker of the pool `gpu` may take to begin, and as many beyond "
        "`training.time_limit` to end, before the night goes on without it.",
    )

    shard_series: int = Field(SHARD_SERIES, ge=1, description="Series of one shard; fewer take less memory.")
    dask: str | None = Field(
        None, description="Address of a Dask scheduler, such as tcp://10.0.0.5:8786, whose workers forecast the shards."
    )
    processes: int | None = Field(
        None, ge=1, description="Processes of this machine that forecast the shards and share its cores."
    )

    @field_validator("dask")
    @classmethod
    def _is_an_address(cls, address: str | None) -> str | None:
        if address is not None and not _is_address(address):
            raise ValueError(
                "no address of a Dask scheduler; write tcp://HOST:PORT (or tls://), such as tcp://dask:8786"
            )
        return address

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.dask is not None and self.processes is not None:
            raise ValueError(
                f"both dask ({self.dask}) and processes ({self.processes}) say where shards are forecast; keep one"
            )
        return self

    @property
    def on_cluster(self) -> bool:
        """Whether other processes than this one forecast."""
        return self.dask is not None or self.processes is not None


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("tcp", "tls") and bool(parts.hostname and parts.port) and not parts.path.strip("/")
    except ValueError:  # a port that is no number, or above 65535
        return False
