"""What the soak measures, over a few nights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.soak.growth import Sample, grown, growth_of
from benchmarks.soak.nights import night_samples

FALLBACK = {"frequency": "D", "horizon": 7, "quantile_levels": [0.1, 0.5, 0.9], "min_history": 100_000}


def steady(nights: int) -> list[Sample]:
    return [Sample(100.0, 5, 1, 0, 0, 90.0)] * nights


def test_a_night_that_needs_more_for_once_is_no_growth() -> None:
    assert grown([*steady(150), Sample(900.0, 50, 9, 3, 7, 900.0), *steady(49)]) == []


def test_each_measure_that_grows_is_named() -> None:
    later = Sample(104.0, 6, 2, 1, 1, 94.0)
    assert grown([*steady(100), *[later] * 100]) == [
        "memory_mib grows by 4.0 %", "files grows by 1", "threads grows by 1", "children grows by 1",
        "temporary grows by 1", "bytes_a_row grows by 4.4 %",
    ]  # fmt: skip
    assert grown([*steady(100), *[Sample(102.0, 5, 1, 0, 0, 80.0)] * 100]) == []


@pytest.mark.parametrize("nights_of_each", [1, 10, 50])
def test_a_thread_that_stays_after_some_nights_is_found(nights_of_each: int) -> None:
    samples = [Sample(100.0, 5, 12 + night // nights_of_each, 0, 0, 90.0) for night in range(200)]
    assert [found.split()[0] for found in grown(samples)] == ["threads"]


def test_nights_in_one_process_leave_no_files_threads_or_children(tmp_path: Path) -> None:
    samples = night_samples(tmp_path / "soak", 12, forecast=FALLBACK)
    growth = growth_of(samples)
    assert [growth[name] for name in ("files", "threads", "children", "temporary")] == [0, 0, 0, 0], samples
    assert np.all([each.memory_mib > 50 and each.bytes_a_row > 50 for each in samples])
