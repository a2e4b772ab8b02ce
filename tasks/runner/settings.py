"""What a job says of where its shards are forecast; nothing here imports Dask, which takes a second."""

from __future__ import annotations

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from models.settings import Settings
from models.shards import SHARD_SERIES


class RunnerError(Exception):
    """The cluster does not do the work; the message says what, where, and what to do."""


class Runner(Settings):
    """Where shards of series are forecast: in this process, unless `dask` or `processes` says otherwise."""

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
