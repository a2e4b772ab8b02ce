"""Accuracy of the nightly job on public series, beside the seasonal naive and what others have published.

    python -m benchmarks.accuracy [--data DIR] [--seeds 3] [--sets tourism_monthly pedestrian] [--peers]

`nightcast import` loads each data set: into SQLite with even seeds, into PostgreSQL with odd ones. The job runs night
by night; each night sees what was known at its cutoff. Forecasts are read back from the table `forecast` and scored
against the published test part; `shared/scoring.py` defines the scores.

With `--peers`, forecasters of others run on the same rows and machine, and this product runs beside them as a library
and with an equal network; see `shared/peers.py`. Their seconds and peak memory are those of a process of their own.

The job sets only what it must: the source, the frequency, the horizon and the quantile levels.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

from benchmarks.accuracy.nights import score_nights
from benchmarks.shared.data_sets import DATA_SETS, FOLDER
from benchmarks.shared.databases import passing_postgres_server
from benchmarks.shared.peers import mean_scores, peers_of
from benchmarks.shared.record import command_line, record

PUBLISHED: dict[str, dict[str, tuple[float, float | None]]] = {
    "tourism_monthly": {
        "AutoETS": (1.531, 0.1002),
        "dynamic optimised Theta": (1.683, 0.0916),
        "DeepAR (Monash archive)": (1.409, None),
        "best of the Monash archive": (1.382, None),
        "TiRex, zero-shot": (1.449, 0.0749),
        "rough GRU over segments": (1.415, 0.0808),
    },
    "tourism_quarterly": {
        "AutoETS": (1.599, 0.0707),
        "Theta (Monash archive)": (1.661, None),
        "DeepAR (Monash archive)": (1.597, None),
        "best of the Monash archive": (1.475, None),
        "TiRex, zero-shot": (1.606, 0.0592),
    },
    "m3_monthly": {
        "AutoETS (Monash archive)": (0.865, None),
        "Theta (Monash archive)": (0.864, None),
        "DeepAR (Monash archive)": (1.167, None),
        "best of the Monash archive": (0.861, None),
        "TiRex, zero-shot": (0.831, 0.0899),
    },
    "m3_quarterly": {
        "AutoETS (Monash archive)": (1.170, None),
        "Theta (Monash archive)": (1.117, None),
        "DeepAR (Monash archive)": (1.310, None),
        "best of the Monash archive": (1.117, None),
    },
    "pedestrian": {"global ridge on 504 lags": (0.935, None), "rough GRU over segments": (0.725, 0.1555)},
    "tourism_monthly_few": {"AutoETS": (1.466, 0.155)},
}
"""MASE and wQL of others on the same split, from publications and from runs that the data's own table lists."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FOLDER, help="folder of the data sets")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", choices=DATA_SETS, default=list(DATA_SETS))
    parser.add_argument("--peers", action="store_true", help="also forecasters of others; the first time installs them")
    parser.add_argument("--peer-seeds", type=int, default=1)
    parser.add_argument("--peer-steps", type=int, help="an upper limit of the peers' steps, to try things out")
    given = parser.parse_args()
    figures: dict[str, float] = {}
    for name in given.sets:
        data_set = DATA_SETS[name]
        folder = data_set.place(given.data)
        with passing_postgres_server() as server:
            runs = [score_nights(data_set, folder, seed, server) for seed in range(given.seeds)]
        means = {key: float(np.mean([each[key] for each in runs])) for key in runs[0]}
        spread = max(abs(each["mase"] / means["mase"] - 1) for each in runs)
        figures |= {f"{name}.{key}": value for key, value in means.items()}
        figures[f"{name}.mase_seeds_apart"] = spread
        show(name, means, spread)
        # Peers read the files of whole sets.
        for peer_name, peer in peers_of(data_set).items() if given.peers and data_set.every == 1 else ():
            scores = mean_scores(peer, data_set, folder, given.peer_seeds, given.peer_steps)
            figures |= {f"{name}.{peer_name}.{key}": value for key, value in scores.items()}
            show_peer(peer_name, scores)
    print(f"Kept in {os.path.relpath(record('accuracy', figures, command_line('accuracy', arguments(given))))}")


def arguments(given: argparse.Namespace) -> list[str]:
    """The arguments that a run is repeated with."""
    found = ["--seeds", str(given.seeds), "--sets", *given.sets]
    if given.peers:
        found += ["--peers", "--peer-seeds", str(given.peer_seeds)]
        found += ["--peer-steps", str(given.peer_steps)] if given.peer_steps else []
    return found


def show(name: str, means: dict[str, float], spread: float) -> None:
    """Print the scores of a data set beside those of the naive and of others."""
    print(f"\n{name:<30}{'MASE':>9}{'sMAPE':>9}{'wQL':>9}{'cov. 80':>9}")
    ours = [means[key] for key in ("mase", "smape", "wql")]
    print(
        f"{'this product':<30}{ours[0]:>9.4f}{ours[1]:>9.4f}{ours[2]:>9.4f}{means['coverage_80']:>9.3f}"
        f"   trained in {means['train_seconds']:.0f} s, seeds within {spread:.1%}"
    )
    naive = [means[f"seasonal_naive.{key}"] for key in ("mase", "smape", "wql")]
    print(f"{'seasonal naive':<30}{naive[0]:>9.4f}{naive[1]:>9.4f}{naive[2]:>9.4f}")
    for other, (mase, wql) in PUBLISHED.get(name, {}).items():
        print(f"{other:<30}{mase:>9.3f}{'':>9}{'' if wql is None else f'{wql:.4f}':>9}")
    print(flush=True)


def show_peer(name: str, means: dict[str, float]) -> None:
    """Print the scores of a peer."""
    print(
        f"{name:<30}{means['mase']:>9.4f}{means['smape']:>9.4f}{means['wql']:>9.4f}{means['coverage_80']:>9.3f}"
        f"   trained in {means['train_seconds']:.0f} s, forecast in {means['forecast_seconds']:.1f} s, "
        f"peak {means['peak_mib']:.0f} MiB",
        flush=True,
    )


if __name__ == "__main__":
    main()
