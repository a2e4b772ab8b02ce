"""One night's forecasts as a Parquet file, which is written and read row group by row group.

This is the file that is published. It has no columns `job` and `cutoff`, because its path names them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

# The path names these; a reader would find them twice.
IN_THE_PATH = ("job", "cutoff")


def save_night(parts: Iterable[pa.Table], file: Path) -> Path:
    """Write rows of the table `forecast`, each part in at least one row group; gives `file` back.

    A thread writes one part while the next one is computed, so at most two parts are in memory.

    Raises:
        ValueError: there is no part.
        OSError: the file cannot be written.
    """
    writer: pq.ParquetWriter | None = None
    with ThreadPoolExecutor(1, "night file") as aside:
        writing: Future[None] | None = None
        try:
            for part in parts:
                if writing is not None:
                    writing.result()
                rows = part.drop_columns(list(IN_THE_PATH))
                writer = writer or pq.ParquetWriter(file, rows.schema, write_page_checksum=True)
                writing = aside.submit(writer.write_table, rows)
            if writing is not None:
                writing.result()
        except BaseException:
            # Half a file would only keep a full disk full.
            aside.shutdown()
            if writer is not None:
                with suppress(OSError):
                    writer.close()
            file.unlink(missing_ok=True)
            raise
        aside.shutdown()
        if writer is not None:
            writer.close()
    if writer is None:
        raise ValueError(f"There is no row to write into {file}: a night forecasts one series at least.")
    return file


def night_parts(file: Path | IO[bytes], job: str, cutoff: datetime) -> Generator[pa.Table]:
    """The rows of a night's file with all columns of the table `forecast`, one row group after the other.

    Raises:
        OSError: the file is damaged or cannot be read.
    """
    constants = {"job": pa.scalar(job, pa.string()), "cutoff": pa.scalar(cutoff, pa.timestamp("us", "UTC"))}
    with pq.ParquetFile(file, page_checksum_verification=True) as parquet:
        for number in range(parquet.num_row_groups):
            part = parquet.read_row_group(number)
            for name, value in constants.items():
                part = part.append_column(name, pa.repeat(value, part.num_rows))
            yield part
