"""The nightly job on a data set, night by night, and the scores of its forecasts."""

from __future__ import annotations

import subprocess
import tempfile
from datetime import UTC
from pathlib import Path

import pandas as pd
import sqlalchemy as sa
from pandas.tseries.frequencies import to_offset

from benchmarks.shared.command import NIGHTCAST, ROOT
from benchmarks.shared.data_sets import LEVELS, DataSet, is_rolling
from benchmarks.shared.databases import new_database
from benchmarks.shared.scoring import score
from flows.deployments.dispatch import run_night
from models.lifecycle.retraining import Policy
from sql.engine.connection import connect
from sql.engine.url import resolve_url

JOB = """
name: {name}
source: {{url: "{url}", table: observations}}
forecast: {{frequency: {frequency}, horizon: {horizon}, quantile_levels: {levels}}}
training: {{seed: {seed}}}
output: {{url: "{output}"}}
"""


def score_nights(data_set: DataSet, data: Path, seed: int, server: sa.URL) -> dict[str, float]:
    """Every night of a data set with one seed; its scores.

    Args:
        data_set: The data set.
        data: Where it is.
        seed: Of the training; odd seeds use PostgreSQL, even ones SQLite.
        server: A PostgreSQL server.

    Returns:
        mase, smape, wql, coverage_80, the first three for the seasonal naive, and train_seconds.
    """
    history, actuals = data_set.read(data)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        urls = [f"sqlite:///{place / each}.db" for each in ("source", "output")]
        if seed % 2:
            urls = [new_database(server, f"{each}_{data_set.name}_{seed}") for each in ("source", "output")]
        _load(history, place, urls[0], "create")
        cutoffs = data_set.cutoffs(history, actuals)
        if is_rolling(actuals, cutoffs):
            _load(actuals, place, urls[0], "append")
        job = place / f"{data_set.name}.yaml"
        text = JOB.format(
            name=data_set.name, url=urls[0], output=urls[1], frequency=data_set.frequency,
            horizon=data_set.horizon, levels=LEVELS.tolist(), seed=seed,
        )  # fmt: skip
        job.write_text(text, encoding="utf-8")
        train_seconds = _run_nights(data_set, job, cutoffs)
        forecast = _stored_forecasts(urls[1])
        figures = score(data_set, history, actuals, forecast)
        naive = score(data_set, history, actuals, forecast, naive="baseline")
    print(f"{data_set.name}, seed {seed}: MASE {figures['mase']:.4f}, wQL {figures['wql']:.4f}", flush=True)
    figures |= {f"seasonal_naive.{name}": naive[name] for name in ("mase", "smape", "wql")}
    return figures | {"train_seconds": train_seconds}


def _run_nights(data_set: DataSet, job: Path, cutoffs: list[pd.Timestamp]) -> float:
    """Run the nights; the seconds of the longest training."""
    seconds = [0.0]
    for number, cutoff in enumerate(cutoffs):
        # Cutoffs that follow each other closely share one training, as in a month of nights.
        train: Policy = "scratch" if number == 0 or data_set.frequency == "MS" else "never"
        moment = cutoff.to_pydatetime().replace(tzinfo=UTC)
        over = (cutoff + to_offset(data_set.frequency)).to_pydatetime().replace(tzinfo=UTC)
        summary = run_night(job, cutoff=moment, train=train, now=over)
        seconds.append(summary.seconds["fit"] if train == "scratch" else 0.0)
    return max(seconds)


def _stored_forecasts(url: str) -> pd.DataFrame:
    """The table `forecast`, timestamps without their zone."""
    with connect(resolve_url(url)).connect() as connection:
        frame = pd.read_sql(sa.text("SELECT * FROM forecast"), connection)
    for column in ("cutoff", "timestamp"):
        frame[column] = pd.to_datetime(frame[column], utc=True, format="ISO8601").dt.tz_localize(None)
    return frame


def _load(rows: pd.DataFrame, place: Path, url: str, mode: str) -> None:
    file = place / f"{mode}.parquet"
    rows.to_parquet(file, index=False)
    command = [*NIGHTCAST, "import", str(file), "--to", url, "--table", "observations", "--mode", mode]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
