"""Parts of a forecast, where what forecasts is simple enough to know them by hand."""

from __future__ import annotations

import numpy as np

from models.explanation.changes import future_positions
from models.explanation.explain import explain


def flagged(make_panel, ahead):
    """A series with a season of two and a promotion ahead; its newest season is 4 higher than the hundred before."""
    history = [*np.tile([11.0, 9.0], 100), 15.0, 13.0]
    known = np.r_[np.zeros(202), ahead].astype(np.float32)[:, None]
    return make_panel(
        {"a": history}, season_lengths=(2,), horizon=2, known_future=known, known_future_names=("promotion",)
    )


def added(panel, unseen):
    """The mean of the newest season, its last value beside it, 5 for a promotion, and 1 for the calendar."""
    newest = panel.tail(2)
    season = newest - newest.mean(axis=1, keepdims=True)
    promotion = panel.known_future[future_positions(panel), 0]
    return newest.mean(axis=1, keepdims=True) + season + 5.0 * promotion + ("calendar" not in unseen)


def test_the_parts_of_a_sum_add_up_to_the_forecast_without_a_rest(make_panel):
    panel = flagged(make_panel, [1, 0])
    found = explain(panel, added, ["promotion"])
    level, season, promotion = found.parts
    assert [part.name for part in found.parts] == ["level", "season", "promotion"]
    np.testing.assert_allclose(found.forecast, [[21, 14]])
    np.testing.assert_allclose(level.effect, [[4, 4]], atol=1e-5)
    # The rise of 4 in a hundred seasons is level: 0.04 in a season, half of it to each side of its middle.
    np.testing.assert_allclose(season.effect, [[2 + 0.01, 0 - 0.01]], atol=1e-5)
    np.testing.assert_allclose(promotion.effect, [[5, 0]])
    np.testing.assert_allclose(found.without_all, [[10, 10]], atol=1e-5)
    np.testing.assert_allclose(found.rest, [[-0.01, 0.01]], atol=1e-5)


def test_what_acts_together_is_in_the_rest(make_panel):
    panel = flagged(make_panel, [1, 1])

    def multiplied(panel, unseen):
        return panel.tail(2).mean(axis=1, keepdims=True) * (1 + panel.known_future[future_positions(panel), 0])

    found = explain(panel, multiplied, ["promotion"])
    effects = np.array([part.effect[0, 0] for part in found.parts])
    # 14 doubled is 28; without the level 20, without the promotion 14, without both 10.
    np.testing.assert_allclose(effects, [8, 0, 14], atol=1e-5)
    np.testing.assert_allclose(found.without_all[0, 0], 10, atol=1e-5)
    np.testing.assert_allclose(found.rest[0, 0], 28 - 10 - 22, atol=1e-5)


def test_a_column_that_is_as_usual_already_costs_no_forecast(make_panel):
    asked = []

    def counting(panel, unseen):
        asked.append(unseen)
        return np.zeros((1, 2))

    found = explain(flagged(make_panel, [0, 0]), counting, ["promotion"])
    assert not found.parts[2].effect.any()
    assert len(asked) == 4


def test_public_holidays_are_a_part_where_the_network_sees_them(make_panel):
    def festive(panel, unseen):
        return np.full((1, 2), 3.0 if "holidays" in unseen else 10.0)

    found = explain(make_panel({"a": [1.0, 2.0]}, season_lengths=(1,), horizon=2), festive, holidays=["ES", "FR"])
    assert [(part.kind, part.name) for part in found.parts][-1] == ("holidays", "ES, FR")
    np.testing.assert_array_equal(found.parts[-1].effect, [[7, 7]])
    np.testing.assert_array_equal(found.without_all, [[3, 3]])
