"""The verb `init`: what it prints for people and for programs."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from click.testing import CliRunner

from flows.cli import main


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with a file of visits by month, of two places."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIGHTCAST_JOBS", raising=False)
    months = pd.date_range("2015-01-01", periods=60, freq="MS").strftime("%Y-%m")
    frames = [pd.DataFrame({"place": place, "month": months, "visits": range(60)}) for place in ("a", "b")]
    pd.concat(frames).to_csv("visits.csv", index=False, sep=";")
    return tmp_path


def init(*arguments):
    return CliRunner().invoke(main, ["init", *arguments])


def test_a_person_reads_what_is_proposed_what_is_unsure_and_what_comes_next(folder):
    result = init("visits.csv", "--date-format", "%Y-%m")
    assert result.exit_code == 0
    for line in (
        "visits.csv: 120 rows, 2 series",
        "  series        place",
        "  time          month, 2015-01-01 00:00 to 2019-12-01 00:00",
        "  value         visits, 0 to 59",
        "  frequency     MS, 12 steps ahead, in UTC",
        "Not sure",
        f"Loaded 120 rows into table visits of sqlite:///{folder}/visits.db",
        "  The columns are separated by ';'.",
        f"Wrote {folder}/jobs/visits.yaml",
        "  nightcast check visits",
    ):
        assert line in result.stdout.splitlines()
    assert "  # Not sure: how far ahead you plan is not in the rows (--horizon)." in (
        (folder / "jobs" / "visits.yaml").read_text(encoding="utf-8").splitlines()
    )


def test_a_program_gets_the_same_as_one_object(folder):
    told = json.loads(init("visits.csv", "--date-format", "%Y-%m", "--horizon", "6", "--zone", "UTC", "--json").stdout)
    assert (told["job"], told["file"], told["rows"]) == ("visits", f"{folder}/jobs/visits.yaml", 120)
    proposal = told["proposal"]
    assert (proposal["series_id"], proposal["timestamp"], proposal["value"]) == (["place"], "month", "visits")
    assert (proposal["frequency"], proposal["horizon"], proposal["doubts"]) == ("MS", 6, [])
    assert proposal["found"]["last"] == "2019-12-01T00:00:00"


def test_a_mistake_is_one_message_and_leaves_nothing(folder):
    result = init("visits.csv", "--text", "month")
    assert result.exit_code == 2
    assert "visits.csv has no column of times. It has place, month, visits." in result.stderr
    assert [each.name for each in folder.iterdir()] == ["visits.csv"]
