"""Samples a CSV or Parquet file: a large one is not read as a whole."""

from __future__ import annotations

import codecs
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.dataset

from sql.errors import SourceError
from sql.imports.arrow_kinds import typed_arrow
from sql.imports.file_format import FileFormat
from sql.imports.read_file import read_file, typed
from sql.imports.rows_file import check_readable, is_csv
from sql.imports.wide_table import check_long
from sql.sample.sample import PIECES, Sample, most_rows, readable, starts
from sql.source.parquet_reader import parts_of

_LARGE = 1 << 25
_PIECE = 1 << 22
_WRITE_AGAIN = "Write the file again, or give a CSV file."


def sample_file(path: Path, said: FileFormat) -> Sample:
    """Some rows of a file, in the types that `import_file` gives them.

    A CSV file of more than 32 MiB gives 4 MiB from each of five places.

    Args:
        path: As `import_file` takes it.
        said: What the user says about the file.

    Raises:
        SourceError: where the file cannot be read, leaves a doubt about how it is written, has no rows, or seems to be
            a wide table.
    """
    where = str(path)
    if path.suffix.lower() == ".parquet":
        if not path.is_dir():
            check_readable(path, _WRITE_AGAIN)
        found = sample_parquet(path, where, said)
    else:
        found = _sample_csv(path, said)
    if said.wide is None:
        check_long(found.rows, said, where)
    return found


def _sample_csv(path: Path, said: FileFormat) -> Sample:
    where = str(path)
    if not is_csv(path) or not path.is_file() or path.stat().st_size <= _LARGE:
        rows, notes = typed(read_file(path, said), where)
        return Sample(rows, where, whole=True, notes=notes)
    with TemporaryDirectory() as folder:
        part = Path(folder) / f"sample{path.suffix.lower()}"
        for pieces in (PIECES, 1):
            only_first = _write_pieces(path, part, pieces)
            try:
                rows, notes = typed(read_file(part, said), where)
                break
            except SourceError as error:
                # A piece may begin inside quotes that hold a line break; the first one cannot.
                if only_first:
                    raise SourceError(str(error).replace(str(part), where)) from None
    return Sample(rows, where, whole=False, only_first=only_first, notes=notes)


def _write_pieces(path: Path, part: Path, pieces: int) -> bool:
    """Write some pieces of a large file, whole lines each; and say whether it is the first piece alone."""
    with path.open("rb") as file, part.open("wb") as target:
        first = file.read(_PIECE)
        is_utf_16 = first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        if is_utf_16:
            first = first.decode("utf-16", errors="ignore").encode()
        target.write(_whole_lines(first))
        if is_utf_16 or pieces == 1:
            return True
        for start in list(starts(path.stat().st_size, _PIECE))[1:]:
            file.seek(start)
            # The first line began before the piece.
            _, _, piece = file.read(_PIECE).partition(b"\n")
            target.write(_whole_lines(piece) if start + _PIECE < path.stat().st_size else piece)
    return False


def _whole_lines(piece: bytes) -> bytes:
    lines, end, _ = piece.rpartition(b"\n")
    return lines + end


def sample_parquet(place: Path, where: str, said: FileFormat | None = None) -> Sample:
    """Some rows of a Parquet file, or of a folder of parts.

    Args:
        place: The file or folder.
        where: In words, for messages.
        said: What the user says about its columns.

    Raises:
        SourceError: where it cannot be read or has no rows.
    """
    try:
        parts = parts_of(place, where).rows
        total, most = parts.count_rows(), most_rows(len(parts.schema.names))
        rows = parts.to_table() if total <= most else _pieces(parts, most)
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split()).rstrip(". ")
        raise SourceError(f"{where} cannot be read as Parquet: {reason}. {_WRITE_AGAIN}") from error
    if not total:
        raise SourceError(f"{where} has no rows. Write the history into it.")
    zones = {field.name: field.type.tz for field in rows.schema if pa.types.is_timestamp(field.type) and field.type.tz}
    rows, left_out = readable(rows)
    typed_rows = typed_arrow(rows, said or FileFormat(), where)
    return Sample(typed_rows, where, total <= most, left_out=left_out, zones=zones)


def _pieces(parts: pyarrow.dataset.Dataset, most: int) -> pa.Table:
    """Rows of some row groups, of the last one its end."""
    groups = [group for part in parts.get_fragments() for group in part.split_by_row_group()]
    chosen = sorted({*starts(len(groups), 1)})
    share, found = most // len(chosen), list[pa.Table]()
    for place in chosen[:-1]:
        found.append(groups[place].scanner(schema=parts.schema, batch_size=share).head(share))
    if len(chosen) == 1:
        share //= 2
        found.append(groups[0].scanner(schema=parts.schema, batch_size=share).head(share))
    end, rows = list[pa.RecordBatch](), 0
    for batch in groups[chosen[-1]].to_batches(schema=parts.schema, batch_size=share, batch_readahead=1):
        end, rows = [*end, batch], rows + batch.num_rows
        while rows - end[0].num_rows >= share:
            rows -= end.pop(0).num_rows
    found.append(pa.Table.from_batches(end, parts.schema).slice(max(rows - share, 0)))
    return pa.concat_tables(found)
