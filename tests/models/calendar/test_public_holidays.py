"""Holiday features against the calendar on the wall."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.calendar.grid import TimeGrid
from models.calendar.public_holidays import PRESENT, check_place, holiday_features


def counted(frequency: str, first: str, last: str, *places: str, zone: str = "Europe/Madrid") -> pd.DataFrame:
    """Counts of holidays, one row for each step, named by the zone's clock."""
    grid = TimeGrid(frequency, zone)
    index, _ = grid.to_index(np.array([first, last], "datetime64[us]"))
    features, names = holiday_features(grid, int(index[0]), int(index[1]), places)
    clock = grid.to_local(np.arange(index[0], index[1] + 1))
    return pd.DataFrame(features / PRESENT, index=clock.strftime("%m-%d %H:%M"), columns=list(names))


def test_a_day_knows_whether_it_is_a_holiday_and_whether_its_neighbours_are():
    # Good Friday 2024 was 29 March; Maundy Thursday is a holiday in Madrid, not in all of Spain.
    found = counted("D", "2024-03-27", "2024-03-30", "ES", "ES-MD")
    assert found["holiday_ES"].tolist() == [0, 0, 1, 0]
    assert found["before_holiday_ES"].tolist() == [0, 1, 0, 0]
    assert found["after_holiday_ES"].tolist() == [0, 0, 0, 1]
    assert found["holiday_ES-MD"].tolist() == [0, 1, 1, 0]


def test_an_hour_belongs_to_the_day_of_the_jobs_zone():
    # 1 January begins in Madrid at 23:00 UTC, an hour of the grid that both zones share.
    found = counted("h", "2023-12-31T22:00", "2024-01-02T00:00", "ES")["holiday_ES"]
    assert found[found == 1].index.tolist() == [f"01-01 {hour:02d}:00" for hour in range(24)]
    utc = TimeGrid("h").to_index(np.array(["2023-12-31T23:00"], "datetime64[us]"))[0]
    madrid = holiday_features(TimeGrid("h", "Europe/Madrid"), utc[0], utc[0], ["ES"])[0][0, 0]
    assert madrid == PRESENT
    assert holiday_features(TimeGrid("h"), utc[0], utc[0], ["ES"])[0][0, 0] == 0


def test_business_days_have_business_days_for_neighbours_and_no_weekends():
    # Monday 6 May 2024 was a holiday in the United Kingdom; 25 and 26 December 2021 fell on a weekend.
    found = counted("B", "2024-05-02", "2024-05-07", "GB-ENG")
    assert found.index.tolist() == ["05-02 00:00", "05-03 00:00", "05-06 00:00", "05-07 00:00"]
    assert found["before_holiday_GB-ENG"].tolist() == [0, 1, 0, 0]
    assert found["after_holiday_GB-ENG"].tolist() == [0, 0, 0, 1]
    assert counted("B", "2021-12-24", "2021-12-24", "DE")["holiday_DE"].tolist() == [0]


@pytest.mark.parametrize(
    ("frequency", "first", "last", "expected"),
    [
        # Spain in 2024: 1 and 6 January, 29 March, 1 May, 15 August, 12 October, 1 November, 6 and 25 December.
        ("MS", "2024-01-01", "2024-06-01", [2, 0, 1, 0, 1, 0]),
        ("ME", "2024-01-31", "2024-06-30", [2, 0, 1, 0, 1, 0]),
        ("QS", "2024-01-01", "2024-10-01", [3, 1, 1, 4]),
        ("YS", "2024-01-01", "2024-01-01", [9]),
        # Weeks that end on Sunday 31 December and 7 January, and on Monday 1 and 8 January.
        ("W-SUN", "2023-12-31", "2024-01-07", [1, 2]),
        ("W-MON", "2024-01-01", "2024-01-08", [1, 1]),
        # Seven days from Thursday 28 December 2023, and from Thursday 4 January 2024.
        ("7D", "2023-12-28", "2024-01-04", [1, 1]),
        ("2D", "2023-12-31", "2024-01-06", [1, 0, 0, 1]),
    ],
)
def test_longer_steps_count_their_holidays(frequency: str, first: str, last: str, expected: list[int]):
    found = counted(frequency, first, last, "ES")
    assert list(found.columns) == ["holiday_ES"]
    assert found["holiday_ES"].tolist() == expected


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("es", "country 'es'.*ES"),
        ("Deutchland", "country 'Deutchland'.*such as"),
        ("US-CAL", "region 'CAL' of US; similar ones are CA"),
        ("ES-", "region '' of ES; its regions are AN"),
        ("VA-X", "region 'X' of VA; it has none"),
        ("PUBLIC", "country 'PUBLIC'"),
    ],
)
def test_an_unknown_place_is_an_error_that_names_similar_ones(place: str, words: str):
    with pytest.raises(ValueError, match=words):
        check_place(place)
