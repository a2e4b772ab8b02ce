"""The example job as a user finds it, also long after its data end."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import numpy as np
import pytest

from flows.job.cron import Schedule
from flows.job.job import JobError, load_job
from flows.job.schedules import read_schedules, set_schedule
from flows.night.demo import EXAMPLE, make_example
from models.audit.staleness import late_steps, stale_after
from tasks.reading.example_source import LAST_DAY


def test_the_example_raises_no_alert_about_a_source_that_ended_with_it():
    job = load_job(EXAMPLE).job
    grid = job.forecast.grid
    [newest] = np.ravel(grid.to_index(np.array([LAST_DAY], "M8[us]"))[0]).tolist()
    late = late_steps(newest, None, grid.newest_over(datetime(2060, 1, 1, tzinfo=UTC)))
    assert 12_000 < late < stale_after(grid, job.audit)


def test_a_folder_that_cannot_be_made_is_bad_input(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for folder in (tmp_path / "pipe", tmp_path / "pipe" / "demo", tmp_path / ("x" * 300)):
        with pytest.raises(JobError, match=r"cannot be made: .*Name one that this user may make"):
            make_example(folder)


def test_the_example_is_on_a_schedule_until_somebody_takes_it_off(tmp_path, monkeypatch):
    monkeypatch.setenv("NIGHTCAST_JOBS", str(tmp_path))
    make_example(tmp_path)
    assert read_schedules() == {"store-sales": Schedule("0 3 * * *", "Europe/Madrid")}
    set_schedule("store-sales", None)
    make_example(tmp_path)
    assert read_schedules() == {}
