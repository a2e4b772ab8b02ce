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
    """The table that `save_rows` wrote, mapped into memory instead of read."""
    with pa.memory_map(str(file)) as source, pa.ipc.open_file(source) as reader:
        return reader.read_all()


class StoredRows:
    """The rows of an Arrow file, read batch by batch, any number of times: a `RowBatches` of models/audit.

    The file is read, not mapped: pages of a mapped file that were used count as memory of the process.
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
        """Some columns of all rows, in order. All batches share one dictionary of ids, as in any Arrow file."""
        fields = [self.schema.get_field_index(name) for name in names]
        options = pa.ipc.IpcReadOptions(included_fields=sorted(fields))
        with pa.OSFile(str(self.file)) as source, pa.ipc.open_file(source, options=options) as reader:
            for position in range(reader.num_record_batches):
                yield reader.get_batch(position)
