"""Nights whose quantiles are calibrated by earlier evaluations only; scoring undoes the calibration."""

from __future__ import annotations

import shutil
from itertools import pairwise

import numpy as np
import pytest
import yaml

from flows.deployments.dispatch import run_night
from flows.job.job import load_job
from models.calibration.calibration import Calibration
from models.calibration.evidence import Evidence
from sql.output import history
from tasks.forecasting.calibration import unpacked
from tasks.report.details import read_details

FIRST, LAST = 3, 9


@pytest.fixture(scope="module")
def week(make_job_in, tmp_path_factory):
    """A job that ran every night of a week. Tests do not change it."""
    job = make_job_in(tmp_path_factory.mktemp("week"), calibration={"hindcast_weight": 0.5})
    for day in range(FIRST, LAST + 1):
        run_night(job, cutoff=f"2024-02-{day:02}")
    return job


def nights(job):
    places = load_job(job).places
    return places, [row["cutoff"] for row in history.publications(places.engine(), "small")]


def rows(job, cutoff):
    table = history.forecast_of(load_job(job).places.engine(), "small", cutoff).to_pandas()
    return table.drop(columns=["run_id", "created_at"]).sort_values(["series_id", "step"]).reset_index(drop=True)


def test_the_first_night_is_calibrated_by_evaluations_that_are_not_in_sample(week):
    places, cutoffs = nights(week)
    known = Evidence.from_arrays(unpacked(history.calibration_evidence(places.engine(), "small", cutoffs[0])))
    # Two weeks are held out. Each evaluation has half the weight of a live one, and less with age.
    assert known.evaluations.max() == pytest.approx(0.5 * (0.5 ** (np.arange(14) / 60)).sum(), rel=1e-6)
    applied = Calibration.from_arrays(unpacked(history.applied_calibration(places.engine(), "small", cutoffs[0])))
    assert applied.series_ids.tolist() == ["a", "b", "c", "d", "e", "f"]
    assert (
        np.abs(
            applied.positions[0] - Calibration.identity(applied.quantile_levels, 1, np.zeros(0, str)).positions
        ).max()
        > 0.01
    )
    description = read_details(places, cutoffs[0])["network"]["choices"][-1]
    assert description.startswith("the 80 % interval is ")


def test_evaluations_add_up_from_night_to_night(week):
    places, cutoffs = nights(week)
    found = [
        Evidence.from_arrays(unpacked(history.calibration_evidence(places.engine(), "small", cutoff)))
        for cutoff in cutoffs
    ]
    # The first actual of each step arrives on another evaluation.
    assert all(after.evaluations[0] > before.evaluations[0] for before, after in pairwise(found[1:]))
    assert found[-1].evaluations[0] > found[-1].evaluations[-1]
    assert found[-1].series_ids.tolist() == ["a", "b", "c", "d", "e", "f", "short"]
    assert found[-1].series[0, -1] == 0
    assert np.abs(found[-1].drift[0]).max() > 0


def test_a_past_night_run_again_gives_the_same(week, tmp_path):
    job = shutil.copytree(week.parent, tmp_path / "again") / week.name
    _, cutoffs = nights(week)
    assert run_night(job, cutoff="2024-02-07").state == "unchanged"
    for cutoff in cutoffs:
        assert rows(job, cutoff).equals(rows(week, cutoff))


def test_without_calibration_the_networks_own_quantiles_are_published(week, tmp_path):
    job = shutil.copytree(week.parent, tmp_path / "off") / week.name
    settings = yaml.safe_load(job.read_text(encoding="utf-8"))
    job.write_text(yaml.safe_dump({**settings, "calibration": {"enabled": False}}), encoding="utf-8")
    places, cutoffs = nights(job)
    run_night(job, cutoff="2024-02-09")
    raw, published = rows(job, cutoffs[-1]), rows(week, cutoffs[-1])
    by = Calibration.from_arrays(unpacked(history.applied_calibration(places.engine(), "small", cutoffs[-1])))
    from_model = raw["source"] == "model"
    levels = ["q0_1", "q0_5", "q0_9"]
    quantiles = raw.loc[from_model, levels].to_numpy().reshape(6, 7, 3)
    np.testing.assert_allclose(published.loc[from_model, levels].to_numpy().reshape(6, 7, 3), by.quantiles(quantiles))
    assert published.loc[~from_model].equals(raw.loc[~from_model])
    assert not np.allclose(published.loc[from_model, levels], raw.loc[from_model, levels])
