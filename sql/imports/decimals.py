"""Finds out whether a CSV file writes 1.5 or 1,5, and brings its numbers to the first."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from sql.errors import SourceError, counted_rows
from sql.imports.column_kinds import without_missing
from sql.imports.file_format import FileFormat

_NUMBER = r"^\s*[+-]?(\d+|\d{1,3}([.,]\d{3})+)?([.,]\d*)?([eE][+-]?\d+)?\s*$"
_WITH_COMMA = r"^-?(0|[1-9]\d*|[1-9]\d{0,2}(\.\d{3})+)(,\d+)?$"
_MARKS = {".": (r"\.", ","), ",": (",", r"\.")}


def guess_decimal(texts: pa.Table, said: FileFormat, delimiter: str, where: str) -> str:
    """The decimal mark of a file: what the user says, else what its numbers show, else the point.

    Columns of numbers count before others. `1,5` shows a comma, and `1.5` a point. `1,234` shows neither: it may have
    a comma or be a thousand, and so may `1.234` in a file whose columns are not separated by commas.

    Args:
        texts: Columns of strings.
        said: What the user says.
        delimiter: Between the columns. Where it is a comma, only columns of numbers count.
        where: The file, for an error.

    Raises:
        SourceError: where the file leaves a doubt; says which option helps.
    """
    if said.decimal:
        return said.decimal
    known = [name for name in texts.column_names if said.meaning(name) == "number"]
    others = [name for name in texts.column_names if said.meaning(name) is None and delimiter != ","]
    for names in (known, others):
        shown: dict[str, str] = {}
        maybe: dict[str, str] = {}
        for name in names:
            fields = without_missing(texts[name]).drop_null()
            if len(fields) and pc.all(pc.match_substring_regex(fields, _NUMBER)).as_py():
                for mark in ".,":
                    _examine(fields, mark, shown, maybe)
        if len(shown) > 1:
            raise _doubt(where, list(shown.values()))
        if shown:
            return next(iter(shown))
        if "," in maybe or ("." in maybe and delimiter != ","):
            raise _doubt(where, list(maybe.values()))
    return "."


def _examine(fields: pa.ChunkedArray, mark: str, shown: dict[str, str], maybe: dict[str, str]) -> None:
    """Note an example of a field that shows the mark as a decimal one, or that may show it."""
    this, other = _MARKS[mark]
    having = fields.filter(pc.match_substring(fields, mark))
    grouped = rf"^\s*[+-]?[1-9]\d{{0,2}}({this}\d{{3}})+({other}\d+)?\s*$"
    is_grouped = pc.match_substring_regex(having, grouped)
    sure = having.filter(pc.invert(is_grouped))
    if len(sure):
        shown.setdefault(mark, sure[0].as_py())
    several = having.filter(pc.match_substring_regex(having, rf"{this}\d{{3}}{this}\d{{3}}"))
    if len(several):
        shown.setdefault("." if mark == "," else ",", several[0].as_py())
    elif pc.any(is_grouped).as_py():
        maybe.setdefault(mark, having.filter(is_grouped)[0].as_py())


def _doubt(where: str, examples: list[str]) -> SourceError:
    listed = " and ".join(repr(each.strip()) for each in examples)
    return SourceError(
        f"{where} holds numbers such as {listed}, which leave open whether a comma or a point begins the decimals. "
        "Say --decimal , or --decimal . for the file."
    )


def with_points(texts: pa.Table, said: FileFormat, decimal: str, delimiter: str, where: str
                ) -> tuple[pa.Table, list[str]]:  # fmt: skip
    """The same columns with decimal points, and without marks of thousands where numbers are.

    Returns:
        The columns; and the names of those that a decimal point would make numbers in a file of decimal commas.

    Raises:
        SourceError: where a column of numbers has the other decimal mark.
    """
    codes = []
    for i, name in enumerate(texts.column_names):
        column, meaning = texts[name], said.meaning(name)
        present = column.drop_null()
        if meaning == "number":
            texts = texts.set_column(i, name, _number(column, decimal, name, where))
        elif meaning is None and decimal == "," and len(present):
            may_be_number = (delimiter != "," or said.decimal) and pc.any(pc.match_substring(present, ",")).as_py()
            if may_be_number and (numbers := _shortened(column)) is not None:
                texts = texts.set_column(i, name, numbers)
            elif pc.any(pc.match_substring(present, ".")).as_py():
                codes.append(name)
    return texts, codes


def _shortened(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Numbers with a decimal comma as their shortest with a point; None for others, and where two would become one."""
    if not pc.all(pc.match_substring_regex(column, _WITH_COMMA)).as_py():
        return None
    points = pc.replace_substring(pc.replace_substring(column, ".", ""), ",", ".")
    shorter = pc.replace_substring_regex(points, r"^(.*\.\d*[1-9])0+$", r"\1")
    shortest = pc.replace_substring_regex(shorter, r"\.0+$", "")
    return shortest if pc.count_distinct(shortest).as_py() == pc.count_distinct(column).as_py() else None


def _number(column: pa.ChunkedArray, decimal: str, name: str, where: str) -> pa.ChunkedArray:
    mark, group = _MARKS[decimal]
    grouped = pc.match_substring_regex(column, rf"^\s*[+-]?[1-9]\d{{0,2}}({group}\d{{3}})+({mark}\d*)?\s*$")
    plain = pc.if_else(grouped, pc.replace_substring(column, "," if decimal == "." else ".", ""), column)
    if decimal == ".":
        return plain
    other = plain.filter(pc.fill_null(pc.match_substring_regex(plain, r"^\s*[+-]?\d*\.\d*([eE][+-]?\d+)?\s*$"), False))
    if len(other):
        raise SourceError(
            f"The column {name!r} of {where} should hold numbers with a decimal comma, but holds "
            f"{other[0].as_py()[:40]!r} ({counted_rows(len(other))}). Correct these rows, or "
            "say --decimal . for the file."
        )
    return pc.replace_substring(plain, ",", ".")
