"""The night's file, written while the next rows are computed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from weakref import ref

import pyarrow as pa
import pytest

from tasks.store.night_file import night_parts, save_night

CUTOFF = datetime(2024, 3, 1, tzinfo=UTC)


def test_however_many_parts_a_night_has_two_are_in_memory_at_most(forecast_rows, tmp_path: Path) -> None:
    made, alive = list[ref[pa.Table]](), list[int]()

    def parts() -> Iterator[pa.Table]:
        for number in range(6):
            part = forecast_rows(series=3, value=float(number))
            made.append(ref(part))
            alive.append(sum(each() is not None for each in made))
            yield part
            del part

    file = save_night(parts(), tmp_path / "night.parquet")

    assert max(alive) == 2
    assert [part["mean"][0].as_py() for part in night_parts(file, "sales", CUTOFF)] == [0, 1, 2, 3, 4, 5]


def test_what_fails_while_it_is_written_aside_is_raised(forecast_rows, tmp_path: Path) -> None:
    other = forecast_rows().drop_columns(["mean"])

    with pytest.raises(ValueError, match="schema"):
        save_night([forecast_rows(), other, forecast_rows()], tmp_path / "night.parquet")
