"""Watching the loss over nights: alerts open once, close once, and have a diagnosis."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from models.evaluation.evaluation_loss import EvaluationLoss
from models.monitoring.signals import Signal, false_alarm_rate
from models.settings.forecast import ForecastSettings
from models.settings.monitoring import MonitorSettings
from sql.errors import SourceError
from sql.output import history, write
from tasks.monitoring.answer import accept_alert, acknowledge_alert
from tasks.monitoring.replay import by_segment, episodes_of, is_quiet, replay_rule
from tasks.monitoring.usual import usual_ratio_of
from tasks.monitoring.watch import PastLosses, watch
from tasks.night.ledger import Ledger

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
NOW = datetime(2024, 6, 1, tzinfo=UTC)
RULE = MonitorSettings(reference_nights=28)
# What the nights before the first one would have lost: a cycle, so that there is some spread.
BEFORE = [0.48, 0.50, 0.52, 0.50] * 10


def day(number: int, first: datetime = FIRST) -> datetime:
    return first + timedelta(days=number)


def calibrated(coverage):
    """Parts of a job whose widest interval is calibrated to hold this share of the actuals."""
    levels = [0.5 - coverage / 2, 0.5, 0.5 + coverage / 2]
    return {"forecast": ForecastSettings(frequency="D", horizon=3, quantile_levels=levels), "calibration": {}}


def watched(monitor=RULE, time_zone="UTC", **parts):
    """Parts of a job with settings of what is watched; nothing is calibrated where the parts say nothing else."""
    forecast = ForecastSettings(frequency="D", horizon=3, time_zone=time_zone)
    return {"forecast": forecast, "monitor": monitor, "calibration": {"enabled": False}} | parts


@pytest.fixture
def evaluation(make_night):
    """Runs one evaluation of losses, the baseline's being 1, with a bias and a coverage where given."""

    def run(number, losses, first=FIRST, job=None, **facts):
        given = {
            segment: EvaluationLoss(loss, 1.0, **{"coverage": 0.8, "bias": 0.0, "n": 10, "instability": 0.2, **facts})
            for segment, loss in losses.items()
        }
        return watch(make_night(day(number, first), **(job or watched())), given).changes

    return run


@pytest.fixture
def run_nights(places, evaluation):
    """Runs evaluations of the given losses, one a day from `first` on, after a backtest of 40 nights."""

    def run(losses, segment="all", first=FIRST, **facts):
        with_backtest(places, segment)
        changes = []
        for number, loss in enumerate(losses):
            changes += evaluation(number, {segment: loss}, first, **facts)
        return changes

    return run


def with_backtest(places, *segments, losses=BEFORE):
    write.upsert_hindcast_losses(
        places.engine(),
        [
            {
                "job": "sales", "evaluated_on": day(number - len(losses) - 5), "segment": segment,
                "model_version": "v1", "in_sample": False,
                "loss": loss, "baseline_loss": 1.0, "coverage": 0.8 + (number % 3 - 1) / 50,
                "bias": (number % 5 - 2) / 50, "n": 10, "instability": 0.2 + (number % 4 - 1.5) / 100,
            }
            for number, loss in enumerate(losses)
            for segment in segments
        ],
    )  # fmt: skip


def test_steady_losses_open_no_alert(places, run_nights):
    assert run_nights([0.5, 0.51, 0.49]) == []
    rows = history.losses(places.engine(), "sales")
    assert [row["state"] for row in rows] == ["ok"] * 3
    assert 0.05 <= rows[-1]["detectable_effect"] < 0.3
    assert {signal: verdict["state"] for signal, verdict in rows[-1]["other_signals"].items()} == {
        "bias": "ok", "coverage": "ok", "instability": "ok",
    }  # fmt: skip


def test_without_enough_nights_to_compare_with_nothing_is_evaluated(places, evaluation):
    evaluation(0, {"all": 5.0})
    [row] = history.losses(places.engine(), "sales")
    assert (row["state"], row["reason"]) == ("not evaluated", "0 nights to compare with, 28 needed")
    assert row["detectable_effect"] is None


def test_a_worse_loss_opens_one_alert_with_its_size_in_words_and_the_day_it_began(places, run_nights):
    [message] = run_nights([0.5, 0.5, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6])
    [alert] = history.alerts(places.engine(), "sales")
    assert message == "sales, all: 20 % worse against the seasonal naive since 4 January 2024"
    assert (alert["state"], alert["onset"], alert["signal"]) == ("open", day(3), "loss")
    assert alert["effect"] == pytest.approx(0.2, abs=0.02)
    assert alert["onset"] < alert["opened_at"]


def test_a_loss_that_comes_back_closes_the_alert(places, run_nights):
    opened, closed = run_nights([0.5] * 3 + [0.9] * 6 + [0.5] * 5)
    [alert] = history.alerts(places.engine(), "sales")
    assert "80 % worse" in opened
    assert closed == "sales, all: the loss is back to its level before 4 January 2024"
    assert (alert["state"], alert["closed_at"]) == ("closed", day(11))


def test_a_night_without_actuals_is_not_evaluated_and_closes_nothing(places, run_nights, evaluation):
    run_nights([0.5] * 3 + [0.9] * 6)
    evaluation(9, {"all": float("nan")}, n=0)
    row = history.losses(places.engine(), "sales")[-1]
    assert (row["state"], row["reason"]) == ("not evaluated", "no new actual has arrived")
    assert history.alerts(places.engine(), "sales")[0]["state"] == "open"


def test_a_night_with_few_actuals_is_not_evaluated(places, run_nights, evaluation):
    run_nights([0.5] * 3)
    evaluation(3, {"all": 9.0}, n=2)
    row = history.losses(places.engine(), "sales")[-1]
    assert (row["state"], row["reason"]) == ("not evaluated", "2 actuals tonight, usually 10")


def test_the_same_night_twice_opens_one_alert(places, run_nights, evaluation):
    losses = [0.5] * 3 + [0.9] * 5
    run_nights(losses)
    evaluation(len(losses) - 1, {"all": 0.9})
    assert len(history.alerts(places.engine(), "sales")) == 1
    assert len(history.losses(places.engine(), "sales")) == len(losses)


def test_an_alert_that_a_first_run_closed_is_open_again_where_the_second_run_is_still_degraded(
    places, run_nights, evaluation
):
    run_nights([0.5] * 3 + [0.9] * 6 + [0.5] * 3)
    assert history.alerts(places.engine(), "sales")[0]["state"] == "closed"
    evaluation(11, {"all": 0.9})
    [alert] = history.alerts(places.engine(), "sales")
    assert (alert["state"], alert["closed_at"]) == ("open", None)


def test_the_alert_of_a_segment_that_is_gone_ends_without_a_word_of_recovery(places, run_nights, evaluation):
    run_nights([0.5] * 3 + [0.9] * 5, segment="region=north")
    assert "the segment or signal is gone" in evaluation(8, {"all": 0.5})[0]
    [alert] = history.alerts(places.engine(), "sales")
    assert (alert["state"], alert["last_sent_at"]) == ("closed", day(8))


def test_a_message_names_days_of_the_jobs_own_zone(run_nights):
    # Midnight in Madrid is 23:00 of the day before in UTC.
    midnight = datetime(2024, 1, 1, tzinfo=ZoneInfo("Europe/Madrid"))
    opened, closed = run_nights(
        [0.5] * 3 + [0.9] * 6 + [0.5] * 5, first=midnight, job=watched(time_zone="Europe/Madrid")
    )
    assert opened.endswith("since 4 January 2024")
    assert closed.endswith("before 4 January 2024")


def test_a_past_night_run_again_changes_no_alert(places, run_nights, evaluation):
    run_nights([0.5] * 3 + [0.9] * 5)
    assert evaluation(6, {"all": 0.5}) == ()
    assert history.alerts(places.engine(), "sales")[0]["state"] == "open"


def test_bias_and_coverage_have_alerts_of_their_own(places, run_nights):
    news = run_nights([0.5] * 6, bias=-0.4, coverage=0.5)
    assert sorted(message.split(": ", 1)[1] for message in news) == [
        "coverage 30 percentage points lower since 1 January 2024; diagnosis: the level of the actuals has risen",
        "forecasts 0.40 seasonal errors lower since 1 January 2024; diagnosis: the level of the actuals has risen",
    ]
    assert {alert["signal"] for alert in history.alerts(places.engine(), "sales")} == {"bias", "coverage"}


def test_forecasts_that_begin_to_change_more_every_night_have_an_alert_of_their_own(places, evaluation):
    with_backtest(places, "all")
    news = []
    for number in range(20):
        news += evaluation(number, {"all": 0.5}, instability=0.2 if number < 4 or number > 10 else 0.3)
    assert news[0] == "sales, all: forecasts change 50 % more from night to night since 5 January 2024"
    assert news[1:] == ["sales, all: the instability is back to its level before 5 January 2024"]
    [alert] = history.alerts(places.engine(), "sales")
    assert (alert["signal"], alert["onset"]) == ("instability", day(4))


def test_without_a_night_before_the_revision_is_not_evaluated(places, evaluation):
    with_backtest(places, "all")
    evaluation(0, {"all": 0.5}, instability=float("nan"))
    verdict = history.losses(places.engine(), "sales")[0]["other_signals"]["instability"]
    assert (verdict["state"], verdict["reason"]) == ("not evaluated", "no figure tonight")


def test_what_is_not_among_the_signals_is_not_watched(places, run_nights):
    assert run_nights([0.5] * 6, bias=-0.4, job=watched(RULE.model_copy(update={"signals": ["loss"]}))) == []
    assert history.losses(places.engine(), "sales")[-1]["other_signals"] == {}


def test_a_segment_that_is_worse_alone_is_named_as_the_diagnosis(places, evaluation):
    with_backtest(places, "all", "region=north", "region=south")
    for number in range(8):
        evaluation(number, {"all": 0.5, "region=north": 0.9 if number > 2 else 0.5, "region=south": 0.5})
    [alert] = history.alerts(places.engine(), "sales")
    assert (alert["segment"], alert["reason"]) == ("region=north", "this segment alone")


def test_series_that_are_new_since_are_named_as_the_diagnosis(places, run_nights):
    for number in range(8):
        write.start_run(places.engine(), f"r{number}", "sales", cutoff=day(number), started_at=day(number))
        write.finish_run(places.engine(), f"r{number}", "completed", day(number), series=20 if number < 3 else 30)
    run_nights([0.5] * 3 + [0.9] * 5)
    assert history.alerts(places.engine(), "sales")[0]["reason"] == "10 of 30 series are new since"


def test_an_open_alert_can_be_acknowledged(places, run_nights):
    run_nights([0.5] * 3 + [0.9] * 5)
    acknowledge_alert(Ledger(places), "all", "ana", NOW)
    [alert] = history.open_alerts(places.engine(), "sales")
    assert (alert["state"], alert["acknowledged_by"], alert["acknowledged_at"]) == ("acknowledged", "ana", NOW)
    with pytest.raises(SourceError, match=r"no open alert of segment 'north'; open ones: \['all'\]"):
        acknowledge_alert(Ledger(places), "north", "ana", NOW)


def test_an_accepted_change_is_normal_from_that_evaluation_on_and_a_worse_one_is_reported_again(
    places, evaluation, make_night
):
    names = ("all", "region=north")
    with_backtest(places, *names)
    for number in range(8):
        evaluation(number, dict.fromkeys(names, 0.5 if number < 3 else 0.9))
    assert {alert["segment"] for alert in history.open_alerts(places.engine(), "sales")} == set(names)
    accept_alert(Ledger(places), "all", "ana", NOW)
    alerts = history.alerts(places.engine(), "sales")
    assert {(alert["state"], alert["closed_at"], alert["acknowledged_by"]) for alert in alerts} == {
        ("closed", day(7), "ana")
    }
    # The same night again, and others like it.
    changes = [evaluation(number, dict.fromkeys(names, 0.9 + (number % 3 - 1) / 50)) for number in range(7, 20)]
    assert not any(changes)
    assert history.open_alerts(places.engine(), "sales") == []
    effects = [row["effect"] for row in history.losses(places.engine(), "sales", "all")[-5:]]
    assert np.abs(effects).max() < 0.05
    # Half as bad again as what was accepted.
    for number in range(20, 26):
        evaluation(number, dict.fromkeys(names, 1.35))
    [again] = [each for each in history.open_alerts(places.engine(), "sales") if each["segment"] == "all"]
    assert (again["onset"], again["effect"]) == (day(20), pytest.approx(0.5, abs=0.05))
    replayed = episodes_of(replay_rule(Ledger(places), make_night(**watched()).job), UTC)
    assert [each["opened_at"] for each in replayed if each["segment"] == "all"] == [
        each["opened_at"] for each in reversed(history.alerts(places.engine(), "sales")) if each["segment"] == "all"
    ]


def test_one_segment_is_accepted_alone_and_a_stale_source_is_not(places, evaluation):
    names = ("all", "region=north", "region=south")
    with_backtest(places, *names)
    for number in range(8):
        evaluation(number, {"all": 0.5, "region=north": 0.9 if number > 2 else 0.5, "region=south": 0.9})
    accept_alert(Ledger(places), "region=north", "ana", NOW)
    assert [each["segment"] for each in history.open_alerts(places.engine(), "sales")] == ["region=south"]
    with pytest.raises(SourceError, match=r"no open alert of segment 'all'; open ones: \['region=south'\]"):
        accept_alert(Ledger(places), "all", "ana", NOW)
    stale = {"job": "sales", "segment": "all", "signal": "input", "opened_at": NOW, "state": "open", "effect": 3.0}
    write.upsert_alerts(places.engine(), [stale])
    with pytest.raises(SourceError, match=r"is about its input\. It closes when the source has new values"):
        accept_alert(Ledger(places), "all", "ana", NOW)


def test_what_is_usual_is_the_level_that_the_rule_compares_with(places, run_nights):
    def usual(night):
        ledger = Ledger(places)
        past = PastLosses(ledger.losses(), ledger.hindcast_losses(), ledger.alerts())
        return usual_ratio_of(night, "all", past, RULE, UTC)

    run_nights([0.5] * 3 + [0.9] * 5)
    # The baseline's loss is 1, and before the change the loss was 0.5.
    assert usual(day(7)) == pytest.approx(0.5, abs=0.01)
    assert usual(day(8)) is None, "There is no such night."
    accept_alert(Ledger(places), "all", "ana", NOW)
    assert usual(day(7)) == pytest.approx(0.9, abs=0.02)


def test_nothing_is_usual_before_there_are_nights_to_compare_with(places, evaluation):
    evaluation(0, {"all": 0.5})
    assert usual_ratio_of(day(0), "all", PastLosses(Ledger(places).losses(), [], []), RULE, UTC) is None


def test_a_replay_folds_quiet_nights_by_segment(places, evaluation, make_night):
    with_backtest(places, "all", "region=north")
    for number in range(12):
        evaluation(number, {"region=north": 0.5, "all": 0.9 if 2 < number < 9 else 0.5})
    folded = by_segment(replay_rule(Ledger(places), make_night(**watched()).job))
    assert list(folded) == ["all", "region=north"]
    assert [len(group) for group in folded["region=north"]] == [12]
    quiet = [len(group) for group in folded["all"] if is_quiet(group[0])]
    assert len(quiet) == 2
    assert all(len(group) == 1 for group in folded["all"] if not is_quiet(group[0]))
    assert sum(map(len, folded["all"])) == 12


@pytest.mark.parametrize("bias", [-0.4, 0.4])
def test_a_bias_is_accepted_with_its_direction(places, evaluation, bias):
    with_backtest(places, "all")
    for number in range(8):
        evaluation(number, {"all": 0.5}, bias=bias if number > 2 else 0.0)
    [alert] = accept_alert(Ledger(places), "all", "ana", NOW)
    assert (alert["signal"], np.sign(alert["effect"])) == ("bias", np.sign(bias))
    for number in range(8, 20):
        assert evaluation(number, {"all": 0.5}, bias=bias + (number % 3 - 1) / 50) == ()
    # What it was before is now a change the other way.
    for number in range(20, 28):
        evaluation(number, {"all": 0.5}, bias=0.0)
    assert np.sign(history.open_alerts(places.engine(), "sales")[0]["effect"]) == -np.sign(bias)


def test_a_replay_gives_the_verdicts_of_the_rule_and_changes_nothing(places, run_nights, make_night):
    run_nights([0.5] * 3 + [0.9] * 6 + [0.5] * 5)
    before, [alert] = history.losses(places.engine(), "sales"), history.alerts(places.engine(), "sales")
    replayed = replay_rule(Ledger(places), make_night(**watched()).job)
    [episode] = episodes_of(replayed, UTC)
    assert [row["state"] for row in replayed] == [row["state"] for row in before]
    assert {name: episode[name] for name in ("opened_at", "closed_at", "onset", "message")} == {
        name: alert[name] for name in ("opened_at", "closed_at", "onset", "message")
    }
    assert history.losses(places.engine(), "sales") == before
    strict = replay_rule(Ledger(places), make_night(**watched(RULE.model_copy(update={"min_effect": 5.0}))).job)
    assert "degraded" not in {row["state"] for row in strict}
    assert episodes_of(strict, UTC) == []


def test_the_alerts_of_chance_of_all_segments_and_signals_add_up_to_what_the_job_may_raise():
    names = [f"region={number}" for number in range(8)]
    asked: tuple[list[Signal], ...] = (
        ["loss", "bias", "coverage", "instability"],
        ["loss"],
        ["bias", "coverage"],
        ["loss", "instability"],
    )
    for signals in asked:
        monitor = MonitorSettings(false_alarms_per_year=0.4, signals=signals)
        for segments in (names, []):
            rates = [
                false_alarm_rate(signal, name, len(segments), monitor)
                for signal in signals
                for name in ("all", *segments)
            ]
            assert sum(rates) == pytest.approx(0.4)


def test_the_loss_of_the_whole_job_has_the_largest_share_of_the_alerts_of_chance():
    monitor = MonitorSettings(false_alarms_per_year=0.4)
    assert false_alarm_rate("loss", "all", 4, monitor) == pytest.approx(0.2)
    assert false_alarm_rate("bias", "all", 4, monitor) == pytest.approx(0.05 / 3)


def test_intervals_that_calibration_narrows_to_what_they_mean_raise_no_alert(places, evaluation, make_night):
    with_backtest(places, "all")
    job = watched(**calibrated(0.7))
    for number in range(40):
        # The network's own 80 % intervals held 80 of 100 actuals, and were meant to hold 70.
        evaluation(number, {"all": 0.5}, coverage=0.7 + (number % 3 - 1) / 50, job=job)
    assert history.alerts(places.engine(), "sales") == []
    assert {row["other_signals"]["coverage"]["state"] for row in history.losses(places.engine(), "sales")} == {"ok"}
    replayed = [replay_rule(Ledger(places), make_night(**parts).job)[-1] for parts in (job, watched())]
    assert [row["other_signals"]["coverage"]["state"] for row in replayed] == ["ok", "degraded"]


def test_a_job_of_many_segments_must_be_worse_than_one_of_none_to_raise_an_alert(places, evaluation):
    names = [f"region={number}" for number in range(8)]
    with_backtest(places, "all", *names)
    evaluation(0, dict.fromkeys(["all", *names], 0.5))
    evaluation(1, {"all": 0.5})
    of_many, of_none = [row for row in history.losses(places.engine(), "sales") if row["segment"] == "all"]
    assert of_none["detectable_effect"] < of_many["detectable_effect"]
