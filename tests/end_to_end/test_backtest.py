"""A backtest as a user sees it: the network, the seasonal naive and challengers on the same past."""

from __future__ import annotations

import json
import re
import sys
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from statsforecast.models import AutoETS, Theta

from flows.cli import main
from flows.job.job import load_job
from tasks.evaluation.backtest import BacktestRun, forecast_origins
from tasks.quiet_keras import quiet_import
from tasks.reading.read_series import Extent, read_series

HORIZON, CUTOFFS = 7, 2
ORIGINS = [datetime(2024, 2, day, tzinfo=UTC) for day in (3, 10)]


def run(*arguments: str) -> dict:
    result = CliRunner().invoke(main, ["backtest", *arguments, "--cutoffs", str(CUTOFFS), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def overall(answer: dict) -> dict[str, dict]:
    return {row["metric"]: row for row in answer["scores"] if row["step"] == 0}


def test_a_backtest_compares_with_the_seasonal_naive_and_publishes_nothing(make_job):
    job = make_job()
    before = {file.name for file in job.parent.iterdir()}
    answer = run(str(job))
    figures = overall(answer)
    assert figures["mase"]["value"] > 0
    assert figures["mase"]["baseline_value"] > 0
    assert figures["mase"]["challengers"] == {}
    assert figures["mae"]["n"] == CUTOFFS * 6 * HORIZON
    assert {file.name for file in job.parent.iterdir()} - before <= {"source.db-shm", "source.db-wal", "reports"}
    [page] = (job.parent / "reports/small").glob("backtest-*Z.html")
    assert answer["page"] == str(page)
    # No night has run, and the job's home lists the backtest.
    assert f'href="{page.name}"' in (page.parent / "index.html").read_text(encoding="utf-8")
    assert "trained once, at the first cutoff" in page.read_text(encoding="utf-8")
    assert {row["segment"] for row in answer["segments"]} == {"region=north", "region=south"}
    compared = {(row["segment"], row["metric"]): row for row in answer["differences"]}
    assert compared["all", "mase"]["low"] <= compared["all", "mase"]["mean"] <= compared["all", "mase"]["high"]
    assert (compared["all", "mase"]["cutoffs"], compared["all", "mase"]["series"]) == (CUTOFFS, 6)
    assert CliRunner().invoke(main, ["backtest", str(job), "--cutoffs", "99"]).exit_code == 2


def test_challengers_forecast_the_same_past_beside_the_network(make_job, history_frame, monkeypatch):
    job = make_job(forecast={"upper_bound": 45})
    monkeypatch.setattr("tasks.evaluation.backtest.worker_count", lambda values: 2)

    answer = run(str(job), "--challengers", "auto_ets, theta")

    figures = overall(answer)
    assert {name for row in answer["scores"] for name in row["challengers"]} == {"auto_ets", "theta"}
    for name, model in (("auto_ets", AutoETS), ("theta", Theta)):
        errors, losses = [], []
        for series_id in "abcdef":
            values = history_frame.loc[history_frame["series_id"] == series_id, "value"].to_numpy()
            for end in (len(values) - 2 * HORIZON, len(values) - HORIZON):
                theirs = model(season_length=7).forecast(y=values[:end], h=HORIZON, level=[80])
                for level, quantile in ((0.1, "lo-80"), (0.5, "mean"), (0.9, "hi-80")):
                    above = values[end : end + HORIZON] - np.minimum(theirs[quantile], 45)
                    losses.append(np.maximum(level * above, (level - 1) * above))
                    errors += [np.abs(above)] if level == 0.5 else []
        assert figures["mae"]["challengers"][name] == pytest.approx(np.mean(errors), rel=1e-4)
        assert figures["pinball_loss"]["challengers"][name] == pytest.approx(np.mean(losses), rel=1e-4)
    assert answer["forecasts"] == CUTOFFS * 7
    assert {name: sum(reasons.values()) for name, reasons in answer["by_fallback"].items()} == {
        "model": CUTOFFS,
        "auto_ets": CUTOFFS,
        "theta": CUTOFFS,
    }


def test_the_table_has_a_column_for_each_and_says_where_the_seasonal_naive_stood_in(make_job, history_frame):
    new = history_frame[history_frame["series_id"] == "a"].query("day >= '2024-02-09'").assign(series_id="new")
    # Two values are enough for this job and for the network, but not for Theta.
    job = make_job(pd.concat([history_frame, new]), forecast={"min_history": 2})

    result = CliRunner().invoke(main, ["backtest", str(job), "--cutoffs", "1", "--challengers", "theta,theta"])

    title, head, *lines = result.stdout.splitlines()
    assert title == "small: 2024-02-10 00:00 to 2024-02-10 00:00, 1 cutoff, trained once, at the first cutoff"
    assert re.split(r" {2,}", head) == ["metric", "model", "seasonal naive", "theta", "n"]
    _, *figures, n = next(line for line in lines if line.startswith("mae")).split()
    assert int(n) == 7 * HORIZON
    assert len(figures) == 3
    assert all(float(figure) > 0 for figure in figures)
    stands_in = "the seasonal naive stands in for 1 of 8 forecasts: "
    # The series "short" has had no value for a month.
    assert sum(line.startswith(f"model: {stands_in}") for line in lines) == 1
    assert f"theta: {stands_in}theta failed: tiny datasets (1)" in lines


@pytest.fixture
def forecast_from(make_job, tmp_path):
    """Forecasts from two cutoffs of a history whose values are absurd after a day."""

    def run_on(frame: pd.DataFrame, poisoned_after: str, train: Literal["once", "each"]) -> list[np.ndarray]:
        later = frame["day"] > poisoned_after
        absurd = pd.DataFrame({"series_id": "from nowhere", "day": frame["day"][later].unique(), "value": -1e12})
        changed = frame.assign(value=frame["value"].where(~later, 1e9 * (1 + frame["day"].dt.day)))
        folder = tmp_path / poisoned_after
        # Enough time on a busy machine too: a training that the time limit cuts short is never the same twice.
        enough = {"max_steps": 5, "time_limit": 3_600}
        loaded = load_job(make_job(pd.concat([changed, absurd.assign(region="north")]), folder=folder, training=enough))
        job = loaded.job
        rows_file = read_series(job, loaded.base, Extent(), folder)
        origins, _ = forecast_origins(BacktestRun(job, rows_file, train=train), ORIGINS)
        known = [np.isin(each.series_ids, frame["series_id"].unique()) for each in origins]
        # A series that begins after the cutoff is not there.
        assert known[0].all()
        return [each.quantiles["model"][mask] for each, mask in zip(origins, known, strict=True)]

    return run_on


def test_absurd_values_after_a_cutoff_change_no_forecast_from_it(forecast_from, history_frame):
    whole, first, second = "2024-02-17", "2024-02-03", "2024-02-10"
    as_it_was = forecast_from(history_frame, whole, "each")
    np.testing.assert_array_equal(forecast_from(history_frame, first, "each")[0], as_it_was[0])
    one, other = (forecast_from(history_frame, day, "once") for day in (whole, second))
    np.testing.assert_array_equal(one[0], as_it_was[0])
    for forecast, poisoned in zip(one, other, strict=True):
        np.testing.assert_array_equal(forecast, poisoned)
    # A network that is trained a week later forecasts something else.
    assert (one[1] != as_it_was[1]).any()


def test_a_training_without_time_for_all_steps_says_so(forecast_from, history_frame, monkeypatch, caplog):
    with quiet_import():
        from models.training import fit as training
    fit = training.fit

    def late(*arguments, **options):
        forecaster, report = fit(*arguments, **options)
        return forecaster, replace(report, cut="there was time for 4 of 5 training steps")

    monkeypatch.setattr("tasks.evaluation.backtest.quiet_import", nullcontext)
    monkeypatch.setattr(training, "fit", late)
    forecast_from(history_frame, "2024-02-17", "once")
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said == [f"{ORIGINS[0]:%Y-%m-%d %H:%M}: there was time for 4 of 5 training steps"]


def test_a_challenger_that_is_not_installed_is_refused_before_anything_is_read(make_job, monkeypatch):
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    job = make_job(source={"table": "nowhere"})
    result = CliRunner().invoke(main, ["backtest", str(job), "--challengers", "theta"])
    assert result.exit_code == 2
    assert result.output.count("Error: ") == 1
    assert "requirements/challengers.txt" in result.stderr
    assert "nowhere" not in result.output
