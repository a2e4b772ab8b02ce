"""What people write to set a scenario."""

from __future__ import annotations

import pytest

from sql.source.settings import Source
from tasks.explanation.scenario import ScenarioError, describe, parse_steps, parse_values

SOURCE = Source(
    url="sqlite:///x.db",
    table="t",
    known_future=["promotion", "price"],
    observed_past=["visitors"],
    static=["region"],
    static_numbers=["area"],
)


def test_values_are_read_in_their_order():
    assert parse_values(["promotion=1", " price = 2.5e0 "], SOURCE) == {"promotion": 1.0, "price": 2.5}


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (["promotion"], "'promotion' sets nothing; write COLUMN=VALUE"),
        (["=1"], "sets nothing"),
        (["promotion="], "sets nothing"),
        (["promotion=1", "promotion=0"], "promotion is set twice"),
        (["promotion=yes"], "promotion is set to 'yes', which is no number"),
        (["promotion=nan"], "'nan', which is no number"),
        (["promotion=inf"], "'inf', which is no number"),
        (["visitors=1"], "visitors is not known ahead: it is in source.observed_past. Set another one; known ahead are "
         "promotion, price."),
        (["region=1"], "it is in source.static"),
        (["area=1"], "it is in source.static_numbers"),
        (["promotoin=1"], "The job has no column 'promotoin'. Did you mean promotion?"),
        (["zzz=1"], "The job has no column 'zzz'. Set one that is known ahead; known ahead are promotion, price."),
    ],
)  # fmt: skip
def test_what_cannot_be_set_is_refused_with_what_can(written, told):
    with pytest.raises(ScenarioError) as refused:
        parse_values(written, SOURCE)
    assert told in str(refused.value)


def test_a_job_without_known_future_columns_says_so():
    with pytest.raises(ScenarioError, match="the job has no column that is known ahead"):
        parse_values(["promotion=1"], Source(url="sqlite:///x.db", table="t"))


def test_steps_are_ranges_and_numbers():
    assert parse_steps(" 3 - 5, 1,4", 7) == (1, 3, 4, 5)
    assert parse_steps("7", 7) == (7,)
    assert parse_steps(None, 3) == (1, 2, 3)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("5-9", "Step 9 is beyond the horizon of that night, which has 7 steps."),
        ("1-99999999999999999999", "are no steps"),
        ("0", "count from 1"),
        ("5-3", "count from 1, and the first comes first"),
        ("", "are no steps"),
        ("1-", "are no steps"),
        ("-2", "are no steps"),
        ("first", "'first' are no steps; write 1-7, or 1-3,14."),
        ("²", "are no steps"),
    ],
)
def test_steps_that_are_none_are_refused(written, told):
    with pytest.raises(ScenarioError) as refused:
        parse_steps(written, 7)
    assert told in str(refused.value)


def test_a_scenario_without_a_name_is_called_by_what_is_set():
    assert describe({"promotion": 1.0}, [1, 2, 3], 3) == "promotion=1"
    assert (
        describe({"promotion": 0.0, "price": 1.25}, [1, 2, 5, 6, 9], 28)
        == "promotion=0, price=1.25 at steps 1-2, 5-6, 9"
    )
