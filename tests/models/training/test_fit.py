"""How the trainings of several members become one. What a training does is in `test_loop.py`."""

from __future__ import annotations

import pytest

from models.settings.forecast import ForecastSettings
from models.settings.network import NetworkSettings
from models.settings.training import TrainingSettings
from models.training import fit as fit_module
from models.training.report import TrainingReport

FORECAST = ForecastSettings(frequency="D", horizon=10)


@pytest.mark.parametrize(("before", "told"), [([300, 424], [300, 424]), ([300], [None, None]), ([], [None, None])])
def test_each_member_is_told_how_many_steps_it_had_time_for_before(monkeypatch, weekly_panel, before, told):
    heard = []

    def train_member(*_, steps_before, **__):
        heard.append(steps_before)
        late = f"there was time for {steps_before} of 600 training steps" if steps_before else ""
        # Nothing was trained, so nothing may be asked of the network.
        report = TrainingReport("scratch", cut=late, kept_champion=True)
        report.planned_steps, report.steps_in_time = [600], [steps_before or 600]
        return report

    monkeypatch.setattr(fit_module, "train_member", train_member)
    settings = NetworkSettings(members=2), TrainingSettings()
    _, report = fit_module.fit(weekly_panel, FORECAST, *settings, steps_before=before)
    assert heard == told
    assert report.planned_steps == [600, 600]
    assert report.steps_in_time == [steps or 600 for steps in told]
    lines = report.cut.split("; ") if report.cut else []
    assert [line.partition(":")[0] for line in lines] == [f"member {n}" for n, steps in enumerate(told, 1) if steps]
