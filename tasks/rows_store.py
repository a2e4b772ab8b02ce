"""Tables that steps hand each other, as Arrow files in the night's scratch folder."""

from __future__ import annotations

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
