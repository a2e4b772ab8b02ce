"""Covariates from tables of their own, on real databases, from the reading to the audit."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from models.errors import InputError
from sql.engine.connection import connect, resolve_url, transaction
from tasks.night.job import Job
from tasks.reading.audit import audit_input
from tasks.reading.read_series import Extent, read_series

NOW = datetime(2024, 3, 6, tzinfo=UTC)


@pytest.fixture
def audit_with(database_url, tmp_path):
    """Audits series 7 and 8 of five days, with promotions whose ids have a type and values of their own."""

    def audit(kind: str, *ids: str, day: str = "2024-03-05"):
        rows = ", ".join(f"({number}, '2024-03-0{day} 00:00:00', 1)" for number in (7, 8) for day in range(1, 6))
        statements = [
            "CREATE TABLE sales (item INTEGER, day TIMESTAMP, units REAL)",
            f"INSERT INTO sales VALUES {rows}",
            f"CREATE TABLE promotions (item {kind}, day TIMESTAMP, promotion REAL)",
            *(f"INSERT INTO promotions VALUES ({each}, '{day} 00:00:00', 1)" for each in ids),
        ]
        with transaction(connect(resolve_url(database_url))) as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        known = {"table": "promotions", "series_id": ["item"], "columns": ["promotion"]}
        source = {"url": database_url, "table": "sales", "series_id": ["item"], "timestamp": "day", "value": "units"}
        source["known_future_from"] = [known]
        job = Job.model_validate({"name": "sales", "source": source, "forecast": {"frequency": "D", "horizon": 2}})
        rows_file = read_series(job, tmp_path, Extent(now=NOW), tmp_path)
        return [str(each) for each in audit_input(job, rows_file, None, NOW).audit.findings]

    return audit


@pytest.mark.parametrize(
    ("kind", "other"),
    [("TEXT", "'7.0'"), ("TEXT", "'7 '"), ("TEXT", "'007'"), ("VARCHAR(9)", "' 7'"), ("NUMERIC(5, 1)", "7.5")],
)
def test_ids_of_which_none_is_a_series_stop_the_night_on_every_database(audit_with, kind, other):
    text = other.strip("'")
    with pytest.raises(InputError, match=f"None of the 1 ids with promotion .*'{text}' beside the series '7'"):
        audit_with(kind, other)


@pytest.mark.parametrize("kind", ["INTEGER", "BIGINT", "TEXT", "CHAR(5)"])
def test_ids_of_another_type_with_the_same_text_meet(audit_with, kind):
    assert not [each for each in audit_with(kind, "'7'", "'8'") if "ids with" in each]


def test_ids_that_are_spelt_unlike_their_series_are_findings_on_every_database(audit_with):
    found = audit_with("TEXT", "'7.0'", "'8'")
    assert "1 id with promotion that is spelt unlike its series ('7.0' beside the series '7'): ignored" in found


def test_a_table_of_another_year_is_a_finding_on_every_database(audit_with):
    found = [each for each in audit_with("TEXT", "'7'", day="2023-03-05") if "values of" in each]
    assert found == [
        "0 values of promotion (2024-03-01T00:00Z to 2024-03-07T00:00Z): the network learns nothing from it"
    ]
