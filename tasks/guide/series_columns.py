"""Which columns identify the series, and which say something of a series that does not change."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.arrays import IntArray
from tasks.guide.names import is_of_calendar, rank_of_id
from tasks.guide.proposal import Columns, GuideError, listed

# Of the rows, so many may repeat the time of another row of their series.
_REPEATED = 0.01
# Combinations are tried of so many columns, and of so many at once.
_MOST_CANDIDATES, _MOST_TOGETHER = 7, 3


def codes_of(rows: pa.Table, names: list[str]) -> IntArray:
    """A number for each row, the same where all of the columns are; 0 in all rows where there are none. Shape (n,)."""
    codes = np.zeros(rows.num_rows, np.int64)
    for name in names:
        column = rows[name].combine_chunks().dictionary_encode(null_encoding="encode").indices
        more = column.to_numpy(zero_copy_only=False).astype(np.int64)
        codes = np.unique(codes * (more.max(initial=0) + 1) + more, return_inverse=True)[1]
    return codes


def name_series(rows: pa.Table, columns: Columns, wished: tuple[str, ...]) -> None:
    """Fill in `series_id`: the fewest columns that let no time occur twice within a series.

    Args:
        rows: From `Sample.rows`, without rows that have no time.
        columns: Has the column of the time; gets the id and what is open about it.
        wished: Columns that the user names.

    Raises:
        GuideError: where a column is not there.
    """
    times = codes_of(rows, [columns.timestamp])
    if wished:
        columns.series_id = list(wished)
    else:
        candidates = _candidates(rows, columns)
        columns.series_id = _chosen(rows, times, candidates)
        if not columns.series_id:
            columns.series_id = _constant(rows, columns)
            if columns.series_id:
                columns.doubt("source.series_id", f"every row looked at has the same {columns.series_id[0]!r}")
    repeated = _repeated(codes_of(rows, columns.series_id), times)
    if repeated > _REPEATED:
        by = " and ".join(map(repr, columns.series_id)) or "no column"
        columns.doubt(
            "source.series_id",
            f"{by} identifies the series, but {repeated:.0%} of the rows repeat a time of their series. Name more "
            "columns (--series-id, once for each), or add such rows up in a query",
        )
    elif not columns.series_id:
        columns.doubt("source.series_id", "no column identifies a series, so that the rows are taken for a single one")


def _repeated(series: IntArray, times: IntArray) -> float:
    """The share of the rows that repeat series and time of another row."""
    both = series * (times.max(initial=0) + 1) + times
    return 1 - len(np.unique(both)) / max(len(both), 1)


def _candidates(rows: pa.Table, columns: Columns) -> list[str]:
    """Columns that may be an id or a part of one, the likeliest first."""
    found = list[tuple[int, int, str]]()
    for place, field in enumerate(rows.schema):
        is_text, is_whole = pa.types.is_string(field.type), pa.types.is_integer(field.type)
        rank = rank_of_id(field.name)
        if field.name == columns.timestamp or not (is_text or (is_whole and rank < 2)) or is_of_calendar(field.name):
            continue
        distinct, n = pc.count_distinct(rows[field.name], mode="all").as_py(), rows.num_rows
        # What differs in nearly every row names rows, not series.
        if rows[field.name].null_count == 0 and 1 < distinct <= max(n // 2, 1):
            found.append((rank, place, field.name))
    return [name for *_, name in sorted(found)]


def _chosen(rows: pa.Table, times: IntArray, candidates: list[str]) -> list[str]:
    """The fewest columns by which hardly any time repeats; with none, those by which the fewest do."""
    if _repeated(np.zeros_like(times), times) <= _REPEATED:
        return []
    nearest: tuple[float, list[str]] = (1.0, [])
    for number in range(1, _MOST_TOGETHER + 1):
        for names in combinations(candidates if number == 1 else candidates[:_MOST_CANDIDATES], number):
            repeated = _repeated(codes_of(rows, list(names)), times)
            if repeated <= _REPEATED:
                return list(names)
            nearest = min(nearest, (repeated, list(names)), key=lambda each: each[0])
    return nearest[1]


def _constant(rows: pa.Table, columns: Columns) -> list[str]:
    """The column of text that is the same in all rows, as the id of a single series is."""
    found = [
        (rank_of_id(field.name), place, field.name)
        for place, field in enumerate(rows.schema)
        if field.name != columns.timestamp
        and (pa.types.is_string(field.type) or (pa.types.is_integer(field.type) and rank_of_id(field.name) == 0))
        and not rows[field.name].null_count
        and pc.count_distinct(rows[field.name]).as_py() == 1
    ]
    return [name for *_, name in sorted(found)[:1]]


def name_static(rows: pa.Table, columns: Columns, series: IntArray) -> list[str]:
    """Fill in `static` and `static_numbers`; gives the numeric columns that change over time within a series.

    Args:
        rows: As `name_series`.
        columns: Has the time and the id.
        series: From `codes_of`, for the id.
    """
    number_of_series, changing, constant = len(np.unique(series)), list[str](), list[str]()
    for field in rows.schema:
        name = field.name
        if name in {columns.timestamp, *columns.series_id}:
            continue
        values = codes_of(rows, [name])
        # Rows of the days to come may leave out what is known.
        present = rows[name].is_valid().to_numpy()
        pairs, distinct = series[present] * (values.max(initial=0) + 1) + values[present], np.unique(values[present])
        is_fixed = len(np.unique(pairs)) == len(np.unique(series[present]))
        if pa.types.is_temporal(field.type):
            columns.left_out[name] = "a further column of times"
        elif pa.types.is_string(field.type):
            _place_text(name, columns, is_fixed=is_fixed, distinct=len(distinct), series=number_of_series)
        elif name == columns.value or len(distinct) != 1:
            if is_fixed and number_of_series > 1 and len(distinct) > 1 and name != columns.value:
                columns.static_numbers.append(name)
            else:
                changing.append(name)
        else:
            constant.append(name)
    if changing:
        columns.left_out |= dict.fromkeys(constant, "the same in all rows")
    return changing or constant


def _place_text(name: str, columns: Columns, *, is_fixed: bool, distinct: int, series: int) -> None:
    if not is_fixed:
        columns.left_out[name] = "text that changes over time"
    elif distinct <= 1:
        columns.left_out[name] = "the same in all rows"
    elif distinct == series and series > 2:
        columns.left_out[name] = "another name of each series"
    else:
        columns.static.append(name)


def require_columns(rows: pa.Table, names: tuple[str | None, ...], where: str) -> None:
    """Check that the columns that the user names are there.

    Raises:
        GuideError: where one is not; names those that are.
    """
    for name in names:
        if name is not None and name not in rows.column_names:
            raise GuideError(f"{where} has no column {name!r}. It has {listed(rows.column_names, 20)}.")
