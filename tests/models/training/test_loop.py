from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from models.errors import TrainingFailed
from models.network.choose_plan import choose
from models.network.member import Member
from models.network.vocabulary import Vocabulary
from models.settings.forecast import ForecastSettings
from models.settings.network import Layer, NetworkSettings
from models.settings.training import TrainingSettings
from models.training.fit_member import built
from models.training.loop import COOLING_ROUNDS, ROUND, WARM_SHARE, train
from models.training.report import Start, TrainingReport, merged
from models.training.split import Origins, choose_windows
from models.training.time_budget import SETTLING_SHARE

FORECAST = ForecastSettings(frequency="D", horizon=10, quantile_levels=[0.1, 0.5, 0.9])
NETWORK = NetworkSettings(layers=[Layer(cell="gru", units=16)], context_length=28)
BATCH = 16


class WorkClock:
    """A clock that the training steps move on, and not the machine.

    Attributes:
        seconds_a_step: Seconds of the step after so many steps.
        steps: Steps drawn so far.
        now: The time.
    """

    def __init__(self, seconds_a_step: Callable[[int], float]) -> None:
        self.seconds_a_step, self.steps, self.now = seconds_a_step, 0, 0.0

    def __call__(self) -> float:
        return self.now

    def timed(self, origins: Origins) -> Origins:
        clock = self

        class Timed(Origins):
            def draw(self, random, count):
                for _ in range(count // BATCH):
                    clock.now += clock.seconds_a_step(clock.steps)
                    clock.steps += 1
                return super().draw(random, count)

        return Timed(origins.newest, origins.count, origins.half_life)


@pytest.fixture(scope="module")
def course(weekly_panel, kept_graphs):
    """Train a fresh network, and give its weights; options of `train` and of the plan by keyword.

    `shares_nothing` is for a training with a graph of its own.
    """

    def run(
        panel=weekly_panel,
        *,
        plan_facts=None,
        weights=None,
        seed=0,
        time_limit=604_800.0,
        patience=100,
        shares_nothing=False,
        **options,
    ):
        keras.utils.set_random_seed(0)
        plan = choose(panel, FORECAST, NETWORK, TrainingSettings(max_steps=150, batch_size=BATCH))[0][0]
        plan = replace(plan, **(plan_facts or {}))
        member = Member(plan, Vocabulary.of(panel))
        network = (built if shares_nothing else kept_graphs.built)(member, panel)
        if weights is not None:
            network.set_weights(weights)
        windows = choose_windows(panel.offsets, panel.observed, plan)
        if isinstance(clock := options.get("clock"), WorkClock):
            windows = replace(
                windows, training=clock.timed(windows.training), everything=clock.timed(windows.everything)
            )
        report = train(
            network,
            member.flatten(panel),
            windows,
            TrainingSettings(seed=seed, time_limit=time_limit, patience=patience),
            **options,
        )
        return network.get_weights(), report

    return run


@pytest.fixture(scope="module")
def trained(course):
    """What a training without any options gives; many tests look at the same one."""
    return course(shares_nothing=True)


@pytest.fixture(scope="module")
def trained_with_another_seed(course):
    return course(seed=1)


def test_training_learns_the_season(trained):
    _, report = trained
    losses = [entry["validation_loss"] for entry in report.history]
    assert len(losses) == 150 // ROUND
    # An untrained network is a mean of simple forecasts already, so the first round is a good forecast.
    assert report.validation_loss == min(losses) < 0.97 * losses[0]
    settling = report.steps - 150
    assert settling > 0
    assert report.cut == ""
    assert report.stopped == f"all 150 steps were made, then {settling} more steps with the newest windows"


def test_the_same_seed_gives_the_same_weights_bit_by_bit(course, trained, trained_with_another_seed):
    first, _ = trained
    second, _ = course(shares_nothing=True)
    other, _ = trained_with_another_seed
    for mine, theirs in zip(first, second, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


def test_where_there_is_no_time_for_all_steps_a_slower_machine_trains_the_same_network(course):
    network, report = course(time_limit=100.0, clock=WorkClock(lambda step: 0.6))
    assert report.history[-1]["step"] == 106
    assert (report.planned_steps, report.steps_in_time) == ([150], [106])
    assert report.stopped.startswith("all 106 steps were made that there was time for")
    assert report.cut == (
        "there was time for 106 of 150 training steps, because all would have taken about 108 s and "
        "training.time_limit left 100 s"
    )
    slower, repeated = course(time_limit=100.0, clock=WorkClock(lambda step: 0.62))
    assert repeated.history == report.history
    # So slow that only a job that had as many steps before has them again.
    slowest, _ = course(time_limit=100.0, clock=WorkClock(lambda step: 0.69), start=Start("scratch", steps_before=106))
    for mine, *others in zip(network, slower, slowest, strict=True):
        for theirs in others:
            np.testing.assert_array_equal(mine, theirs)


def test_a_machine_that_becomes_too_slow_ends_training_in_time_and_says_so(course):
    clock = WorkClock(lambda step: 0.3 if step < 3 * ROUND else 1.6)
    network, report = course(time_limit=100.0, clock=clock)
    assert clock.now < 100.0 + ROUND * 1.6
    assert report.stopped.startswith("the time limit of 100 s")
    assert report.cut == (
        "training.time_limit ended the training after 125 of 150 steps, so a repeated night may give other forecasts"
    )
    assert report.steps_in_time == [150]
    assert all(np.isfinite(weight).all() for weight in network)


def test_a_machine_that_becomes_too_slow_at_the_end_says_so_too(course, trained):
    _, report = course(time_limit=100.0, clock=WorkClock(lambda step: 0.3 if step < 150 else 9.0))
    assert trained[1].steps - 150 > ROUND
    assert report.steps == 150 + ROUND
    assert f"after {ROUND} of {trained[1].steps - 150} steps with the newest windows" in report.cut


# The first one ends before the speed is known.
@pytest.mark.parametrize(("patience", "begins"), [(1, "1 validation"), (3, "3 validations")])
def test_once_nothing_more_is_learnt_the_rate_falls_to_zero_and_training_ends(course, patience, begins):
    # At this rate no weight moves, so the first round is the best.
    _, report = course(patience=patience, plan_facts={"learning_rate": 1e-30, "max_steps": 400})
    assert report.stopped.startswith(f"{begins} without improvement, then the rate fell to zero")
    cooled = ROUND * (1 + patience + COOLING_ROUNDS)
    assert [each["step"] for each in report.history] == list(range(ROUND, cooled + 1, ROUND))
    assert report.steps == cooled + ROUND * SETTLING_SHARE
    # It was not the time that ended it.
    assert report.steps_in_time == report.planned_steps == [400]
    assert report.cut == ""


def test_a_warm_start_that_finds_nothing_better_keeps_the_champion(course, trained):
    champion = trained[0]
    # At this rate no weight moves; at a wild one it is luck, and another on each backend, whether it finds better ones.
    network, report = course(
        start=Start("warm"), weights=champion, plan_facts={"learning_rate": 1e-30, "max_steps": 100}
    )
    assert report.kept_champion
    assert report.validation_loss == report.champion_validation_loss
    for mine, theirs in zip(network, champion, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_warm_start_goes_on_where_the_champion_stopped(course):
    # So early that there is much left to learn, whatever is drawn and dropped.
    early, first = course(plan_facts={"max_steps": 10})
    _, report = course(start=Start("warm"), weights=early, plan_facts={"max_steps": 400})
    assert not report.kept_champion
    assert report.validation_loss < report.champion_validation_loss
    assert report.champion_validation_loss < 2 * first.validation_loss


def test_a_loss_that_is_not_finite_is_tried_at_lower_rates_and_then_given_up(course, trained):
    broken = list(trained[0])
    broken[0] = np.full_like(broken[0], np.nan)
    with pytest.raises(TrainingFailed, match=r"not finite 4 times.*Lower training.learning_rate"):
        course(weights=broken)


def test_progress_has_the_loss_and_the_time_left(course):
    seen: list[Any] = []
    course(on_progress=seen.append)
    assert [each.step for each in seen] == list(range(ROUND, 151, ROUND))
    # The first round compiles. The newest windows come after the last round, a fifth of all steps more.
    assert [each.seconds_left is None for each in seen] == [True] + [False] * (len(seen) - 1)
    assert 0 < seen[-1].seconds_left < seen[-2].seconds_left
    assert seen[0].steps == 150
    assert all(np.isfinite(each.loss) and np.isfinite(each.validation_loss) for each in seen)


@pytest.mark.parametrize("seconds_to_compile", [0.0, 90.0])
def test_the_time_left_is_right_within_a_third_as_soon_as_it_is_told(course, seconds_to_compile):
    clock = WorkClock(lambda step: seconds_to_compile / ROUND + 0.1 if step < ROUND else 0.1)
    told: list[tuple[float, float | None]] = []
    course(time_limit=1_000.0, clock=clock, on_progress=lambda each: told.append((clock.now, each.seconds_left)))
    assert len(told) > 3
    for now, left in told[1:]:
        assert left == pytest.approx(clock.now - now, rel=1 / 3)


def test_series_too_short_for_any_window_are_an_error(course, make_panel):
    with pytest.raises(TrainingFailed, match="No series is long enough"):
        course(make_panel({"a": [1.0]}, horizon=10))


@pytest.mark.parametrize("steps", [1, 10, 40])
def test_not_one_step_more_is_made_than_was_asked_for(course, steps):
    _, report = course(plan_facts={"max_steps": steps})
    assert [entry["step"] for entry in report.history] == [*range(ROUND, steps, ROUND), steps]
    # Settling on the newest windows comes on top: a fifth of the steps up to the best weights.
    assert report.steps <= 1.2 * steps + 1


def test_a_warm_start_takes_a_quarter_of_the_steps(course, trained):
    champion = trained[0]
    _, report = course(start=Start("warm"), weights=champion, plan_facts={"max_steps": 200})
    assert len(report.history) <= round(200 * WARM_SHARE) // ROUND


def test_a_slow_clock_changes_nothing_while_there_is_time_for_all_steps(course, trained):
    fast, _ = trained
    slow, _ = course(time_limit=604_800.0, clock=iter(np.arange(0, 1e7, 100.0)).__next__)
    for mine, theirs in zip(fast, slow, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_the_reports_of_members_are_merged_into_one(trained, trained_with_another_seed):
    one, other = trained[1], trained_with_another_seed[1]
    both = merged([one, other])
    assert both.steps == one.steps + other.steps
    assert both.validation_loss == pytest.approx((one.validation_loss + other.validation_loss) / 2)
    assert both.champion_validation_loss is None
    assert (both.planned_steps, both.steps_in_time, both.cut) == ([150, 150], [150, 150], "")
    late = TrainingReport("scratch", validation_loss=1.0, cut="there was no time")
    assert merged([one, late]).cut == "member 2: there was no time"
    assert merged([one]) is one


def test_a_moment_of_load_leaves_the_number_of_steps_as_it_is(course, trained):
    clock = WorkClock(lambda step: 5.0 if ROUND <= step < 2 * ROUND else 0.1)
    loaded, report = course(time_limit=200.0, clock=clock)
    assert (report.steps_in_time, report.cut) == ([150], "")
    for mine, theirs in zip(loaded, trained[0], strict=True):
        np.testing.assert_array_equal(mine, theirs)
