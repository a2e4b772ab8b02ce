"""Ids and categories that some database cannot hold, or might take for one another: no night stops, none is lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pandas as pd
import pytest
import sqlalchemy as sa

from flows.deployments.dispatch import run_night
from flows.job.job import load_job
from sql.engine.storable import LONGEST_CATEGORY, LONGEST_ID, storable
from sql.output import history
from sql.output.tables import metadata

LONG = "".join(chr(0x1F600 + i % 60) for i in range(3_000))
ALIKE = ["", "a", "A", "a ", " a", "\u00e9", "e\u0301", "a\0", "a\0\0"]


@pytest.fixture
def strange(make_job, history_frame, database_url):
    """A job on a SQLite source with such ids and categories, and where its output is."""
    [first] = [part for name, part in history_frame.groupby("series_id") if name == "a"]
    frames = [first.assign(series_id=f"{number}", region="north") for number, _ in enumerate([*ALIKE, LONG, "bytes"])]
    job = make_job(
        pd.concat(frames), output={"url": database_url}, forecast={"min_history": 10_000},
        hierarchy={"aggregates": [[]]},
    )  # fmt: skip
    with closing(sqlite3.connect(job.parent / "source.db")) as source, source:
        for number, name in enumerate([*ALIKE, LONG]):
            source.execute("UPDATE history SET series_id = ? WHERE series_id = ?", (name, str(number)))
        # Half a surrogate pair.
        source.execute("UPDATE history SET series_id = CAST(x'61EDA080' AS TEXT) WHERE series_id = '10'")
        source.execute("UPDATE history SET region = ? WHERE series_id = 'a'", (LONG,))
        source.execute("UPDATE history SET region = ? WHERE series_id = 'A'", ("no\0rth",))
    return job


def test_strange_ids_and_categories_stop_no_night_and_stay_apart(strange, monkeypatch):
    monkeypatch.setattr("tasks.report.write.html_of", lambda name, facts: "")
    for cutoff in ("2024-02-01", "2024-02-02"):
        night = run_night(strange, cutoff=cutoff)
        assert (night.state, night.series) == ("completed", 11)
    found = [each for each in night.findings if "not every database can hold" in each]
    assert [each.split(" (")[0] for each in found] == [
        "4 series ids that not every database can hold",
        "2 categories of region that not every database can hold",
    ]
    engine = load_job(strange).places.engine()
    ids = set(history.latest_forecast(engine, "small")["series_id"].to_pylist())
    expected = {*ALIKE[:-2], "a␀", "a␀␀", storable(LONG, LONGEST_ID), "a\ufffdED\ufffdA0\ufffd80", "*"}
    assert ids == expected
    assert max(map(len, ids)) == LONGEST_ID
    segments = {row["segment"] for row in history.losses(engine, "small")}
    assert {f"region={storable(LONG, LONGEST_CATEGORY)}", "region=no␀rth"} < segments
    assert set(pd.read_parquet(load_job(strange).places.parquet)["series_id"]) == expected


def test_a_failure_is_noted_whatever_its_message_holds(strange, monkeypatch):
    def fail(*_):
        raise OSError("no such file: a\0b\udcff")

    monkeypatch.setattr("flows.night.stages.publish", fail)
    with pytest.raises(OSError, match="no such file"):
        run_night(strange, cutoff="2024-02-01")
    [run] = history.runs(load_job(strange).places.engine(), "small")
    assert (run["state"], run["error"]) == ("failed", "no such file: a␀b\ufffdDCFF")


@pytest.mark.parametrize("name", ["mysql", "mariadb"])
def test_mysql_tells_ids_apart_by_case_accents_and_blanks(name):
    dialect = sa.make_url(f"{name}+pymysql://").get_dialect()()
    made = str(sa.schema.CreateTable(metadata.tables["score"]).compile(dialect=dialect))
    assert all("_bin" in line for line in made.splitlines() if "VARCHAR" in line)
