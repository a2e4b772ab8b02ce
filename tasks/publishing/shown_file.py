"""What the Parquet file of a published night holds, and whether that is what was published."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import datetime
from typing import IO, Any, TypeVar

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from sql.output.publish import digest_of
from sql.output.quantile_columns import is_quantile_column
from tasks.publishing.folder_columns import FILE
from tasks.publishing.parquet_night import night_folder
from tasks.store.night_file import IN_THE_PATH, night_parts
from tasks.store.ownership import is_regular
from tasks.store.places import Places

Content = TypeVar("Content")
# What a file that is damaged, or is no night, makes pyarrow and the reading of its rows say.
_DAMAGE = (LookupError, ValueError, ArithmeticError, pa.ArrowException, OSError)


def run_of_file(places: Places, cutoff: datetime) -> tuple[str, int] | None:
    """The run that wrote a night's Parquet file, and its number of rows; None where there is no whole file.

    Reads one column of one row group, so damage elsewhere is not seen.

    Raises:
        PermissionError: the file may not be read.
    """

    def run_and_rows(stream: IO[bytes]) -> tuple[str, int]:
        with pq.ParquetFile(stream) as night:
            return str(night.read_row_group(0, columns=["run_id"])["run_id"][0]), int(night.metadata.num_rows)

    return _read(places, cutoff, run_and_rows)


def holds_rows(places: Places, published: Mapping[str, Any], schema: pa.Schema) -> bool:
    """Whether a night's Parquet file holds the rows that were published; reads all of it.

    Args:
        places: The job's places.
        published: The night's row of `publication`.
        schema: The columns of its rows without `IN_THE_PATH`. The quantile columns of other nights must be empty.

    Raises:
        PermissionError: the file may not be read.
    """
    run_id, cutoff = published["run_id"], published["cutoff"]

    def is_same(stream: IO[bytes]) -> bool:
        with closing(night_parts(stream, places.job, cutoff)) as parts:
            digest = digest_of(_own_columns(parts, run_id, schema))
        return digest == str(published["digest"])

    return _read(places, cutoff, is_same) is True


def _own_columns(parts: Iterator[pa.Table], run_id: str, schema: pa.Schema) -> Iterator[pa.Table]:
    for part in parts:
        others = [name for name in part.column_names if name not in (*schema.names, *IN_THE_PATH)]
        if not all(is_quantile_column(name) and part[name].null_count == len(part) for name in others):
            raise ValueError(f"The night has rows in columns that are not its own, {others}.")
        if len(part) and part["run_id"][0].as_py() != run_id:
            raise ValueError(f"The night is not that of the run {run_id}.")
        # The digest does not tell a text from its bytes.
        if any(part.schema.field(field.name).type != field.type for field in schema):
            raise ValueError(f"The columns of the night are not of the types {schema}.")
        yield part.drop_columns(others)


def _read(places: Places, cutoff: datetime, read: Callable[[IO[bytes]], Content]) -> Content | None:
    """What a night's Parquet file holds; None where there is none, or a damaged one."""
    system, folder = fsspec.core.url_to_fs(night_folder(places, cutoff))
    file = f"{folder}/{FILE}"
    if isinstance(system, LocalFileSystem) and not is_regular(file):
        return None
    # Another process may have written the file since this one listed the folder.
    system.invalidate_cache()
    try:
        with system.open(file) as stream:
            return read(stream)
    except PermissionError:
        raise
    except _DAMAGE:
        return None
