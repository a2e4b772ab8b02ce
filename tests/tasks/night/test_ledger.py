"""The ledger reads each table once, and again after a write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from sql.errors import SourceError
from sql.output import write
from sql.secrets.known import remember, remember_as
from tasks.night.ledger import Ledger
from tasks.settings import Output
from tasks.store.places import Places
from tasks.store.version_store import StoredVersion

CUTOFF = datetime(2024, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def ledger(places):
    return Ledger(places)


@pytest.fixture
def statements(places):
    """The statements that the output database gets."""
    found: list[str] = []
    sa.event.listen(places.engine(), "before_cursor_execute", lambda *given: found.append(given[2]))
    return found


def loss(segment: str, day: int = 0) -> dict[str, object]:
    return {"job": "sales", "evaluated_on": CUTOFF + day * DAY, "segment": segment, "state": "ok"}


def version(name: str) -> StoredVersion:
    return StoredVersion(name, f"file:///{name}", name)


def test_a_table_is_read_once(ledger, statements):
    ledger.runs()
    before = len(statements)
    assert list(ledger.runs()) == []
    assert len(statements) == before


def test_what_is_written_through_the_ledger_is_read_again(ledger):
    assert list(ledger.runs()) == []
    ledger.start_run("r1", CUTOFF, CUTOFF)
    assert [row["state"] for row in ledger.runs()] == ["running"]
    ledger.finish_run("r1", "completed", CUTOFF + DAY, {"note": "done"})
    assert [(row["state"], row["note"]) for row in ledger.runs()] == [("completed", "done")]


def test_a_write_to_one_table_leaves_the_rows_of_the_others(ledger, statements):
    ledger.losses()
    ledger.start_run("r1", CUTOFF, CUTOFF)
    before = len(statements)
    ledger.losses()
    assert len(statements) == before


def test_what_another_process_wrote_is_seen_after_forgetting(ledger, places):
    assert list(ledger.runs()) == []
    write.start_run(places.engine(), "r1", "sales", CUTOFF, CUTOFF)
    assert list(ledger.runs()) == []
    ledger.forget()
    assert len(ledger.runs()) == 1


def test_the_losses_of_a_segment_come_from_those_of_all_where_these_were_read(ledger, statements):
    ledger.upsert_losses([loss("all"), loss("north"), loss("all", 1)])
    alone = [row["evaluated_on"] for row in ledger.losses("all")]
    assert [row["segment"] for row in ledger.losses()] == ["all", "north", "all"]
    before = len(statements)
    assert [row["evaluated_on"] for row in ledger.losses("all")] == alone == [CUTOFF, CUTOFF + DAY]
    assert len(statements) == before


def test_the_champion_is_the_version_that_was_promoted_last(ledger):
    assert ledger.champion() is None
    for number, name in enumerate(("v1", "v2")):
        ledger.add_model(version(name), CUTOFF + number * DAY, CUTOFF)
        ledger.promote(name, CUTOFF + number * DAY)
        assert ledger.champion()["version"] == name
    assert ledger.rollback() == "v1"
    assert ledger.champion()["version"] == "v1"


def test_a_job_that_never_ran_has_no_rows_and_gets_no_tables(tmp_path):
    ledger = Ledger(Places("sales", tmp_path, Output(url="sqlite:///none.db")))
    assert list(ledger.publications()) == list(ledger.runs()) == []
    assert not (tmp_path / "none.db").exists()


def test_the_ledger_of_a_job_that_never_ran_cannot_be_opened(tmp_path):
    with pytest.raises(SourceError, match="no night of sales has run yet"):
        Ledger.opened(Places("sales", tmp_path, Output(url="sqlite:///none.db")))


def test_a_run_ends_though_a_secret_is_named_like_a_column_or_a_folder(ledger):
    for secret in ("report", "series", "hunter2-x"):
        remember(secret)
    remember_as("/data", "${LAKE}")
    ledger.start_run("r1", datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC))
    facts = {"series": 45, "report": "/data/hunter2-x/x.html", "error": "no login with hunter2-x"}
    ledger.finish_run("r1", "failed", datetime(2024, 3, 1, tzinfo=UTC), facts)
    [row] = ledger.runs()
    assert (row["series"], row["report"], row["error"]) == (45, "/data/hunter2-x/x.html", "no login with ***")
