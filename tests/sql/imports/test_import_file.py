import os
from contextlib import nullcontext
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from sql.engine.connection import connect, resolve_url
from sql.errors import SourceError, StorageError
from sql.imports import table as module
from sql.imports.import_file import Mode, import_file
from sql.source.read import Source, read_observations


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text(
        "series_id,timestamp,value,promotion,note\n"
        "001,2024-01-01 00:00:00,1.5,true,hello\n"
        "001,2024-01-01 01:00:00,,false,\n"
        "002,2024-01-01 00:00:00,3,true,x\n"
    )
    return path


@pytest.fixture(params=["over ADBC", "over SQLAlchemy"])
def way(request, monkeypatch):
    """Both ways that rows take: databases without an ADBC driver get theirs from SQLAlchemy."""
    if request.param == "over SQLAlchemy":
        monkeypatch.setattr(module, "adbc_connection", lambda url: None)


def rows_of(url, table="t"):
    rows = read_observations(Source(url=url, table=table))
    return sorted((row["series_id"], row["timestamp"].isoformat(), row["value"]) for row in rows.to_pylist())


HISTORY = [
    ("001", "2024-01-01T00:00:00", 1.5),
    ("001", "2024-01-01T01:00:00", None),
    ("002", "2024-01-01T00:00:00", 3.0),
]


@pytest.mark.usefixtures("way")
def test_a_csv_file_becomes_a_table_that_a_job_can_read(database_url, csv):
    found = import_file(csv, resolve_url(database_url), "t")
    kinds = {"series_id": "text", "timestamp": "time", "value": "number", "promotion": "boolean", "note": "text"}
    assert (found.rows, found.columns, found.notes) == (3, kinds, [])
    assert rows_of(database_url) == HISTORY


@pytest.mark.usefixtures("way")
def test_a_parquet_file_keeps_instants_days_and_categories(database_url, tmp_path, engine):
    noon = datetime(2024, 1, 1, 12, tzinfo=UTC)
    path = tmp_path / "history.parquet"
    columns = {
        "series_id": pa.array(["a", "b"]).dictionary_encode(),
        "timestamp": pa.array([noon, noon], pa.timestamp("ns", "Europe/Madrid")),
        "value": pa.array([1, None], pa.float32()),
        "day": pa.array([date(2024, 1, 1), None]),
    }
    pq.write_table(pa.table(columns), path)

    import_file(path, resolve_url(database_url), "t")

    rows = read_observations(Source(url=database_url, table="t")).to_pylist()
    assert [(row["timestamp"], row["value"]) for row in rows] == [(noon, 1.0), (noon, None)]
    with engine.connect() as connection:
        days = connection.execute(sa.text("SELECT CAST(day AS TEXT) FROM t ORDER BY series_id")).scalars().all()
    assert days == ["2024-01-01", None]


@pytest.mark.usefixtures("way")
def test_a_table_is_not_overwritten_unless_that_is_asked_for(database_url, csv):
    url = resolve_url(database_url)
    import_file(csv, url, "t")
    with pytest.raises(SourceError, match=r"There is already a table 't' .*--mode append, --mode replace"):
        import_file(csv, url, "t")
    import_file(csv, url, "t", "append")
    assert rows_of(database_url) == sorted(HISTORY * 2, key=lambda row: row[:2])
    import_file(csv, url, "t", "replace")
    assert rows_of(database_url) == HISTORY


def test_a_table_may_have_any_name(database_url, csv):
    name = 'or"der; DROP TABLE x %s'
    import_file(csv, resolve_url(database_url), name)
    import_file(csv, resolve_url(database_url), name, "append")
    assert len(rows_of(database_url, name)) == 6


def test_appending_fits_the_types_that_the_table_has(database_url, csv, run_sql):
    run_sql("CREATE TABLE t (id INTEGER, series_id VARCHAR(9), timestamp TIMESTAMP, value NUMERIC(9, 2), "
            "promotion BOOLEAN, note TEXT)")  # fmt: skip
    import_file(csv, resolve_url(database_url), "t", "append")
    assert rows_of(database_url) == HISTORY


def test_appending_needs_the_table_and_its_columns(database_url, csv, run_sql):
    url = resolve_url(database_url)
    with pytest.raises(SourceError, match=r"no table 't' in .* to append to"):
        import_file(csv, url, "t", "append")
    run_sql("CREATE TABLE t (series_id TEXT, timestamp TIMESTAMP, value REAL)")
    with pytest.raises(SourceError, match=r"lacks the columns \['promotion', 'note'\]"):
        import_file(csv, url, "t", "append")


def test_local_times_are_not_appended_to_instants(postgres_url, csv):
    url = resolve_url(postgres_url)
    aware = csv.with_name("aware.csv")
    aware.write_text(csv.read_text().replace(":00:00,", ":00:00Z,"))
    import_file(aware, url, "t")
    with pytest.raises(SourceError, match=r"times in 'timestamp' have no offset .* have one"):
        import_file(csv, url, "t", "append")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("gone.csv", None, "There is no file .*gone.csv. A relative path starts from /"),
        ("gone.parquet", None, "There is no file .*gone.parquet"),
        ("a.xlsx", "x", "neither .csv nor .parquet.* Save the sheet of the history as CSV UTF-8"),
        ("a.csv.gz", "x", "neither .csv nor .parquet.* Unpack it first"),
        ("a.db", "x", "neither .csv nor .parquet.* give its URL, such as sqlite:///history.db"),
        ("a.json", "x", "neither .csv nor .parquet.* Convert it to one of them"),
        (
            "a.parquet",
            "no parquet",
            r"a.parquet cannot be read as Parquet: .*[^. ]\. Write the file again, or give",
        ),
        ("a.parquet", "", "a.parquet is empty. Write the file again"),
        (
            "a.csv",
            "",
            r"a.csv is empty\. Write UTF-8 text\. The first line names the columns, such as series_id,timestamp,value",
        ),
        (
            "a.csv",
            "\0garbage",
            r"a.csv cannot be read as CSV: .*[^. ]\. Write UTF-8 text\. The first line names the columns",
        ),
        (
            "a.csv",
            "a,b\n1,2\n3\n",
            r"Expected 2 columns, got 1: 3\. Write UTF-8 text\. The first line names the columns",
        ),
        ("a.csv", "series_id,timestamp,value\n", r"no rows, only the columns \['series_id', .*Export the history"),
        ("a.csv", "a,a\n1,2\n", "names a column twice"),
        ("a.csv", "series_id,timestamp,value\na,2024-01-01,1\na,soon,2\n", r"not a time: 'soon' \(1 row\)"),
        ("a.csv", "series_id,timestamp,value\na,2024-01-01,1\na,2024-01-02,two\n", r"holds text: 'two' \(1 row\)"),
    ],
)
def test_a_bad_file_is_refused_and_no_table_is_made(database_url, engine, tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=message):
        import_file(tmp_path / name, resolve_url(database_url), "t")
    assert sa.inspect(engine).get_table_names() == []


def test_a_bad_file_makes_no_database(sqlite_url, tmp_path):
    (tmp_path / "a.csv").write_text("a\n1\n")
    with pytest.raises(SourceError):
        import_file(tmp_path / "a.csv", resolve_url(sqlite_url), "t")
    assert not Path(str(resolve_url(sqlite_url).database)).exists()


def test_replaced_rows_keep_the_way_in_which_the_table_has_times(postgres_url, tmp_path):
    local, instant = (tmp_path / name for name in ("local.csv", "instant.csv"))
    local.write_text("series_id,timestamp,value\na,2024-01-01 18:00:00,1\n")
    instant.write_text("series_id,timestamp,value\na,2024-01-01T18:00:00+05:00,2\n")
    for first, second in ((local, instant), (instant, local)):
        import_file(first, resolve_url(postgres_url), first.stem)
        with pytest.raises(SourceError, match=r"offset from UTC, but .* Write the file's times in the same way"):
            import_file(second, resolve_url(postgres_url), first.stem, "replace")


def test_imports_one_after_the_other_go_through_a_pooler(pooled_url, tmp_path):
    (tmp_path / "a.csv").write_text("series_id,timestamp,value\na,2024-01-01,1\n")
    for number in range(4):
        import_file(tmp_path / "a.csv", resolve_url(pooled_url), f"t{number}")


@pytest.mark.parametrize(
    "content", [b"\xff\xfe,b\n1,2\n", "series_id,timestamp,value\nMünster,2024-01-01,1\n".encode("latin-1")]
)
def test_text_in_another_encoding_is_refused_with_the_one_to_write(sqlite_url, tmp_path, content):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(SourceError, match=r"a.csv cannot be read as CSV: .*[^. ]\. Write UTF-8 text"):
        import_file(tmp_path / "a.csv", resolve_url(sqlite_url), "t")


def test_a_folder_is_no_csv_file_but_may_hold_the_parts_of_a_parquet_one(database_url, tmp_path):
    for name in ("a.csv", "a.parquet"):
        (tmp_path / name).mkdir()
    with pytest.raises(SourceError, match=r"a.csv cannot be read: Is a directory. Give a file"):
        import_file(tmp_path / "a.csv", resolve_url(database_url), "t")
    for part in ("1", "2"):
        pq.write_table(pa.table({"series_id": [part], "value": [1.0]}), tmp_path / "a.parquet" / f"{part}.parquet")
    assert import_file(tmp_path / "a.parquet", resolve_url(database_url), "t").rows == 2


@pytest.mark.usefixtures("way")
def test_a_replacement_that_fails_leaves_the_old_rows(database_url, csv, run_sql):
    import_file(csv, resolve_url(database_url), "t")
    run_sql("CREATE UNIQUE INDEX one_row ON t (series_id, timestamp)")
    csv.write_text(csv.read_text() + "002,2024-01-01 00:00:00,4,true,twice\n")
    with pytest.raises(StorageError, match=r"(?i)unique"):
        import_file(csv, resolve_url(database_url), "t", "replace")
    assert rows_of(database_url) == HISTORY


ROLLBACK_JOURNAL = b"\x01\x01"


@pytest.mark.usefixtures("way")
def test_a_sqlite_database_is_left_as_one_file_without_a_write_ahead_log(sqlite_url, csv, tmp_path):
    url = resolve_url(sqlite_url)
    bad = tmp_path / "bad.csv"
    bad.write_text("series_id,timestamp,value,unknown\na,2024-01-01,1,x\n")
    loads: list[tuple[Path, Mode]] = [(csv, "create"), (csv, "append"), (bad, "append"), (csv, "replace")]
    for file, mode in loads:
        with nullcontext() if file == csv else pytest.raises(SourceError):
            import_file(file, url, "t", mode)
        # Bytes 18 and 19 of the header: 1 for a rollback journal, 2 for a write-ahead log.
        assert (tmp_path / "test.db").read_bytes()[18:20] == ROLLBACK_JOURNAL
        assert [each.name for each in tmp_path.iterdir() if each.name.startswith("test.db")] == ["test.db"]


@pytest.mark.parametrize("mode", ["create", "append", "replace"])
@pytest.mark.parametrize("text", ["a,a\n1,2\n", "day,a,b\n2024-01-01,1,2\n2024-01-02,3,4\n", "timestamp,a\nsoon,1\n"])
def test_a_bad_file_makes_no_sqlite_database(sqlite_url, tmp_path, mode, text):
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(SourceError):
        import_file(tmp_path / "bad.csv", resolve_url(sqlite_url), "t", mode)
    assert not (tmp_path / "test.db").exists()


def test_a_sqlite_database_that_another_process_has_open_is_loaded_all_the_same(sqlite_url, csv):
    import_file(csv, resolve_url(sqlite_url), "t")
    with connect(resolve_url(sqlite_url)).connect() as other:
        other.execute(sa.text("SELECT count(*) FROM t")).all()
        import_file(csv, resolve_url(sqlite_url), "u")
    assert rows_of(sqlite_url, "u") == HISTORY


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path, ending):
    pipe = tmp_path / f"rows.{ending}"
    os.mkfifo(pipe)
    with pytest.raises(SourceError, match="is no file"):
        import_file(pipe, resolve_url(f"sqlite:///{tmp_path}/new.db"), "t")


def test_of_many_columns_that_stand_twice_a_few_are_named(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text(",".join(["a" * 500, "b"] * 300) + "\n" + ",".join(["1"] * 600) + "\n")
    with pytest.raises(SourceError, match="names a column twice") as raised:
        import_file(file, resolve_url(f"sqlite:///{tmp_path}/new.db"), "t")
    assert len(str(raised.value)) < 400


def test_a_file_of_more_columns_than_a_table_can_have_is_refused_before_it_is_examined(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text(",".join(f"c{n}" for n in range(1_601)) + "\n" + ",".join(["1"] * 1_601) + "\n")
    with pytest.raises(SourceError, match=r"a table of 1,601 columns, and databases take at most 1,600. Say --wide if"):
        import_file(file, resolve_url(f"sqlite:///{tmp_path}/new.db"), "t")
    assert not (tmp_path / "new.db").exists()
