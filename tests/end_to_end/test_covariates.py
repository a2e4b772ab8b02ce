"""Nights with every kind of covariate: from the source, from a table beside it, and from the calendar."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from click.testing import CliRunner

from flows.cli import main
from flows.job.job import load_job
from sql.engine.connection import connect
from sql.engine.url import resolve_url
from sql.imports.import_file import import_file
from sql.output import history


def run(*arguments: str, code: int = 0) -> dict:
    result = CliRunner().invoke(main, [*arguments, "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def load_table(frame: pd.DataFrame, folder: Path, table: str) -> None:
    frame.to_parquet(folder / f"{table}.parquet", index=False)
    import_file(folder / f"{table}.parquet", resolve_url("sqlite:///source.db", folder), table, "replace")


def test_nights_with_holidays_static_numbers_and_promotions_from_a_table_of_their_own(
    make_job, history_frame, tmp_path
):
    frame = history_frame.assign(area=history_frame["series_id"].map({"a": 100.0, "b": 250.5, "c": 80.0}))
    job = make_job(
        frame,
        source={
            "url": "sqlite:///source.db",
            "table": "history",
            "timestamp": "day",
            "static": ["region"],
            "static_numbers": ["area"],
            "known_future_from": {"table": "promotions", "series_id": "item", "columns": ["promotion", "price"]},
        },
        forecast={"holidays": "ES-MD", "missing_future": {"promotion": "zero", "price": "last"}},
    )
    days = pd.date_range("2023-10-01", "2024-02-09")
    promotions = pd.concat(
        pd.DataFrame({"item": item, "day": days, "promotion": np.arange(len(days)) % 5 // 4, "price": 2.5})
        for item in "abcdef"
    )
    load_table(promotions, tmp_path, "promotions")

    first = run("run", str(job), "--cutoff", "2024-02-03")
    assert first["train_mode"] == "scratch"
    # Of seven days ahead the table holds six, of six of the seven series.
    assert [each for each in first["findings"] if "steps ahead" in each] == [
        "13 steps ahead without promotion (for example a, b, c, d, e): treated as 0",
        "13 steps ahead without price (for example a, b, c, d, e): the last known value of the series is used, or "
        "the mean where it has none",
    ]

    # Nothing at all is known ahead now, and a series has moved to a region that the network has never seen.
    load_table(promotions[:1], tmp_path, "promotions")
    load_table(frame.assign(region=frame["region"].where(frame["series_id"] != "a", "abroad")), tmp_path, "history")
    second = run("run", str(job), "--cutoff", "2024-02-04", "--train", "never")
    assert "49 steps ahead without price" in " ".join(second["findings"])
    for day in (3, 4):
        rows = history.forecast_of(load_job(job).places.engine(), "small", datetime(2024, 2, day, tzinfo=UTC))
        forecasts = rows.to_pandas().set_index("series_id")
        assert np.isfinite(forecasts[["mean", "median", "q0_1", "q0_9"]]).all(axis=None)
        assert set(forecasts.loc[list("abcdef"), "source"]) == {"model"}

    with connect(resolve_url("sqlite:///source.db", tmp_path)).begin() as connection:
        connection.exec_driver_sql("ALTER TABLE promotions RENAME COLUMN price TO prices")
    error = run("run", str(job), code=2)["error"]
    assert "There is no column 'price'" in error
    assert "Did you mean 'prices'?" in error

    # A job that leaves a covariate out has no use for a network that wants it.
    job.write_text(job.read_text().replace("promotion\n    - price", "promotion").replace("    price: last\n", ""))
    error = run("run", str(job), "--train", "never", code=2)["error"]
    assert "built for known_future ['price', 'promotion'] (now ['promotion'])" in error
