"""The parts of a job file that `tasks/` obeys: where results go, where work is done, and who gets messages.

Nothing here imports the code that obeys them, so a job file is read in milliseconds.
"""

from __future__ import annotations

import re
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from models.panel.shards import SHARD_SERIES
from models.settings.base import CENTURY_DAYS, WEEK_SECONDS, Address, Folder, Name, Settings


class Output(Settings):
    """Where forecasts, scores, model versions and reports go."""

    url: Address = Field(
        "sqlite:///forecasts.db",
        description="Database of the tables. ${NAME} stands for a variable of the environment.",
    )
    parquet: Folder = Field("forecasts/", description="Folder of the Parquet files: local, or s3://, gs://, az://.")
    versions: Folder = Field("versions/", description="Folder of the model versions: local, or s3://, gs://, az://.")
    report: Folder = Field("reports/", description="Local folder of the reports.")
    report_url: Address | None = Field(
        None,
        description="Address at which a web server of yours publishes the folder `output.report`, such as "
        "https://forecasts.example.org/reports. Artifacts, alerts and messages link to pages there. The reports of "
        "`nightcast serve` need none.",
    )
    keep_days: int | None = Field(
        None,
        ge=1,
        le=40_000,
        description="Days before the newest cutoff for which nights are kept, in tables, Parquet files and pages: "
        "the horizon or more. Without it, all are kept. On PostgreSQL a month (UTC) is deleted once all of it is "
        "older.",
    )

    @field_validator("report_url")
    @classmethod
    def _is_a_web_address(cls, address: str | None) -> str | None:
        if address is not None and (problem := _problem_of_web_address(address)):
            raise ValueError(f"{problem}; write https://HOST/PATH, such as https://forecasts.example.org/reports")
        return address


class Notify(Settings):
    """Who gets a message when forecasts get worse or the source is stale, and when they recover."""

    webhook: Address | None = Field(
        None,
        description="URL that gets each night's alerts as JSON. ${NAME} stands for a variable of the environment.",
    )
    targets: list[Name] = Field(
        [],
        max_length=100,
        description="Targets by e-mail, Slack, Teams and a hundred other services. Each is `${NAME}`: a variable of "
        "the environment that holds the target's Apprise URL, such as mailtos://, slack:// or msteams://.",
    )
    repeat_after_days: float = Field(
        7.0,
        gt=0,
        le=CENTURY_DAYS,
        description="Days after which the message of an alert is repeated if it is still open and not acknowledged.",
    )

    @field_validator("targets")
    @classmethod
    def _only_names(cls, targets: list[str]) -> list[str]:
        wrong = [
            str(number)
            for number, target in enumerate(targets, start=1)
            if not (target.startswith("${") and target.endswith("}") and target[2:-1].isidentifier())
        ]
        if wrong:
            raise ValueError(
                f"target {', '.join(wrong)}: write the name of an environment variable, such as ${{SLACK_URL}}, "
                "because a URL holds secrets; set that variable to the URL"
            )
        return targets


class Runner(Settings):
    """Where work is done: in the process of the night, unless `train_on`, `dask` or `processes` says otherwise."""

    train_on: Literal["here", "gpu"] = Field(
        "here",
        description="Where the network is trained: on the night's machine, or by a worker of the Prefect work pool "
        "`gpu`. Without a Prefect server, `gpu` means `here` too.",
    )
    gpu_wait: float = Field(
        900.0,
        gt=0,
        le=WEEK_SECONDS,
        description="Seconds that the night waits for a worker of the pool `gpu` to begin, and again as many after "
        "`training.time_limit` for it to end. Then the night goes on without it. At most 604,800, a week.",
    )

    shard_series: int = Field(
        SHARD_SERIES, ge=1, le=100_000_000, description="Number of series in a shard. Smaller shards take less memory."
    )
    dask: Name | None = Field(
        None, description="Address of a Dask scheduler whose workers forecast the shards, such as tcp://10.0.0.5:8786."
    )
    processes: int | None = Field(
        None,
        ge=1,
        le=1_024,
        description="Number of processes of this machine that forecast the shards and share its cores.",
    )

    @field_validator("dask")
    @classmethod
    def _is_an_address(cls, address: str | None) -> str | None:
        if address is not None and not _is_address(address):
            raise ValueError(
                "not an address of a Dask scheduler; write tcp://HOST:PORT (or tls://), such as tcp://dask:8786"
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
    except ValueError:  # the port is no number, or above 65535
        return False


def _problem_of_web_address(text: str) -> str:
    """Why a browser could not open what is published below an address; "" if it could."""
    try:
        parts = urlsplit(text)
        is_complete = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is no number, or the brackets of an IPv6 address do not close
        is_complete = False
    if not is_complete or not text.isprintable() or re.search(r'[\s<>"\\^`{|}]', text):
        return "not an address of the web"
    if "@" in parts.netloc:
        return "holds a user or a password, which everybody who gets a link would see"
    return "holds ? or #, after which no path can follow" if parts.query or parts.fragment or text[-1] in "?#" else ""
