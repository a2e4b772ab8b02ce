"""Samples of files: bounded, from several places, in the types that an import gives."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sql.errors import SourceError
from sql.imports.file_format import FileFormat
from sql.sample import file_sample
from sql.sample.file_sample import sample_file, sample_parquet


@pytest.fixture
def pieces_of_two_kilobytes(monkeypatch):
    monkeypatch.setattr(file_sample, "_LARGE", 10_000)
    monkeypatch.setattr(file_sample, "_PIECE", 2_000)


def lines(shops, days=200, note=""):
    times = pd.date_range("2024-01-01", periods=days)
    return "".join(f"{shop},{day:%Y-%m-%d},{i}{note}\n" for shop in shops for i, day in enumerate(times))


def test_a_small_file_is_looked_at_as_a_whole(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("shop,day,units\n" + lines(["007"], 3))
    found = sample_file(file, FileFormat())
    assert found.whole
    assert found.rows.to_pydict()["shop"] == ["007"] * 3
    assert [str(field.type) for field in found.rows.schema] == ["string", "date32[day]", "int64"]


@pytest.mark.usefixtures("pieces_of_two_kilobytes")
def test_a_large_file_gives_whole_lines_from_its_first_to_its_last(tmp_path):
    file, shops = tmp_path / "a.csv", [f"s{i}" for i in range(40)]
    file.write_text("shop,day,units\n" + lines(shops))
    found = sample_file(file, FileFormat())
    assert not found.whole
    assert not found.only_first
    assert 300 < found.rows.num_rows < 700
    seen = found.rows.to_pydict()
    assert (seen["shop"][0], seen["shop"][-1]) == ("s0", "s39")
    assert len(set(seen["shop"])) >= 5
    assert (str(seen["day"][-1]), seen["units"][-1]) == ("2024-07-18", 199)
    assert all(0 <= units < 200 for units in seen["units"])


@pytest.mark.usefixtures("pieces_of_two_kilobytes")
def test_where_a_piece_begins_inside_a_text_of_several_lines_the_first_piece_is_enough(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("shop,day,units,note\n" + lines(["a", "b", "c"], note=',"one\ntwo\nthree, four, five"'))
    found = sample_file(file, FileFormat())
    assert found.only_first
    assert set(found.rows.to_pydict()["shop"]) == {"a"}


@pytest.mark.usefixtures("pieces_of_two_kilobytes")
def test_an_error_about_a_large_file_names_that_file(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("a|b;c\n" + "1|2;3\n" * 3_000)
    with pytest.raises(SourceError, match=r"a\.csv may be separated by") as caught:
        sample_file(file, FileFormat())
    assert str(file) in str(caught.value)


def test_a_large_file_in_utf_16_gives_its_first_rows(tmp_path, pieces_of_two_kilobytes):
    file = tmp_path / "a.csv"
    file.write_bytes(("shop,day,units\n" + lines(["a", "b"])).encode("utf-16"))
    found = sample_file(file, FileFormat())
    assert found.only_first
    assert found.rows.to_pydict()["units"][:3] == [0, 1, 2]


def test_a_parquet_file_gives_rows_of_its_first_and_last_row_group(tmp_path, monkeypatch):
    monkeypatch.setattr(file_sample, "most_rows", lambda columns: 50)
    rows = pa.table({"shop": ["a"] * 500 + ["z"] * 500, "units": range(1_000), "parts": [[1]] * 1_000})
    pq.write_table(rows, tmp_path / "a.parquet", row_group_size=100)
    found = sample_file(tmp_path / "a.parquet", FileFormat())
    units = found.rows.to_pydict()["units"]
    assert (len(units), units[0], units[-1]) == (50, 0, 999)
    assert list(found.left_out) == ["parts"]


def test_a_parquet_file_of_one_row_group_gives_its_beginning_and_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(file_sample, "most_rows", lambda columns: 50)
    pq.write_table(pa.table({"units": range(1_000)}), tmp_path / "a.parquet")
    units = sample_parquet(tmp_path / "a.parquet", "a").rows.to_pydict()["units"]
    assert (units[0], units[-1], len(units)) == (0, 999, 50)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "", "is empty"),
        ("a.csv", "shop,day\n", "has no rows"),
        ("a.csv", "value\n1\n2\n", "has a single column"),
        ("a.parquet", "no parquet", "cannot be read as Parquet"),
        ("a.xlsx", "x", r"is neither \.csv nor \.parquet"),
        ("a.csv", "day,a,b\n2024-01-01,1,2.5\n2024-01-02,2,3.5\n", "seems to be a wide table"),
    ],
)
def test_a_file_that_gives_no_sample_is_refused_with_a_remedy(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=words):
        sample_file(tmp_path / name, FileFormat())
