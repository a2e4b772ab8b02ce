"""What the rows of a source suggest for a job, and what they leave open."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sql.imports.arrow_kinds import typed_arrow
from sql.imports.file_format import FileFormat
from sql.sample.file_sample import sample_file
from sql.sample.sample import Sample
from tasks.guide.job_text import scalar
from tasks.guide.proposal import GuideError, Wishes
from tasks.guide.propose import propose

DAYS = pd.date_range("2024-01-01", periods=60)


def sample(whole=True, **columns):
    frame = pd.DataFrame(columns)
    rows = typed_arrow(pa.Table.from_pandas(frame, preserve_index=False), FileFormat(), "sales.csv")
    return Sample(rows, "sales.csv", whole, only_first=not whole)


def two_shops(**more):
    numbers = np.arange(120) % 7
    return {"shop": np.repeat(["a", "b"], 60), "day": np.tile(DAYS, 2), "units": numbers, **more}


def why(proposal, key):
    return " ".join(doubt.why for doubt in proposal.columns.doubts if doubt.key == key)


def test_the_columns_of_a_plain_history():
    found = propose(sample(**two_shops()), Wishes())
    columns = found.columns
    assert (columns.series_id, columns.timestamp, columns.value) == (["shop"], "day", "units")
    assert (found.frequency, found.horizon, found.seasons, found.lower_bound) == ("D", 28, (7,), 0)
    assert {doubt.key for doubt in columns.doubts} == {"forecast.time_zone", "forecast.horizon"}


def test_an_id_has_the_fewest_columns_that_let_no_time_occur_twice():
    rows = {
        "region": np.repeat(["north", "north", "south"], 120),
        "shop": np.repeat(["a", "b", "c"], 120),
        "item": np.tile(np.repeat(["tea", "coffee"], 60), 3),
        "day": np.tile(DAYS, 6),
        "units": np.arange(360),
        "area": np.repeat([80.0, 90.5, 70.0], 120),
    }
    columns = propose(sample(**rows), Wishes()).columns
    assert columns.series_id == ["shop", "item"]
    assert (columns.static, columns.static_numbers) == (["region"], ["area"])
    assert not why(propose(sample(**rows), Wishes()), "source.series_id")
    chosen = propose(sample(**rows), Wishes(series_id=("shop",)))
    assert "50% of the rows repeat a time" in why(chosen, "source.series_id")


def test_a_column_that_goes_on_after_the_last_value_is_known_ahead():
    units = np.where(np.tile(np.arange(60), 2) < 50, np.arange(120.0), np.nan)
    visitors = np.where(np.isnan(units), np.nan, 3.5)
    visitors[0] = 1
    rows = two_shops(promotion=np.arange(120) % 2, visitors=visitors) | {"units": units}
    found = propose(sample(**rows), Wishes())
    assert (found.columns.value, found.columns.known_future, found.columns.observed_past) == (
        "units", ["promotion"], ["visitors"],
    )  # fmt: skip
    assert found.horizon == 10
    assert "as far ahead as promotion is known" in why(found, "forecast.horizon")


def test_of_two_columns_that_could_be_the_value_the_other_is_named():
    found = propose(sample(**two_shops(revenue=np.arange(120) * 1.5)), Wishes())
    assert found.columns.value == "units"
    assert "it may also be revenue" in why(found, "source.value")
    named = propose(sample(**two_shops(revenue=np.arange(120) * 1.5)), Wishes(value="revenue"))
    assert (named.columns.value, why(named, "source.value")) == ("revenue", "")


def test_what_repeats_the_calendar_counts_rows_or_never_changes_is_left_out():
    more = {"weekday": np.tile(DAYS.day_of_week, 2), "nr": np.arange(120), "unit": ["kg"] * 120, "tax": [7] * 120}
    columns = propose(sample(**two_shops(**more)), Wishes()).columns
    assert set(columns.left_out) == {"weekday", "nr", "unit", "tax"}
    assert columns.used == {"shop", "day", "units"}


def test_a_price_without_rows_to_come_is_known_so_far_and_named_as_unsure():
    found = propose(sample(**two_shops(price=np.arange(120) % 5 + 0.5)), Wishes())
    assert found.columns.observed_past == ["price"]
    assert "add rows for the days to come" in why(found, "source.known_future")


def test_of_hundreds_of_numbers_none_is_used_before_a_person_names_it():
    more = {f"c{i}": np.random.default_rng(i).normal(size=120) for i in range(400)}
    found = propose(sample(**two_shops(**more)), Wishes())
    assert found.columns.value == "units"
    assert found.columns.observed_past == []
    assert "400 numeric columns go with the value" in why(found, "source.observed_past")


@pytest.mark.parametrize(("id_column", "series_id"), [({"shop": "a"}, ["shop"]), ({}, [])])
def test_a_single_series_may_have_an_id_or_none(id_column, series_id):
    found = propose(sample(**id_column, day=DAYS, units=np.arange(60)), Wishes())
    assert found.columns.series_id == series_id
    assert why(found, "source.series_id")


def test_days_with_an_offset_show_the_zone_in_which_they_begin():
    midnights = pd.date_range("2024-01-01", periods=200, tz="Europe/Madrid").tz_convert("UTC")
    found = propose(sample(day=midnights, units=np.arange(200)), Wishes())
    assert (found.time_zone, found.frequency, found.origin) == ("Europe/Berlin", "D", None)
    assert "midnight in Europe/Berlin" in why(found, "forecast.time_zone")
    named = propose(sample(day=midnights, units=np.arange(200)), Wishes(time_zone="Europe/Madrid"))
    assert (named.time_zone, why(named, "forecast.time_zone")) == ("Europe/Madrid", "")


def test_of_several_times_the_one_that_names_itself_is_taken_and_that_of_recording_is_not():
    more = {"loaded_at": np.tile(DAYS, 2) + pd.Timedelta(days=1), "checked": np.tile(DAYS, 2)}
    found = propose(sample(**two_shops(**more)), Wishes())
    assert found.columns.timestamp == "day"
    assert "checked" in why(found, "source.timestamp")
    assert "loaded_at" in why(found, "source.recorded_at")


def test_values_below_zero_have_no_bound_and_a_part_of_a_table_is_said():
    found = propose(sample(whole=False, **two_shops(units=np.arange(120) - 5)), Wishes())
    assert found.lower_bound is None
    assert "only the first 120 rows" in why(found, "source")


def test_values_of_more_digits_than_a_double_has_are_no_obstacle():
    found = propose(sample(**two_shops(units=np.arange(120) + 10**17)), Wishes())
    assert (found.found.least, found.lower_bound) == (1e17, 0)


def test_single_events_are_named_as_unsure():
    seconds = np.sort(np.random.default_rng(0).choice(10**6, 100, replace=False))
    found = propose(sample(at=pd.Timestamp("2024-01-01") + pd.to_timedelta(seconds, unit="s"), n=seconds), Wishes())
    assert "Add them up by day or hour" in why(found, "forecast.frequency")


@pytest.mark.parametrize(
    ("rows", "wishes", "words"),
    [
        ({"shop": ["a"], "units": [1]}, Wishes(), "has no column of times. It has shop, units"),
        (
            {"day": DAYS, "shop": ["a"] * 60},
            Wishes(),
            r"no column of numbers beside 'day': day \(time\), shop \(text\)",
        ),
        ({"day": DAYS[:1], "units": [1]}, Wishes(), "No series of sales.csv has two times"),
        (two_shops(), Wishes(value="sold"), "has no column 'sold'. It has shop, day, units"),
        (two_shops(), Wishes(value="shop"), r"'shop' of sales.csv holds text, not numbers"),
        (two_shops(), Wishes(timestamp="units"), "'units' of sales.csv holds no times, but values such as '0'"),
        (two_shops(), Wishes(time_zone="Mars"), "'Mars' is not a time zone"),
    ],
)
def test_rows_that_suggest_no_job_are_refused_with_a_remedy(rows, wishes, words):
    with pytest.raises(GuideError, match=words):
        propose(sample(**rows), wishes)


@pytest.mark.parametrize(
    ("zone", "proposed"),
    [("Europe/Madrid", "Europe/Berlin"), ("Europe/Lisbon", "Europe/London"), ("America/Toronto", "America/New_York")],
)
def test_an_hour_that_is_missing_in_spring_shows_the_zone_of_local_times(zone, proposed):
    hours = pd.date_range("2024-03-01", "2024-06-01", freq="h", tz="UTC").tz_convert(zone).tz_localize(None)
    found = propose(sample(meter="a", at=hours, load=np.arange(len(hours)) % 24), Wishes())
    assert (found.time_zone, found.frequency) == (proposed, "h")
    assert f"as in {proposed}, and maybe in others" in why(found, "forecast.time_zone")


def test_hours_that_miss_none_and_hours_before_any_change_are_taken_for_utc():
    for hours in (
        pd.date_range("2024-03-01", "2024-06-01", freq="h"),
        pd.date_range("2024-01-01", periods=99, freq="h"),
    ):
        found = propose(sample(meter="a", at=hours, load=np.arange(len(hours)) % 24), Wishes())
        assert (found.time_zone, found.frequency) == ("UTC", "h")
        assert "UTC is assumed" in why(found, "forecast.time_zone")


def test_the_zone_that_a_file_names_is_the_job_s(tmp_path):
    file = tmp_path / "sales.parquet"
    pd.DataFrame(two_shops()).assign(day=lambda rows: rows.day.dt.tz_localize("Europe/Madrid")).to_parquet(file)
    found = propose(sample_file(file, FileFormat()), Wishes())
    assert (found.time_zone, found.frequency, found.origin) == ("Europe/Madrid", "D", None)
    assert not why(found, "forecast.time_zone")


def test_numbers_that_may_be_times_and_text_that_may_be_numbers_are_named_in_the_error(tmp_path):
    with pytest.raises(GuideError, match=r"'day' holds 20240101 and the like: if these are days, say so \(--time day"):
        propose(sample(shop=["a"] * 60, day=DAYS.strftime("%Y%m%d").astype(int), units=[1] * 60), Wishes())
    file = tmp_path / "sales.csv"
    file.write_text("shop,day,units\na,2024-01-01,1.5\na,2024-01-02,n/a\n", encoding="utf-8")
    with pytest.raises(
        GuideError, match=r"'units' stays text, so that 'n/a' .* Say --number units if it holds numbers"
    ):
        propose(sample_file(file, FileFormat()), Wishes())


@pytest.mark.parametrize("text", ["units", "no", "1e3", "a: b", "x #y", "it's", 'a"b', "größe", "a\nb", "~", "sold at"])
def test_a_name_stays_what_it_is_in_the_job_file(text):
    from tasks.yaml_file import parse_yaml

    assert parse_yaml(f"value: {scalar(text)}\nlist: [{scalar(text)}]", "job.yaml") == {"value": text, "list": [text]}
