"""Codes that look like numbers, times or nothing: an id and a category is text, to the letter."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from sql.engine.connection import resolve_url
from sql.errors import SourceError
from sql.imports.file_format import FileFormat
from sql.imports.import_file import import_file
from sql.source.read import Source, read_observations


@pytest.fixture
def load(database_url, engine, tmp_path):
    """Loads lines of CSV, or columns of Parquet, into the table `t`; gives its values of `x`, and the kind of `x`."""

    def loaded(rows: list[str] | pa.Array, column: str = "x", **said: Any) -> tuple[list, str]:
        if isinstance(rows, list):
            file = tmp_path / "t.csv"
            file.write_text("\n".join([f"n,{column}", *(f"{i},{row}" for i, row in enumerate(rows))]) + "\n")
        else:
            file = tmp_path / "t.parquet"
            pq.write_table(pa.table({"n": range(len(rows)), column: rows}), file)
        kind = import_file(file, resolve_url(database_url), "t", said=FileFormat(**said)).columns[column]
        with engine.connect() as connection:
            return connection.execute(sa.text(f"SELECT {column} FROM t ORDER BY n")).scalars().all(), kind

    return loaded


CODES = {
    "leading zeros": ["7", "007"],
    "exponents": ["1E3", "1000"],
    "an exponent alone": ["1e5"],
    "NA": ["NA", "EU"],
    "NA among numbers": ["1", "2", "NA"],
    "words for nothing": ["null", "NULL", "nan", "NaN", "n/a", "None", "#N/A"],
    "a plus": ["+1", "2"],
    "a trailing zero beside its number": ["1.1", "1.10"],
    "sections": ["1.9", "1.10", "1.11"],
    "whole numbers in two ways": ["5", "5.0"],
    "zeros in two ways": ["0.0", "-0.0"],
    "a minus zero": ["-0", "1"],
    "a point without digits": ["1.", "2"],
    "a point first": [".5", "1"],
    "hexadecimal": ["0x1F", "1"],
    "infinity": ["inf", "1"],
    "underscores": ["1_000", "2"],
    "blanks": [" 7", "7"],
    "20 digits": ["12345678901234567890", "12345678901234567891"],
    "19 digits that are too many": ["9223372036854775808", "1"],
    "decimals of 19 digits": ["0.1234567890123456789", "0.5"],
    "true in two ways": ["true", "True"],
    "yes and true": ["true", "yes"],
    "t and f": ["t", "f"],
    "no such day": ["2024-02-31", "2024-01-01"],
    "a day among words": ["2024-01-01", "soon"],
    "digits of other scripts": ["١", "1"],
    "commas": ['"1,5"', '"2,5"'],
    "days without dashes": ["01012024", "02012024"],
}


@pytest.mark.parametrize("rows", CODES.values(), ids=CODES)
def test_codes_that_look_like_numbers_stay_text_to_the_letter(load, rows):
    assert load(rows) == ([row.strip('"') for row in rows], "text")


@pytest.mark.parametrize("column", ["series_id", "x"])
def test_ids_and_what_the_user_calls_text_stay_text_to_the_letter(load, column):
    rows = ["1", "2.50", "true", "2024-01-01", "NA"]
    assert load(rows, column, **({} if column == "series_id" else {"text": ("x",)})) == (rows, "text")


def test_quotes_do_not_change_a_code_and_only_an_empty_field_is_null(load):
    assert load(['"007"', "7", "", '""', '"NA"', '" "']) == (["007", "7", None, None, "NA", " "], "text")


@pytest.mark.parametrize(
    ("rows", "expected", "kind"),
    [
        (["0", "-1", "9223372036854775807", ""], [0, -1, 9223372036854775807, None], "number"),
        (["1.5", "2", "-0.25"], [1.5, 2, -0.25], "number"),
        (["1.0", "2.5"], [1.0, 2.5], "number"),
        (["1.50", "2.25"], [1.5, 2.25], "number"),
        (["0.30000000000000004", "0.1"], [0.30000000000000004, 0.1], "number"),
        (["True", "False", ""], [True, False, None], "boolean"),
    ],
)
def test_plain_numbers_and_booleans_of_one_spelling_are_numbers_and_booleans(load, rows, expected, kind):
    assert load(rows) == (expected, kind)


def test_plain_days_and_times_are_times(load, engine):
    assert load(["2024-01-31", ""])[1] == "day"
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE t"))
    assert load(["2024-01-31 18:00", "2024-01-31"])[1] == "time"


MISSING = ["NA", "NaN", "nan", "null", "NULL", "n/a", "N/A", "#N/A", "", '""', " "]


@pytest.mark.parametrize("column", ["value", "x"])
def test_among_the_values_the_words_for_nothing_mean_missing_and_any_number_is_one(load, column):
    rows = [*MISSING, "007", "1E3", "+1", " 2 ", "1.10"]
    said = {} if column == "value" else {"numbers": ("x",)}
    assert load(rows, column, **said) == ([None] * len(MISSING) + [7, 1000, 1, 2, 1.1], "number")


def test_a_column_that_the_user_calls_a_time_or_a_number_must_hold_such(load):
    with pytest.raises(SourceError, match=r"'x' of .* text that is not a time: 'soon' \(1 row\)"):
        load(["2024-01-01", "soon", "NaT"], times=("x",))
    with pytest.raises(SourceError, match=r"'x' of .* should hold numbers, but holds text: 'two' \(1 row\)"):
        load(["1", "two"], numbers=("x",))
    with pytest.raises(SourceError, match="'x' is named twice by --text, --number and --time"):
        load(["1"], text=("x",), numbers=("x",))


@pytest.mark.parametrize(
    ("column", "expected", "kind"),
    [
        (pa.array(["007", "NA", "1E3", None]), ["007", "NA", "1E3", None], "text"),
        (pa.array(["007", "7", "007"]).dictionary_encode(), ["007", "7", "007"], "text"),
        (pa.array(["7", "007"], pa.large_string()), ["7", "007"], "text"),
        (pa.array([7, 8], pa.int16()).dictionary_encode(), [7, 8], "number"),
        (pa.array([2**64 - 1, 1], pa.uint64()), ["18446744073709551615", "1"], "text"),
        (pa.array([Decimal(7), None], pa.decimal128(9, 0)), [7, None], "number"),
        (pa.array([Decimal(10**19)], pa.decimal128(20, 0)), [str(10**19)], "text"),
        (pa.array([Decimal("1.25")], pa.decimal128(9, 2)), [1.25], "number"),
        (pa.array([Decimal("12345678901234567.89")], pa.decimal128(19, 2)), ["12345678901234567.89"], "text"),
        (pa.array([None, None], pa.null()), [None, None], "text"),
    ],
    ids=["text", "categories", "large text", "categories of numbers", "uint64", "decimals", "20 digits", "fractions",
         "19 digits", "nulls"],
)  # fmt: skip
def test_parquet_keeps_the_kind_that_it_has_and_no_number_changes(load, column, expected, kind):
    assert load(column) == (expected, kind)


def test_numbers_of_parquet_that_are_ids_become_text(load):
    assert load(pa.array([7, 10**15]), "series_id") == (["7", str(10**15)], "text")


def test_numbers_of_parquet_become_text_where_the_user_says_so(load):
    assert load(pa.array([7, 8]), text=("x",)) == (["7", "8"], "text")


def test_a_hive_key_of_a_parquet_folder_is_a_code(database_url, tmp_path):
    for code in ("007", "7"):
        folder = tmp_path / "t.parquet" / f"store={code}"
        folder.mkdir(parents=True)
        columns = {"timestamp": [datetime(2024, 1, 1)], "value": [1.0], "day": [date(2024, 1, 1)]}
        pq.write_table(pa.table(columns), folder / "part.parquet")
    assert import_file(tmp_path / "t.parquet", resolve_url(database_url), "t").columns["store"] == "text"
    rows = read_observations(Source(url=database_url, table="t", series_id=["store"]))
    assert sorted(rows["series_id"].to_pylist()) == ["007", "7"]


def test_parts_of_a_parquet_folder_that_differ_are_loaded_in_their_common_types(database_url, tmp_path):
    (tmp_path / "t.parquet").mkdir()
    first = {"series_id": ["a"], "timestamp": ["2024-01-01"], "value": [1]}
    second = {"series_id": ["a"], "timestamp": ["2024-01-02"], "value": [2.5], "promotion": [1]}
    for name, columns in (("1", first), ("2", second)):
        pq.write_table(pa.table(columns), tmp_path / "t.parquet" / f"{name}.parquet")
    import_file(tmp_path / "t.parquet", resolve_url(database_url), "t")
    rows = read_observations(Source(url=database_url, table="t", observed_past=["promotion"])).sort_by("timestamp")
    assert (rows["value"].to_pylist(), rows["promotion"].to_pylist()) == ([1.0, 2.5], [None, 1.0])


def test_codes_of_a_file_are_the_series_of_a_job(database_url, tmp_path):
    file = tmp_path / "t.csv"
    shops = ["7", "007", "1E3", "1000", "NA", "null"]
    file.write_text("shop,timestamp,value\n" + "".join(f'"{shop}",2024-01-01,1\n' for shop in shops))
    import_file(file, resolve_url(database_url), "t")
    rows = read_observations(Source(url=database_url, table="t", series_id=["shop"]))
    assert sorted(rows["series_id"].to_pylist()) == sorted(shops)
