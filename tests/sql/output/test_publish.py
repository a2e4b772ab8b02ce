import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, mysql, oracle, postgresql, sqlite

from sql.engine.connection import transaction
from sql.errors import StorageError
from sql.output import publish
from sql.output.history import forecast_of, forecasts_between, latest_forecast, publications
from sql.output.publish import digest_of, publish_forecast
from sql.output.tables import FORECAST_COLUMNS, forecast

NIGHT = datetime(2024, 1, 31, tzinfo=UTC)
CREATED = datetime(2024, 2, 1, 3, 0, tzinfo=UTC)


@pytest.fixture(params=["over ADBC", "over SQLAlchemy"])
def way(request, monkeypatch):
    """Both ways that rows take: databases without an ADBC driver get theirs from SQLAlchemy."""
    if request.param == "over SQLAlchemy":
        monkeypatch.setattr(publish, "adbc_connection", lambda url: None)


@pytest.mark.usefixtures("way")
def test_a_night_is_read_back_as_it_was_published(output, make_night):
    assert publish_forecast(output, make_night(value=0.1)) == 6

    rows = forecast_of(output, "sales", NIGHT)

    assert rows.column_names == [*sorted(FORECAST_COLUMNS, key=list(forecast.c.keys()).index), "q0_1", "q0_9"]
    assert rows.sort_by([("series_id", "ascending"), ("step", "ascending")]).slice(2, 1).to_pylist() == [
        {
            "job": "sales", "series_id": "s000000", "cutoff": NIGHT, "step": 3,
            "timestamp": datetime(2024, 2, 3, tzinfo=UTC), "mean": pytest.approx(0.1), "median": 0.1, "baseline": None,
            "model_version": None, "source": "fallback", "reason": "too short", "run_id": "r1", "created_at": CREATED,
            "local_time": datetime(2024, 2, 3, 1), "q0_1": 0.1, "q0_9": 0.1,
        }
    ]  # fmt: skip
    assert publications(output, "sales") == [
        {
            "job": "sales", "cutoff": NIGHT, "run_id": "r1", "rows": 6, "model_version": None, "published_at": CREATED,
            "first_timestamp": NIGHT + timedelta(days=1), "last_timestamp": NIGHT + timedelta(days=3),
            "digest": digest_of(make_night(value=0.1)),
        }
    ]  # fmt: skip


@pytest.mark.usefixtures("way")
def test_sqlalchemy_reads_what_arrow_wrote_with_its_time_zone(output, make_night):
    publish_forecast(output, make_night())
    with output.connect() as connection:
        row = connection.execute(sa.select(forecast).order_by(forecast.c.series_id, forecast.c.step)).first()
    assert (row.cutoff, row.timestamp, row.created_at) == (NIGHT, NIGHT + timedelta(days=1), CREATED)
    assert row.cutoff.tzinfo is UTC


def test_timestamps_in_sqlite_are_text_that_sorts_as_time_does(sqlite_url, make_night):
    from sql.engine.connection import connect, resolve_url
    from sql.migrations.migrate import migrate

    engine = connect(resolve_url(sqlite_url))
    migrate(engine)
    publish_forecast(engine, make_night())
    with sqlite3.connect(engine.url.database) as connection:
        kept = connection.execute("SELECT DISTINCT timestamp FROM forecast ORDER BY timestamp").fetchall()
    connection.close()
    assert kept == [(f"2024-02-0{day} 00:00:00.000000",) for day in (1, 2, 3)]


@pytest.mark.usefixtures("way")
def test_the_same_night_again_replaces_it_and_no_other(output, make_night):
    earlier = NIGHT - timedelta(days=1)
    publish_forecast(output, make_night(earlier))
    publish_forecast(output, make_night(job="other"))
    publish_forecast(output, make_night(series=5))
    publish_forecast(output, make_night(value=2.0))

    assert forecast_of(output, "sales", NIGHT)["median"].to_pylist() == [2.0] * 6
    assert forecast_of(output, "sales", earlier)["median"].to_pylist() == [1.0] * 6
    assert forecast_of(output, "other", NIGHT).num_rows == 6
    assert [night["rows"] for night in publications(output, "sales")] == [6, 6]


@pytest.mark.usefixtures("way")
def test_what_fails_before_the_commit_takes_the_night_back_and_leaves_the_old_one(output, make_night):
    publish_forecast(output, make_night())

    def full_disk() -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        publish_forecast(output, make_night(value=2.0), before_commit=full_disk)

    assert forecast_of(output, "sales", NIGHT)["median"].to_pylist() == [1.0] * 6


@pytest.mark.usefixtures("way")
def test_a_night_with_a_row_twice_is_refused_whole(output, make_night):
    night = make_night()
    with pytest.raises(StorageError, match=r"(?i)unique|duplicate"):
        publish_forecast(output, pa.concat_tables([night, night.slice(0, 1)]))
    assert forecast_of(output, "sales", NIGHT).num_rows == 0
    assert publications(output, "sales") == []


def test_nobody_else_sees_a_night_before_it_is_whole(output, make_night):
    seen = []

    def look() -> None:
        with output.connect() as connection:
            seen.append(connection.execute(sa.text("SELECT COUNT(*) FROM latest_forecast")).scalar_one())

    publish_forecast(output, make_night(), before_commit=look)
    publish_forecast(output, make_night(series=9), before_commit=look)
    look()
    assert seen == [0, 6, 27]


_READER = """
import sys, threading
import sqlalchemy as sa
from sql.engine.connection import connect, resolve_url

engine = connect(resolve_url(sys.argv[1]))
query = sa.text("SELECT count(*), min(median), max(median) FROM latest_forecast WHERE job = 'sales'")
done = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), done.set())).start()
seen = set()
while not done.is_set():
    with engine.connect() as connection:
        row = connection.execute(query).one()
    if row not in seen:
        seen.add(row)
        print(*row, flush=True)
"""


def test_a_reader_of_the_view_only_ever_sees_whole_nights(output, make_night, database_url):
    publish_forecast(output, make_night(value=0.0, series=40))
    # In a process of its own, as two copies of SQLite (Python's and ADBC's) in one process undo each other's locks.
    command = [sys.executable, "-c", _READER, database_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        seen = [reader.stdout.readline()]
        for number in range(1, 9):
            # The same night again, then the next one, larger.
            night = make_night(NIGHT + timedelta(days=number // 2), float(number), series=40 + number // 2)
            publish_forecast(output, [night.slice(first, 30) for first in range(0, night.num_rows, 30)])
        seen += reader.communicate()[0].splitlines()
    assert reader.returncode == 0
    rows = [tuple(float(number) for number in line.split()) for line in seen]
    assert rows[0] == (120, 0.0, 0.0)
    assert len(rows) > 1
    assert [row for row in rows if row != (3 * (40 + row[1] // 2), row[1], row[1])] == []


@pytest.mark.usefixtures("way")
def test_a_night_in_parts_is_the_same_as_whole(output, make_night):
    night = make_night(series=5)
    assert publish_forecast(output, (night.slice(first, 4) for first in range(0, 15, 4))) == 15
    in_parts = forecast_of(output, "sales", NIGHT), publications(output, "sales")
    publish_forecast(output, night)
    assert (forecast_of(output, "sales", NIGHT), publications(output, "sales")) == in_parts


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"cutoff": NIGHT + timedelta(days=1)}, "one cutoff, but its parts have"),
        ({"job": "other"}, "one job, but its parts have sales and other"),
        ({"levels": ("q0_1",)}, "need the same columns"),
    ],
)
def test_parts_of_different_nights_are_refused_and_leave_the_old_night(output, make_night, second, message):
    publish_forecast(output, make_night())
    with pytest.raises(ValueError, match=message):
        publish_forecast(output, [make_night(value=2.0), make_night(series=3, **second)])
    assert forecast_of(output, "sales", NIGHT)["median"].to_pylist() == [1.0] * 6


def test_a_night_without_parts_is_refused(output):
    with pytest.raises(ValueError, match="there are no rows"):
        publish_forecast(output, [])


def test_the_latest_forecast_is_each_jobs_newest_cutoff_whenever_it_was_published(output, make_night):
    publish_forecast(output, make_night(value=2.0))
    publish_forecast(output, make_night(NIGHT - timedelta(days=1), value=1.0))
    publish_forecast(output, make_night(NIGHT - timedelta(days=9), value=3.0, job="other"))

    with output.connect() as connection:
        view = connection.execute(sa.text("SELECT job, median FROM latest_forecast GROUP BY job, median ORDER BY job"))
        assert view.all() == [("other", 3.0), ("sales", 2.0)]
    assert latest_forecast(output, "sales").equals(forecast_of(output, "sales", NIGHT))
    assert latest_forecast(output, "nobody").num_rows == 0


def test_a_new_quantile_level_gets_a_column_in_the_table_and_the_view(output, make_night):
    publish_forecast(output, make_night(NIGHT - timedelta(days=1), levels=("q0_5",)))
    publish_forecast(output, make_night(levels=("q0_5", "q0_975")))

    assert set(forecast_of(output, "sales", NIGHT - timedelta(days=1))["q0_975"].to_pylist()) == {None}
    with output.connect() as connection:
        rows = connection.execute(sa.text("SELECT DISTINCT q0_5, q0_975 FROM latest_forecast")).all()
    assert rows == [(1.0, 1.0)]


def test_forecasts_between_two_times_come_from_every_night_that_spoke_of_them(output, make_night):
    for back in range(5):
        publish_forecast(output, make_night(NIGHT - timedelta(days=back), value=float(back)))

    rows = forecasts_between(output, "sales", NIGHT, NIGHT)

    # January 31 was step 1 of the night of the 30th, 2 of the 29th and 3 of the 28th, for two series.
    assert sorted(zip(rows["median"].to_pylist(), rows["step"].to_pylist(), strict=True)) == [
        (1.0, 1), (1.0, 1), (2.0, 2), (2.0, 2), (3.0, 3), (3.0, 3),
    ]  # fmt: skip
    assert pc.unique(rows["timestamp"]).to_pylist() == [NIGHT]
    assert forecasts_between(output, "sales", NIGHT + timedelta(days=90), NIGHT + timedelta(days=99)).num_rows == 0


def test_a_job_may_have_any_name(output, make_night):
    name = 'it\'s 100% "theirs"; DROP TABLE forecast --'
    publish_forecast(output, make_night(job=name))
    publish_forecast(output, make_night(job=name))
    assert latest_forecast(output, name)["job"].to_pylist() == [name] * 6


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda night: night.drop_columns(["mean"]), r"lack the columns \['mean'\]"),
        (lambda night: night.append_column("colour", night["mean"]), r"unknown columns \['colour'\]"),
        (lambda night: night.slice(0, 0), "there are no rows"),
        (
            lambda night: night.set_column(4, "timestamp", night["cutoff"].cast(pa.timestamp("us"))),
            "without a time zone",
        ),
    ],
)
def test_rows_that_are_no_night_are_refused_before_anything_is_written(output, make_night, spoil, message):
    with pytest.raises(ValueError, match=message):
        publish_forecast(output, spoil(make_night()))


def test_two_nights_at_once_are_refused(output, make_night):
    two = pa.concat_tables([make_night(), make_night(NIGHT + timedelta(days=1))])
    with pytest.raises(ValueError, match="A night has one cutoff"):
        publish_forecast(output, two)


def test_a_database_without_tables_says_what_is_missing(engine, make_night):
    with pytest.raises(StorageError, match=r"no table 'forecast'.*Migrate the database first"):
        publish_forecast(engine, make_night())


def test_a_reader_does_not_hold_up_the_night(output, make_night):
    publish_forecast(output, make_night())
    with output.connect() as reader:
        assert reader.execute(sa.select(sa.func.count()).select_from(forecast)).scalar_one() == 6
        publish_forecast(output, make_night(value=2.0))
    with transaction(output) as connection:
        assert connection.execute(sa.select(forecast.c.median).distinct()).all() == [(2.0,)]


@pytest.mark.parametrize("kind", [sqlite, postgresql, mysql, mssql, oracle], ids=lambda kind: kind.__name__)
def test_the_notes_of_runs_are_asked_for_in_words_that_every_database_knows(output, kind):
    said = []

    def note(connection: sa.Connection, statement: sa.ClauseElement, *_: object) -> None:
        said.append(str(statement.compile(dialect=kind.dialect(), compile_kwargs={"literal_binds": True})))

    sa.event.listen(output, "before_execute", note)
    publish.begin_publishing(output, "r1")
    assert publish.unsettled_runs(output, "sales") == []
    publish.settle_runs(output, ["r1"])
    sa.event.remove(output, "before_execute", note)
    [asked] = [statement for statement in said if statement.startswith("SELECT")]
    # SQL Server and Oracle know "IS NULL" alone, and no word "true".
    assert f"publishing = {'true' if kind in (postgresql, mysql) else '1'}" in asked
