"""GluonTS's DeepAR with its defaults.

They are two layers of 40, a context of one horizon, 5,000 steps of 32 windows, and Student's t. DeepAR accepts missing
values. Its quantiles are those of its 100 sample paths. Logger and progress bar are off, which only makes it faster.
"""

from __future__ import annotations

import math
import time
import warnings
from typing import Any

import gluonts
import lightning.pytorch as lightning
import numpy as np
import pandas as pd
from gluonts.dataset.common import ListDataset
from gluonts.torch import DeepAREstimator

from benchmarks.workers.protocol import Answer, Request, long_format, peak_mib, step_rate, timer, warm_rate

STEPS_PER_EPOCH = 50
"""The estimator's own number; an upper limit of steps becomes a number of epochs."""

PERIODS = {"MS": "M"}
"""GluonTS counts in periods, and a period of a month has one name for its first and its last day."""


def main() -> None:
    warnings.simplefilter("ignore")
    request = Request.read()
    lightning.seed_everything(request.seed)
    steps = timer(lightning.Callback)
    model = estimator(request, steps)
    history = request.rows()
    began = time.perf_counter()
    predictor = model.train(dataset(request, history))
    train_seconds = time.perf_counter() - began
    in_memory = dataset(request, history)
    rate = warm_rate(len(in_memory), lambda: list(predictor.predict(in_memory)))
    parts, forecast_seconds = [], 0.0
    for cutoff in request.ends:
        rows = request.rows(cutoff)
        began = time.perf_counter()
        paths = list(predictor.predict(dataset(request, rows)))
        quantiles = np.array([[path.quantile(level) for level in request.levels] for path in paths])
        forecast_seconds += time.perf_counter() - began
        names = [path.item_id for path in paths]
        last = rows.groupby("series_id")["timestamp"].max()
        ends = [last[name] for name in names]
        parts.append(long_format(names, ends, request.frequency, request.levels, quantiles.swapaxes(1, 2)))
    moments, version = steps.moments, gluonts.__version__
    answer = Answer(train_seconds, len(moments), step_rate(moments), forecast_seconds, rate, peak_mib(), version)
    answer.write(pd.concat(parts))


def estimator(request: Request, callback: Any) -> DeepAREstimator:
    settings = dict(request.settings)
    trainer: dict[str, object] = {"callbacks": [callback], "logger": False, "enable_progress_bar": False}
    if request.steps is not None:
        settings["num_batches_per_epoch"] = min(STEPS_PER_EPOCH, request.steps)
        trainer["max_epochs"] = math.ceil(request.steps / STEPS_PER_EPOCH)
    frequency = PERIODS.get(request.frequency, request.frequency)
    return DeepAREstimator(frequency, request.horizon, trainer_kwargs=trainer, **settings)


def dataset(request: Request, rows: pd.DataFrame) -> ListDataset:
    frequency = PERIODS.get(request.frequency, request.frequency)
    entries = [
        {"item_id": name, "start": each["timestamp"].iloc[0], "target": each["value"].to_numpy(np.float32)}
        for name, each in rows.groupby("series_id")
    ]
    return ListDataset(entries, freq=frequency)


if __name__ == "__main__":
    main()
