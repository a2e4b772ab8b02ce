"""Times that are written as months, quarters or numbers, and a first line that is no line of names."""

from __future__ import annotations

import pytest

from sql.errors import SourceError
from sql.imports.file_format import FileFormat
from sql.imports.read_file import read_file, typed


@pytest.fixture
def times(tmp_path):
    """The fields of the second of three columns, as a file is read, and the notes."""

    def read(fields, name="when", **said):
        file = tmp_path / "t.csv"
        rows = [f"a,{field},{i}.5" for i, field in enumerate(fields)]
        file.write_text("\n".join([f"shop,{name},units", *rows]), encoding="utf-8")
        rows, notes = typed(read_file(file, FileFormat(**said)), "t.csv")
        return [str(each) for each in rows[name].to_pylist()], notes

    return read


@pytest.mark.parametrize(
    ("fields", "format_said"),
    [
        (["2024-01", "2024-04"], "%Y-%m"),
        (["2024/01", "2024/04"], "%Y/%m"),
        (["01/2024", "04/2024"], "%m/%Y"),
        (["Jan 2024", "apr 2024"], "%b %Y"),
        (["Jan-2024", "Apr-2024"], "%b-%Y"),
        (["2024-Q1", "2024-Q2"], "quarters"),
        (["2024q1", "2024q2"], "quarters"),
        (["2024 Q1", "2024 Q2"], "quarters"),
    ],
)
def test_months_and_quarters_are_their_first_days_where_no_other_column_is_a_time(times, fields, format_said):
    found, notes = times(fields)
    assert found == ["2024-01-01", "2024-04-01"]
    assert f"The days of 'when' are read as {format_said}." in notes
    assert times(fields, name="timestamp")[0] == ["2024-01-01 00:00:00", "2024-04-01 00:00:00"]


def test_what_looks_like_a_month_stays_text_beside_a_column_of_times_and_where_one_field_is_none(tmp_path, times):
    file = tmp_path / "parts.csv"
    file.write_text("part,day,units\n2024-01,2024-02-01,1\n2024-02,2024-02-02,2\n", encoding="utf-8")
    rows, _ = typed(read_file(file, FileFormat()), "parts.csv")
    assert rows["part"].to_pylist() == ["2024-01", "2024-02"]
    assert times(["2024-01", "2024-13"])[0] == ["2024-01", "2024-13"]
    assert times(["2024-Q1", "2024-Q5"])[0] == ["2024-Q1", "2024-Q5"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["20240101", "20240102"], ["2024-01-01 00:00:00", "2024-01-02 00:00:00"]),
        (["1960", "2023"], ["1960-01-01 00:00:00", "2023-01-01 00:00:00"]),
        (["1704067200", "1704153600"], ["2024-01-01 00:00:00+00:00", "2024-01-02 00:00:00+00:00"]),
        (["1704067200500", "1704153600000"], ["2024-01-01 00:00:00.500000+00:00", "2024-01-02 00:00:00+00:00"]),
    ],
)
def test_numbers_are_times_where_the_user_says_so_and_numbers_elsewhere(times, fields, expected):
    assert times(fields, times=("when",))[0] == expected
    assert times(fields)[0] == fields


@pytest.mark.parametrize(
    "rows",
    [
        ["001,2024-01-01,11.0", "001,2024-01-02,11.5"],
        ["01/02/2024;a;3", "02/02/2024;a;4"],
        ["2024-01-01 00:00:00,a,3", "2024-01-01 01:00:00,a,4"],
    ],
)
def test_a_first_line_that_is_a_row_is_not_lost_as_names(tmp_path, rows):
    file = tmp_path / "t.csv"
    file.write_text("\n".join(rows), encoding="utf-8")
    with pytest.raises(SourceError, match=r"The first line of .* looks like a row: .* Write a line with the names"):
        read_file(file, FileFormat())


def test_days_as_names_of_columns_are_a_wide_table_and_no_row(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("shop,2024-01-01,2024-01-02\na,1,2\nb,3,4\n", encoding="utf-8")
    assert read_file(file, FileFormat(wide=True)).rows.num_rows == 4
