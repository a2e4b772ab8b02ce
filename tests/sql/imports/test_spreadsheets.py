"""CSV files of spreadsheets and data frames: read where they leave no doubt, else refused with the remedy."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from sql.engine.connection import resolve_url
from sql.errors import SourceError
from sql.imports.file_format import FileFormat
from sql.imports.import_file import Imported, import_file
from sql.source.read import Source, read_observations


@pytest.fixture
def load(database_url, engine, tmp_path):
    """Loads a text into the table `t`; gives what `import_file` gives, and the rows."""

    def loaded(content: str | bytes, **said: Any) -> tuple[Imported, list[tuple]]:
        file = tmp_path / "t.csv"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        found = import_file(file, resolve_url(database_url), "t", said=FileFormat(**said))
        # SQLite keeps a time as text.
        columns = ", ".join(
            f'CAST("{name}" AS TEXT)' if kind in ("time", "day") else f'"{name}"'
            for name, kind in found.columns.items()
        )
        with engine.connect() as connection:
            rows = connection.execute(sa.text(f"SELECT {columns} FROM t")).all()
        return found, [tuple(str(each)[:16] if ":" in str(each) else each for each in row) for row in rows]

    return loaded


JANUARY = [("007", "2026-01-31 18:30", 1.5), ("8", "2026-02-01 18:30", 2.25)]
TIMES = ["2026-01-31 18:30", "2026-02-01 18:30"]


def history(times: list[str], delimiter: str = ";", values: tuple[str, str] = ("1,5", "2,25")) -> str:
    header = delimiter.join(("series_id", "timestamp", "value"))
    lines = zip(("007", "8"), times, values, strict=True)
    return "\n".join([header, *(delimiter.join(line) for line in lines)]) + "\n"


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        (history(TIMES), ";"),
        (history(TIMES, "\t"), "\t"),
        (history(TIMES, "|", ("1.5", "2.25")), "|"),
        (history(TIMES, ",", ('"1,5"', '"2,25"')), ","),
        (history(TIMES, ",", ("1.5", "2.25")), ","),
        ("sep=;\n" + history(TIMES), ";"),
        ('"sep=;"\r\n' + history(TIMES).replace("\n", "\r\n"), ";"),
        ("sep=^\n" + history(TIMES, "^"), "^"),
        (history(TIMES).encode("utf-8-sig"), ";"),
        (history(TIMES).encode("utf-16"), ";"),
        (b"\xfe\xff" + history(TIMES, "\t").encode("utf-16-be"), "\t"),
        (history(TIMES).replace("timestamp;", " timestamp ;"), ";"),
        ("sep=;\n" + history(TIMES) + "\n\n", ";"),
    ],
    ids=["semicolons", "tabs", "bars", "quoted commas", "plain", "sep", "quoted sep", "other sep", "UTF-8 with a mark",
         "UTF-16", "UTF-16 big-endian", "blanks in the header", "empty lines"],
)  # fmt: skip
def test_delimiters_decimal_commas_and_encodings_are_found_out(load, text, delimiter):
    found, rows = load(text)
    assert rows == JANUARY
    assert found.written["delimiter"] == delimiter


@pytest.mark.parametrize(
    ("times", "date_format"),
    [
        (["31.01.2026 18:30", "01.02.2026 18:30"], "%d.%m.%Y"),
        (["31.1.2026 18:30:00", "1.2.2026 18:30"], "%d.%m.%Y"),
        (["31/01/2026 18:30", "01/02/2026 18:30"], "%d/%m/%Y"),
        (["01/31/2026 06:30 PM", "2/1/2026 6:30 pm"], "%m/%d/%Y"),
        (['"1/31/2026, 6:30:00 PM"', '"2/1/2026, 6:30:00 PM"'], "%m/%d/%Y"),
        (["31-01-2026 18:30", "01-02-2026 18:30"], "%d-%m-%Y"),
        (["2026/01/31 18:30", "2026/2/1 18:30"], "%Y/%m/%d"),
        (["2026.01.31 18:30", "2026.02.01 18:30:00.000"], "%Y.%m.%d"),
        (["2026-1-31 18:30", "2026-2-1 18:30"], "%Y-%m-%d"),
        (["31.01.2026T18:30", "01.02.2026T18:30"], "%d.%m.%Y"),
    ],
)
@pytest.mark.parametrize("name", ["timestamp", "Datum"])
def test_the_order_of_day_and_month_is_found_out_and_said(load, times, date_format, name):
    found, rows = load(history(times).replace("timestamp", name))
    assert rows == JANUARY
    assert found.written == {
        "encoding": "UTF-8", "delimiter": ";", "decimal": ",", "date_format": {name: date_format}
    }  # fmt: skip
    assert found.notes == [
        "The columns are separated by ';'.",
        "Numbers have a decimal comma.",
        f"The days of {name!r} are read as {date_format}.",
    ]


def test_days_without_a_clock_are_days_and_compact_ones_are_found_among_timestamps_only(load, engine):
    assert load("Tag;n;m\n31.01.2026;1;a\n")[0].columns["Tag"] == "day"
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE t"))
    found, rows = load("timestamp,item,value\n20260131,20260131,1\n")
    assert rows == [("2026-01-31 00:00", 20260131, 1.0)]
    assert found.written["date_format"] == {"timestamp": "%Y%m%d"}


@pytest.mark.parametrize(
    ("times", "choices"),
    [
        (["01/02/2026", "02/02/2026"], "--date-format %d/%m/%Y or --date-format %m/%d/%Y"),
        (["01-02-2026 18:30", "02-02-2026 18:30"], "--date-format %d-%m-%Y or --date-format %m-%d-%Y"),
        (["31.01.26", "01.02.26"], "--date-format %d.%m.%y or --date-format %m.%d.%y"),
    ],
)
def test_days_that_leave_a_doubt_are_refused_and_each_remedy_works(load, engine, times, choices):
    with pytest.raises(SourceError, match=f"leave open which number is the month. Say {choices}"):
        load(history(times))
    assert sa.inspect(engine).get_table_names() == []
    day_first = choices.split()[1]
    found, rows = load(history(times), date_format=day_first)
    expected = datetime.strptime(times[0].split()[0], day_first)  # noqa: DTZ007
    assert str(rows[0][1]).startswith(f"{expected:%Y-%m-%d}")
    assert found.written["date_format"] == {"timestamp": day_first}


def test_a_date_format_of_the_user_holds_for_every_column_that_has_it_but_for_no_number(load, engine):
    text = "shop;code;sold;loaded\n1;20260131;01/02/2026;03/02/2026 18:30\n"
    found, rows = load(text, date_format="%m/%d/%Y")
    assert rows == [(1, 20260131, "2026-01-02", "2026-03-02 18:30")]
    assert set(found.written["date_format"]) == {"sold", "loaded"}
    with pytest.raises(SourceError, match=r"No column of .* has the date format %Y%m%d\. Correct it, or name .*--time"):
        load(text.replace("/", "."), date_format="%Y%m%d")
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE t"))
    assert load(text, date_format="%Y%m%d", times=("code",), text=("sold", "loaded"))[1][0][1] == "2026-01-31 00:00"


def test_days_that_do_not_exist_or_have_another_order_are_named(load):
    with pytest.raises(SourceError, match=r"'timestamp' .* not a time like %d.%m.%Y: '31.02.2026'"):
        load(history(["31.01.2026", "31.02.2026"]))
    with pytest.raises(SourceError, match=r"not a time like %d/%m/%Y: '01/31/2026'"):
        load(history(["31/01/2026", "01/31/2026"]))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("1.234,50", "1.234"), [1234.5, 1234.0]),
        (("1.234.567", "3"), [1234567.0, 3.0]),
        (("0,500", "0,250"), [0.5, 0.25]),
        (("NA", "1,5"), [None, 1.5]),
        (("1,5e3", "-2,0"), [1500.0, -2.0]),
        (("1,234.5", "1,234"), [1234.5, 1234.0]),
        (("1.5", "2"), [1.5, 2.0]),
        (("1,50", "2,00"), [1.5, 2.0]),
    ],
)
def test_decimal_commas_and_thousands_are_told_apart_where_the_values_show_it(load, values, expected):
    assert [row[2] for row in load(history(TIMES, ";", values))[1]] == expected


@pytest.mark.parametrize("values", [("1,234", "5,678"), ("1.234", "5.678"), ("1,5", "2.5")])
def test_decimals_that_leave_a_doubt_are_refused_and_each_remedy_works(load, engine, values):
    with pytest.raises(SourceError, match=r"leave open whether a comma or a point .* Say --decimal , or --decimal \. "):
        load(history(TIMES, ";", values))
    if values == ("1,234", "5,678"):
        assert [row[2] for row in load(history(TIMES, ";", values), decimal=",")[1]] == [1.234, 5.678]
        with engine.begin() as connection:
            connection.execute(sa.text("DROP TABLE t"))
        assert [row[2] for row in load(history(TIMES, ";", values), decimal=".")[1]] == [1234.0, 5678.0]
    elif values == ("1,5", "2.5"):
        with pytest.raises(SourceError, match=r"with a decimal comma, but holds '2.5' \(1 row\)"):
            load(history(TIMES, ";", values), decimal=",")


def test_columns_of_any_name_have_decimal_commas_too_and_codes_do_not(load):
    found, rows = load("Filiale;Umsatz;Anteil;Code\n007;1.012,50;0,5;1.000\n8;3,00;1,25;2\n")
    assert rows == [("007", 1012.5, 0.5, "1.000"), ("8", 3.0, 1.25, "2")]
    assert found.columns == {"Filiale": "text", "Umsatz": "number", "Anteil": "number", "Code": "text"}
    assert [note for note in found.notes if "stays text" in note] == [
        "'Code' stays text, so that '1.000' and the like stay as they are. Say --number Code if it holds numbers.",
        "'Filiale' stays text, so that '007' and the like stay as they are. Say --number Filiale if it holds numbers.",
    ]


def test_a_column_of_numbers_and_na_is_text_and_the_note_says_the_remedy_that_works(load, engine):
    text = "Filiale;Umsatz\nA;1,50\nB;NA\n"
    found, rows = load(text, decimal=",")
    assert rows == [("A", "1,50"), ("B", "NA")]
    assert "Say --number Umsatz" in found.notes[-1]
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE t"))
    assert load(text, numbers=("Umsatz",))[1] == [("A", 1.5), ("B", None)]


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_a_file_goes_into_a_table_as_spreadsheets_write_it_and_text_stays_as_it_is(load, database_url, tmp_path, mode):
    load(history(TIMES).replace("value", "value;class").replace("5\n", "5;x\n"))
    file = tmp_path / "more.csv"
    file.write_text("value;timestamp;series_id;class\n3,5;03.02.2026 18:30;1,50;2,50\n")
    found = import_file(file, resolve_url(database_url), "t", mode)
    assert found.columns == {"value": "number", "timestamp": "time", "series_id": "text", "class": "text"}
    classes = read_observations(Source(url=database_url, table="t", static=["class"]))["class"].to_pylist()
    assert sorted(set(classes)) == (["2,50", "x"] if mode == "append" else ["2,50"])
    rows = read_observations(Source(url=database_url, table="t")).sort_by("timestamp").to_pylist()
    assert (rows[-1]["series_id"], rows[-1]["value"]) == ("1,50", 3.5)
    assert rows[-1]["timestamp"] == datetime(2026, 2, 3, 18, 30)


@pytest.mark.parametrize(
    ("text", "said", "message"),
    [
        ("a:b:c\n1:2:3\n", {}, r"a single column with ',' between columns: 'a:b:c'\. Say .*--delimiter ';'"),
        ("a;b;c\n1;2;3\n", {"delimiter": ","}, r"a single column with ',' between columns: 'a;b;c'"),
        ("sep=,\na;b;c\n1;2;3\n", {}, r"a single column with ',' between columns: 'a;b;c'"),
        ("a b c\n1 2 3\n", {}, "a single column"),
        ("a,b;c,d\n1,2;3,4\n", {}, r"may be separated by ',' or ';': 'a,b;c,d'\. Say which, such as --delimiter ','"),
        ("a;b\n1;2;3\n", {}, "Expected 2 columns, got 3"),
        ("a;b,c\n1;2;3\n", {"delimiter": ";"}, "Expected 2 columns, got 3"),
        ("a,b,c\n1,2,3\n", {"delimiter": ";;"}, "';;' is not a single character"),
    ],
)
def test_a_delimiter_that_is_not_the_one_of_the_file_is_refused(load, text, said, message):
    with pytest.raises(SourceError, match=message):
        load(text, **said)


@pytest.mark.parametrize("suffix", [".tsv", ".txt", ".TXT"])
def test_a_file_with_tabs_may_say_so_in_its_name(sqlite_url, tmp_path, suffix):
    (tmp_path / f"t{suffix}").write_text(history(TIMES, "\t"))
    found = import_file(tmp_path / f"t{suffix}", resolve_url(sqlite_url), "t")
    assert (found.rows, found.written["delimiter"]) == (2, "\t")


def test_a_delimiter_of_the_user_is_taken(load):
    assert load("a:b:c\n1:x:3\n", delimiter=":")[1] == [(1, "x", 3)]


@pytest.mark.parametrize("first", ["", '""', "Unnamed: 0"])
@pytest.mark.parametrize("numbers", [("0", "1"), ("3", "17")])
def test_the_index_of_a_data_frame_is_left_out_and_said(load, first, numbers):
    found, rows = load(f"{first},shop,units\n{numbers[0]},a,1\n{numbers[1]},b,2\n")
    assert rows == [("a", 1), ("b", 2)]
    assert found.notes == ["The first column has no name and only counts the rows; it is left out."]


@pytest.mark.parametrize("fields", [("2026-01-01", "2026-01-02"), ("1", "1"), ("7", "3"), ("01", "02")])
def test_a_first_column_without_a_name_that_holds_something_is_refused(load, fields):
    with pytest.raises(SourceError, match=rf"Column 1 of .* has no name, but holds '{fields[0]}'\. Name it in"):
        load(f",shop,units\n{fields[0]},a,1\n{fields[1]},b,2\n")


def test_empty_columns_at_the_end_of_each_line_are_left_out_and_said(load):
    found, rows = load("shop;units;\na;1;\nb;2;\n")
    assert rows == [("a", 1), ("b", 2)]
    assert found.notes[0] == "Column 3 has no name and is empty; it is left out."


def test_empty_rows_at_the_end_of_a_sheet_are_left_out_and_said(load):
    found, rows = load("shop;units;day\na;1;x\n;;\nb;2;y\n;;\n")
    assert rows == [("a", 1, "x"), ("b", 2, "y")]
    assert "2 rows are empty and left out." in found.notes


@pytest.mark.parametrize("line_end", ["\r\n", "\r"])
def test_line_ends_of_other_systems_and_breaks_within_quotes_are_understood(load, line_end):
    text = line_end.join(["shop;note;units", 'a;"two', 'lines; one field";1', "b;x;2", ""])
    assert [(row[0], row[2]) for row in load(text)[1]] == [("a", 1), ("b", 2)]


def test_rows_without_a_time_or_an_id_are_counted(load):
    found = load("series_id;timestamp;value\na;31.01.2026;1,5\nSumme;;1,5\n")[0]
    assert found.notes[-1] == "1 of 2 rows have no 'timestamp', which a job refuses."


@pytest.mark.parametrize("offset", ["", "Z", "+01:00"])
def test_seven_digits_of_a_second_are_read_where_the_seventh_is_zero(load, offset):
    found = load(f"series_id,timestamp,value\na,2026-01-31 18:30:00.1234560{offset},1\n")[0]
    assert found.columns["timestamp"] == "time"
    with pytest.raises(SourceError, match=r"not a time: '2026-01-31 18:30:00.1234567'"):
        load("series_id,timestamp,value\na,2026-01-31 18:30:00.1234567,1\n")


def test_two_spellings_of_a_decimal_comma_stay_two_codes(load):
    assert load("section;units\n1,10;3,5\n1,1;4\n")[1] == [("1,10", 3.5), ("1,1", 4.0)]


@pytest.mark.parametrize("days", [("31.01.26", "01.02.26"), ("31/01/26", "01/02/26"), ("01/02/2026", "02/02/2026")])
def test_days_of_any_column_that_leave_a_doubt_are_refused_and_text_is_a_remedy(load, days):
    text = f"shop;day;units\na;{days[0]};1\nb;{days[1]};2\n"
    with pytest.raises(SourceError, match=r"Say --date-format .* \(or --text day if it holds no times\)"):
        load(text)
    assert [row[1] for row in load(text, text=("day",))[1]] == list(days)


def test_codes_with_dashes_are_no_days(load):
    assert load("size;units\n10-20-30;1\n12-11-10;2\n")[0].columns["size"] == "text"


def test_times_in_another_form_are_refused_and_the_remedy_works(load):
    text = history(["31-Jan-2026 18:30", "01-Feb-2026 18:30"])
    with pytest.raises(SourceError, match=r"not a time: '31-Jan-2026 18:30', .* such as --date-format %d.%m.%Y"):
        load(text)
    assert load(text, date_format="%d-%b-%Y")[1] == JANUARY


def test_the_index_of_a_parquet_file_is_left_out_if_it_only_counts(sqlite_url, tmp_path):
    for name, index in (("rows", [0, 2]), ("days", [date(2026, 1, 1), date(2026, 1, 2)])):
        columns = {"shop": ["a", "b"], "units": [1.5, 2.5], "__index_level_0__": index}
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    found = import_file(tmp_path / "rows.parquet", resolve_url(sqlite_url), "rows")
    assert (list(found.columns), found.notes) == (
        ["shop", "units"], ["The column __index_level_0__ only counts the rows; it is left out."]
    )  # fmt: skip
    assert "__index_level_0__" in import_file(tmp_path / "days.parquet", resolve_url(sqlite_url), "days").columns


WIDE = "Datum;Madrid;007\n31.01.2026;1,5;\n01.02.2026;2;NA\n"
LONG = [("007", "2026-01-31 00:00", None), ("007", "2026-02-01 00:00", None),
        ("Madrid", "2026-01-31 00:00", 1.5), ("Madrid", "2026-02-01 00:00", 2.0)]  # fmt: skip


def test_a_wide_table_is_refused_and_the_remedy_makes_it_long(load, engine):
    with pytest.raises(SourceError, match=r"to be a wide table: each 'Datum' occurs once.*\(Madrid, 007\).*--wide"):
        load(WIDE.replace("NA", "3"))
    assert sa.inspect(engine).get_table_names() == []
    found, rows = load(WIDE, wide=True)
    assert sorted(rows) == LONG
    assert found.columns == {"series_id": "text", "timestamp": "time", "value": "number"}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("2026-01", "2026-02"), {}),
        (("01.2026", "02.2026"), {}),
        (("Jan 26", "Feb 26"), {}),
        (("1/1/2026", "1/2/2026"), {"date_format": "%d/%m/%Y"}),
        (("1/1/2026", "2/1/2026"), {"date_format": "%m/%d/%Y"}),
        (("01.01.2026 00:00", "01.02.2026 00:00"), {}),
    ],
)
def test_a_wide_table_may_name_its_columns_by_days_and_months_of_other_forms(load, names, said):
    text = ";".join(["store", *names]) + "\n007;1,5;2\n"
    with pytest.raises(SourceError, match=r"seems to be a wide table|leave open which .* Say --wide and --date-format"):
        load(text)
    rows = load(text, wide=True, **said)[1]
    assert rows == [("007", "2026-01-01 00:00", 1.5), ("007", "2026-02-01 00:00", 2.0)]


@pytest.mark.parametrize(
    "text",
    [
        "day,Madrid,Lugo\n2026-01-01,1,NA\n2026-01-02,2,3\n",
        "day,1,2\n2026-01-01,5,6\n2026-01-02,7,8\n",
        ",day,Madrid,Lugo\n0,2026-01-01,1.5,\n1,2026-01-02,2,\n",
        "hour,a,b\n" + "".join(f"2026-10-25T{hour:02}:00,{hour},1.5\n" for hour in (0, 1, 2, *range(2, 24))),
    ],
    ids=["NA", "numbers as names", "index", "a repeated hour"],
)
def test_other_wide_tables_are_noticed_too(load, text):
    with pytest.raises(SourceError, match="seems to be a wide table"):
        load(text)


def test_a_wide_table_with_a_column_for_each_day_is_refused_and_the_remedy_makes_it_long(load):
    text = "store,item,2026-01-31,2026-02-01\n007,tea,1.5,\n8,tea,2,3\n"
    with pytest.raises(
        SourceError, match=r"names of its columns are days or months \(2026-01-31, 2026-02-01\).*--wide"
    ):
        load(text)
    found, rows = load(text, wide=True)
    assert sorted(rows, key=str) == [
        ("007", "tea", "2026-01-31 00:00", 1.5), ("007", "tea", "2026-02-01 00:00", None),
        ("8", "tea", "2026-01-31 00:00", 2.0), ("8", "tea", "2026-02-01 00:00", 3.0),
    ]  # fmt: skip
    assert list(found.columns) == ["store", "item", "timestamp", "value"]


def test_a_wide_table_of_parquet_is_made_long(sqlite_url, tmp_path):
    columns = {"day": [date(2026, 1, 1), date(2026, 1, 2)], "a": [1, 2], "b": [1.5, None]}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    with pytest.raises(SourceError, match="seems to be a wide table"):
        import_file(tmp_path / "t.parquet", resolve_url(sqlite_url), "t")
    found = import_file(tmp_path / "t.parquet", resolve_url(sqlite_url), "t", said=FileFormat(wide=True))
    assert (found.rows, found.columns) == (4, {"series_id": "text", "timestamp": "day", "value": "number"})


@pytest.mark.parametrize(
    "text",
    [
        "day,store,units\n2026-01-01,1,5\n2026-01-01,2,6\n",
        "day,store,units\n2026-01-01,1,5\n2026-01-02,1,6\n",
        "day,units\n2026-01-01,5\n2026-01-02,6\n",
        "day,store,units\n2026-01-01,007,5\n2026-01-02,007,6\n",
        "day,store,units,price\n2026-01-01,a,5,1\n2026-01-02,a,6,2\n",
        "series_id,timestamp,value,promotion\n1,2026-01-01,5,0\n1,2026-01-02,6,1\n",
    ],
)
def test_a_long_table_is_not_taken_for_a_wide_one(load, text):
    assert load(text)[0].rows == 2


def test_a_table_of_one_row_for_each_time_is_loaded_if_the_user_says_that_it_is_not_wide(load):
    weather = "hour,temperature,wind\n2026-01-01 00:00,5.5,1\n2026-01-01 01:00,6,2\n"
    with pytest.raises(SourceError, match=r"weather for all series, say --long\."):
        load(weather)
    found, rows = load(weather, wide=False)
    assert rows == [("2026-01-01 00:00", 5.5, 1), ("2026-01-01 01:00", 6.0, 2)]
    assert list(found.columns) == ["hour", "temperature", "wind"]


def test_a_long_table_is_not_made_long_again(load):
    with pytest.raises(SourceError, match="is no wide table"):
        load("timestamp,value,shop\n2026-01-01,5,a\n2026-01-02,6,b\n", wide=True)
