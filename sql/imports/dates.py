"""Finds out how a CSV file writes days, and brings its times to ISO 8601."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from sql.errors import SourceError, counted_rows
from sql.imports.column_kinds import without_missing
from sql.imports.file_format import FileFormat

_ISO = r"^\s*\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?\s*$"
_PLAIN_NUMBER = r"^-?\d*\.?\d*$"
_END = r"(?:[ T,]+\d.*)?\s*$"
_YEAR_LAST = r"^\s*(?P<a>\d{1,2})(?P<sep>[./-])(?P<b>\d{1,2})[./-]\d{4}" + _END
_YEAR_FIRST = r"^\s*\d{4}(?P<sep>[./-])\d{1,2}[./-]\d{1,2}" + _END
_SHORT_YEAR = r"^\s*\d{1,2}(?P<sep>[./-])\d{1,2}[./-]\d\d" + _END
_COMPACT = r"^\s*(19|20)\d{6}\s*$"
_YEAR = r"^\s*(1[5-9]|20)\d\d\s*$"
_QUARTER = re.compile(r"\s*(\d{4})[- ]?Q([1-4])\s*", re.IGNORECASE)
# Months and quarters whose fields can mean nothing else, each with its format; and moments as numbers.
_PERIODS = {
    r"^\s*\d{4}-(0[1-9]|1[0-2])\s*$": "%Y-%m",
    r"^\s*\d{4}/(0[1-9]|1[0-2])\s*$": "%Y/%m",
    r"^\s*(0[1-9]|1[0-2])/\d{4}\s*$": "%m/%Y",
    r"(?i)^\s*(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec) \d{4}\s*$": "%b %Y",
    r"(?i)^\s*(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)-\d{4}\s*$": "%b-%Y",
    r"(?i)^\s*\d{4}[- ]?q[1-4]\s*$": "quarters",
}
_NUMBERS = {r"^\d{10}$": "seconds since 1970", r"^\d{13}$": "milliseconds since 1970", _YEAR: "%Y", _COMPACT: "%Y%m%d"}
_CLOCK_AFTER = re.compile(r"(?<=\d)[ T,]+(?=\d)")
_CLOCKS = ("", "%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%H:%M:%S%z", "%H:%M%z")
# SQL Server writes seven digits, and nobody needs the seventh.
_ZEROS = r"(:\d\d\.\d{6})(0+)(Z|[+-]\d\d.*|\s*)$"
_NAMES = ("%Y-%m-%d", "%d.%m.%Y", "%Y/%m/%d", "%Y-%m", "%m.%Y", "%m/%Y", "%Y/%m", "%b %Y", "%b-%Y", "%b %y", "%b-%y")
_EXAMPLES = 5


def with_iso_times(texts: pa.Table, said: FileFormat, where: str) -> tuple[pa.Table, dict[str, str]]:
    """The same columns, with times as `2026-01-31` or `2026-01-31 18:30:00`.

    Args:
        texts: Columns of strings.
        said: What the user says. Its date format holds for columns of times, and for others where all fields have it.
            Without it, months and quarters are found where there is no other time.
        where: The file, for an error.

    Returns:
        The columns, and the format of the days of each column that was not in ISO 8601.

    Raises:
        SourceError: where a column leaves open which number is the month, a column of times has another form, or no
            column has the format that the user says.
    """
    formats: dict[str, str] = {}
    for i, name in enumerate(texts.column_names):
        meaning = said.meaning(name)
        column = without_missing(texts[name]) if meaning == "time" else texts[name]
        present = column.drop_null()
        if meaning in ("text", "number") or not len(present):
            continue
        found = said.date_format or _guess(present, name, where, must_be=meaning == "time")
        if found is None and meaning == "time":
            _check_iso(present, name, where)
        if found is None and pc.any(pc.match_substring_regex(present, _ZEROS)).as_py() and _all(present, _ISO):
            texts = texts.set_column(i, name, pc.replace_substring_regex(column, _ZEROS, r"\1\3"))
        if found is None or (said.date_format and not _may_have(present, found, must_be=meaning == "time")):
            continue
        made, wrong = _converted(column, found)
        if wrong and meaning is None:
            continue
        if wrong:
            raise _no_time(name, where, f" like {found}", wrong, made.null_count - column.null_count)
        texts, formats[name] = texts.set_column(i, name, made), found
    if (
        not said.date_format
        and not formats
        and not any(_is_time(texts[name], said, name) for name in texts.column_names)
    ):
        texts, formats = _with_periods(texts, said)
    if said.date_format and not formats:
        raise SourceError(
            f"No column of {where} has the date format {said.date_format}. Correct it, or name the column of times "
            "with --time."
        )
    return texts, formats


def _is_time(column: pa.ChunkedArray, said: FileFormat, name: str) -> bool:
    present = column.drop_null()
    return said.meaning(name) == "time" or (len(present) > 0 and _all(present, _ISO))


def _with_periods(texts: pa.Table, said: FileFormat) -> tuple[pa.Table, dict[str, str]]:
    """For a file without a column of times: its months or quarters, by their first days."""
    formats = dict[str, str]()
    for i, name in enumerate(texts.column_names):
        present = texts[name].drop_null()
        if said.meaning(name) or not len(present):
            continue
        if found := _form(present, _PERIODS):
            texts, formats[name] = texts.set_column(i, name, _converted(texts[name], found)[0]), found
    return texts, formats


def _form(fields: pa.ChunkedArray, forms: dict[str, str]) -> str | None:
    """The first of some forms that all fields have."""
    return next((each for form, each in forms.items() if _all(fields, form)), None)


def form_of_times(fields: pa.ChunkedArray) -> str | None:
    """What numbers in a column of times mean, if all of them can: `%Y%m%d`, `%Y`, or (milli)seconds since 1970.

    Args:
        fields: Strings without nulls.

    >>> form_of_times(pa.chunked_array([["20240101", "20240102"]]))
    '%Y%m%d'
    """
    return _form(fields, _NUMBERS)


def _check_iso(present: pa.ChunkedArray, name: str, where: str) -> None:
    other = present.filter(pc.invert(pc.match_substring_regex(present, _ISO)))
    if len(other):
        raise _no_time(name, where, "", pc.unique(other).to_pylist(), len(other))


def _no_time(name: str, where: str, like: str, wrong: list[str], rows: int) -> SourceError:
    listed = ", ".join(repr(each[:40]) for each in wrong[:_EXAMPLES]) + (", ..." if len(wrong) > _EXAMPLES else "")
    return SourceError(
        f"The column {name!r} of {where} holds text that is not a time{like}: {listed} "
        f"({counted_rows(rows)}). Correct these rows, or say how the days are written, such as "
        "--date-format %d.%m.%Y."
    )


def _may_have(present: pa.ChunkedArray, date_format: str, *, must_be: bool) -> bool:
    """Whether to try a format on a column: if a column of times is not in ISO 8601, and on others by the first field.

    A number is no time unless the user says so.
    """
    first = present[0].as_py()
    if _parser(date_format)(first) is not None:
        return must_be or not _all(present, _PLAIN_NUMBER)
    return must_be and not _all(present, _ISO)


def _all(fields: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(fields, pattern)).as_py())


def _guess(present: pa.ChunkedArray, name: str, where: str, *, must_be: bool) -> str | None:
    """The format of the days; None for ISO 8601, and for what is no time."""
    if _all(present, _ISO):
        return None
    sample = present.slice(0, 1) if must_be else present
    if must_be and (found := _form(present, {**_PERIODS, **_NUMBERS})):
        return found
    if _all(sample, _YEAR_FIRST):
        sep = str(pc.extract_regex(present[0], _YEAR_FIRST).as_py()["sep"])
        return sep.join(("%Y", "%m", "%d")) if sep != "-" or _all(present, _YEAR_FIRST) else None
    if _all(sample, _SHORT_YEAR):
        sep = str(pc.extract_regex(present[0], _SHORT_YEAR).as_py()["sep"])
        if not must_be and (sep == "-" or _converted(present, sep.join(("%d", "%m", "%y")))[1]):
            return None
        raise _doubt(present, name, where, [sep.join(order) for order in (("%d", "%m", "%y"), ("%m", "%d", "%y"))])
    if not _all(sample, _YEAR_LAST):
        return None
    parts = pc.extract_regex(present, _YEAR_LAST).drop_null()
    sep = str(parts[0].as_py()["sep"])
    first, second = (pc.max(pc.struct_field(parts, part).cast(pa.int64())).as_py() for part in "ab")
    if first > 12 and second > 12 and not must_be:
        return None
    day_first, month_first = (sep.join(order) for order in (("%d", "%m", "%Y"), ("%m", "%d", "%Y")))
    if first > 12 or (sep == "." and second <= 12):
        return day_first
    if second > 12:
        return month_first
    raise _doubt(present, name, where, [day_first, month_first])


def _doubt(present: pa.ChunkedArray, name: str, where: str, formats: list[str]) -> SourceError:
    choices = " or ".join(f"--date-format {each}" for each in formats)
    return SourceError(
        f"The column {name!r} of {where} holds days such as {present[0].as_py()[:40]!r}, which leave open which number "
        f"is the month. Say {choices} (or --text {name} if it holds no times)."
    )


def _converted(column: pa.ChunkedArray, date_format: str) -> tuple[pa.ChunkedArray, list[str]]:
    """The column in ISO 8601, and the distinct fields that do not have the format."""
    coded = column.combine_chunks().dictionary_encode()
    parse, wrong, made = _parser(date_format), [], []
    for field in coded.dictionary.to_pylist():
        made.append(parse(field))
        if made[-1] is None:
            wrong.append(field)
    return pa.chunked_array([pa.array(made, pa.string()).take(coded.indices)]), wrong


def _parser(date_format: str) -> Callable[[str], str | None]:
    """A function that gives a time in ISO 8601, or None; a clock may follow the day where the format has none."""
    if date_format == "quarters":
        return _first_day_of_quarter
    if date_format.endswith("seconds since 1970"):
        return functools.partial(_moment, units=1_000 if date_format.startswith("milli") else 1)
    has_clock = any(each in date_format for each in ("%H", "%I", "%X", "%c"))
    formats = [date_format] if has_clock else [f"{date_format} {clock}".strip() for clock in _CLOCKS]

    def parse(field: str) -> str | None:
        text = field.strip() if has_clock or "," in date_format else _CLOCK_AFTER.sub(" ", field.strip())
        for i, each in enumerate(formats):
            try:
                # A time without an offset is local to the job's time zone, which is not known here.
                found = datetime.strptime(text, each)  # noqa: DTZ007
            except ValueError:
                continue
            # Most fields have the format of the one before.
            formats.insert(0, formats.pop(i))
            return found.date().isoformat() if each == date_format and not has_clock else found.isoformat(" ")
        return None

    return parse


def _first_day_of_quarter(field: str) -> str | None:
    found = _QUARTER.fullmatch(field)
    return f"{found[1]}-{3 * int(found[2]) - 2:02d}-01" if found else None


def _moment(field: str, units: int) -> str | None:
    return datetime.fromtimestamp(int(field) / units, UTC).isoformat(" ") if field.isdigit() else None


def days_of(names: list[str], said: FileFormat) -> dict[str, str]:
    """The names that are days or months, with their first days in ISO 8601; none if fewer than two are.

    Raises:
        SourceError: where they leave open which number is the month.

    >>> days_of(["shop", "31.01.2026", "01.02.2026"], FileFormat())
    {'31.01.2026': '2026-01-31', '01.02.2026': '2026-02-01'}
    """
    dated = [name for name in names if re.match(_YEAR_LAST.replace("?P<sep>[./-]", "[/-]"), name)]
    orders = [
        each for each in ("%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y") if len(_named(dated, each)) == len(dated)
    ]
    if len(dated) > 1 and len(orders) > 1 and not said.date_format:
        raise SourceError(
            f"The names of columns such as {dated[0]!r} leave open which number is the month. Say --wide and "
            f"--date-format {orders[0]} or --date-format {orders[1]}."
        )
    # Trying a name in every format takes long, and each of these formats has a year.
    names = [name for name in names if re.search(r"\d", name)] if not said.date_format else names
    for each in [said.date_format] if said.date_format else [*_NAMES, *orders]:
        if len(found := _named(names, each)) > 1:
            return found
    return {}


def _named(names: list[str], date_format: str) -> dict[str, str]:
    parse = _parser(date_format)
    return {name: day for name in names if not name.isdigit() and (day := parse(name))}
