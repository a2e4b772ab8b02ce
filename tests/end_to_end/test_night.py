"""Whole nights on real databases: what is published, scored and kept, and what a second run changes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from sklearn.metrics import mean_absolute_error

from flows.cli import main
from flows.deployments.dispatch import run_night
from flows.job.job import load_job
from models.network.choose_plan import LEARNING_RATES
from sql.engine.connection import transaction
from sql.engine.storable import LONGEST_ID, storable
from sql.output import history
from sql.output.tables import forecast


def run(*arguments: str) -> dict:
    """The JSON answer of a verb that ended well."""
    result = CliRunner().invoke(main, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def forecast_frame(job: Path, cutoff: datetime) -> pd.DataFrame:
    loaded = load_job(job)
    return history.forecast_of(loaded.places.engine(), "small", cutoff).to_pandas()


def test_a_night_gives_every_series_every_step_and_says_why_one_fell_back(make_job, database_url):
    job = make_job(url=database_url)
    night = run("run", str(job))
    assert (night["series"], night["rows"], night["fallback_series"]) == (7, 49, 1)
    rows = forecast_frame(job, datetime(2024, 2, 17, tzinfo=UTC))
    assert (rows.groupby("series_id").size() == 7).all()
    assert rows.notna().loc[:, ["mean", "median", "baseline", "q0_1", "q0_5", "q0_9", "timestamp"]].all(axis=None)
    assert (rows["q0_1"] <= rows["q0_5"]).all()
    assert (rows["q0_5"] <= rows["q0_9"]).all()
    short = rows[rows["series_id"] == "short"]
    assert set(short["source"]) == {"fallback"}
    assert short["reason"].str.contains("2 observed values").all()
    assert set(rows[rows["series_id"] != "short"]["source"]) == {"model"}
    assert rows["timestamp"].min() == pd.Timestamp("2024-02-18", tz="UTC")
    parquet = pd.read_parquet(night["parquet"])
    pd.testing.assert_series_equal(
        parquet.sort_values(["series_id", "step"])["median"].reset_index(drop=True),
        rows.sort_values(["series_id", "step"])["median"].reset_index(drop=True),
    )
    assert Path(night["report"]).read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html")


def test_a_later_night_loads_the_champion_and_scores_the_earlier_forecast(two_nights, history_frame):
    engine = load_job(two_nights).places.engine()
    assert [night["train_mode"] for night in history.runs(engine, "small")] == ["load", "scratch"]
    earlier = datetime(2024, 2, 3, tzinfo=UTC)
    [mae] = [row for row in history.scores(engine, "small", earlier, "all", "mae") if row["step"] == 0]
    forecast = forecast_frame(two_nights, earlier).set_index(["series_id", "timestamp"])
    actual = history_frame.assign(timestamp=history_frame["day"].dt.tz_localize("UTC"))
    joined = forecast.join(actual.set_index(["series_id", "timestamp"])["value"], how="inner")
    assert mae["n"] == len(joined) == 6 * 7
    assert mae["value"] == pytest.approx(mean_absolute_error(joined["value"], joined["median"]), rel=1e-5)
    assert mae["baseline_value"] == pytest.approx(mean_absolute_error(joined["value"], joined["baseline"]), rel=1e-5)


def test_the_evaluation_loss_is_kept_per_segment_and_not_judged_before_there_is_a_past(two_nights):
    losses = history.losses(load_job(two_nights).places.engine(), "small")
    tonight = [row for row in losses if row["evaluated_on"] == datetime(2024, 2, 10, tzinfo=UTC)]
    assert {row["segment"] for row in tonight} == {"all", "region=north", "region=south"}
    assert {row["state"] for row in tonight} == {"not evaluated"}
    assert sum(row["n"] for row in tonight if row["segment"] != "all") == 42
    first = [row for row in losses if row["evaluated_on"] == datetime(2024, 2, 3, tzinfo=UTC)]
    assert {(row["state"], row["n"], row["loss"]) for row in first} == {("not evaluated", 0, None)}


def test_bounds_that_are_new_in_the_job_hold_on_the_night_that_loads_the_champion(two_nights):
    job = yaml.safe_load(two_nights.read_text(encoding="utf-8"))
    job["forecast"] |= {"lower_bound": 20, "upper_bound": 24}
    two_nights.write_text(yaml.safe_dump(job), encoding="utf-8")
    night = run("run", str(two_nights), "--cutoff", "2024-02-11")
    assert night["train_mode"] == "load"
    rows = forecast_frame(two_nights, datetime(2024, 2, 11, tzinfo=UTC))
    assert set(rows["source"]) == {"model", "fallback"}
    figures = rows[["mean", "median", "q0_1", "q0_5", "q0_9"]]
    assert (figures.min().min(), figures.max().max()) == (20, 24)
    details = json.loads(Path(night["report"]).with_suffix(".json").read_text(encoding="utf-8"))
    assert "lower_bound 20, as the job says now; it was 0 when the network was trained" in details["network"]["choices"]


def test_the_same_night_twice_leaves_the_same_rows_once(two_nights):
    loaded = load_job(two_nights)
    engine, cutoff = loaded.places.engine(), datetime(2024, 2, 10, tzinfo=UTC)

    def kept():
        rows = forecast_frame(two_nights, cutoff).drop(columns=["run_id", "created_at"])
        losses = [{**row, "run_id": None} for row in history.losses(engine, "small")]
        return rows, history.scores(engine, "small"), losses, history.models(engine, "small")

    before = kept()
    run("run", str(two_nights), "--cutoff", "2024-02-10", "--train", "never")
    after = kept()
    pd.testing.assert_frame_equal(after[0], before[0])
    assert after[1:] == before[1:]
    assert len(history.runs(engine, "small")) == 3


def test_a_past_night_is_never_forecast_by_a_model_that_saw_its_future(two_nights):
    answer = run("run", str(two_nights), "--cutoff", "2024-01-27")
    assert answer["train_mode"] == "scratch"
    versions = history.models(load_job(two_nights).places.engine(), "small")
    [past] = [row for row in versions if row["version"] == answer["model_version"]]
    assert past["trained_until"] == datetime(2024, 1, 27, tzinfo=UTC)
    assert past["stage"] == "challenger"


def test_no_night_sees_what_came_after_its_cutoff(make_job, history_frame, tmp_path):
    later = history_frame["day"] > "2024-02-03"
    changed = history_frame.assign(value=history_frame["value"].where(~later, 1e6))
    rows = []
    for name, frame in (("as_it_was", history_frame[~later]), ("with_a_future", changed)):
        job = make_job(frame, folder=tmp_path / name)
        night = run_night(job, cutoff="2024-02-03", now=datetime(2024, 2, 4, tzinfo=UTC))
        rows.append(forecast_frame(job, night.cutoff).drop(columns=["run_id", "created_at", "model_version"]))
    pd.testing.assert_frame_equal(rows[0], rows[1])


def test_a_night_that_learns_from_a_sample_says_of_how_many_series(make_job):
    job = make_job(training={"max_values": 300})
    night = run("run", str(job))
    assert night["message"].startswith("1 of 7 series by fallback; trained on 2 of 6 series")
    assert history.runs(load_job(job).places.engine(), "small")[0]["train_reason"].endswith("trained on 2 of 6 series")
    assert "trained on 2 of 6 series" in Path(night["report"]).read_text(encoding="utf-8")


def test_a_night_without_a_cutoff_takes_nothing_after_now(make_job):
    assert run_night(make_job(), now=datetime(2024, 2, 1, 12, tzinfo=UTC)).cutoff == datetime(2024, 1, 31, tzinfo=UTC)


def test_a_source_of_short_series_only_is_forecast_by_the_fallback(make_job, history_frame):
    job = make_job(history_frame[history_frame["series_id"] == "short"])
    night = run("run", str(job))
    assert (night["train_mode"], night["rows"], night["fallback_series"]) == ("none", 7, 1)


def test_one_bad_series_never_stops_a_night(make_job, history_frame):
    days = pd.date_range("2023-10-01", periods=140, freq="D")
    bad = {
        "huge": np.full(140, 1e30),
        "infinite": np.where(np.arange(140) % 5 == 0, np.inf, 3.0),
        "nothing": np.full(140, np.nan),
        "zero": np.zeros(140),
        "long ago": np.where(np.arange(140) < 60, 5.0, np.nan),
    }
    frames = [pd.DataFrame({"series_id": name, "day": days, "value": values}) for name, values in bad.items()]
    night = run("run", str(job := make_job(pd.concat([history_frame, *frames]))))
    rows = forecast_frame(job, datetime(2024, 2, 17, tzinfo=UTC))
    assert night["series"] == 12
    assert (rows.groupby("series_id").size() == 7).all()
    assert np.isfinite(rows[["mean", "median", "q0_1", "q0_9"]]).all(axis=None)
    assert rows.loc[rows["source"] == "fallback", "reason"].notna().all()
    assert {"nothing", "short"} <= set(rows.loc[rows["source"] == "fallback", "series_id"])


def test_models_can_be_listed_promoted_and_rolled_back(two_nights):
    first = run("models", "show", str(two_nights))["version"]
    night = run("run", str(two_nights), "--cutoff", "2024-02-11", "--train", "scratch")
    versions = {row["stage"]: row["version"] for row in run("models", "list", str(two_nights))["models"]}
    challenger = versions["challenger"]
    # Of the steps that neither has learnt from there are too few to tell which is the better; who asked for it sees
    # what it forecasts.
    assert (versions["champion"], night["model_version"], night["train_mode"]) == (first, challenger, "scratch")
    assert f"{challenger} is a challenger: " in night["train_reason"]
    assert run("models", "promote", str(two_nights), challenger)["champion"] == challenger
    assert run("models", "rollback", str(two_nights))["champion"] == first
    rows = {row["version"]: row for row in run("models", "list", str(two_nights))["models"]}
    assert rows[first]["reason"].startswith(f"champion again: {challenger} was rolled back on 20")
    assert (rows[challenger]["stage"], rows[challenger]["promoted_at"]) == ("retired", None)
    assert run("run", str(two_nights), "--cutoff", "2024-02-12", "--train", "never")["model_version"] == first
    assert run("models", "show", str(two_nights))["version"] == first
    assert CliRunner().invoke(main, ["models", "promote", str(two_nights), "nothing"]).exit_code == 2


def test_backfill_runs_only_the_nights_that_are_missing(two_nights):
    done = run("backfill", str(two_nights), "--from", "2024-02-10", "--to", "2024-02-12")
    assert done["skipped"] == 1
    assert [night["cutoff"][:10] for night in done["nights"]] == ["2024-02-11", "2024-02-12"]
    assert run("backfill", str(two_nights), "--from", "2024-02-10", "--to", "2024-02-12")["nights"] == []


def test_a_report_can_be_written_again(two_nights):
    page = two_nights.parent / "reports/small/2024-02-10T000000Z.html"
    page.unlink()
    assert run("report", str(two_nights))["report"] == str(page)
    assert page.is_file()
    assert CliRunner().invoke(main, ["report", str(two_nights), "--cutoff", "2020-01-01"]).exit_code == 2


def test_alerts_of_a_quiet_job_are_none(two_nights):
    assert run("alerts", "list", str(two_nights)) == {"alerts": []}
    assert run("alerts", "replay", str(two_nights))["degraded"] == 0


def test_doctor_finds_everything_well(make_job):
    checks = run("doctor", str(make_job()))["checks"]
    assert all(check["ok"] for check in checks), checks


@pytest.fixture
def untrained(make_job):
    """A job that forecasts by the fallback alone, which takes no training."""
    return lambda **settings: make_job(**{"forecast": {"min_history": 10_000}, **settings})


def test_ids_of_any_text_are_forecast_scored_and_reported(untrained, history_frame, database_url):
    odd = {"a": "", "b": "it's", "c": 'q"x%s {y}', "d": "new\nline", "e": "<b>😀</b>", "f": "$x_$^" + "y" * 3000}
    job = untrained(
        frame=history_frame.replace({"series_id": odd, "region": {"north": "it's", "south": ""}}), url=database_url
    )
    for cutoff in ("2024-02-01", "2024-02-02"):
        night = run("run", str(job), "--cutoff", cutoff)
    assert set(forecast_frame(job, datetime(2024, 2, 2, tzinfo=UTC))["series_id"]) == {
        *(storable(each, LONGEST_ID) for each in odd.values()),
        "short",
    }
    assert {row["segment"]: row["n"] for row in night["losses"]} == {"all": 6, "region=it's": 3, "region=": 3}
    assert "<b>😀" not in Path(night["report"]).read_text(encoding="utf-8")


def test_a_past_night_run_again_undoes_no_score_of_a_later_one(untrained):
    job = untrained()
    for cutoff in ("2024-02-01", "2024-02-02", "2024-02-06"):
        run("run", str(job), "--cutoff", cutoff)
    engine = load_job(job).places.engine()
    before = history.scores(engine, "small")
    assert max(row["n"] for row in before if row["cutoff"] == datetime(2024, 2, 1, tzinfo=UTC)) == 6 * 5
    run("run", str(job), "--cutoff", "2024-02-02")
    assert history.scores(engine, "small") == before


def test_forecasts_that_somebody_cleared_away_are_not_scored_and_stop_no_night(untrained):
    job = untrained()
    run("run", str(job), "--cutoff", "2024-02-05")
    engine = load_job(job).places.engine()
    with transaction(engine) as connection:
        connection.execute(forecast.delete())
    run("run", str(job), "--cutoff", "2024-02-06")
    assert history.scores(engine, "small") == []


def test_a_night_that_is_let_go_was_judged_at_every_step_before(untrained):
    job = untrained(output={"keep_days": 7})
    for cutoff in ("2024-02-01", "2024-02-08", "2024-02-09"):
        run("run", str(job), "--cutoff", cutoff)
    places = load_job(job).places
    assert [row["cutoff"].day for row in history.publications(places.engine(), "small")] == [8, 9]
    assert len(list(Path(places.parquet).glob("job=small/*/*.parquet"))) == 2
    of_the_first = history.scores(places.engine(), "small", datetime(2024, 2, 1, tzinfo=UTC), "all", "mae")
    assert [row["step"] for row in of_the_first] == [*range(8)]


def test_a_night_of_another_time_grid_is_not_scored_against_steps_that_it_did_not_forecast(untrained):
    job = untrained()
    # From a Monday on: the first business day is the first day, and only the horizons differ.
    run("run", str(job), "--cutoff", "2024-02-05")
    text = job.read_text(encoding="utf-8").replace("frequency: D", "frequency: B")
    job.write_text(text, encoding="utf-8")
    night = run("run", str(job), "--cutoff", "2024-02-06")
    assert history.scores(load_job(job).places.engine(), "small") == []
    assert {row["state"] for row in night["losses"]} == {"not evaluated"}


def test_no_file_of_a_night_holds_the_address_of_a_webhook(untrained):
    job = untrained(notify={"webhook": "https://127.0.0.1:1/hunter2"})
    run("run", str(job))
    written = [path for path in job.parent.rglob("*") if path.is_file() and path != job]
    assert not [path.name for path in written if b"hunter2" in path.read_bytes()]


def test_a_job_that_is_moved_with_everything_it_made_goes_on_with_its_champion(make_job, tmp_path):
    job = make_job(folder=tmp_path / "here")
    before = run("run", str(job), "--cutoff", "2024-02-10")["model_version"]
    moved = job.parent.rename(tmp_path / "there") / job.name
    after = run("run", str(moved), "--cutoff", "2024-02-11", "--train", "never")
    assert (after["model_version"], after["fallback_series"]) == (before, 1)
    assert str(tmp_path / "here") not in json.dumps(after)


@pytest.fixture
def diverging(monkeypatch) -> dict[str, int]:
    """A job's training settings under which every training diverges; no job may ask for such a learning rate itself."""
    # Nothing survives a learning rate like this one, nor a thousandth of it.
    monkeypatch.setitem(LEARNING_RATES, "adam", 1e30)
    # No other test has trained from this seed.
    return {"seed": 30}


def test_a_night_whose_first_training_diverges_publishes_the_fallback_and_says_why(make_job, diverging):
    job = make_job(training=diverging)
    night = run("run", str(job))
    assert (night["series"], night["rows"], night["fallback_series"]) == (7, 49, 7)
    assert night["train_mode"] == "none"
    assert "training failed, so tonight takes the fallback" in night["train_reason"]
    rows = forecast_frame(job, datetime(2024, 2, 17, tzinfo=UTC))
    told = rows[rows["series_id"] != "short"]["reason"]
    assert told.str.contains("The training loss was not finite 4 times").all()
    assert np.isfinite(rows[["q0_1", "q0_5", "q0_9", "mean"]]).all(axis=None)
    assert history.champion(load_job(job).places.engine(), "small") is None


def test_a_night_whose_warm_start_diverges_forecasts_with_the_champion_as_it_was(two_nights, diverging):
    job = yaml.safe_load(two_nights.read_text(encoding="utf-8"))
    champion = history.champion(load_job(two_nights).places.engine(), "small")["version"]
    job["training"] |= diverging
    two_nights.write_text(yaml.safe_dump(job), encoding="utf-8")
    night = run("run", str(two_nights), "--train", "warm", "--cutoff", "2024-02-12")
    assert (night["model_version"], night["train_mode"]) == (champion, "load")
    assert f"tonight takes {champion} as it was" in night["train_reason"]
    assert night["fallback_series"] == 1
    assert history.champion(load_job(two_nights).places.engine(), "small")["version"] == champion
