"""Changes of unit are found, and what series do by themselves is not taken for one."""

from __future__ import annotations

import numpy as np
import pytest

from models.audit.unit_changes import unit_changes
from models.panel.panel import Panel

SERIES, DAYS = 300, 730
DAY = np.arange(DAYS)
RANDOM = np.random.default_rng(11)
LEVEL = 10 ** RANDOM.uniform(0, 4, (SERIES, 1))


def panel_of(values: np.ndarray, season_length: int = 7) -> Panel:
    count, length = values.shape
    return Panel(
        values=values.astype(np.float32).ravel(),
        offsets=np.arange(count + 1) * length,
        series_ids=np.array([f"s{i:04}" for i in range(count)]),
        frequency="D",
        cutoff_index=length,
        season_lengths=(season_length,),
        horizon=7,
    )


def noise(sigma: float, length: int = DAYS) -> np.ndarray:
    return np.exp(RANDOM.normal(0, sigma, (SERIES, length)))


def starting(first: int, last: int) -> np.ndarray:
    return RANDOM.integers(first, last, (SERIES, 1))


WELL = {
    "weekly": LEVEL * (1 + 0.5 * np.sin(2 * np.pi * DAY / 7)) * noise(0.3),
    "closed on Sundays, hardly open on Saturdays": LEVEL * np.array([1, 1, 1, 1, 1, 0.02, 0])[DAY % 7] * noise(0.3),
    "yearly, twenty times as much in summer": LEVEL * np.exp(1.5 * np.sin(2 * np.pi * DAY / 365)) * noise(0.3),
    "open in summer only, ten times as much": LEVEL
    * np.where((DAY + starting(0, 365)) % 365 < 150, 10, 1)
    * noise(0.3),
    "intermittent": RANDOM.poisson(0.3, (SERIES, DAYS)),
    "lumpy": RANDOM.negative_binomial(0.3, 0.02, (SERIES, DAYS)),
    "growing by 2 % a day": LEVEL * 1.02**DAY,
    "growing by 20 % a day": LEVEL * 1.2 ** np.arange(100),
    "launched": LEVEL * (0.01 + 1 / (1 + np.exp((starting(50, 700) - DAY) / 3))) * noise(0.2),
    "around zero": 10 + 10 * np.sin(2 * np.pi * DAY / 365) + RANDOM.normal(0, 3, (SERIES, DAYS)),
    "wandering": LEVEL * np.exp(np.cumsum(RANDOM.normal(0, 0.1, (SERIES, DAYS)), axis=1)),
    "constant": np.full((SERIES, DAYS), 3.0),
    "zero": np.zeros((SERIES, DAYS)),
}


@pytest.mark.parametrize("kind", WELL)
def test_what_series_do_by_themselves_is_no_change_of_unit(kind):
    assert len(unit_changes(panel_of(WELL[kind])).series) == 0


@pytest.mark.filterwarnings("error")
def test_the_night_of_a_solar_plant_is_no_change_of_unit():
    hours = np.arange(24 * 60)
    power = np.maximum(0, np.sin(2 * np.pi * hours / 24)) * noise(0.5, 60).repeat(24, axis=1)
    assert len(unit_changes(panel_of(LEVEL * power, season_length=24)).series) == 0


@pytest.mark.parametrize("power", [-3, -2, -1, 1, 2, 3])
@pytest.mark.parametrize(
    ("kind", "least"), [("steady", 0.99), ("weekly", 0.8), ("sparse", 0.6), ("yearly", 0.0)], ids=lambda each: str(each)
)
def test_a_changed_unit_is_found_at_its_step_with_its_power_of_ten(kind, least, power):
    values = {
        "steady": RANDOM.poisson(50, (SERIES, DAYS)) + 1.0,
        "weekly": WELL["weekly"],
        "sparse": RANDOM.poisson(8, (SERIES, DAYS)) * (RANDOM.random((SERIES, DAYS)) < 0.4),
        "yearly": LEVEL * np.exp(np.sin(2 * np.pi * (DAY + starting(0, 365)) / 365)) * noise(0.2),
    }[kind]
    at = starting(40, 720)
    found = unit_changes(panel_of(np.where(at <= DAY, values * 10.0**power, values)))
    assert len(found.series) >= least * SERIES
    assert (found.power == power).all()
    if kind in ("steady", "weekly"):
        wrong = found.position - found.series * DAYS != at[found.series, 0]
        assert wrong.mean() < 0.02


def test_a_level_that_comes_back_is_no_change_of_unit():
    values = 20 + RANDOM.poisson(5, (SERIES, DAYS))
    begin = starting(60, 600)
    values = np.where((begin <= DAY) & (begin + 40 > DAY), 10 * values, values)
    assert len(unit_changes(panel_of(values)).series) <= SERIES // 100


def test_gaps_and_stretches_worked_on_apart_change_nothing(monkeypatch):
    values = np.where(DAY >= 400, 1000.0, 1.0) * (5 + DAY % 7)
    values = np.tile(values, (SERIES, 1))
    values[:, ::3] = np.nan
    whole = unit_changes(panel_of(values))
    assert (whole.position - whole.series * DAYS).tolist() == [400] * SERIES
    monkeypatch.setattr("models.panel.panel.STRETCH", 5_000)
    for one, other in zip(whole, unit_changes(panel_of(values)), strict=True):
        np.testing.assert_array_equal(one, other)
