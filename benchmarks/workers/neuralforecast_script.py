"""A script that a team would write: read with pandas, forecast with neuralforecast's LSTM, write with pandas.

    python -m benchmarks.workers.neuralforecast_script FOLDER

FOLDER holds `request.json` with `source` and `output` (SQLAlchemy URLs), `frequency`, `horizon` and `levels`. The table
`observations` of the source has series_id, timestamp and value. The script first trains a network for a few steps,
untimed. It writes `answer.json` with the seconds to read, to predict and to write.
"""

from __future__ import annotations

import json
import time
import warnings

import pandas as pd
import sqlalchemy as sa
from neuralforecast import NeuralForecast
from neuralforecast.losses.pytorch import MQLoss
from neuralforecast.models import LSTM

from benchmarks.workers.protocol import folder

QUERY = "SELECT series_id AS unique_id, timestamp AS ds, value AS y FROM observations"
STEPS = 10


def main() -> None:
    warnings.simplefilter("ignore")
    request = json.loads((folder() / "request.json").read_text(encoding="utf-8"))
    source, output = (sa.create_engine(request[name]) for name in ("source", "output"))
    network = LSTM(
        h=request["horizon"],
        loss=MQLoss(quantiles=request["levels"]),
        max_steps=STEPS,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    forecaster = NeuralForecast(models=[network], freq=request["frequency"])
    forecaster.fit(pd.read_sql(f"{QUERY} WHERE series_id < 'series-000100'", source, parse_dates=["ds"]))
    moments = [time.perf_counter()]
    rows = pd.read_sql(QUERY, source, parse_dates=["ds"])
    moments.append(time.perf_counter())
    forecast = forecaster.predict(df=rows)
    moments.append(time.perf_counter())
    forecast.to_sql("forecast", output, index=False, if_exists="replace")
    moments.append(time.perf_counter())
    names = ("read_seconds", "predict_seconds", "write_seconds")
    spent = {name: after - before for name, before, after in zip(names, moments[:-1], moments[1:], strict=True)}
    (folder() / "answer.json").write_text(json.dumps(spent | {"rows": len(rows)}), encoding="utf-8")


if __name__ == "__main__":
    main()
