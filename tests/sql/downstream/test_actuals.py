"""Actuals are written whole or not at all, and read back as they were."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from sql.downstream import actuals
from sql.downstream.actuals import actuals_between, keep_actuals
from sql.downstream.anomalies import Judged, anomalies_since, anomaly_rate_of, anomaly_rates, anomaly_totals
from sql.errors import StorageError

FIRST = datetime(2024, 2, 1, tzinfo=UTC)
IDS = ["it's", 'say "no"', "naïve/ü", "%s :x"]


@pytest.fixture(params=["over ADBC", "over SQLAlchemy"])
def way(request, monkeypatch):
    """Both ways that rows take: databases without an ADBC driver get theirs from SQLAlchemy."""
    if request.param == "over SQLAlchemy":
        monkeypatch.setattr(actuals, "adbc_connection", lambda url: None)


def rows_of(ids: list[str], values: list[float], day: int = 0, job: str = "sales") -> pa.Table:
    instant, count = pa.timestamp("us", "UTC"), len(ids)
    return pa.table({
        "job": pa.array([job] * count, pa.string()),
        "timestamp": pa.array([FIRST + timedelta(days=day)] * count, instant),
        "series_id": pa.array(ids, pa.string()), "value": pa.array(values, pa.float64()),
        "evaluated_on": pa.array([FIRST] * count, instant),
    })  # fmt: skip


def keys_of(rows: pa.Table) -> pa.Table:
    return rows.select(["job", "timestamp", "series_id"])


NONE = keys_of(rows_of([], []))


def stored(engine, job: str = "sales") -> dict:
    found = actuals_between(engine, job, FIRST, FIRST + timedelta(days=9)).to_pylist()
    return {(row["series_id"], (row["timestamp"] - FIRST).days): row["value"] for row in found}


@pytest.mark.usefixtures("way")
def test_actuals_are_added_replaced_and_deleted(output):
    assert keep_actuals(output, rows_of(IDS, [0.1, -2.0, 1e300, 4.0]), NONE) == 4
    assert keep_actuals(output, rows_of(IDS[:1], [7.0], job="other"), NONE) == 1
    assert keep_actuals(output, rows_of(IDS[:2], [5.0, 6.0], day=1), NONE) == 2
    assert stored(output) == {
        ("it's", 0): 0.1, ('say "no"', 0): -2.0, ("naïve/ü", 0): 1e300, ("%s :x", 0): 4.0,
        ("it's", 1): 5.0, ('say "no"', 1): 6.0,
    }  # fmt: skip

    revised = rows_of(IDS[1:2], [9.0])
    assert keep_actuals(output, revised, keys_of(rows_of([IDS[1], IDS[3]], [0.0, 0.0]))) == 1

    assert stored(output) == {
        ("it's", 0): 0.1, ('say "no"', 0): 9.0, ("naïve/ü", 0): 1e300, ("it's", 1): 5.0, ('say "no"', 1): 6.0,
    }  # fmt: skip
    assert stored(output, "other") == {("it's", 0): 7.0}


@pytest.mark.usefixtures("way")
def test_what_the_database_refuses_leaves_all_as_it_was(output):
    keep_actuals(output, rows_of(IDS, [1.0, 2.0, 3.0, 4.0]), NONE)
    before = stored(output)
    # The first id is there already, and is not named as outdated.
    with pytest.raises(StorageError, match=r"(?i)unique|duplicate"):
        keep_actuals(output, rows_of([IDS[1], IDS[0]], [8.0, 9.0]), keys_of(rows_of(IDS[1:2], [0.0])))
    assert stored(output) == before


def test_nothing_to_write_asks_no_database():
    assert keep_actuals(None, rows_of([], []), NONE) == 0


def test_more_series_than_one_statement_names_are_replaced(output):
    ids = [f"s{number:05d}" for number in range(2 * actuals._IDS_AT_ONCE + 3)]
    first, second = rows_of(ids, [1.0] * len(ids)), rows_of(ids, [2.0] * len(ids))
    keep_actuals(output, first, NONE)
    keep_actuals(output, second, keys_of(first))
    assert {*stored(output).values()} == {2.0}
    assert len(stored(output)) == len(ids)


def judged(ids: list[str], outdated: list[str], actuals: int = 4) -> Judged:
    keys, count = keys_of(rows_of(ids, [1.0] * len(ids))), len(ids)
    instants = pa.array([FIRST] * count, pa.timestamp("us", "UTC"))
    columns: dict[str, Any] = {"actual": [9.5] * count, "expected": [1.0] * count, "probability": [1e-9] * count}
    columns |= {
        "direction": ["above"] * count,
        "since": instants,
        "model_version": pa.array([None] * count, pa.string()),
    }
    columns |= {"cutoff": instants, "evaluated_on": instants}
    rows = pa.table({**{name: keys[name] for name in keys.column_names}, **columns})
    rate = {"job": "sales", "evaluated_on": FIRST, "rate": 0.001, "actuals": actuals, "anomalies": count, "state": "ok",
            "tail_counts": {"0": actuals, "590": 1}}  # fmt: skip
    return Judged(rows, keys_of(rows_of(outdated, [0.0] * len(outdated))), rate)


@pytest.mark.usefixtures("way")
def test_anomalies_are_written_with_their_actuals_and_replaced(output):
    keep_actuals(output, rows_of(IDS, [1.0] * 4), NONE, judged(IDS[:3], []))
    assert anomalies_since(output, "sales", FIRST)["series_id"].to_pylist() == sorted(IDS[:3])
    keep_actuals(
        output, rows_of(IDS[:2], [2.0] * 2), keys_of(rows_of(IDS[:2], [0.0] * 2)), judged(IDS[1:2], IDS[:2], 6)
    )

    rows = anomalies_since(output, "sales", None)
    assert rows["series_id"].to_pylist() == sorted(IDS[1:3])
    assert rows.to_pylist()[0] == {
        "job": "sales", "timestamp": FIRST, "series_id": "naïve/ü", "actual": 9.5, "expected": 1.0, "probability": 1e-9,
        "direction": "above", "since": FIRST, "model_version": None, "cutoff": FIRST, "evaluated_on": FIRST,
    }  # fmt: skip
    assert anomalies_since(output, "sales", FIRST + timedelta(days=1)).num_rows == 0
    assert anomalies_since(output, "other", FIRST).num_rows == 0
    row = anomaly_rate_of(output, "sales", FIRST)
    assert row is not None
    assert (row["actuals"], row["anomalies"], row["tail_counts"]) == (6, 1, {"0": 6, "590": 1})
    assert anomaly_totals(output, "sales", FIRST) == (6, 1)
    assert anomaly_totals(output, "sales", FIRST + timedelta(days=1)) == (0, 0)
    assert anomaly_rates(output, "sales", FIRST, 9) == []
    assert anomaly_rates(output, "sales", FIRST + timedelta(days=1), 9) == [row]


@pytest.mark.usefixtures("way")
def test_an_anomaly_that_is_refused_leaves_the_actuals_as_they_were(output):
    keep_actuals(output, rows_of(IDS[:1], [1.0]), NONE, judged(IDS[:1], []))
    with pytest.raises(StorageError, match=r"(?i)unique|duplicate"):
        keep_actuals(output, rows_of(IDS[1:2], [1.0]), NONE, judged(IDS[:2], []))
    assert stored(output) == {(IDS[0], 0): 1.0}
    assert anomaly_totals(output, "sales") == (4, 1)
