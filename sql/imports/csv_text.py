"""Reads a CSV file as text: finds its encoding and delimiter, and leaves out columns that hold nothing of the data."""

from __future__ import annotations

import codecs
import csv
import functools
import re
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from sql.errors import SourceError
from sql.imports.file_format import FileFormat

_DELIMITERS = ",;\t|^~"
_SAMPLE_BYTES = 1 << 17
_SEP = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LIKE_A_TIME = re.compile(r"(\d{4}[-/.]\d\d?([-/.]\d\d?)?|\d\d?[-/.]\d\d?[-/.]\d{2,4})([ T]\d\d?:\d\d.*)?")
_UNNAMED = re.compile(r"|Unnamed: 0")


class CsvText(NamedTuple):
    """The columns of a file as strings, how it is written, and what a person should know."""

    rows: pa.Table
    delimiter: str
    encoding: str
    notes: list[str]


def read_csv_text(path: Path, said: FileFormat) -> CsvText:
    """The rows of a file as strings; an empty field is null.

    The encoding is UTF-8, or UTF-16 where the file begins with its mark. The delimiter is the one that the user or a
    first line `sep=;` names, else the only one that the header and the first lines have in the same number. A first
    column without a name is left out if it only counts the rows, and so are columns without name and content, and rows
    without content.

    Raises:
        SourceError: where several delimiters are possible, there is one column only, or a column with content has no
            name; says which option helps.
        OSError, pa.ArrowException, UnicodeDecodeError: where the file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(_SAMPLE_BYTES)
    encoding = "UTF-16" if start.startswith(_UTF_16) else "UTF-8"
    whole = path.read_bytes().decode("utf-16").encode() if encoding == "UTF-16" else None
    start = (start if whole is None else whole[:_SAMPLE_BYTES]).removeprefix(codecs.BOM_UTF8)
    lines = start.decode(errors="replace").splitlines(keepends=True)
    if len(start) > _SAMPLE_BYTES - 4 and len(lines) > 1:
        # The last line may end in the middle.
        lines = lines[:-1]
    sep = _SEP.fullmatch(lines[0]) if lines else None
    lines = lines[1:] if sep else lines
    delimiter = said.delimiter or (sep[1] if sep else _guessed_delimiter(lines, str(path)))
    rows = _read(path, whole, delimiter, skip=int(bool(sep)))
    if rows.num_columns == 1:
        raise SourceError(
            f"{path} has a single column with {delimiter!r} between columns: {rows.column_names[0][:60]!r}. "
            "Say what is between them, such as --delimiter ';' or --delimiter tab."
        )
    _check_names(rows, str(path))
    rows, notes = _without_unnamed(rows, str(path))
    empty = functools.reduce(pc.and_, (pc.is_null(column) for column in rows.columns))
    if n := pc.sum(empty).as_py():
        rows = rows.filter(pc.invert(empty))
        notes.append(f"{n} {'row is' if n == 1 else 'rows are'} empty and left out.")
    if encoding != "UTF-8":
        notes.append("The file is in UTF-16.")
    if delimiter != "," and not said.delimiter:
        notes.append(f"The columns are separated by {'tabs' if delimiter == chr(9) else repr(delimiter)}.")
    return CsvText(rows, delimiter, encoding, notes)


def _check_names(rows: pa.Table, where: str) -> None:
    """Raise an error where the first line is a row like the others: it would be lost as names."""
    for name in rows.column_names:
        # A wide table has days as names too, but none of them in a column of days.
        if _LIKE_A_TIME.fullmatch(name) and pc.all(pc.equal(_shapes(rows[name]), _shapes(pa.array([name]))[0])).as_py():
            first = ", ".join(repr(each[:40]) for each in rows.column_names[:5])
            raise SourceError(
                f"The first line of {where} looks like a row: {first}. Write a line with the names of the columns "
                "above it, such as series_id,timestamp,value."
            )


def _shapes(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Each text with 9 for every digit, so that all days of one spelling are the same."""
    return pc.replace_substring_regex(texts, r"\d", "9")


def _guessed_delimiter(lines: list[str], where: str) -> str:
    """The delimiter that splits the header, and all lines alike; a comma if none splits it."""
    counts = {each: [len(record) for record in csv.reader(lines, delimiter=each) if record] for each in _DELIMITERS}
    splits = [each for each, widths in counts.items() if widths and widths[0] > 1]
    even = [each for each in splits if len(set(counts[each])) == 1]
    found = even or splits
    if len(found) > 1:
        listed = " or ".join(repr(each) for each in found)
        raise SourceError(
            f"The columns of {where} may be separated by {listed}: {lines[0].strip()[:80]!r}. Say which, such as "
            f"--delimiter {found[0]!r}."
        )
    return found[0] if found else ","


def _read(path: Path, whole: bytes | None, delimiter: str, skip: int) -> pa.Table:
    read = pyarrow.csv.ReadOptions(skip_rows=skip)
    parse = pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)

    def source() -> str | pa.BufferReader:
        return str(path) if whole is None else pa.BufferReader(whole)

    with pyarrow.csv.open_csv(source(), read_options=read, parse_options=parse) as file:
        names = file.schema.names
    # Arrow would guess types, and take the code 007 for 7.
    as_text = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
    )
    rows = pyarrow.csv.read_csv(source(), read_options=read, parse_options=parse, convert_options=as_text)
    return rows.rename_columns([name.strip() for name in rows.column_names])


def _without_unnamed(rows: pa.Table, where: str) -> tuple[pa.Table, list[str]]:
    keep, notes = [], []
    for i, name in enumerate(rows.column_names):
        if not _UNNAMED.fullmatch(name):
            keep.append(i)
        elif i == 0 and counts_rows(rows[i]):
            notes.append("The first column has no name and only counts the rows; it is left out.")
        elif rows[i].null_count < rows.num_rows:
            raise SourceError(
                f"Column {i + 1} of {where} has no name, but holds {rows[i].drop_null()[0].as_py()[:40]!r}. "
                "Name it in the first line, or remove the lines above the one with the names."
            )
        else:
            notes.append(f"Column {i + 1} has no name and is empty; it is left out.")
    return rows.select(keep), notes


def counts_rows(column: pa.ChunkedArray) -> bool:
    """Whether a column holds whole numbers that rise from row to row, as the index of a data frame does."""
    if column.null_count:
        return False
    if pa.types.is_string(column.type):
        if not pc.all(pc.match_substring_regex(column, r"^(0|[1-9]\d{0,17})$")).as_py():
            return False
        column = column.cast(pa.int64())
    numbers = column.combine_chunks()
    return bool(pa.types.is_integer(numbers.type)) and pc.all(pc.less(numbers[:-1], numbers[1:])).as_py() is not False
