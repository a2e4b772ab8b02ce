"""What becomes of challengers and champions: by evidence, by hand, where one is damaged, and on nights of the past."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from flows.cli import main
from flows.job.job import load_job
from flows.night.request import NightRequest
from models.lifecycle.e_values import NO_EVIDENCE
from models.lifecycle.paired_sums import PairedSums
from models.lifecycle.promotion import PromotionDecision
from models.network.forecaster import Forecaster
from sql.output import history, write
from tasks.night.ledger import Ledger
from tasks.store.version_store import SERIES_FILE, store_version
from tasks.training.champion import champion_as_of, judged_challenger
from tasks.training.decide import decide_for
from tasks.training.promotion import Compared, Evaluation


def day(number: int) -> datetime:
    return datetime(2024, 2, number, tzinfo=UTC)


def run(job: Path, number: int, train: str = "never") -> dict:
    """A night of February that ended well."""
    result = CliRunner().invoke(main, ["run", str(job), "--cutoff", f"2024-02-{number:02}", "--train", train, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def job(two_nights):
    """The job of two nights, with versions of its own, under which little evidence is enough."""
    content = yaml.safe_load(two_nights.read_text(encoding="utf-8"))
    content["promotion"] = {"evidence": 3}
    content["training"]["warm_after_days"] = 30
    two_nights.write_text(yaml.safe_dump(content), encoding="utf-8")
    return two_nights


def first_version(job: Path) -> str:
    return history.models(load_job(job).places.engine(), "small")[-1]["version"]


def add_worse(job: Path, tmp_path: Path, number: int) -> str:
    """A version as the first one, trained on that day, too low and too narrow in what it forecasts; not promoted."""
    places = load_job(job).places
    first = history.models(places.engine(), "small")[-1]
    folder = Path(f"{places.versions}/small/{first['version']}")
    forecaster, aside = Forecaster.load(folder), tmp_path / f"worse{number}"
    weights = dict(forecaster.members[0].weights)
    bias = next(name for name in weights if name.endswith("output/bias"))
    forecaster.members[0].weights = weights | {bias: weights[bias] - 3 - number / 100}
    aside.mkdir()
    forecaster.save(aside)
    shutil.copy(folder / SERIES_FILE, aside)
    stored = store_version(aside, places.versions, "small", day(number), places.lock)
    write.add_model(
        places.engine(), "small", stored.version, day(number), day(number), stored.uri, stored.digest, first["metrics"]
    )
    return stored.version


def put_in_shadow(job: Path, version: str, champion: str, number: int) -> None:
    nothing = Compared(PairedSums(), {"all": PairedSums()})
    promotion = PromotionDecision("wait", "too few steps")
    evaluation = Evaluation(version, champion, day(number), nothing, nothing, NO_EVIDENCE, promotion, held_out=True)
    write.upsert_promotions(load_job(job).places.engine(), [evaluation.row("small")])


def stages(job: Path) -> dict[str, str]:
    return {row["version"]: row["stage"] for row in history.models(load_job(job).places.engine(), "small")}


def swapped(job: Path, tmp_path: Path) -> tuple[str, str]:
    """A worse champion, and the better first version as a challenger in its shadow."""
    engine, good, bad = load_job(job).places.engine(), first_version(job), add_worse(job, tmp_path, 4)
    write.promote(engine, "small", bad, day(4))
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE model SET stage = 'challenger', promoted_at = NULL WHERE version = '{good}'"
        )
    put_in_shadow(job, good, bad, 4)
    return good, bad


def test_a_better_challenger_becomes_the_champion_of_the_next_night_and_a_rerun_says_the_same(job, tmp_path):
    good, bad = swapped(job, tmp_path)
    engine = load_job(job).places.engine()
    nights = []
    for number in range(11, 18):
        nights.append(run(job, number))
        if history.champion(engine, "small")["version"] == good:
            break
    last = len(nights) + 10
    assert {night["model_version"] for night in nights} == {bad}
    evaluations = history.promotions(engine, "small", good)
    assert [row["evaluated_on"].day for row in evaluations] == [4, *range(11, last + 1)]
    assert [row["action"] for row in evaluations[1:]] == ["wait"] * (len(nights) - 1) + ["promote"]
    # Six series, and on the first evaluation all steps since the fourth, of every origin that knows no more than both.
    assert evaluations[-1]["nights"] == len(nights)
    assert evaluations[2]["n"] == 6 * 7
    assert evaluations[-1]["e_value"] >= 3 > evaluations[-2]["e_value"]
    assert evaluations[-1]["loss"] < evaluations[-1]["champion_loss"]
    assert f"challenger {good}: loss" in nights[-1]["note"]
    assert nights[-1]["note"].endswith("3 is enough; it is the champion from the next night on")
    assert history.runs(engine, "small")[0]["note"] == nights[-1]["note"]

    before = history.promotions(engine, "small"), history.models(engine, "small")
    again = run(job, last)
    assert (again["model_version"], again["state"]) == (bad, "unchanged")
    assert (history.promotions(engine, "small"), history.models(engine, "small")) == before
    shown = CliRunner().invoke(main, ["models", "show", str(job)]).stdout
    assert shown.count(f"compared with {bad}: ") == len(evaluations)
    if last < 17:
        assert run(job, last + 1)["model_version"] == good


def test_the_same_evaluation_again_gives_the_same_evidence_and_a_night_of_the_past_gives_none(job, tmp_path):
    swapped(job, tmp_path)
    engine = load_job(job).places.engine()
    run(job, 11)
    first = history.promotions(engine, "small")
    run(job, 11)
    assert history.promotions(engine, "small") == first
    assert len(first) == 2
    run(job, 12)
    before = history.promotions(engine, "small"), history.models(engine, "small")
    run(job, 11)
    run(job, 9)
    assert (history.promotions(engine, "small"), history.models(engine, "small")) == before


def test_a_challenger_that_the_evidence_is_against_is_retired(job, tmp_path):
    good, bad = first_version(job), add_worse(job, tmp_path, 4)
    put_in_shadow(job, bad, good, 4)
    for number in range(11, 18):
        night = run(job, number)
        if stages(job)[bad] == "retired":
            break
    assert night["note"].endswith("for the champion; it is retired")
    assert stages(job) == {good: "champion", bad: "retired"}
    row = next(row for row in history.models(load_job(job).places.engine(), "small") if row["version"] == bad)
    assert "loss" in row["reason"]


def test_a_challenger_whose_folder_is_gone_is_let_go_and_the_night_says_so(job, tmp_path):
    good, bad = first_version(job), add_worse(job, tmp_path, 4)
    put_in_shadow(job, bad, good, 4)
    shutil.rmtree(Path(load_job(job).places.versions) / "small" / bad)
    night = run(job, 11)
    assert f"challenger {bad} is retired: it cannot be read: " in night["note"]
    assert (night["model_version"], stages(job)[bad]) == (good, "retired")


@pytest.mark.parametrize(("train", "name"), [("auto", "manifest.json"), ("never", "")])
def test_where_the_champion_is_damaged_or_gone_the_one_before_takes_over_untrained(job, tmp_path, train, name):
    first, second = first_version(job), add_worse(job, tmp_path, 4)
    places = load_job(job).places
    write.promote(places.engine(), "small", second, datetime(2099, 1, 1, tzinfo=UTC))
    folder = Path(places.versions) / "small" / second
    shutil.copytree(folder, tmp_path / "backup")
    shutil.rmtree(folder)
    if name:
        shutil.copytree(tmp_path / "backup", folder)
        (folder / name).write_text("{}", encoding="utf-8")
    night = run(job, 11, train)
    assert (night["model_version"], night["train_mode"], night["fallback_series"]) == (first, "load", 1)
    told = f"champion {second} cannot be read: {folder}/manifest.json is "
    assert night["train_reason"].startswith(told)
    assert f"{first}, the one before, takes over; " in night["train_reason"]
    [row] = [row for row in history.runs(places.engine(), "small") if row["run_id"] == night["run_id"]]
    assert row["train_reason"] == night["train_reason"]
    assert told in Path(night["report"]).read_text(encoding="utf-8")
    # Which version is the champion stays as it is: its folder came back.
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(tmp_path / "backup", folder)
    assert run(job, 12, train)["model_version"] == second


def test_after_a_rollback_the_next_night_takes_the_former_champion_and_leaves_the_other_where_it_is(job, tmp_path):
    first, second = first_version(job), add_worse(job, tmp_path, 4)
    places = load_job(job).places
    promoted = CliRunner().invoke(main, ["models", "promote", str(job), second])
    assert promoted.exit_code == 0, promoted.output
    assert run(job, 11)["model_version"] == second
    assert CliRunner().invoke(main, ["models", "rollback", str(job)]).exit_code == 0
    for number in (12, 13):
        night = run(job, number, "auto")
        assert (night["model_version"], night["train_mode"], night["note"]) == (first, "load", "")
    assert stages(job) == {first: "champion", second: "retired"}
    listed = CliRunner().invoke(main, ["models", "list", str(job)]).stdout
    assert f"champion again: {second} was rolled back on 20" in listed
    assert judged_challenger(Ledger(places)) is None


def test_a_night_of_then_takes_the_champion_of_then_also_where_a_later_one_had_been_trained_before(job, tmp_path):
    first, second = first_version(job), add_worse(job, tmp_path, 4)
    places = load_job(job).places
    write.promote(places.engine(), "small", second, datetime(2099, 1, 1, tzinfo=UTC), served_from=day(15))
    found = {number: champion_as_of(Ledger(places), day(number))["version"] for number in (3, 4, 14, 15, 16)}
    assert found == {3: first, 4: first, 14: first, 15: second, 16: second}


def test_while_the_loss_stays_degraded_auto_trains_from_scratch_once_and_again_after_two_weeks(job, tmp_path):
    loaded = load_job(job, {"training": {"warm_after_days": 90, "retrain_after_days": 90}})
    engine = loaded.places.engine()

    def mode(moment: datetime) -> tuple[str, str]:
        run = replace(NightRequest(job).run("r1"), job=loaded.job, scratch=tmp_path)
        decision = decide_for(run.at(moment), {"static": ["region"]})
        return decision.mode, decision.reason

    def evaluation(moment: datetime, state: str) -> None:
        write.upsert_losses(
            engine, [{"job": "small", "evaluated_on": moment, "segment": "all", "state": state, "n": 42}]
        )

    for number in range(11, 14):
        evaluation(day(number), "degraded" if number > 11 else "ok")
    assert mode(day(12))[0] == "load"
    assert mode(day(14)) == ("scratch", f"forecasts are degraded under {first_version(job)}")
    metrics = history.models(engine, "small")[0]["metrics"]
    write.add_model(engine, "small", "tried", day(14), day(14), "file:///nowhere", "0", metrics)
    # What the night of the 14th trained is no champion, and the loss is still degraded.
    for moment in (day(14), day(15)):
        evaluation(moment, "degraded")
    assert mode(day(15))[0] == mode(day(16))[0] == "load"
    assert "a network was trained from scratch 2 days ago" in mode(day(16))[1]
    evaluation(day(27), "not evaluated")
    evaluation(day(28), "degraded")
    assert mode(datetime(2024, 2, 29, tzinfo=UTC))[0] == "scratch"
    # The night that trained, run again, loads what it forecast with.
    assert mode(day(14))[0] == "load"
