"""Flows of one Prefect worker, one after the other."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.shared.command import ROOT
from benchmarks.shared.served import OVER, served
from benchmarks.soak.growth import Sample, sample
from benchmarks.soak.nights import JOB, SMALL_POOLS, cutoffs, make_job


def flow_samples(folder: Path, flows: int) -> list[Sample]:
    """Run nights as flows of a deployment; what was measured of the worker after each."""
    jobs = folder / "jobs"
    make_job(jobs, flows, forecast=dict(_FALLBACK))
    samples = []
    with served(folder / "served", jobs, os.environ | SMALL_POOLS | {"PYTHONPATH": str(ROOT)}) as server:
        worker = server.worker()
        for cutoff in cutoffs(flows):
            state = server.wait_for(server.start_night(JOB, cutoff), OVER, 600)
            if state != "COMPLETED":
                raise RuntimeError(f"The night of {cutoff} ended as {state}.")
            samples.append(sample(worker, folder / "served" / "passing", jobs / "forecasts.db"))
            if len(samples) % 10 == 0:
                print(f"{len(samples)} flows: {samples[-1]}", flush=True)
    return samples


# The worker is measured, so its nights may be cheap.
_FALLBACK = {"frequency": "D", "horizon": 7, "quantile_levels": [0.1, 0.5, 0.9], "min_history": 100_000}
