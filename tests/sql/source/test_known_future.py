"""Values that are known ahead, from a table or query of their own, on real databases."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from sql.engine.connection import connect, resolve_url, transaction
from sql.errors import SourceError
from sql.source.known_future import known_future_as_of, read_known_future
from sql.source.read import read_observations
from sql.source.settings import Source


@pytest.fixture
def make_source(database_url):
    """A source of sales, and beside it promotions of each item and the weather of all; gives it with such entries."""
    statements = [
        "CREATE TABLE sales (store TEXT, item TEXT, day TIMESTAMP, units REAL, area REAL)",
        "INSERT INTO sales VALUES ('m', 'tea', '2024-03-01 00:00:00', 5, 120.5)",
        "CREATE TABLE promotions (shop TEXT, item TEXT, day TIMESTAMP, discount NUMERIC(5, 2), display INTEGER)",
        "INSERT INTO promotions VALUES ('m', 'tea', '2024-03-01 00:00:00', 0.25, 1)",
        "INSERT INTO promotions VALUES ('m', 'tea', '2024-03-02 00:00:00', NULL, 0)",
        "CREATE TABLE weather (hour TIMESTAMP, warmth REAL)",
        "INSERT INTO weather VALUES ('2024-03-02 00:00:00', 11.5), ('2024-03-09 00:00:00', 20)",
        "CREATE TABLE outlook (hour TIMESTAMP, warmth REAL, issued TIMESTAMP)",
        "INSERT INTO outlook VALUES ('2024-03-02 00:00:00', 9, NULL)",
        "INSERT INTO outlook VALUES ('2024-03-02 00:00:00', 11, '2024-03-01 06:00:00')",
        "INSERT INTO outlook VALUES ('2024-03-02 00:00:00', 12, '2024-03-01 18:00:00')",
        "INSERT INTO outlook VALUES ('2024-03-03 00:00:00', 20, '2024-03-02 06:00:00')",
        "CREATE TABLE plans (store TEXT, item TEXT, day TIMESTAMP, discount REAL, issued TIMESTAMP)",
        "INSERT INTO plans VALUES ('m', 'tea', '2024-03-02 00:00:00', 0.125, '2024-03-01 06:00:00')",
        "INSERT INTO plans VALUES ('m', 'tea', '2024-03-02 00:00:00', 0.5, '2024-03-01 18:00:00')",
        "INSERT INTO plans VALUES ('m', 'rum', '2024-03-02 00:00:00', 0.25, NULL)",
    ]
    with transaction(connect(resolve_url(database_url))) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)

    def make(*entries: dict, **settings) -> Source:
        columns = {"series_id": ["store", "item"], "timestamp": "day", "value": "units"}
        known = {"known_future_from": entries[0] if len(entries) == 1 else list(entries)}
        return Source(**{"url": database_url, "table": "sales", **columns, **known, **settings})

    return make


PROMOTIONS = {"table": "promotions", "series_id": ["shop", "item"], "columns": ["discount", "display"]}
WEATHER = {"table": "weather", "timestamp": "hour", "columns": "warmth"}


def read(source: Source, entry: int = 0, **bounds) -> pa.Table:
    return read_known_future(source, source.known_future_from[entry], **bounds)


def test_columns_of_each_series_come_with_its_id(make_source):
    rows = read(make_source(PROMOTIONS)).sort_by("timestamp")
    assert rows["series_id"].to_pylist() == ["m/tea", "m/tea"]
    assert rows.select(["timestamp", "discount", "display"]).to_pydict() == {
        "timestamp": [datetime(2024, 3, 1), datetime(2024, 3, 2)], "discount": [0.25, None], "display": [1, 0],
    }  # fmt: skip


def test_columns_that_hold_for_all_series_come_without_an_id(make_source):
    rows = read(make_source(PROMOTIONS, WEATHER), 1).sort_by("timestamp")
    assert rows.to_pydict() == {"timestamp": [datetime(2024, 3, 2), datetime(2024, 3, 9)], "warmth": [11.5, 20]}


OUTLOOK = {"table": "outlook", "timestamp": "hour", "columns": "warmth", "recorded_at": "issued"}
PLANS = {"table": "plans", "series_id": ["store", "item"], "columns": "discount", "recorded_at": "issued"}


@pytest.mark.parametrize(
    ("hour", "warmth", "discounts"),
    [
        (5, [9.0], {"m/rum": 0.25}),
        (6, [11.0], {"m/rum": 0.25, "m/tea": 0.125}),
        (20, [12.0], {"m/rum": 0.25, "m/tea": 0.5}),
    ],
)
def test_what_was_known_ahead_is_as_it_was_issued_by_then(make_source, hour, warmth, discounts):
    source, moment = make_source(OUTLOOK, {**PLANS, "timestamp": "day"}), datetime(2024, 3, 1, hour, tzinfo=UTC)
    by_the_database = [read(source, entry, known_at=moment) for entry in (0, 1)]
    of_all_vintages = [known_future_as_of(read(source, entry), moment) for entry in (0, 1)]
    for outlook, plans in (by_the_database, of_all_vintages):
        assert outlook.to_pydict() == {"timestamp": [datetime(2024, 3, 2)], "warmth": warmth}
        assert dict(zip(plans["series_id"].to_pylist(), plans["discount"].to_pylist(), strict=True)) == discounts
        assert sorted(plans.column_names) == ["discount", "series_id", "timestamp"]


def test_before_anything_was_issued_nothing_is_known_ahead(make_source):
    query = {"query": "SELECT * FROM outlook WHERE issued IS NOT NULL", "table": None}
    source, moment = make_source({**OUTLOOK, **query}), datetime(2024, 2, 1, tzinfo=UTC)
    assert read(source, known_at=moment).num_rows == 0
    assert known_future_as_of(read(source), moment).num_rows == 0


def test_a_query_gets_its_bounds_and_may_find_nothing(make_source):
    query = "SELECT * FROM weather WHERE hour >= :since AND hour <= :until"
    source = make_source({**WEATHER, "table": None, "query": query})
    bounds: dict[str, Any] = {"since": datetime(2024, 3, 1, tzinfo=UTC), "until": datetime(2024, 3, 8, tzinfo=UTC)}
    assert read(source, **bounds)["warmth"].to_pylist() == [11.5]
    nothing = read(source, since=datetime(2025, 1, 1, tzinfo=UTC))
    assert (nothing.num_rows, nothing.column_names) == (0, ["timestamp", "warmth"])


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (
            {**PROMOTIONS, "columns": ["shop"]},
            "'shop' of table 'promotions' .* should hold numbers, but holds text: 'm'",
        ),
        (
            {**PROMOTIONS, "columns": ["displays"]},
            r"no column 'displays' \(known_future\) in .*Did you mean 'display'\?",
        ),
        ({**WEATHER, "timestamp": "our"}, r"no column 'our' \(timestamp\) in table 'weather'.*Did you mean 'hour'\?"),
        ({**WEATHER, "table": "wether"}, "no table 'wether'.*Did you mean 'weather'"),
        ({**WEATHER, "table": None, "query": "DROP TABLE weather"}, "begins with 'DROP'"),
    ],
)
def test_what_is_not_there_is_one_error_that_names_the_entry(make_source, entry, words):
    with pytest.raises(SourceError, match=rf"source.known_future_from: .*{words}"):
        read(make_source(entry))


def test_static_numbers_are_read_with_the_history(make_source):
    assert read_observations(make_source(PROMOTIONS, static_numbers="area"))["area"].to_pylist() == [120.5]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({**PROMOTIONS, "series_id": "shop"}, r"names \['shop'\], but source.series_id names \['store', 'item'\]"),
        ({**WEATHER, "columns": "units"}, "'units' stands under both value and known_future_from.0"),
        ({**WEATHER, "columns": "value"}, "'value' cannot be a covariate"),
        ({**WEATHER, "query": "SELECT 1"}, "give table or query, not both"),
        ({**WEATHER, "columns": []}, "at least 1 item"),
    ],
)
def test_an_entry_that_means_two_things_is_refused(make_source, entry, words):
    with pytest.raises(ValueError, match=words):
        make_source(entry)
