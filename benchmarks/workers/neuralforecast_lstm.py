"""neuralforecast's LSTM with its defaults: two layers of 128, a context of three horizons, 1,000 steps of 128 windows.

The defaults cannot stay in three places:

- The loss is `MQLoss` at the requested levels, since the default loss gives one number.
- It refuses missing values: they are filled forward, and values before the first one are zero.
- It refuses a panel in which a series is shorter than the context. Then `start_padding_enabled` is on, as its message
  recommends.

Logger, progress bar and checkpoints are off, which only makes it faster.
"""

from __future__ import annotations

import time
import warnings

import neuralforecast
import numpy as np
import pandas as pd
import pytorch_lightning as lightning
from neuralforecast import NeuralForecast
from neuralforecast.losses.pytorch import MQLoss
from neuralforecast.models import LSTM

from benchmarks.workers.protocol import Answer, Request, long_format, peak_mib, step_rate, timer, warm_rate


def main() -> None:
    warnings.simplefilter("ignore")
    request = Request.read()
    history = filled(request.rows())
    network = model(request, shortest=int(history.groupby("unique_id").size().min()))
    forecaster = NeuralForecast(models=[network], freq=request.frequency)
    began = time.perf_counter()
    forecaster.fit(history)
    train_seconds = time.perf_counter() - began
    moments = forecaster.models[0].trainer_kwargs["callbacks"][0].moments
    series = history["unique_id"].nunique()
    rate = warm_rate(series, forecaster.predict)
    parts, forecast_seconds = [], 0.0
    for cutoff in request.ends:
        rows = request.rows(cutoff)
        began = time.perf_counter()
        predicted = forecaster.predict(df=filled(rows))
        forecast_seconds += time.perf_counter() - began
        parts.append(in_long_format(request, rows, predicted))
    version = neuralforecast.__version__
    answer = Answer(train_seconds, len(moments), step_rate(moments), forecast_seconds, rate, peak_mib(), version)
    answer.write(pd.concat(parts))


def filled(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with the library's column names and without missing values."""
    rows = rows.rename(columns={"series_id": "unique_id", "timestamp": "ds", "value": "y"})
    return rows.assign(y=rows.groupby("unique_id")["y"].ffill().fillna(0.0))


def model(request: Request, shortest: int) -> LSTM:
    settings = dict(request.settings)
    if shortest < settings.get("input_size", 3 * request.horizon):
        settings["start_padding_enabled"] = True
    if request.steps is not None:
        settings["max_steps"] = request.steps
    return LSTM(
        h=request.horizon,
        loss=MQLoss(quantiles=request.levels),
        # The library's default seed is 1.
        random_seed=1 + request.seed,
        callbacks=[timer(lightning.Callback)],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **settings,
    )


def in_long_format(request: Request, rows: pd.DataFrame, predicted: pd.DataFrame) -> pd.DataFrame:
    """The library's forecasts as rows; its columns have the order of the levels."""
    names = [str(name) for name in predicted["unique_id"].unique()]
    last = rows.groupby("series_id")["timestamp"].max()
    columns = [name for name in predicted if name not in ("unique_id", "ds")]
    quantiles = predicted[columns].to_numpy(np.float64).reshape(len(names), request.horizon, len(request.levels))
    return long_format(names, [last[name] for name in names], request.frequency, request.levels, quantiles)


if __name__ == "__main__":
    main()
