"""Publishing: both places whole, or both as they were."""

from __future__ import annotations

import inspect
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import fsspec
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from sql.errors import StorageError
from sql.output import history
from tasks.night.job import Job
from tasks.night.ledger import Ledger
from tasks.night.night import Night
from tasks.publishing.folder_columns import files_left_aside
from tasks.publishing.parquet_night import ParquetNight, night_folder
from tasks.publishing.publish import Publication, publish
from tasks.settings import Output
from tasks.store.night_file import save_night
from tasks.store.places import Places

CUTOFF = datetime(2024, 3, 1, tzinfo=UTC)


JOB = {"name": "sales", "source": {"url": "sqlite://", "table": "sold"}, "forecast": {"frequency": "D", "horizon": 3}}


def night_of(places: Places, cutoff: datetime = CUTOFF, run_id: str = "r1") -> Night:
    """A night of a job at these places."""
    job, ledger, file = Job.model_validate(JOB), Ledger(places), places.base / "sales.yaml"
    return Night(job, file, places, ledger, run_id, "nightly", None, "auto", cutoff, cutoff, places.base, cutoff)


def publish_rows(places: Places, *parts: pa.Table) -> Publication:
    """Publish a night that was forecast in these parts."""
    cutoff, run_id = (parts[0][name][0].as_py() for name in ("cutoff", "run_id"))
    return publish(night_of(places, cutoff, run_id), save_night(parts, places.base / "night.parquet"))


def test_the_very_same_rows_are_not_written_again_while_all_of_them_are_there(places, forecast_rows):
    first = publish_rows(places, forecast_rows())
    file = Path(first.parquet) / "part-0.parquet"
    before = file.stat().st_ino, history.publications(places.engine(), "sales")
    again = publish_rows(places, forecast_rows(run_id="r2"))
    assert (first.same_as, again.same_as, again.rows) == ("", "r1", 6)
    assert (file.stat().st_ino, history.publications(places.engine(), "sales")) == before
    # What somebody took away is brought back.
    with places.engine().begin() as connection:
        connection.execute(sa.text("DELETE FROM forecast WHERE step = 2"))
    assert publish_rows(places, forecast_rows(run_id="r3")).same_as == ""
    file.unlink()
    assert publish_rows(places, forecast_rows(run_id="r4")).same_as == ""
    assert history.row_count(places.engine(), "sales", CUTOFF) == len(pd.read_parquet(file)) == 6
    assert publish_rows(places, forecast_rows(value=2.0, run_id="r5")).same_as == ""


def files_under(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_night_is_in_the_table_and_in_the_file(places, forecast_rows, tmp_path):
    published = publish_rows(places, forecast_rows())
    assert published.rows == 6
    assert published.parquet == str(tmp_path / "forecasts/job=sales/cutoff=2024-03-01T000000Z")
    assert history.forecast_of(places.engine(), "sales", CUTOFF).num_rows == 6
    assert list(files_under(Path(published.parquet))) == ["part-0.parquet"]


def test_the_same_night_twice_leaves_the_newest_rows_once(places, forecast_rows, tmp_path):
    publish_rows(places, forecast_rows(value=1.0))
    published = publish_rows(places, forecast_rows(value=5.0, run_id="r2"))
    assert set(history.forecast_of(places.engine(), "sales", CUTOFF)["median"].to_pylist()) == {5.0}
    frame = pd.read_parquet(published.parquet)
    assert (len(frame), set(frame["median"])) == (6, {5.0})


def test_what_fails_in_the_table_leaves_both_as_they_were(places, forecast_rows, tmp_path, monkeypatch):
    publish_rows(places, forecast_rows(value=1.0))
    before = files_under(Path(places.parquet))

    def interrupted(engine, rows, before_commit):
        before_commit()
        raise StorageError("the connection broke at the commit")

    monkeypatch.setattr("tasks.night.ledger.write.publish_forecast", interrupted)
    monkeypatch.setattr("tasks.step.time.sleep", lambda seconds: None)
    for rows in (forecast_rows(value=5.0, run_id="r2"), forecast_rows(cutoff=CUTOFF + timedelta(days=1), run_id="r3")):
        with pytest.raises(StorageError):
            publish_rows(places, rows)
    assert files_under(Path(places.parquet)) == before
    assert [night["cutoff"] for night in history.publications(places.engine(), "sales")] == [CUTOFF]


def test_a_parquet_folder_that_cannot_be_written_leaves_the_table_as_it_was(places, forecast_rows, tmp_path):
    (tmp_path / "forecasts").write_text("in the way", encoding="utf-8")
    with pytest.raises(OSError, match="forecasts"):
        publish_rows(places, forecast_rows())
    with places.engine().connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM forecast")) == 0


def test_pandas_pyarrow_duckdb_and_polars_read_all_nights_without_options(places, forecast_rows, tmp_path):
    for day in range(2):
        publish_rows(places, forecast_rows(cutoff=CUTOFF + timedelta(days=day)))
    frame = pd.read_parquet(places.parquet)
    assert (len(frame), frame["cutoff"].nunique(), set(frame["job"])) == (12, 2, {"sales"})
    assert ds.dataset(places.parquet, partitioning="hive").count_rows() == 12
    query = f"SELECT count(*) FROM '{places.parquet}/**/*.parquet' WHERE job = 'sales'"
    assert duckdb.sql(query).fetchall() == [(12,)]
    assert pl.read_parquet(places.parquet).shape[0] == 12


def test_a_night_in_parts_is_one_file_with_a_row_group_for_each(places, forecast_rows):
    night = forecast_rows(series=6)
    published = publish_rows(places, *(night.slice(first, 6) for first in (0, 6, 12)))
    assert published.rows == 18
    assert pq.ParquetFile(f"{published.parquet}/part-0.parquet").num_row_groups == 3
    assert history.forecast_of(places.engine(), "sales", CUTOFF).num_rows == 18
    [row] = history.publications(places.engine(), "sales")
    ends = CUTOFF + timedelta(days=1), CUTOFF + timedelta(days=3)
    assert (row["rows"], row["first_timestamp"], row["last_timestamp"]) == (18, *ends)


_ANOTHER_RUN = f"""
import sys, threading
from datetime import UTC, datetime
from pathlib import Path
from tasks.night.job import Job
from tasks.night.ledger import Ledger
from tasks.night.night import Night
from tasks.publishing.parquet_night import ParquetNight
from tasks.publishing.publish import publish
from tasks.settings import Output
from tasks.store.places import Places

CUTOFF = datetime(2024, 3, 1, tzinfo=UTC)
JOB = {JOB}

{inspect.getsource(night_of)}

base, url, file, stops = sys.argv[1:]
show = ParquetNight.show

def stop_for_ever(night):
    show(night)
    print("stopped", flush=True)
    threading.Event().wait()

if stops == "True":
    ParquetNight.show = stop_for_ever
print("begun", flush=True)
publish(night_of(Places("sales", Path(base), Output(url=url)), run_id="r2"), Path(file))
"""


def another_run(places: Places, file: Path, stops: bool = False) -> subprocess.Popen[str]:
    """A process that publishes the night; or stops for ever when the file is in its place and only the commit left."""
    command = [sys.executable, "-c", _ANOTHER_RUN, str(places.base), places.output.url, str(file), str(stops)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_night_that_is_killed_before_its_commit_leaves_no_half_night_and_can_run_again(
    places, forecast_rows, tmp_path
):
    publish_rows(places, forecast_rows(value=1.0))
    file = save_night([forecast_rows(series=9, value=5.0, run_id="r2")], tmp_path / "killed.parquet")
    with another_run(places, file, stops=True) as process:
        assert [process.stdout.readline(), process.stdout.readline()] == ["begun\n", "stopped\n"]
        process.kill()

    kept = history.forecast_of(places.engine(), "sales", CUTOFF)
    assert (kept.num_rows, set(kept["median"].to_pylist())) == (6, {1.0})
    frame = pd.read_parquet(places.parquet)
    assert (len(frame), set(frame["median"])) == (27, {5.0})

    published = publish(night_of(places, run_id="r2"), file)
    assert history.forecast_of(places.engine(), "sales", CUTOFF).num_rows == len(pd.read_parquet(places.parquet)) == 27
    # The copy of the one that was killed went at once.
    assert files_left_aside(places.parquet, f"{published.parquet}/part-0.parquet") == []
    assert pl.read_parquet(places.parquet).shape[0] == 27


def test_of_two_runs_of_one_night_at_once_the_later_one_is_in_both_places(places, forecast_rows, tmp_path, monkeypatch):
    later = save_night([forecast_rows(series=9, value=5.0, run_id="r2")], tmp_path / "later.parquet")
    show, begun = ParquetNight.show, []

    def show_while_another_run_has_begun(night: ParquetNight) -> None:
        begun.append(another_run(places, later))
        assert begun[0].stdout.readline() == "begun\n"
        show(night)

    with monkeypatch.context() as patch:
        patch.setattr(ParquetNight, "show", show_while_another_run_has_begun)
        publish_rows(places, forecast_rows(series=4, value=1.0))
    with begun[0] as process:
        assert process.wait() == 0

    stored, frame = history.forecast_of(places.engine(), "sales", CUTOFF), pd.read_parquet(places.parquet)
    assert (stored.num_rows, set(stored["median"].to_pylist())) == (27, {5.0})
    assert (len(frame), set(frame["median"])) == (27, {5.0})
    assert [row["run_id"] for row in history.publications(places.engine(), "sales")] == ["r2"]


def test_a_folder_on_another_file_system_gets_the_file_too(forecast_rows, tmp_path, places):
    remote = Places("sales", tmp_path, Output(url=places.output.url, parquet="memory://lake/forecasts"))
    published = publish_rows(remote, forecast_rows())
    assert published.parquet == "memory://lake/forecasts/job=sales/cutoff=2024-03-01T000000Z"
    with fsspec.open(f"{published.parquet}/part-0.parquet", "rb") as file:
        assert len(pd.read_parquet(file)) == 6


def test_a_reader_of_a_night_sees_no_aside_file(places, forecast_rows, tmp_path, monkeypatch):
    seen: list[str] = []

    def look(engine, rows, before_commit):
        seen.extend(path.name for path in Path(places.parquet).rglob("*.parquet"))
        return 0

    monkeypatch.setattr("tasks.night.ledger.write.publish_forecast", look)
    publish_rows(places, forecast_rows())
    assert seen == []


def test_two_runs_of_one_night_with_the_same_process_number_do_not_share_a_file(places, forecast_rows, tmp_path):
    # Every container's only process is number 1.
    first, second = (forecast_rows(value=value, run_id=run) for value, run in ((1.0, "r1"), (5.0, "r2")))
    files = save_night([first], tmp_path / "a.parquet"), save_night([second], tmp_path / "b.parquet")
    with ParquetNight(places, files[0], CUTOFF) as night, ParquetNight(places, files[1], CUTOFF) as later:
        later.show()
        night.show()
    assert set(pd.read_parquet(night_folder(places, CUTOFF))["median"]) == {1.0}
