"""Tables that steps hand each other, as Arrow files in the night's scratch folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc


def save_rows(rows: pa.Table, file: Path) -> Path:
    """Write a table as an Arrow file; gives `file` back."""
    with pa.ipc.new_file(str(file), rows.schema) as writer:
        writer.write_table(rows)
    return file


def load_rows(file: Path) -> pa.Table:
    """The table that `save_rows` wrote, mapped into memory rather than read."""
    with pa.memory_map(str(file)) as source, pa.ipc.open_file(source) as reader:
        return reader.read_all()


class StoredRows:
    """The rows of an Arrow file, which are read batch by batch, as often as one likes: models' `RowBatches`.

    Read, not mapped: what is mapped and has been looked at counts as the memory of the process.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        with pa.OSFile(str(file)) as source, pa.ipc.open_file(source) as reader:
            self.schema: pa.Schema = reader.schema
            self.num_rows: int = reader.count_rows()

    @property
    def column_names(self) -> list[str]:
        return list(self.schema.names)

    def batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of all rows, in their order; ids have the codes of one dictionary, which an Arrow file has."""
        fields = [self.schema.get_field_index(name) for name in names]
        options = pa.ipc.IpcReadOptions(included_fields=sorted(fields))
        with pa.OSFile(str(self.file)) as source, pa.ipc.open_file(source, options=options) as reader:
            for position in range(reader.num_record_batches):
                yield reader.get_batch(position)
