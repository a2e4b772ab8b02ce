"""Where a job has its model trained and its shards forecast; nothing here imports Dask, which takes a second."""

from __future__ import annotations

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from models.panel.shards import SHARD_SERIES
from models.settings import Settings


class RunnerError(Exception):
    """The cluster does not do the work; the message says what, where, and what to do."""


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
