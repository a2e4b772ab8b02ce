"""The summary of old history in the folder of a model version, beside the network that was trained on it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.errors import DamagedVersion
from models.panel.history_summary import HistorySummary
from models.panel.panel import Panel
from sql.source.read import query_text
from tasks.night.job import Job

SUMMARY_FILE = "summary.parquet"


def source_fingerprint(job: Job, base: Path) -> str:
    """A digest of the settings that decide which rows make the history, and how.

    Args:
        job: The job.
        base: Folder of the job's file.

    Raises:
        SourceError: the file of the query cannot be read.
    """
    parts = [each.model_dump(mode="json") for each in (job.source, job.forecast, job.audit)]
    return hashlib.sha256(json.dumps([*parts, query_text(job.source, base)], sort_keys=True).encode()).hexdigest()


def write_summary(folder: Path, panel: Panel, fingerprint: str) -> None:
    """Summarise the panel of a training night, except its end, into the folder of the new version.

    The end is not summarised, because a later night usually scores it again and then needs it step by step. No file is
    written where there is nothing before the end, or no value in it.

    Args:
        folder: The version's folder.
        panel: The history.
        fingerprint: See `source_fingerprint`.
    """
    end = panel.horizon + 3 * panel.season_lengths[0]
    until = panel.cutoff_index - end
    if until <= panel.cutoff_index - int(panel.lengths.max()) or int(panel.silent_steps.min()) >= end:
        return
    summary = HistorySummary.of(panel, until)
    edges = np.searchsorted(summary.old_series, np.arange(len(summary) + 1))
    offsets = pa.array(edges.astype(np.int32))
    columns = {
        "series_id": pa.array(summary.series_ids.tolist(), pa.string()),
        **{name: pa.array(getattr(summary, name)) for name in ("first", "observed", "change", "changes")},
        "old_index": pa.ListArray.from_arrays(offsets, pa.array(summary.old_index)),
        "old_value": pa.ListArray.from_arrays(offsets, pa.array(summary.old_value)),
        **{f"static.{name}": pa.array(column.tolist(), pa.string()) for name, column in summary.static.items()},
    }
    if summary.static_numbers is not None:
        columns["static_numbers"] = pa.FixedSizeListArray.from_arrays(
            pa.array(summary.static_numbers.ravel()), summary.static_numbers.shape[1]
        )
    about = {"until": str(until), "season_length": str(summary.season_length), "source_fingerprint": fingerprint}
    pq.write_table(pa.table(columns).replace_schema_metadata(about), folder / SUMMARY_FILE)


def read_summary(folder: Path, fingerprint: str) -> HistorySummary | None:
    """The summary in a version's folder; None where there is none, or it has another fingerprint.

    Raises:
        DamagedVersion: the file cannot be read, or holds something else.
    """
    file = folder / SUMMARY_FILE
    if not file.is_file():
        return None
    try:
        return _summary_of(pq.read_table(file, partitioning=None), fingerprint)
    except (OSError, ValueError, LookupError, AttributeError, TypeError, pa.ArrowException) as error:
        raise DamagedVersion(f"{file} is no summary of a history: {error}. Restore the folder.") from error


def _summary_of(rows: pa.Table, fingerprint: str) -> HistorySummary | None:
    about = {name.decode(): text.decode() for name, text in rows.schema.metadata.items()}
    if about["source_fingerprint"] != fingerprint:
        return None
    old = rows["old_index"].combine_chunks()
    numbers = None
    if "static_numbers" in rows.column_names:
        flat = rows["static_numbers"].combine_chunks()
        numbers = flat.flatten().to_numpy(zero_copy_only=False).reshape(len(rows), -1)
    return HistorySummary(
        until=int(about["until"]),
        season_length=int(about["season_length"]),
        series_ids=np.asarray(rows["series_id"].to_pylist(), dtype=str),
        **{name: rows[name].to_numpy() for name in ("first", "observed", "change", "changes")},
        old_series=np.repeat(np.arange(len(rows)), np.diff(old.offsets.to_numpy())),
        old_index=old.flatten().to_numpy(),
        old_value=rows["old_value"].combine_chunks().flatten().to_numpy(),
        static={
            name.removeprefix("static."): np.asarray(rows[name].to_pylist(), dtype=str)
            for name in rows.column_names
            if name.startswith("static.")
        },
        static_numbers=numbers,
    )
