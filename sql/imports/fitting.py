"""Brings rows to the types of a table that exists, and refuses a row whose value the table would change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from sql.errors import SourceError, counted_rows
from sql.imports.column_kinds import as_meant, times_of, without_missing
from sql.imports.file_format import FileFormat, Meaning

_EXAMPLES = 5
_ANY_NUMBER = r"(?i)^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$"
_PLAIN = r"^-?(0|[1-9]\d*)(\.\d*[1-9])?$"
_NO_CODE = r"^-?(0|[1-9]\d*)(\.\d*)?([eE][+-]?\d+)?$"
_TRUTHS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


class Fit(NamedTuple):
    """A column in the type of the table, and which of its rows keep their value there; None where all do."""

    column: pa.ChunkedArray
    keeps: pa.ChunkedArray | None = None


def fitted(rows: pa.Table, said: FileFormat, types: dict[str, sa.types.TypeEngine[Any]], dialect: str, where: str
           ) -> pa.Table:  # fmt: skip
    """The rows in the types of the columns of a table. Text is read as the type of its column.

    Args:
        rows: Of CSV, strings as in the file; of Parquet, from `typed_arrow`. All columns are in the table.
        said: What the user says about the columns.
        types: The type of each column of the table.
        dialect: The name of the database, such as sqlite. SQLite keeps any number in any column of numbers.
        where: The table, for an error.

    Returns:
        The same columns: string, int64, float64, bool, date or timestamp[us]; exact decimals as strings.

    Raises:
        SourceError: where the table would change a value or cannot hold it; names the columns, values and rows.
    """
    made, problems = {}, []
    for name in rows.column_names:
        fit = _fit(rows[name], said.meaning(name), types[name], dialect, name)
        made[name] = fit.column
        if fit.keeps is not None and pc.any(lost := pc.invert(pc.fill_null(fit.keeps, True))).as_py():
            problems.append(f"the column {name!r} is {types[name]} and cannot hold {_listed(rows[name].filter(lost))}")
            is_number = isinstance(types[name], sa.Integer | sa.Numeric) and pa.types.is_string(rows[name].type)
            if is_number and said.meaning(name) != "number":
                problems[-1] += f" (if it holds numbers in any spelling, and NA for none, say --number {name})"
    if problems:
        raise SourceError(
            f"The {where} would change values of the file: {'; '.join(problems)}. Nothing was written. Correct the "
            "file, change the type of the column in the database, or load the file into a new table (--mode create)."
        )
    return pa.table(made)


def _listed(given: pa.ChunkedArray) -> str:
    examples = pc.unique(given).to_pylist()[:_EXAMPLES]
    more = ", ..." if len(pc.unique(given)) > _EXAMPLES else ""
    count = counted_rows(len(given))
    return f"{', '.join(repr(each) if isinstance(each, str) else str(each) for each in examples)}{more} ({count})"


def _fit(
    column: pa.ChunkedArray, meaning: Meaning | None, kind: sa.types.TypeEngine[Any], dialect: str, name: str
) -> Fit:
    if meaning in ("number", "time") and pa.types.is_string(column.type):
        column = without_missing(column)
    if isinstance(kind, sa.Enum):
        return Fit(column)
    if isinstance(kind, sa.String):
        if meaning == "time" and pa.types.is_string(column.type):
            times = as_meant(column, "time", name, "the file")
            # SQLite has no type for times, so `import` itself makes columns of text for those with an offset.
            column = times if dialect == "sqlite" else column
        return _fit_text(column, kind, dialect)
    if isinstance(kind, sa.Boolean):
        return _fit_boolean(column)
    if isinstance(kind, sa.Date | sa.DateTime):
        return _fit_time(column, kind, dialect, name)
    if isinstance(kind, sa.Time) and pa.types.is_string(column.type):
        digits = getattr(kind, "precision", None)
        kept = rf"^[^.]*(\.\d{{0,{6 if digits is None else digits}}}0*(\D.*)?)?$"
        return Fit(column, pc.match_substring_regex(column, kept))
    if isinstance(kind, postgresql.BIT) and pa.types.is_string(column.type):
        length, bits = kind.length or 1, pc.utf8_length(column)
        return Fit(column, (pc.less_equal if kind.varying else pc.equal)(bits, length))
    if isinstance(kind, postgresql.MONEY):
        cents = partial(_plain_decimal, precision=19, scale=2)
        return _from_decimals(column, cents, pa.string(), any_spelling=meaning == "number")
    if isinstance(kind, sa.Integer | sa.Numeric):
        return _fit_number(column, kind, dialect, any_spelling=meaning == "number")
    return Fit(column)


def _fit_text(column: pa.ChunkedArray, kind: sa.String, dialect: str) -> Fit:
    if pa.types.is_timestamp(column.type):
        # The writer knows how a database without zones keeps an offset.
        return Fit(column)
    texts = column.cast(pa.string())
    if kind.length is None or dialect == "sqlite":
        return Fit(texts)
    counted = pc.utf8_rtrim(texts, characters=" ") if isinstance(kind, sa.CHAR) else texts
    return Fit(texts, pc.less_equal(pc.utf8_length(counted), kind.length))


def _fit_boolean(column: pa.ChunkedArray) -> Fit:
    if pa.types.is_boolean(column.type):
        return Fit(column)
    found = _mapped(column, lambda each: _TRUTHS.get(str(each).strip().lower()), pa.bool_())
    return Fit(found, _kept(column, found))


def _kept(before: pa.ChunkedArray, after: pa.ChunkedArray) -> pa.ChunkedArray:
    """Where a value is still there."""
    return pc.or_(pc.is_null(before), pc.is_valid(after))


def _fit_time(column: pa.ChunkedArray, kind: sa.Date | sa.DateTime, dialect: str, name: str) -> Fit:
    if pa.types.is_date(column.type):
        return Fit(column if isinstance(kind, sa.Date) else column.cast(pa.timestamp("us")))
    if not (pa.types.is_string(column.type) or pa.types.is_timestamp(column.type)):
        return _none(column)
    times = times_of(column, name, "the file")
    if isinstance(kind, sa.Date):
        if times.type.tz:
            return Fit(times) if dialect == "sqlite" else _none(times)
        days = times.cast(pa.date32(), safe=False)
        midnight = pc.equal(days.cast(pa.timestamp("us")), times)
        if dialect == "sqlite" and not pc.all(midnight).as_py():
            return Fit(times)
        return Fit(days, midnight)
    digits = getattr(kind, "precision", None)
    if digits is None or dialect != "postgresql":
        return Fit(times)
    parts = pc.add(pc.multiply(pc.millisecond(times), 1000), pc.microsecond(times))
    step = 10 ** (6 - digits)
    return Fit(times, pc.equal(pc.multiply(pc.divide(parts, step), step), parts))


def _none(column: pa.ChunkedArray) -> Fit:
    return Fit(column, pc.is_null(column))


def _fit_number(
    column: pa.ChunkedArray, kind: sa.Integer | sa.Numeric[Any], dialect: str, *, any_spelling: bool
) -> Fit:
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return _none(column)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int64())
    if isinstance(kind, sa.Integer) and pa.types.is_string(column.type) and not any_spelling:
        # In a column of whole numbers, 1E3 is a code and not 1000.
        code = pc.match_substring_regex(column, "[eE]")
        if pc.any(code).as_py():
            return Fit(column, pc.invert(code))
    if dialect == "sqlite":
        return _fit_sqlite(column, kind, any_spelling=any_spelling)
    if isinstance(kind, sa.Integer):
        bits = 16 if isinstance(kind, sa.SmallInteger) else 64 if isinstance(kind, sa.BigInteger) else 32
        whole = partial(_whole, low=-(2 ** (bits - 1)), high=2 ** (bits - 1) - 1)
        return _from_decimals(column, whole, pa.int64(), any_spelling=any_spelling)
    if isinstance(kind, sa.Float):
        return _fit_float(column, any_spelling=any_spelling, single=isinstance(kind, sa.REAL))
    shorten = partial(_plain_decimal, precision=kind.precision, scale=kind.scale or 0)
    return _from_decimals(column, shorten, pa.string(), any_spelling=any_spelling)


def _fit_sqlite(column: pa.ChunkedArray, kind: sa.Integer | sa.Numeric[Any], *, any_spelling: bool) -> Fit:
    """SQLite keeps each number as it is, except that a column of doubles makes doubles of whole numbers.

    A type that SQLite does not know, such as STRING, is described as NUMERIC: it keeps text that is no number.
    """
    if pa.types.is_string(column.type) and type(kind) is sa.NUMERIC and kind.precision is None and not any_spelling:
        is_number = pc.match_substring_regex(column, _ANY_NUMBER)
        if pc.all(is_number).as_py() is False:
            return Fit(column, pc.or_(pc.invert(is_number), pc.match_substring_regex(column, _PLAIN)))
    if pa.types.is_integer(column.type) and not isinstance(kind, sa.Float):
        return Fit(column)
    if pa.types.is_string(column.type) and not isinstance(kind, sa.Float):
        whole = _from_decimals(
            column, partial(_whole, low=-(2**63), high=2**63 - 1), pa.int64(), any_spelling=any_spelling
        )
        if whole.keeps is None or pc.all(whole.keeps).as_py() is not False:
            return whole
    return _fit_float(column, any_spelling=any_spelling, single=False)


def _fit_float(column: pa.ChunkedArray, *, any_spelling: bool, single: bool) -> Fit:
    if pa.types.is_string(column.type):
        is_number = pc.match_substring_regex(column, _ANY_NUMBER if any_spelling else _NO_CODE)
        numbers = pc.utf8_trim_whitespace(pc.if_else(is_number, column, None))
        doubles = pc.utf8_ltrim(numbers, characters="+").cast(pa.float64())
        keeps = _kept(column, doubles)
        whole = pc.match_substring_regex(numbers, r"^[+-]?\d{16,}$")
        if pc.any(whole).as_py():
            exact = _mapped(column, lambda each: each if _same(each) else None, pa.string())
            keeps = pc.and_(keeps, pc.or_(pc.invert(pc.fill_null(whole, False)), pc.is_valid(exact)))
    else:
        doubles = column.cast(pa.float64(), safe=False)
        keeps = None
        if pa.types.is_integer(column.type):
            keeps = pc.equal(_mapped(column, lambda each: int(float(each)) == each, pa.bool_()), True)
    if not single:
        return Fit(doubles, keeps)
    # A single keeps seven digits: it is the same number if it is written in the same way.
    singles = doubles.cast(pa.float32(), safe=False).cast(pa.string()).cast(pa.float64())
    same = pc.or_(pc.equal(singles, doubles), pc.is_nan(doubles))
    return Fit(doubles, same if keeps is None else pc.and_(keeps, pc.fill_null(same, True)))


def _same(number: str) -> bool:
    try:
        return Decimal(float(number)) == Decimal(number)
    except (ValueError, InvalidOperation):
        return True


def _from_decimals(
    column: pa.ChunkedArray, convert: Callable[[Decimal], Any], kind: pa.DataType, *, any_spelling: bool
) -> Fit:
    """The numbers of a column as `convert` gives them; None from it means that the number does not fit."""
    texts = column.cast(pa.string())
    if pa.types.is_string(column.type):
        is_number = pc.match_substring_regex(texts, _ANY_NUMBER if any_spelling else _NO_CODE)
        texts = pc.utf8_trim_whitespace(pc.if_else(is_number, texts, None))
    found = _mapped(texts, lambda each: convert(Decimal(each)), kind)
    return Fit(found, _kept(column, found))


def _whole(number: Decimal, low: int, high: int) -> int | None:
    if not number.is_finite() or not low <= number <= high or number != int(number):
        return None
    return int(number)


def _plain_decimal(number: Decimal, precision: int | None, scale: int) -> str | None:
    if number.is_nan():
        return "NaN"
    if not number.is_finite():
        return None
    if precision is not None and number:
        exponent = number.normalize().as_tuple().exponent
        if not isinstance(exponent, int) or exponent < -scale or number.adjusted() >= precision - scale:
            return None
    return format(number, "f")


def _mapped(column: pa.ChunkedArray, convert: Callable[[Any], Any], kind: pa.DataType) -> pa.ChunkedArray:
    """Each value converted, and each distinct one only once; null where there is none or the function gives None."""
    coded = column.combine_chunks().dictionary_encode()
    distinct: Iterable[Any] = coded.dictionary.to_pylist()
    made = pa.array([convert(each) for each in distinct], kind)
    return pa.chunked_array([made.take(coded.indices)], kind)
