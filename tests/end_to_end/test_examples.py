"""The example job files: each is a job, and the two founding stacks train and forecast."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from flows.deployments.dispatch import run_night
from flows.job.job import load_job
from flows.night.demo import EXAMPLE
from sql.output import history
from tasks.reading.example_source import make_example_source

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("file", [EXAMPLE, *sorted(EXAMPLES.glob("*.yaml"))], ids=lambda file: file.stem)
def test_an_example_is_a_job_named_like_its_file(file: Path) -> None:
    assert load_job(file).job.name == file.stem


@pytest.mark.parametrize(
    ("name", "parameters"), [("embedding-lstm", "164,106"), ("embedding-gru-simple-rnn", "361,866")]
)
def test_a_founding_stack_trains_and_forecasts(name: str, parameters: str, tmp_path: Path) -> None:
    make_example_source(tmp_path / "demo")
    (tmp_path / "examples").mkdir()
    job = tmp_path / "examples" / f"{name}.yaml"
    written = (EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8")
    # A test wants to see it work, not to wait until it is good, or was tried on half a year of nights.
    few = re.sub(r"time_limit: \d+", "max_steps: 3", written) + "\nmonitor: {hindcast_nights: 3}\n"
    job.write_text(few, encoding="utf-8")

    night = run_night(job)

    details: dict[str, Any] = json.loads(Path(night.report).with_suffix(".json").read_text(encoding="utf-8"))
    assert f"Total params: {parameters} " in details["network"]["summary"]
    assert details["training"]["steps"] > 0
    loaded = load_job(job)
    rows = history.latest_forecast(loaded.places.engine(), loaded.job.name).to_pandas()
    assert len(rows) == 60 * 10
    assert (rows["source"] == "model").sum() >= 58 * 10
    assert rows["median"].between(0, 3000).all()
