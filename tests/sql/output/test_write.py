import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from sql.engine.connection import connect, resolve_url, transaction
from sql.errors import SourceError, StorageError
from sql.migrations.migrate import migrate
from sql.output import history, write
from sql.output.tables import loss, model
from sql.output.upsert import write_rows

NIGHT = datetime(2024, 1, 31, tzinfo=UTC)


def score_row(**changes):
    row = {"job": "sales", "cutoff": NIGHT, "segment": "all", "step": 0, "metric": "mase"}
    return row | {"value": 0.8, "baseline_value": 1.0, "n": 100, "model_version": "v1"} | changes


def test_scores_written_twice_stand_once_with_the_newer_value(output):
    write.upsert_scores(output, [score_row(), score_row(step=1), score_row(metric="wape")])
    assert write.upsert_scores(output, [score_row(value=0.7, n=120)]) == 1

    assert history.scores(output, "sales", metric="mase") == [score_row(value=0.7, n=120), score_row(step=1)]
    assert history.scores(output, "sales", segment="none") == []
    assert len(history.scores(output, "sales", cutoff=NIGHT, segment="all")) == 3


def test_numpy_scalars_and_nan_are_stored_as_numbers_and_null(output):
    write.upsert_scores(
        output, [score_row(step=np.int64(2), value=np.float32(0.5), baseline_value=math.nan, n=np.int32(7))]
    )
    assert history.scores(output, "sales") == [score_row(step=2, value=0.5, baseline_value=None, n=7)]


def test_losses_come_oldest_first_in_utc_whatever_zone_they_were_given_in(output):
    madrid = timezone(timedelta(hours=1))
    rows: list[dict[str, Any]] = [
        {"job": "sales", "evaluated_on": NIGHT + timedelta(days=day), "segment": "all", "loss": 0.5 + day,
         "threshold": 2.0, "state": "ok"}
        for day in (2, 0, 1)
    ]  # fmt: skip
    rows[0]["evaluated_on"] = rows[0]["evaluated_on"].astimezone(madrid)
    write.upsert_losses(output, rows)

    found = history.losses(output, "sales", "all")

    assert [row["loss"] for row in found] == [0.5, 1.5, 2.5]
    assert found[2]["evaluated_on"] == NIGHT + timedelta(days=2)
    assert found[2]["evaluated_on"].tzinfo is UTC
    assert history.losses(output, "sales", "north") == []


def test_a_timestamp_without_a_zone_is_refused(output):
    with pytest.raises(StorageError, match="has no time zone"):
        write.upsert_scores(output, [score_row(cutoff=datetime(2024, 1, 31))])


def test_unknown_columns_and_missing_keys_are_named(output):
    with pytest.raises(ValueError, match=r"unknown columns \['vlaue'\] and lacks keys \['metric'\]"):
        write.upsert_scores(output, [{**{k: v for k, v in score_row().items() if k != "metric"}, "vlaue": 1}])


def test_one_bad_row_keeps_all_of_them_out(output):
    with pytest.raises(StorageError, match="Could not write to"):
        write.upsert_scores(output, [score_row(), score_row(step=1, n=None)])
    assert history.scores(output, "sales") == []


def test_an_alert_keeps_what_a_later_write_does_not_name(output):
    key = {"job": "sales", "segment": "all", "signal": "loss", "opened_at": NIGHT}
    write.upsert_alerts(output, [key | {"state": "open", "effect": 0.3, "message": "30 % worse", "onset": NIGHT}])
    write.upsert_alerts(output, [key | {"state": "acknowledged", "acknowledged_by": "ana"}])

    (row,) = history.open_alerts(output, "sales")
    assert (row["state"], row["acknowledged_by"], row["effect"], row["message"]) == (
        "acknowledged", "ana", 0.3, "30 % worse",
    )  # fmt: skip

    write.upsert_alerts(output, [key | {"state": "closed", "closed_at": NIGHT + timedelta(days=1)}])
    assert history.open_alerts(output, "sales") == []
    assert history.alerts(output, "sales")[0]["closed_at"] == NIGHT + timedelta(days=1)


def test_rows_are_replaced_on_databases_without_a_way_of_their_own_to_do_so(output, monkeypatch):
    row = {"job": "sales", "evaluated_on": NIGHT, "segment": "all", "loss": 1.0, "bias": 0.1, "state": "ok"}
    with output.begin() as connection:
        monkeypatch.setattr(connection.dialect, "name", "another")
        write_rows(connection, loss, [row], overwrite=["loss", "bias", "state"])
        write_rows(connection, loss, [row | {"loss": 2.0}], overwrite=["loss"])
        assert connection.execute(sa.select(loss.c.loss, loss.c.bias)).all() == [(2.0, 0.1)]


def test_a_run_is_noted_when_it_begins_and_when_it_ends(output):
    write.start_run(output, "r1", "sales", NIGHT, NIGHT + timedelta(hours=3))
    assert history.runs(output, "sales")[0]["state"] == "running"

    ended = NIGHT + timedelta(hours=4)
    write.finish_run(output, "r1", "completed", ended, series=np.int64(3), seconds={"train": 1.5}, train_mode="warm")

    (row,) = history.runs(output, "sales")
    assert (row["state"], row["finished_at"], row["series"]) == ("completed", ended, 3)
    assert (row["seconds"], row["train_mode"], row["error"]) == ({"train": 1.5}, "warm", None)


def test_a_run_that_never_began_cannot_end(output):
    with pytest.raises(StorageError, match="no run 'r9'"):
        write.finish_run(output, "r9", "failed", NIGHT)
    with pytest.raises(ValueError, match=r"no columns \['mood'\]"):
        write.finish_run(output, "r9", "failed", NIGHT, mood="bad")


def test_a_run_that_is_tried_again_under_its_own_name_forgets_its_first_error(output):
    ends: list[tuple[Any, dict[str, Any]]] = [("failed", {"error": "no answer"}), ("completed", {"series": 3})]
    for state, facts in ends:
        write.start_run(output, "r1", "sales", NIGHT, NIGHT)
        write.finish_run(output, "r1", state, NIGHT, **facts)
    (row,) = history.runs(output, "sales")
    assert (row["state"], row["error"]) == ("completed", None)


def add(output, version, day, digest="sha256:0"):
    created = NIGHT + timedelta(days=day)
    write.add_model(output, "sales", version, created, NIGHT, f"file:///models/{version}", digest, {"mase": 0.8})


def test_a_model_version_never_changes(output):
    add(output, "v1", 0)
    with pytest.raises(StorageError, match=r"already has a model version 'v1' .* Give the new one another name"):
        add(output, "v1", 1, digest="sha256:1")
    add(output, "v1", 2)
    (row,) = history.models(output, "sales")
    assert (row["created_at"], row["stage"], row["metrics"]) == (NIGHT, "challenger", {"mase": 0.8})


def test_the_champion_is_the_one_that_was_promoted_last(output):
    assert history.champion(output, "sales") is None
    for day, version in enumerate(["v1", "v2"]):
        add(output, version, day)
        write.promote(output, "sales", version, NIGHT + timedelta(days=day))

    assert history.champion(output, "sales")["version"] == "v2"
    assert [(row["version"], row["stage"]) for row in history.models(output, "sales")] == [
        ("v2", "champion"), ("v1", "retired"),
    ]  # fmt: skip


def test_rolling_back_twice_goes_back_twice_and_a_promotion_goes_on_from_there(output):
    for day, version in enumerate(["v1", "v2", "v3"]):
        add(output, version, day)
        write.promote(output, "sales", version, NIGHT + timedelta(days=day))

    assert [write.rollback(output, "sales"), write.rollback(output, "sales")] == ["v2", "v1"]
    with pytest.raises(SourceError, match="no earlier champion"):
        write.rollback(output, "sales")
    assert history.champion(output, "sales")["version"] == "v1"

    add(output, "v4", 4)
    write.promote(output, "sales", "v4", NIGHT + timedelta(days=4))
    assert history.champion(output, "sales")["version"] == "v4"


def test_a_rollback_never_comes_back_to_a_version_that_was_rolled_back(output):
    for day, version in enumerate(["v1", "v2", "bad"]):
        add(output, version, day)
        write.promote(output, "sales", version, NIGHT + timedelta(days=day))
    assert write.rollback(output, "sales") == "v2"
    add(output, "v3", 3)
    write.promote(output, "sales", "v3", NIGHT + timedelta(days=3))
    assert write.rollback(output, "sales") == "v2"


def test_two_promotions_at_once_leave_one_champion(postgres_url):
    engine = connect(resolve_url(postgres_url))
    migrate(engine)
    for day, version in enumerate(["v1", "v2", "v3"]):
        add(engine, version, day)
    write.promote(engine, "sales", "v1", NIGHT)
    with transaction(engine) as first, ThreadPoolExecutor() as pool:
        first.execute(sa.select(model).where(model.c.job == "sales").with_for_update())
        write._make_champion(first, "sales", "v2", {"promoted_at": NIGHT})
        second = pool.submit(write.promote, engine, "sales", "v3", NIGHT)
        waiting = sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        with engine.connect() as observer:
            while not observer.scalar(waiting):
                observer.rollback()
        first.commit()
        second.result(timeout=30)
    stages = {row["version"]: row["stage"] for row in history.models(engine, "sales")}
    assert stages == {"v1": "retired", "v2": "retired", "v3": "champion"}


def test_an_unknown_version_is_not_promoted_and_the_known_ones_are_named(output):
    add(output, "v1", 0)
    with pytest.raises(SourceError, match=r"no model version 'v7' .*It has: v1\."):
        write.promote(output, "sales", "v7", NIGHT)


def test_a_rollback_and_a_promotion_say_in_the_table_what_became_of_whom(output):
    for day, version in enumerate(["v1", "v2", "v3"]):
        add(output, version, day)
    write.promote(output, "sales", "v1", NIGHT)
    write.promote(output, "sales", "v2", NIGHT + timedelta(days=1), served_from=NIGHT, reason="E 23, 20 is enough")
    write.retire(output, "sales", "v3", "not enough within 42 nights")
    rows = {row["version"]: row for row in history.models(output, "sales")}
    assert {version: row["reason"] for version, row in rows.items()} == {
        "v1": "v2 took its place", "v2": "E 23, 20 is enough", "v3": "not enough within 42 nights",
    }  # fmt: skip
    assert (rows["v2"]["served_from"], rows["v3"]["stage"]) == (NIGHT, "retired")

    at = datetime(2024, 3, 1, 9, 30, tzinfo=UTC)
    assert write.rollback(output, "sales", at) == "v1"
    rows = {row["version"]: row for row in history.models(output, "sales")}
    assert rows["v1"]["reason"] == "champion again: v2 was rolled back on 2024-03-01 09:30 UTC"
    assert (rows["v2"]["stage"], rows["v2"]["reason"]) == ("retired", "rolled back on 2024-03-01 09:30 UTC")


def test_only_a_challenger_can_be_let_go(output):
    add(output, "v1", 0)
    write.promote(output, "sales", "v1", NIGHT)
    write.retire(output, "sales", "v1", "a mistake")
    write.retire(output, "sales", "v9", "not there")
    assert history.champion(output, "sales")["reason"] is None


def test_what_is_known_of_a_challenger_is_kept_by_evaluation_and_replaced_when_it_is_said_again(output):
    evaluation = {
        "job": "sales", "version": "v2", "evaluated_on": NIGHT, "champion_version": "v1", "held_out": False, "n": 42,
        "log_ratio": 0.1, "segment_sums": {"all": [42.0, 1.0, 1.1, 38.0, 37.0]}, "nights": 1, "e_value": 1.0,
        "champion_e_value": 1.0, "effect": float("nan"), "action": "wait", "reason": "too early",
    }  # fmt: skip
    later = evaluation | {"evaluated_on": NIGHT + timedelta(days=1), "held_out": True}
    write.upsert_promotions(output, [later, evaluation])
    write.upsert_promotions(output, [evaluation | {"e_value": 2.0}])
    write.upsert_promotions(output, [evaluation | {"version": "v3"}])
    rows = history.promotions(output, "sales", "v2")
    assert [(row["evaluated_on"], row["e_value"]) for row in rows] == [(NIGHT, 2.0), (NIGHT + timedelta(days=1), 1.0)]
    assert (rows[0]["segment_sums"]["all"][0], rows[0]["effect"], rows[1]["held_out"]) == (42.0, None, True)
    assert len(history.promotions(output, "sales")) == 3
