"""Every query of the Grafana dashboard runs on PostgreSQL, and gives the columns that its panel draws."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

FILE = Path(__file__).parents[3] / "examples" / "grafana" / "nightcast.json"
DASHBOARD: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
PANELS = {panel["title"]: panel for panel in DASHBOARD["panels"]}
VARIABLES = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
CHOSEN = {"job": "store-sales", "series": "Madrid/coffee", "low": "q0_05", "high": "q0_95"}


def filled(query: str) -> str:
    """A query as Grafana sends it: macros of its PostgreSQL source, variables as text or as SQL text."""
    query = re.sub(r"\$__timeFilter\((\w+)\)", r"\1 BETWEEN '2024-01-01' AND '2024-03-01'", query)
    query = query.replace("$__timeFrom()", "'2024-01-01'").replace("$__timeTo()", "'2024-03-01'")
    for name, value in CHOSEN.items():
        query = query.replace(f"${{{name}:sqlstring}}", f"'{value}'").replace(f"${name}", value)
    return query


@pytest.fixture(scope="module")
def ask(jobs: Any) -> Any:
    """The rows of a query, as dictionaries."""

    def rows(query: str) -> list[dict[str, Any]]:
        with jobs["postgresql"][1].connect() as connection:
            return [dict(row) for row in connection.execute(sa.text(filled(query).replace(":", "\\:"))).mappings()]

    return rows


def test_every_variable_lists_what_can_be_chosen(ask: Any) -> None:
    offered = {
        name: [next(iter(row.values())) for row in ask(each["query"])]
        for name, each in VARIABLES.items()
        if each["type"] == "query"
    }
    assert {name: value in offered[name] for name, value in CHOSEN.items()} == dict.fromkeys(CHOSEN, True)
    # What is chosen where nobody has chosen yet: the first of each list.
    assert (offered["low"][0], offered["high"][0]) == ("q0_05", "q0_95")


@pytest.mark.parametrize("title", [name for name in PANELS if name != "Open alerts"])
def test_the_query_of_a_panel_gives_rows(ask: Any, title: str) -> None:
    [target] = PANELS[title]["targets"]
    rows = ask(target["rawSql"])
    assert rows
    if target["format"] == "time_series":
        times = [row["time"] for row in rows]
        assert times == sorted(times)
        drawn = {name for row in rows for name, value in row.items() if isinstance(value, float)}
        assert drawn == {*rows[0]} - {"time"}
    # A style of a column that the query does not give would draw nothing.
    styled = {each["matcher"]["options"] for each in PANELS[title]["fieldConfig"]["overrides"]}
    assert styled <= {*rows[0]}


def test_open_alerts_and_their_marks_are_shown(ask: Any, jobs: Any) -> None:
    [table], [mark] = PANELS["Open alerts"]["targets"], [each["target"] for each in DASHBOARD["annotations"]["list"]]
    assert ask(table["rawSql"]) == ask(mark["rawSql"]) == []
    opened = (
        "INSERT INTO alert (job, segment, signal, opened_at, state, message) "
        "VALUES ('store-sales', 'all', 'loss', '2024-02-04', 'open', 'worse')"
    )
    with jobs["postgresql"][1].begin() as connection:
        connection.exec_driver_sql(opened)
    try:
        assert [row["message"] for row in ask(table["rawSql"])] == ["worse"]
        assert [row["text"] for row in ask(mark["rawSql"])] == ["worse"]
    finally:
        with jobs["postgresql"][1].begin() as connection:
            connection.exec_driver_sql("DELETE FROM alert")


def test_every_query_asks_the_data_source_that_is_chosen() -> None:
    found = re.findall(r'"uid": "([^"]+)"', json.dumps(DASHBOARD["panels"]) + json.dumps(DASHBOARD["annotations"]))
    assert {*found} == {"${database}"}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(PANELS)
