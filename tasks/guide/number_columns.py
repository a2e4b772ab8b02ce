"""Which numeric column is the value, and which of the others are known ahead."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from sql.imports.csv_text import counts_rows
from sql.sample.sample import Sample
from tasks.guide.names import is_of_calendar, rank_of_value
from tasks.guide.proposal import Columns, GuideError, listed

# More than that are better chosen by a person.
MOST_COVARIATES = 20
_TAKEN = {"series_id", "timestamp", "value", "value_text", "recorded_at"}


def name_numbers(rows: pa.Table, columns: Columns, changing: list[str], wished: str | None, sample: Sample) -> None:
    """Fill in `value`, `known_future` and `observed_past`.

    The value is a column that ends before others do, if some are known ahead; of several, the one whose name says so.

    Args:
        rows: From `Sample.rows`, without rows that have no time.
        columns: Has the time and the id.
        changing: Numeric columns that are not static.
        wished: The column that the user names.
        sample: Where the rows are from, for an error.

    Raises:
        GuideError: where no column holds numbers, or the wished one does not.
    """
    numeric = [name for name in changing if rows[name].null_count < rows.num_rows]
    columns.left_out |= {name: "no value in any row looked at" for name in changing if name not in numeric}
    if wished is not None and wished not in numeric:
        kind = "no value" if wished in changing else _kind(rows[wished].type)
        raise GuideError(
            f"The column {wished!r} of {sample.where} holds {kind}, not numbers. Name another one (--value), or "
            f"say that the text is numbers (--number {wished}, for a file)."
        )
    ends = {name: _last(rows, columns.timestamp, name) for name in numeric}
    candidates = [name for name in numeric if not is_of_calendar(name)] or numeric
    if not candidates:
        raise GuideError(
            f"{sample.where} has no column of numbers beside {columns.timestamp!r}: {_kinds(rows)}. If one of them "
            "holds numbers in another spelling, say so (--number COLUMN, for a file). "
            f"{' '.join(sample.notes)}".rstrip()
        )
    columns.value = wished or _likeliest(rows, candidates, ends)
    if wished is None:
        _doubt_value(rows, columns, candidates, ends)
    _place_others(rows, columns, numeric, ends)


def _last(rows: pa.Table, timestamp: str, name: str) -> datetime:
    last: datetime = pc.max(rows[timestamp].filter(pc.is_valid(rows[name]))).as_py()
    return last


def _order(rows: pa.Table, name: str, ends: dict[str, datetime]) -> tuple[bool, bool, int, bool]:
    """How unlikely a column is to be the value; the least is the likeliest."""
    column = rows[name]
    is_boolean = pa.types.is_boolean(column.type)
    is_binary = is_boolean or pc.all(pc.is_in(column.drop_null(), pa.array([0, 1], column.type))).as_py()
    return bool(is_binary), ends[name] == max(ends.values()), rank_of_value(name), counts_rows(column)


def _likeliest(rows: pa.Table, candidates: list[str], ends: dict[str, datetime]) -> str:
    return min(candidates, key=lambda name: _order(rows, name, ends))


def _doubt_value(rows: pa.Table, columns: Columns, candidates: list[str], ends: dict[str, datetime]) -> None:
    order = _order(rows, columns.value, ends)
    # A name that says "value" leaves no doubt against one that says nothing.
    worst = (*order[:2], max(order[2], 2 if order[2] else 0), order[3])
    others = [name for name in candidates if name != columns.value and _order(rows, name, ends) <= worst]
    if others:
        columns.doubt("source.value", f"it may also be {listed(others)}; name it (--value) if so")


def _place_others(rows: pa.Table, columns: Columns, numeric: list[str], ends: dict[str, datetime]) -> None:
    past = list[str]()
    for name in numeric:
        if name == columns.value:
            continue
        if name in _TAKEN:
            columns.left_out[name] = "its name has a meaning of its own; rename it in a query to use it"
        elif is_of_calendar(name):
            columns.left_out[name] = "the network knows the calendar already"
        elif ends[name] > ends[columns.value]:
            columns.known_future.append(name)
        elif counts_rows(rows[name]):
            columns.left_out[name] = "it only counts the rows"
        else:
            past.append(name)
    if len(past) > MOST_COVARIATES:
        columns.left_out |= dict.fromkeys(past, "one of many")
        columns.doubt(
            "source.observed_past",
            f"{len(past)} numeric columns go with the value ({listed(past)}); none is used. Name those that matter",
        )
        return
    columns.observed_past = past
    ahead = [name for name in past if rank_of_value(name) == 3]
    if ahead:
        columns.doubt(
            "source.known_future",
            f"{listed(ahead)} may be known ahead, but no row after the last value says so. If you know it, add rows "
            "for the days to come, with no value, and move the column to known_future",
        )


def _kinds(rows: pa.Table) -> str:
    return listed([f"{field.name} ({_kind(field.type)})" for field in rows.schema], 20)


def _kind(kind: pa.DataType) -> str:
    return "text" if pa.types.is_string(kind) else "time" if pa.types.is_temporal(kind) else "number"
