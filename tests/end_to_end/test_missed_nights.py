"""Nights that were missed, repeated or overtaken, and backfills of several nights."""

from __future__ import annotations

import json
import logging
import shutil
from datetime import UTC, datetime

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from flows.cli import main
from flows.deployments.dispatch import run_night
from flows.job.job import JobError, load_job
from flows.night import stages
from flows.night.backfill import Span, backfill_nights
from flows.night.night import run_here
from sql.engine.connection import transaction
from sql.engine.lock import job_lock
from sql.migrations.migrate import migrate
from sql.output import history, write
from sql.output.tables import loss
from sql.output.tables import run as run_table
from tasks.forecasting.calibration import CoverageCount
from tasks.forecasting.predict import predict
from tasks.night.ledger import Ledger
from tasks.run.run_log import nights_done
from tasks.training.champion import champion_as_of


@pytest.fixture(autouse=True)
def _no_reports(monkeypatch, without_plots):
    # Reports take most of the time of a small night.
    monkeypatch.setattr("flows.night.stages.write_report", lambda night, *_: night.places.report)


@pytest.fixture
def run_until(make_job, history_frame):
    """Makes a job that only the fallback forecasts, with nights on 1, 2 and 3 February; gives its file."""

    def make(**settings):
        job = make_job(**{"forecast": {"min_history": 10_000}, **settings})
        for cutoff in ("2024-02-01", "2024-02-02", "2024-02-03"):
            run_night(job, cutoff=cutoff)
        return job

    return make


def evaluation(day: int) -> datetime:
    """The moment of the night whose cutoff is a day of February: the morning after."""
    return datetime(2024, 2, day + 1, 4, tzinfo=UTC)


def days(job) -> list[int]:
    """Days of February, in the order in which their nights ran."""
    rows = [row for row in history.runs(load_job(job).places.engine(), "small") if row["state"] == "completed"]
    order = {row["run_id"]: row["finished_at"] for row in rows}
    return [row["cutoff"].day for row in sorted(rows, key=lambda row: order[row["run_id"]])]


def tables(job) -> dict[str, list[str]]:
    with load_job(job).places.engine().connect() as connection:
        names = ("forecast", "publication", "score", "loss")
        return {name: sorted(map(repr, connection.exec_driver_sql(f"SELECT * FROM {name}"))) for name in names}


def test_missed_nights_are_run_oldest_first_where_the_job_says_so(run_until):
    job = run_until(schedule={"catch_up": "all"})
    night = run_night(job, now=evaluation(6))
    assert night.note == "2 nights were missed before, from 2024-02-04T00:00 to 2024-02-05T00:00: run first"
    assert night.note in night.message
    assert days(job) == [1, 2, 3, 4, 5, 6]
    assert run_night(job, now=evaluation(7)).note == ""


def counted(job) -> dict[int, int]:
    """Number of points of each evaluation, by its day."""
    losses = history.losses(load_job(job).places.engine(), "small", "all")
    return {row["evaluated_on"].day: row["n"] for row in losses}


def test_a_night_that_is_filled_in_later_counts_no_actual_a_second_time(run_until):
    job = run_until()
    run_night(job, now=evaluation(6))
    # Of six series: each day from every night before it, and the sixth evaluation took three days.
    before = counted(job)
    assert before == {1: 0, 2: 6, 3: 12, 6: 3 * 18}
    for _ in range(2):
        backfill_nights(job, Span("2024-02-04", "2024-02-05"), run_here)
        # The fifth, as the fourth night forecast it; the sixth evaluation took what the others did.
        assert counted(job) == {**before, 4: 0, 5: 6}
    assert {row["cutoff"].day for row in history.scores(load_job(job).places.engine(), "small")} >= {4}
    for day in (6, 4, 5):
        run_night(job, cutoff=f"2024-02-{day:02}")
    assert counted(job) == {**before, 4: 0, 5: 6}
    # The seventh from six nights, and the sixth from those that were not there that evaluation.
    run_night(job, now=evaluation(7))
    assert counted(job)[7] == 6 * (6 + 2)


@pytest.mark.parametrize(
    ("live", "filled", "following", "expected"),
    [
        # Eight and nine saw no night before them; ten counts both days of nights one to seven, as far as these reach.
        (
            (8, 9),
            (1, 7),
            10,
            {1: 0, 2: 1, 3: 2, 4: 3, 5: 4, 6: 5, 7: 6, 8: 0, 9: 1, 10: 1 + 2 + 3 + 4 * 3 + 1 + 1},
        ),
        # Twenty counted all that nights one and two had left.
        (
            (1, 2, 20),
            (3, 19),
            21,
            {1: 0, 2: 1, 3: 0, **{day: min(day - 3, 7) for day in range(4, 20)}, 20: 6 + 7, 21: 1 + 6 * 2 + 1},
        ),
    ],
    ids=["before the first night", "a gap longer than the horizon"],
)
def test_each_forecast_of_a_day_counts_on_one_evaluation_whenever_its_night_was_run(
    make_job, history_frame, monkeypatch, live, filled, following, expected
):
    evidence = dict[int, float]()
    store = CoverageCount.store

    def stored(covered, cutoff, settings):
        evidence[cutoff.day] = covered._evaluation.counts.sum()
        store(covered, cutoff, settings)

    monkeypatch.setattr(CoverageCount, "store", stored)
    job = make_job(history_frame[history_frame["series_id"] != "short"], training={"warm_after_days": 100})

    def run(*days: int) -> None:
        for day in days:
            run_night(job, cutoff=f"2024-01-{day:02}")

    run(*live)
    backfill_nights(job, Span(f"2024-01-{filled[0]:02}", f"2024-01-{filled[1]:02}"), run_here)
    some = (live[0], live[-1], filled[0], filled[0] + 1, filled[1])
    before_reruns = counted(job)
    run(*some)
    assert counted(job) == before_reruns
    run(following)
    for _ in range(2):
        found = counted(job)
        assert found == {day: 6 * pairs for day, pairs in expected.items()}
        # All that the nights have forecast of days that came, a week ahead, once each.
        assert sum(found.values()) == 6 * sum(min(following - day, 7) for day in expected)
        assert evidence == found
        run(*some, following)


def test_an_evaluation_whose_actuals_are_there_only_on_its_second_run_counts_none_twice(
    run_until, history_frame, make_job
):
    job = run_until()
    days = pd.to_datetime(history_frame["day"])
    settings = {"forecast": {"min_history": 10_000}}
    make_job(history_frame[days != "2024-02-04"], **settings)
    for day in (4, 5):
        run_night(job, cutoff=f"2024-02-{day:02}")
    assert counted(job) == {1: 0, 2: 6, 3: 12, 4: 0, 5: 6 * 4}
    make_job(history_frame, **settings)
    run_night(job, cutoff="2024-02-04")
    assert counted(job)[4] == 0


def test_by_default_only_the_newest_night_runs_and_names_the_missed_ones(run_until):
    job = run_until()
    night = run_night(job, now=evaluation(6))
    assert night.note.startswith("2 nights were missed before and left out (nightcast backfill small.yaml --from 2024-")
    assert days(job) == [1, 2, 3, 6]
    assert history.runs(load_job(job).places.engine(), "small")[0]["note"] == night.note


def test_a_late_run_finds_its_night_done_or_overtaken_and_says_so(run_until):
    job = run_until()
    run_night(job, now=evaluation(6))
    before = tables(job)
    done, overtaken = run_night(job, now=evaluation(3)), run_night(job, now=evaluation(5))
    assert (done.state, overtaken.state) == ("skipped", "skipped")
    assert done.message == "skipped: this night was done before, and so was a newer one, of 2024-02-06 00:00"
    assert "catch_up is newest" in overtaken.message
    assert tables(job) == before
    rows = history.runs(load_job(job).places.engine(), "small")
    assert {row["state"]: row["note"] for row in rows}["skipped"] in (done.note, overtaken.note)


@pytest.mark.parametrize("catch_up", ["all", "none"])
def test_a_late_run_of_a_missing_night_runs_it_under_the_other_settings(run_until, catch_up):
    job = run_until(schedule={"catch_up": "none"})
    run_night(job, now=evaluation(6))
    job.write_text(job.read_text(encoding="utf-8").replace("catch_up: none", f"catch_up: {catch_up}"), encoding="utf-8")
    late = run_night(job, now=evaluation(5))
    assert (late.state, late.cutoff.day, late.note) == ("completed", 5, "")
    assert history.latest_forecast(load_job(job).places.engine(), "small")["cutoff"][0].as_py().day == 6


def test_a_missed_night_that_fails_does_not_keep_tonight_from_running(run_until, monkeypatch):
    job = run_until(schedule={"catch_up": "all"})
    real = predict

    def fails_on_the_fourth(night, *arguments):
        if night.cutoff == datetime(2024, 2, 4, tzinfo=UTC):
            raise OSError("no space left")
        return real(night, *arguments)

    monkeypatch.setattr(stages, "predict", fails_on_the_fourth)
    night = run_night(job, now=evaluation(6))
    assert night.note.endswith("to 2024-02-05T00:00: run first, 1 failed")
    assert days(job) == [1, 2, 3, 5, 6]
    # The one that failed is still missing for whoever asks for it.
    monkeypatch.setattr(stages, "predict", real)
    done = backfill_nights(job, Span("2024-02-01", "2024-02-06"), run_here)
    assert ([each.cutoff.day for each in done.nights], done.skipped) == ([4], 5)


def test_a_published_night_run_again_changes_no_row_unless_the_data_did(run_until, history_frame, make_job):
    job = run_until()
    before = tables(job)
    again = json.loads(CliRunner().invoke(main, ["run", str(job), "--cutoff", "2024-02-03", "--json"]).stdout)
    newest, published = history.runs(load_job(job).places.engine(), "small")[:2]
    assert (again["state"], newest["state"]) == ("unchanged", "unchanged")
    assert again["note"] == newest["note"] == f"the same rows that run {published['run_id']} had published"
    assert tables(job) == before
    late = (history_frame["series_id"] == "a") & (history_frame["day"] == "2024-02-03")
    settings = {name: yaml.safe_load(job.read_text(encoding="utf-8"))[name] for name in ("forecast",)}
    make_job(history_frame.assign(value=history_frame["value"].where(~late, 99.0)), **settings)
    assert run_night(job, cutoff="2024-02-03").state == "completed"
    assert tables(job)["forecast"] != before["forecast"]


def test_a_night_that_crashed_after_it_was_published_is_not_done(run_until):
    job = run_until()
    engine = load_job(job).places.engine()
    with transaction(engine) as connection:
        third = run_table.c.cutoff == datetime(2024, 2, 3, tzinfo=UTC)
        connection.execute(run_table.update().where(third).values(state="running"))
        connection.execute(loss.delete().where(loss.c.evaluated_on == datetime(2024, 2, 3, tzinfo=UTC)))
    done = backfill_nights(job, Span("2024-02-01", "2024-02-03"), run_here)
    assert [(night.cutoff.day, night.state) for night in done.nights] == [(3, "unchanged")]
    assert max(row["evaluated_on"] for row in history.losses(engine, "small")).day == 3


def test_a_training_at_the_cutoff_of_a_crashed_night_does_not_make_it_done(run_until):
    job = run_until()
    loaded = load_job(job)
    third = datetime(2024, 2, 3, tzinfo=UTC)
    with transaction(loaded.places.engine()) as connection:
        connection.execute(run_table.update().where(run_table.c.cutoff == third).values(state="running"))
    for part in ("train", "score"):
        write.start_run(loaded.places.engine(), part, "small", third, evaluation(4), part)
        write.finish_run(loaded.places.engine(), part, "completed", evaluation(4))
    assert [night.day for night in nights_done(Ledger(loaded.places))] == [1, 2]
    assert [
        (night.cutoff.day, night.state)
        for night in backfill_nights(job, Span("2024-02-01", "2024-02-03"), run_here).nights
    ] == [(3, "unchanged")]
    assert {row["kind"] for row in history.runs(loaded.places.engine(), "small")} == {"nightly", "train", "score"}


def test_nights_side_by_side_give_the_same_tables_as_one_after_the_other(run_until, tmp_path):
    job = run_until()
    other = shutil.copytree(job.parent, tmp_path / "side_by_side") / job.name
    arguments = ["--from", "2024-02-02", "--to", "2024-02-06", "--train", "scratch", "--json"]
    one = json.loads(CliRunner().invoke(main, ["backfill", str(job), *arguments]).stdout)
    many = json.loads(CliRunner().invoke(main, ["backfill", str(other), *arguments, "--workers", "2"]).stdout)
    assert [night["cutoff"][:10] for night in many["nights"]] == ["2024-02-04", "2024-02-05", "2024-02-06"]
    assert [night["message"] for night in many["nights"]] == [night["message"] for night in one["nights"]]

    def tables_of(job) -> list[pd.DataFrame]:
        engine = load_job(job).places.engine()
        cutoffs = [row["cutoff"] for row in history.publications(engine, "small")]
        forecasts = pd.concat([history.forecast_of(engine, "small", cutoff).to_pandas() for cutoff in cutoffs])
        losses, scores = pd.DataFrame(history.losses(engine, "small")), pd.DataFrame(history.scores(engine, "small"))
        return [forecasts.drop(columns=["run_id", "created_at"]), losses.drop(columns="run_id"), scores]

    for one, another in zip(tables_of(job), tables_of(other), strict=True):
        assert len(one)
        pd.testing.assert_frame_equal(one, another)


def test_nights_that_may_continue_one_anothers_model_are_not_run_side_by_side(make_job):
    with pytest.raises(JobError, match="Under the training policy 'auto' a night may continue the model of the one"):
        backfill_nights(make_job(), Span("2024-02-01", "2024-02-03"), run_here, workers=2)


def test_a_backfill_takes_every_so_many_steps(run_until):
    done = backfill_nights(run_until(), Span("2024-02-01", "2024-02-07", every=3), run_here)
    assert ([night.cutoff.day for night in done.nights], done.skipped) == ([4, 7], 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_backfill_names_each_night_as_it_ends(run_until, caplog, workers):
    caplog.set_level(logging.INFO, logger="nightcast")
    backfill_nights(run_until(), Span("2024-02-04", "2024-02-06"), run_here, train="never", workers=workers)
    told = [record.getMessage() for record in caplog.records]
    for place, day in enumerate((4, 5, 6), start=1):
        [_] = [line for line in told if line.startswith(f"2024-02-0{day} 00:00: 7 ") and f"({place} of 3" in line]


def test_a_job_runs_only_once_at_a_time(run_until):

    job = run_until()
    places = load_job(job).places
    lock = job_lock(places.engine(), "small", places.report.parent)
    assert lock.acquire() is None
    for verb in (["run", str(job)], ["backfill", str(job), "--from", "2024-02-01", "--to", "2024-02-05"]):
        result = CliRunner().invoke(main, verb)
        assert result.exit_code == 1
        assert "small is being run already, by process" in result.stderr
    lock.release()
    assert history.runs(places.engine(), "small")[0]["error"].startswith("small is being run already")
    assert run_night(job, cutoff="2024-02-04").state == "completed"


def test_a_past_night_takes_the_version_of_its_time_and_none_that_was_rolled_back(make_job):
    places = load_job(make_job()).places
    migrate(places.engine())
    for version, day in (("old", 1), ("first", 3), ("bad", 5), ("new", 20)):
        moment = datetime(2024, 2, day, tzinfo=UTC)
        write.add_model(places.engine(), "small", version, moment, moment, "file:///nowhere", version)
        if version != "old":
            write.promote(places.engine(), "small", version, moment)
        if version == "bad":
            write.rollback(places.engine(), "small")
    found = {
        day: champion_as_of(Ledger(places), datetime(2024, 2, day, tzinfo=UTC))["version"] for day in (2, 4, 10, 20)
    }
    assert found == {2: "old", 4: "first", 10: "first", 20: "new"}
