from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.network.forecaster import Forecaster
from models.settings.forecast import ForecastSettings
from models.settings.network import NetworkSettings
from models.settings.training import TrainingSettings
from models.training.fit import fit
from models.training.width import USUAL, expected_width

FORECAST = ForecastSettings(frequency="D", horizon=10, quantile_levels=[0.1, 0.5, 0.9])


@pytest.fixture(scope="module")
def trained(make_panel, make_weekly):
    """A network that has seen a calm past; its panel, and one whose held-out steps are four times as restless."""
    calm = make_panel(make_weekly(30, 140), horizon=10)
    forecaster, _ = fit(calm, FORECAST, NetworkSettings(), TrainingSettings(max_steps=50, batch_size=16))
    values = calm.values.copy()
    random = np.random.default_rng(0)
    for end in calm.offsets[1:]:
        values[end - 14 : end] += 4 * random.normal(size=14)
    return forecaster, calm, replace(calm, values=values)


def test_restless_held_out_steps_widen_and_a_calm_stretch_is_not_believed_whole(trained):
    forecaster, calm, restless = trained
    widths = [np.log(expected_width(forecaster, panel)) for panel in (calm, restless)]
    assert 0 < widths[0] < widths[1] < np.log(2) + 1e-9
    assert abs(widths[0] - USUAL) < 0.15


def test_quantiles_move_away_from_the_median_by_the_width_and_a_stored_version_keeps_it(trained, tmp_path):
    forecaster, calm, _ = trained
    assert forecaster.width == expected_width(forecaster, calm)
    wide = forecaster.predict(calm)
    forecaster.save(tmp_path)
    np.testing.assert_array_equal(Forecaster.load(tmp_path).predict(calm).quantiles, wide.quantiles)
    width, forecaster.width = forecaster.width, 1.0
    try:
        narrow = forecaster.predict(calm)
    finally:
        forecaster.width = width
    middle = list(wide.quantile_levels).index(0.5)
    np.testing.assert_array_equal(wide.quantiles[..., middle], narrow.quantiles[..., middle])
    distance, before = (each.quantiles[..., -1] - each.quantiles[..., middle] for each in (wide, narrow))
    np.testing.assert_allclose(distance, width * before, rtol=1e-6)


def test_a_forecast_of_the_median_alone_has_no_width_to_be_wrong_about(make_panel, make_weekly):
    panel = make_panel(make_weekly(5, 60), horizon=10)
    settings = FORECAST.model_copy(update={"quantile_levels": [0.5]})
    forecaster, _ = fit(panel, settings, NetworkSettings(), TrainingSettings(max_steps=1, batch_size=8))
    assert np.log(forecaster.width) == pytest.approx(USUAL)
