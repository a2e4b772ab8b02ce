"""How many steps there is time for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.training.time_budget import Pace, steps_in_time

DONE = 50


def lengths_at(paces, planned=600, limit=120.0, before=None):
    return [steps_in_time(planned, Pace(DONE, DONE * pace, pace), limit, before) for pace in paces]


def test_no_step_is_left_out_while_there_is_time_for_all_of_them():
    # With those on the newest windows, 600 steps are 720.
    assert lengths_at([0.001, 0.13]) == [600, 600]


def test_without_time_each_length_is_the_last_one_divided_by_the_square_root_of_two():
    paces = [0.14 * 2 ** (half / 2) for half in range(8)]
    assert lengths_at(paces) == [424, 300, 212, 150, 106, 75, 53, DONE]


def test_a_length_that_the_job_had_is_kept_while_there_is_time_for_it():
    paces = [0.14, 0.15, 0.16, 0.17]
    assert lengths_at(paces) == [424] * 4
    assert lengths_at(paces, before=600) == [600, 600, 424, 424]
    # With time for more, it is not kept.
    assert lengths_at([0.05], before=300) == [600]
    # Of another plan.
    assert lengths_at(paces, before=500) == [424] * 4


@given(
    planned=st.integers(51, 5_000),
    pace=st.floats(1e-4, 100),
    limit=st.floats(0.1, 1e6),
    before=st.none() | st.integers(1, 5_000),
)
def test_the_training_ends_in_time_or_at_once(planned, pace, limit, before):
    known = Pace(DONE, 2 * DONE * pace, pace)
    steps = steps_in_time(planned, known, limit, before)
    assert DONE <= steps <= planned
    assert steps == DONE or known.seconds(steps) < limit


@pytest.mark.parametrize("noise", [0.9, 1.1])
def test_a_machine_that_is_a_tenth_slower_or_faster_next_time_has_the_same_length(noise):
    for pace in [0.02 * 1.05**number for number in range(60)]:
        [first] = lengths_at([pace])
        [second] = lengths_at([noise * pace], before=first)
        assert second == first or (noise < 1 and second > first)
