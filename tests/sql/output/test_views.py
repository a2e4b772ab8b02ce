"""The views `latest_forecast` and `forecast_vs_actual`."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
import sqlalchemy as sa

from sql.downstream.actuals import keep_actuals
from sql.errors import StorageError
from sql.migrations.migrate import check_output, migrate
from sql.output.publish import publish_forecast
from sql.output.views import VIEWS, views

NIGHT = datetime(2024, 1, 31, tzinfo=UTC)


@pytest.fixture
def seen(output):
    """Rows of the view, by night, series and step."""

    def select(columns: str, where: str = "1 = 1") -> list[tuple]:
        query = f"SELECT {columns} FROM forecast_vs_actual WHERE {where} ORDER BY cutoff, series_id, step"
        with output.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(query))]

    return select


def actuals(*values: float, job: str = "sales") -> pa.Table:
    """Of series `s000000`, from the day after the night on."""
    instant, count = pa.timestamp("us", "UTC"), len(values)
    return pa.table({
        "job": [job] * count, "timestamp": pa.array([NIGHT + timedelta(days=day + 1) for day in range(count)], instant),
        "series_id": ["s000000"] * count, "value": [*values], "evaluated_on": pa.array([NIGHT] * count, instant),
    })  # fmt: skip


NONE = actuals()


def test_the_documented_columns_of_the_views_are_those_that_they_have(output):
    for name in VIEWS:
        has = [column["name"] for column in sa.inspect(output).get_columns(name)]
        assert sorted(has) == sorted(views.tables[name].c.keys())


def test_forecasts_of_another_job_series_or_time_get_no_actual(output, make_night, seen):
    publish_forecast(output, make_night())
    publish_forecast(output, make_night(job="other"))
    keep_actuals(output, actuals(1.5, 3.0), NONE)
    known = seen("job, series_id, step, actual, error", "actual IS NOT NULL")
    assert known == [("sales", "s000000", 1, 1.5, -0.5), ("sales", "s000000", 2, 3.0, -2.0)]
    assert len(seen("job")) == 12


@pytest.mark.parametrize(
    ("levels", "inside"),
    [
        # All quantiles are 1: the ends of an interval belong to it.
        (("q0_1", "q0_9"), [True, False, None]),
        (("q0_05", "q0_1", "q0_9"), [True, False, None]),
        (("q0_1", "q0_5"), [None, None, None]),
        (("q0_5",), [None, None, None]),
    ],
)
def test_inside_needs_an_actual_and_two_levels_that_are_equally_far_from_the_middle(
    output, make_night, seen, levels, inside
):
    publish_forecast(output, make_night(levels=levels))
    keep_actuals(output, actuals(1.0, 1.1), NONE)
    found = [None if value is None else bool(value) for (value,) in seen("inside", "series_id = 's000000'")]
    assert found == inside


def test_each_night_is_judged_by_its_own_widest_interval(output, make_night, seen):
    narrow, wide = make_night(), make_night(NIGHT - timedelta(days=1), levels=("q0_01", "q0_1", "q0_9", "q0_99"))
    for name, value in (("q0_01", -5.0), ("q0_99", 5.0)):
        wide = wide.set_column(wide.column_names.index(name), name, pa.array([value] * 6))
    publish_forecast(output, narrow)
    publish_forecast(output, wide)
    keep_actuals(output, actuals(3.0), NONE)
    rows = seen("cutoff, inside", "actual IS NOT NULL")
    assert [bool(inside) for _, inside in rows] == [True, False]


def test_a_view_of_somebody_else_on_ours_stays_when_a_level_is_added(output, make_night, run_sql):
    publish_forecast(output, make_night())
    run_sql("CREATE VIEW theirs AS SELECT series_id, median, actual FROM forecast_vs_actual")
    publish_forecast(output, make_night(levels=("q0_2", "q0_8")))
    with output.connect() as connection:
        assert len(connection.execute(sa.text("SELECT * FROM theirs")).all()) == 6
        rows = connection.execute(sa.text("SELECT q0_1, q0_2, local_date FROM latest_forecast")).all()
    assert {tuple(row)[:2] for row in rows} == {(None, 1.0)}
    assert {str(row.local_date) for row in rows} == {"2024-02-01", "2024-02-02", "2024-02-03"}


def test_whoever_reads_during_a_publish_sees_one_whole_night(output, make_night, seen):
    publish_forecast(output, make_night())
    keep_actuals(output, actuals(1.0, 2.0, 3.0), NONE)
    during = []
    publish_forecast(output, make_night(value=9.0), before_commit=lambda: during.append(seen("median, error")))
    assert [median for median, _ in during[0]] == [1.0] * 6
    assert [error for _, error in seen("median, error", "actual IS NOT NULL")] == [8.0, 7.0, 6.0]


def test_the_view_finds_a_series_by_the_key_of_each_night(output, make_night):
    """Not by reading every forecast of the job."""
    if output.dialect.name == "sqlite":
        query = "EXPLAIN QUERY PLAN SELECT actual FROM forecast_vs_actual WHERE job = 'sales' AND series_id = 'a'"
        with output.connect() as connection:
            plan = [row[-1] for row in connection.execute(sa.text(query))]
        assert any("SEARCH f USING PRIMARY KEY (job=? AND cutoff=? AND series_id=?" in line for line in plan)
        assert any("SEARCH a USING PRIMARY KEY (job=? AND timestamp=? AND series_id=?" in line for line in plan)


def test_a_table_of_somebody_else_named_actual_is_left_alone(engine, run_sql):
    migrate(engine, "0001")
    run_sql("CREATE TABLE actual (name TEXT)", "INSERT INTO actual VALUES ('theirs')")
    for attempt in (check_output, migrate):
        with pytest.raises(StorageError, match=r"another application .*: actual\. Name another database"):
            attempt(engine)
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT name FROM actual")).all() == [("theirs",)]
    run_sql("DROP TABLE actual")
    migrate(engine)
    assert {*VIEWS} <= {*sa.inspect(engine).get_view_names()}
