"""Reads the rows of a CSV or Parquet file; an error says what is wrong with the file."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from sql.errors import SourceError
from sql.source.parquet_reader import parts_of

_HEADER = (
    "Write UTF-8 text. The first line names the columns, such as series_id,timestamp,value. Each other line is a row."
)


def is_csv(path: Path) -> bool:
    """Whether the name of a file says that it is CSV."""
    return path.suffix.lower() == ".csv"


def read_rows(path: Path) -> pa.Table:
    """All rows of a file: of Parquet in its own types, of CSV as text.

    Args:
        path: `.csv` with a header, in which an empty field is NULL; or `.parquet`, which may be a folder of parts.

    Raises:
        SourceError: where the file does not exist, cannot be read, has no rows, names a column twice, or its parts
            hold a column in types without a common one.
    """
    kinds = {".csv": ("CSV", _read_csv), ".parquet": ("Parquet", _read_parquet)}
    if path.suffix.lower() not in kinds:
        raise SourceError(f"{path} is neither .csv nor .parquet. Convert it to one of them.")
    kind, read = kinds[path.suffix.lower()]
    remedy = _HEADER if kind == "CSV" else "Write the file again, or give a CSV file."
    if kind == "CSV" or not path.is_dir():
        _check_readable(path, remedy)
    try:
        rows: pa.Table = read(path)
        names: list[str] = rows.column_names
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split()).rstrip(". ")
        raise SourceError(f"{path} cannot be read as {kind}: {reason}. {remedy}") from error
    if not rows.num_rows:
        raise SourceError(f"{path} has no rows, only the columns {names}. Export the history into it.")
    if len(set(names)) < len(names):
        raise SourceError(f"{path} names a column twice: {names}. Rename one of them.")
    return rows


def _check_readable(path: Path, remedy: str) -> None:
    """Raise a plain error for a missing, empty or unreadable file, before Arrow raises an obscure one."""
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise SourceError(f"{path} is empty. {remedy}")
    except FileNotFoundError:
        raise SourceError(f"There is no file {path}. A relative path starts from {Path.cwd()}.") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}. Give a file that this user may read.") from None


def _read_csv(path: Path) -> pa.Table:
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    with pyarrow.csv.open_csv(path, parse_options=parse) as file:
        names = file.schema.names
    # Arrow would guess types, and take the code 007 for 7.
    as_text = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
    )
    return pyarrow.csv.read_csv(path, parse_options=parse, convert_options=as_text)


def _read_parquet(path: Path) -> pa.Table:
    return parts_of(path, str(path)).to_table()
