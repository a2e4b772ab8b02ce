"""The cost of a drift and the limits of the year, from simulated forecasts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.year.company import HORIZON, Company
from benchmarks.year.events import evaluations_without, events_of
from benchmarks.year.limits import LIMITS, verdicts_on
from benchmarks.year.plan import Plan
from benchmarks.year.tally import Tally
from models.evaluation.point_errors import ERROR_CAP

UNIT, DRIFT = "2025-03-05", ("2025-03-20", "2025-03-24", 0.8)


@pytest.fixture(scope="module")
def company() -> Company:
    """A company of 24 series that drifts."""
    return Company(4, 6, "2024-01-15", "2025-02-20", 60, Plan(drift=DRIFT), promotions_begin=1 / 20)


def forecasts(company: Company, night: int) -> pd.DataFrame:
    """A night that knows all but the drift, to a tenth, and tells each series in the unit that it had by then."""
    days, season = night + np.arange(1, HORIZON + 1), np.arange(HORIZON) % 7
    undrifted = replace(company, plan=replace(company.plan, drift=None)).values
    median = 1.1 * undrifted[:, days] * company.units[:, [night]] / company.units[:, days]
    naive = undrifted[:, night - 6 + season] * company.units[:, [night]] / company.units[:, night - 6 + season]
    return pd.DataFrame(
        {
            "series_id": np.repeat(company.series_ids, HORIZON),
            "step": np.tile(np.arange(1, HORIZON + 1), len(median)),
            "median": median.ravel(),
            "baseline": naive.ravel(),
            "q0_1": 0.8 * median.ravel(),
            "q0_9": 1.2 * median.ravel(),
        }
    )


def tally_of(company: Company, mislead: Any = lambda rows: rows) -> Tally:
    tally = Tally.empty(company)
    for cutoff in company.cutoffs:
        night = company.day(cutoff)
        tally.add(mislead(forecasts(company, night)), night)
    return tally


def test_a_series_in_another_unit_does_not_decide_what_the_drift_cost(company):
    retold = replace(company, plan=replace(company.plan, unit=UNIT))
    assert (retold.units.max(), (retold.units > 1).any(axis=1).sum()) == (1000, 1)
    effect, other = (tally_of(each).effect() for each in (company, retold))
    drifted = slice(company.day(DRIFT[1]), company.day(company.cutoffs[-1]))
    assert np.median(effect[drifted]) > 0.05
    # By then no night from before the change is judged any more.
    np.testing.assert_allclose(other[drifted], effect[drifted], rtol=1e-9)


def test_a_point_that_is_forecast_in_another_unit_counts_for_ten_seasonal_errors_at_most(company):
    one = company.series_ids[5]
    figures = ["median", "q0_1", "q0_9"]

    def in_thousandths(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(**{name: np.where(rows["series_id"] == one, 1000, 1) * rows[name] for name in figures})

    right, wrong = tally_of(company).loss, tally_of(company, in_thousandths).loss
    np.testing.assert_array_equal(wrong[[1, 3]], right[[1, 3]])
    # A day is forecast by a horizon of nights.
    more = (wrong - right)[[0, 2]]
    assert 0.8 * ERROR_CAP * HORIZON < more.max() <= ERROR_CAP * HORIZON


def test_a_limit_is_kept_up_to_itself_and_not_by_what_is_not_known():
    reached = {limit.figure: limit.most for limit in LIMITS}
    assert all(verdict.kept for verdict in verdicts_on(reached))
    wrong = {"doubled_rows": 1, "nights_to_drift": 15, "nights_to_shift": None, "coverage_error": float("nan")}
    verdicts = verdicts_on(reached | wrong)
    assert {verdict.limit.figure for verdict in verdicts if not verdict.kept} == set(wrong)
    shown = {verdict.limit.figure: str(verdict) for verdict in verdicts}
    assert shown["nights_to_drift"] == "MISSED  nights until the drift is found: 15, at most 14"
    assert shown["nights_to_shift"] == "MISSED  nights until the shift is found: -, at most 14"
    assert shown["false_alerts"] == "kept    alerts of nothing that happened: 1, at most 1"


def test_evaluations_are_counted_on_which_no_event_explains_an_alert_of_all_series(company):
    # The drift stays to the end of the sixty nights; before it there are 28 from 20 February on.
    assert evaluations_without(company, events_of(company)) == 28
    plan = replace(company.plan, drift=None, late="2025-02-22", revised=("2025-03-02", "2025-03-04", "2025-03-09"))
    other = replace(company, plan=plan)
    # A late feed explains no loss; a revision does so until four weeks after the day on which it was made.
    assert evaluations_without(other, events_of(other)) == 60 - (8 + 28)
