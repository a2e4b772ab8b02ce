"""Decides what the columns of a file hold, so that no code is taken for a number."""

from __future__ import annotations

import shlex
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from sql.errors import SourceError, counted_rows
from sql.imports.file_format import FileFormat, Meaning
from sql.source import columns

_MISSING = pa.array([*pyarrow.csv.ConvertOptions().null_values, "NaT", "None"])
_INTEGER = r"^(0|-?[1-9]\d{0,18})$"
_WHOLE = r"^-?(0|[1-9]\d*)"
# Three ways in which programs write decimals. In each of them, two spellings are two numbers.
_SHORTEST, _WITH_POINT, _FIXED = rf"{_WHOLE}(\.\d*[1-9])?$", rf"{_WHOLE}\.(0|\d*[1-9])$", _WHOLE + r"\.\d{%d}$"
_LONG = r"^-?(0\.)?0*[1-9](\.?\d){15,}$"
_MINUS_ZERO = r"^-0(\.0*)?$"
_BOOLEANS = (("true", "false"), ("True", "False"), ("TRUE", "FALSE"))
_DAY = r"^\d{4}-\d\d-\d\d$"
_TIME = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?$"
_LIKE_A_NUMBER = r"^\s*[+-]?(\d+|\d{1,3}([.,]\d{3})+)?([.,]\d*)?([eE][+-]?\d+)?\s*$"


class Typed(NamedTuple):
    """Columns in types of their own, and what a person should know about them."""

    rows: pa.Table
    notes: list[str]


def typed_text(texts: pa.Table, said: FileFormat, where: str) -> Typed:
    """The columns of a CSV file in types: text, int64, float64, bool, date or timestamp[us].

    A column has the meaning that `said` gives it. Any other one becomes numbers, booleans or times only where all of
    its fields are written in one way in which programs write these, so that no two spellings become one value. Text
    are thus `007`, `1E3`, `+1`, `NA` among numbers, and `1.10` beside `1.1`.

    Args:
        texts: Columns of strings; an empty field is null.
        said: What the user says about the columns.
        where: The file, for an error.

    Raises:
        SourceError: where a column does not hold what its name or the user says.
    """
    typed, notes = {}, []
    for name in texts.column_names:
        column, meaning = texts[name], said.meaning(name)
        typed[name] = as_meant(column, meaning, name, where) if meaning else _guessed(column, name, where)
        if meaning is None and pa.types.is_string(typed[name].type):
            notes += text_note(column, name)
    return Typed(pa.table(typed), notes)


def as_meant(column: pa.ChunkedArray, meaning: Meaning, name: str, where: str) -> pa.ChunkedArray:
    """A column of strings as text, float64 or timestamp[us]; in the latter two, NA and the like are null.

    Raises:
        SourceError: where a field is not a number, or not a time.
    """
    if meaning == "text":
        return column
    return (columns.numbers if meaning == "number" else times_of)(without_missing(column), name, where)


def times_of(column: pa.ChunkedArray, name: str, where: str) -> pa.ChunkedArray:
    """As `instants`, which leaves out the times that no calendar of a job has; a table must not lose them.

    Raises:
        SourceError: as `instants`, and where a time is outside the years 1678 to 2261.
    """
    times = columns.instants(column, name, where)
    lost = pc.and_(pc.is_valid(column), pc.is_null(times))
    if n := pc.sum(lost).as_py():
        example = column.filter(lost)[0].cast(pa.string()).as_py()
        raise SourceError(
            f"The column {name!r} of {where} holds times outside the years 1678 to 2261 ({counted_rows(n)}), "
            f"such as {example}. Correct them, or load the column as text (--text {name})."
        )
    return times


def without_missing(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Strings, null where they are blank, NA, NaN, null or another word for nothing."""
    return pc.if_else(pc.is_in(pc.utf8_trim_whitespace(column), _MISSING), None, column)


def _guessed(column: pa.ChunkedArray, name: str, where: str) -> pa.ChunkedArray:
    present = column.drop_null()
    if not len(present):
        return column
    if any(pc.all(pc.is_in(present, pa.array(pair))).as_py() for pair in _BOOLEANS):
        return pc.equal(pc.utf8_lower(column), "true")
    try:
        if _all(present, _INTEGER):
            return column.cast(pa.int64())
        if _are_decimals(present):
            return column.cast(pa.float64())
        if _all(present, _DAY):
            return column.cast(pa.date32())
        if _all(present, _TIME):
            return times_of(column, name, where)
    except (pa.ArrowInvalid, SourceError):
        # Such as 20 digits, 2024-02-31, or times with and without an offset.
        return column
    return column


def _all(fields: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(fields, pattern)).as_py())


def _are_decimals(fields: pa.ChunkedArray) -> bool:
    digits = len(fields[0].as_py().partition(".")[2])
    # RE2, which Arrow uses, counts no further than 1,000.
    if not any(_all(fields, pattern) for pattern in (_SHORTEST, _WITH_POINT, _FIXED % min(digits, 99))):
        return False
    if pc.any(pc.match_substring_regex(fields, _MINUS_ZERO)).as_py():
        return False
    long = fields.filter(pc.match_substring_regex(fields, _LONG))
    return pc.all(pc.equal(long.cast(pa.float64()).cast(pa.string()), long)).as_py() is not False


def text_note(column: pa.ChunkedArray, name: str) -> list[str]:
    """A note about a column of which half the fields or more look like numbers, but which stays text; else none."""
    present = column.drop_null()
    if not len(present) or 2 * (pc.sum(pc.match_substring_regex(present, _LIKE_A_NUMBER)).as_py() or 0) < len(present):
        return []
    other = present.filter(pc.invert(pc.match_substring_regex(present, _SHORTEST)))
    example = (other if len(other) else present)[0].as_py()[:40]
    return [
        f"{name!r} stays text, so that {example!r} and the like stay as they are. Say --number {shlex.quote(name)} if "
        "it holds numbers."
    ]
