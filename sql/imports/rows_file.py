"""Reads the rows of a CSV or Parquet file; an error says what is wrong with the file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from sql.errors import SourceError
from sql.imports.csv_text import counts_rows, read_csv_text
from sql.imports.file_format import FileFormat
from sql.source.parquet_reader import parts_of

_CONVERT = "Convert it to one of them."
_REMEDIES = {
    (".xlsx", ".xls", ".xlsm", ".xlsb", ".ods"): "Save the sheet of the history as CSV UTF-8.",
    (".gz", ".zip", ".bz2", ".xz", ".zst", ".7z"): "Unpack it first.",
    (".db", ".sqlite", ".sqlite3", ".duckdb"): "If it is a database, give its URL, such as sqlite:///history.db.",
}
# The name that pandas gives to an index without one.
_INDEX = "__index_level_0__"
_MOST_SHOWN, _LONGEST_SHOWN = 5, 60
_HEADER = (
    "Write UTF-8 text. The first line names the columns, such as series_id,timestamp,value. Each other line is a row "
    "with as many fields. (Excel calls UTF-8 text CSV UTF-8. Remove lines above the names.)"
)


def is_csv(path: Path) -> bool:
    """Whether the name of a file says that it is CSV, or the same with tabs."""
    return path.suffix.lower() in (".csv", ".tsv", ".txt")


class FileRows(NamedTuple):
    """The rows of a file: of Parquet in its own types, of CSV as strings; and what a person should know about them."""

    rows: pa.Table
    notes: list[str]
    delimiter: str = ","
    encoding: str = ""


def read_rows(path: Path, said: FileFormat) -> FileRows:
    """All rows of a file.

    Args:
        path: `.csv`, `.tsv` or `.txt` with a header, in which an empty field is NULL; or `.parquet`, which may be a
            folder of parts.
        said: What the user says about the file.

    Raises:
        SourceError: where the file does not exist, cannot be read, has no rows, names a column twice, or its parts
            hold a column in types without a common one.
    """
    if not is_csv(path) and path.suffix.lower() != ".parquet":
        remedy = next((each for suffixes, each in _REMEDIES.items() if path.suffix.lower() in suffixes), _CONVERT)
        raise SourceError(f"{path} is neither .csv nor .parquet (nor .tsv or .txt). {remedy}")
    kind, read = ("CSV", _read_csv) if is_csv(path) else ("Parquet", _read_parquet)
    remedy = _HEADER if kind == "CSV" else "Write the file again, or give a CSV file."
    if kind == "CSV" or not path.is_dir():
        check_readable(path, remedy)
    try:
        found = read(path, said)
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split()).rstrip(". ")
        raise SourceError(f"{path} cannot be read as {kind}: {reason}. {remedy}") from error
    names: list[str] = found.rows.column_names
    if not found.rows.num_rows:
        raise SourceError(f"{path} has no rows, only the columns {_beginning(names)}. Export the history into it.")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise SourceError(f"{path} names a column twice: {_beginning(twice)}. Rename one of them.")
    return found


def _beginning(names: list[str]) -> str:
    """The first of many names, each cut where it is long."""
    return f"{[name[:_LONGEST_SHOWN] for name in names[:_MOST_SHOWN]]}{', ...' if len(names) > _MOST_SHOWN else ''}"


def check_readable(path: Path, remedy: str) -> None:
    """Raise a plain error for a missing, empty or unreadable file, before Arrow raises an obscure one."""
    try:
        # To open a named pipe would wait for somebody to write into it.
        if path.exists() and not path.is_file() and not path.is_dir():
            raise SourceError(f"{path} is no file. Give the path of a file.")
        with path.open("rb") as file:
            if not file.read(1):
                raise SourceError(f"{path} is empty. {remedy}")
    except FileNotFoundError:
        raise SourceError(f"There is no file {path}. A relative path starts from {Path.cwd()}.") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}. Give a file that this user may read.") from None


def _read_csv(path: Path, said: FileFormat) -> FileRows:
    found = read_csv_text(path, said)
    return FileRows(found.rows, found.notes, found.delimiter, found.encoding)


def _read_parquet(path: Path, said: FileFormat) -> FileRows:
    rows, notes = parts_of(path, str(path)).rows.to_table(), list[str]()
    if _INDEX in rows.column_names and counts_rows(rows[_INDEX]):
        rows = rows.drop_columns(_INDEX)
        notes.append(f"The column {_INDEX} only counts the rows; it is left out.")
    return FileRows(rows, notes)
