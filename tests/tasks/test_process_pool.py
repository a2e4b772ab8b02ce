"""Work shared out to processes."""

from __future__ import annotations

import os

import pytest

from tasks.process_pool import WORTH_A_WORKER, spread_over, worker_count


@pytest.mark.parametrize(
    ("values", "count"), [(0, 1), (WORTH_A_WORKER, 1), (3 * WORTH_A_WORKER, 3), (99 * WORTH_A_WORKER, 4)]
)
def test_as_many_workers_as_the_work_is_worth_and_the_cores_that_may_be_used(values, count, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 5, 7}, raising=False)
    assert worker_count(values) == count


def test_one_worker_is_this_process_and_several_are_others_that_keep_the_order():
    with spread_over(1) as spread:
        assert [*spread(eval, ["__import__('os').getpid()"])] == [os.getpid()]
    with spread_over(2) as spread:
        found = [*spread(eval, [f"({i}, __import__('os').getpid())" for i in range(20)])]
    assert [i for i, _ in found] == [*range(20)]
    assert os.getpid() not in {process for _, process in found}
