"""The job of one trial: a folder and a database of its own, copied from a template that ran two nights."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import sqlalchemy as sa
import yaml

from benchmarks.faults.zygote import Night, Zygote
from benchmarks.shared.command import ROOT
from sql.engine.url import resolve_url
from sql.imports.import_file import import_file

JOB = "small"
NIGHTS = ("2024-02-01", "2024-02-02", "2024-02-03", "2024-02-04")
"""The template ran the first two; the third is broken, and the fourth is the next ordinary one."""
PASSWORD = "Geheim/zq7wx@rest"
TOKEN = "token-kqzx-91vw"
SECRETS = (PASSWORD, quote(PASSWORD, safe=""), quote(PASSWORD), "zq7wx", TOKEN)


@dataclass(frozen=True)
class Shape:
    """How large the job of a trial is, and how it forecasts.

    Attributes:
        name: Its name among templates.
        series: Number of series.
        horizon: Number of steps.
        trained: Whether a tiny network was trained, which nights load; otherwise the fallback forecasts.
        extra: Further parts of the job file.
    """

    name: str
    series: int = 6
    horizon: int = 7
    trained: bool = False
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows of a night."""
        return self.series * self.horizon


SMALL = Shape("small")
WIDE = Shape("wide", series=400, horizon=28)
TRAINED = Shape("trained", trained=True)


@dataclass
class Site:
    """One job: its folder, its database, and how to run it.

    Attributes:
        shape: How large it is.
        database: `sqlite` or `postgresql`.
        root: Folder of everything of the trial; the job is in its folder `job`.
        url: URL of the database, for the campaign itself.
        zygote: Who runs its nights.
        given: What further variables its nights see.
        owner: The job file that owns the job's name, where that is another one than the site's own.
    """

    shape: Shape
    database: str
    root: Path
    url: sa.URL
    zygote: Zygote
    given: dict[str, str] = field(default_factory=dict)
    owner: Path | None = None
    _nights: int = 0

    @property
    def job(self) -> Path:
        """Folder of the job."""
        return self.root / "job"

    @property
    def file(self) -> Path:
        """The job file."""
        return self.owner or self.job / f"{JOB}.yaml"

    @property
    def passing(self) -> Path:
        """Folder for temporary files of its nights."""
        return self.root / "tmp"

    def shown(self, cutoff: str) -> Path:
        """The Parquet file of a night."""
        return self.job / f"forecasts/job={JOB}/cutoff={cutoff}T000000Z/part-0.parquet"

    @property
    def environment(self) -> dict[str, str]:
        """What its nights see of the environment: two URLs that hold secrets among it."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
        return kept | {
            "TMPDIR": str(self.passing),
            "PYTHONPATH": str(ROOT),
            "OUTPUT_URL": secret_url(self.url) if self.database == "postgresql" else "sqlite:///forecasts.db",
            "HOOK": f"http://user:{quote(PASSWORD, safe='')}@127.0.0.1:9/{TOKEN}",
            **self.given,
        }

    def start(self, *arguments: str, **order: Any) -> Night:
        """Start a night, `run` with these arguments; the order is that of `run_night_process`."""
        self._nights += 1
        whole = {
            "arguments": ["run", str(self.file), *arguments],
            "environment": self.environment,
            "folder": str(self.root),
            **order,
        }
        return self.zygote.start(whole, self.root / "said" / f"{self._nights:02d}")

    def engine(self) -> sa.Engine:
        """Connections of the campaign itself."""
        return _engine(self.url)

    def source(self) -> sa.Engine:
        """Connections to the source."""
        return self.engine() if self.database == "postgresql" else _engine(f"sqlite:///{self.job}/source.db")

    def execute(self, statement: str, **values: Any) -> list[Any]:
        """Execute one statement in the database; its rows."""
        with self.engine().begin() as connection:
            found = connection.execute(sa.text(statement), values)
            return list(found) if found.returns_rows else []

    def revise(self) -> None:
        """Change the source, so that a night that was published gives other rows."""
        with self.source().begin() as connection:
            connection.execute(sa.text("UPDATE history SET value = value + 3"))

    def edit(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the job file."""
        settings = yaml.safe_load(self.file.read_text(encoding="utf-8"))
        change(settings)
        self.file.write_text(yaml.safe_dump(settings), encoding="utf-8")


def _engine(url: sa.URL | str) -> sa.Engine:
    url = sa.make_url(url)
    driver = "postgresql+psycopg" if url.get_backend_name() == "postgresql" else url.drivername
    return sa.create_engine(url.set(drivername=driver), poolclass=sa.NullPool)


def secret_url(url: sa.URL) -> str:
    """A URL with the password that must never be seen; the server trusts everybody."""
    return url.set(password=PASSWORD).render_as_string(hide_password=False)


def make_job(site: Site) -> None:
    """Write the source and the job file of a site."""
    history = site.job / "history.parquet"
    rows_of(site.shape).to_parquet(history, index=False)
    url = site.url.render_as_string() if site.database == "postgresql" else "sqlite:///source.db"
    import_file(history, resolve_url(url, site.job), "history", "replace")
    history.unlink()
    forecast: dict[str, Any] = {"frequency": "D", "horizon": site.shape.horizon, "quantile_levels": [0.1, 0.5, 0.9]}
    if not site.shape.trained:
        forecast["min_history"] = 10_000
    source = "${OUTPUT_URL}" if site.database == "postgresql" else "sqlite:///source.db"
    job: dict[str, Any] = {
        "name": JOB,
        "source": {"url": source, "table": "history", "timestamp": "day"},
        "forecast": forecast,
        "network": {"layers": [{"cell": "gru", "units": 4}], "segment": 7, "context_length": 14},
        "training": {"max_steps": 5, "time_limit": 120, "warm_after_days": 300, "retrain_after_days": 900},
        "output": {"url": "${OUTPUT_URL}"},
        **site.shape.extra,
    }
    site.file.write_text(yaml.safe_dump(job), encoding="utf-8")


def rows_of(shape: Shape) -> pd.DataFrame:
    """Weekly patterns with noise, 75 days of each series up to 13 February 2024."""
    random, days = np.random.default_rng(7), pd.date_range("2023-12-01", periods=75, freq="D")
    week = np.tile(np.sin(2 * np.pi * np.arange(75) / 7), shape.series)
    values = np.repeat(10.0 + np.arange(shape.series) % 17, 75) + 5 * week + random.normal(0, 0.5, 75 * shape.series)
    names = np.repeat([f"s{number:03d}" for number in range(shape.series)], 75)
    return pd.DataFrame({"series_id": names, "day": np.tile(days, shape.series), "value": values.round(3)})
