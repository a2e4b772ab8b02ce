"""One set of columns for all Parquet files of a folder, so that every reader takes the folder as one table.

Readers take the columns of the first file. Where a later file has others, pandas and pyarrow drop them in silence, and
Polars and DuckDB refuse the folder. So each night's file gets every quantile column of the folder, empty where the
night has no such level, and a new level adds its column to the files that are there. So does `local_time`, which the
files of an older release lack.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from uuid import uuid4

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from models.counted import counted
from sql.full_disk import told_of_full_disk
from sql.output.quantile_columns import is_quantile_column, quantile_level
from tasks.step import logger
from tasks.store.ownership import host, is_half_made, is_regular, make_held, state_of

LOCAL_TIME = "local_time"
FILE = "part-0.parquet"
"""The name of each night's file in its folder."""
_LEFT_OVER_SECONDS = 86_400
_HALF_MADE_SECONDS = 3_600


class _Files(NamedTuple):
    """The night files of a root folder.

    Attributes:
        system: The file system.
        root: The root folder on it.
        of_jobs: For each job its files, oldest night first.
    """

    system: fsspec.AbstractFileSystem
    root: str
    of_jobs: list[list[str]]


def columns_of_folder(root: str) -> list[str]:
    """The columns that the night files below a root folder (path or URL) may lack: `local_time`, quantiles by level.

    Only the oldest and the newest file of each job are opened, see `align_columns`, which also tells of a file that
    is left out here because it is damaged or may not be read.

    Raises:
        OSError: the folder cannot be read.
    """
    files = _files_below(root)
    names: set[str] = set()
    for file in {end for nights in files.of_jobs for end in (nights[0], nights[-1])}:
        with suppress(OSError):
            names.update(_columns_of(files.system, file) or ())
    return _in_order(names)


def write_copy(file: Path, names: Sequence[str], target: Path) -> Path:
    """Copy a night's file; the copy also has these columns, empty where the file lacks them. Gives `target`.

    Raises:
        OSError: the copy cannot be written; nothing is left of it.
        FullDisk: its disk takes nothing more.
    """
    try:
        with told_of_full_disk(target.parent, file.stat().st_size):
            if set(names) <= set(pq.read_schema(file).names):
                shutil.copyfile(file, target)
            else:
                with pq.ParquetFile(file) as night:
                    _copy(night, names, target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return target


def align_columns(root: str, shown: str) -> None:
    """Give every night file below a root folder all columns of the folder, see `columns_of_folder`.

    Where they have them, that is where neither the levels nor the jobs changed, this opens two files of each job. The
    newest files are changed first, so that the oldest one shows whether all were. Each file is replaced whole.

    Args:
        root: Folder (path or URL) of the job's Parquet files, which other jobs may share.
        shown: The night file that was just written: another job may have brought a new level meanwhile.

    Raises:
        OSError: a file cannot be read or replaced; the files of other jobs are done, and the next night tries again.
    """
    names = columns_of_folder(root)
    files = _files_below(root)
    changed, failure = 0, None
    for nights in files.of_jobs:
        try:
            if all(_has(files.system, file, names) for file in {nights[0], nights[-1], *({shown} & {*nights})}):
                continue
            for file in reversed(nights):
                if not _has(files.system, file, names):
                    _add_columns(files, file, names)
                    changed += 1
        except OSError as error:
            failure = error
    if changed:
        logger().info(
            "Added the columns of other nights and jobs to %s in %s, so that it reads as one table.",
            counted(changed, "file"),
            root,
        )
    if failure is not None:
        raise failure


def file_aside(root: str, night: str, use: str) -> Path:
    """A new name for a copy of a night's file on a local disk, where no reader of the root folder finds it.

    It lies beside the root folder, because Polars refuses a folder that holds any other than Parquet files; in the
    night's own folder where nobody may write beside the root, or the root is a disk of its own.

    Args:
        root: The root folder, which exists.
        night: The night's file below it.
        use: What the copy is for.
    """
    return _folder_aside(root, night) / f"{_aside_prefix(root, night)}{use}-{host()}-{uuid4().hex}"


def files_left_aside(root: str, night: str) -> list[Path]:
    """The copies of a night's file that killed runs have left, and those that other runs of this night still need."""
    folder = _folder_aside(root, night)
    prefix = _aside_prefix(root, night)
    ours = (file for file in folder.iterdir() if file.name.startswith(prefix))
    return [file for file in ours if is_regular(file) and not is_half_made(file)]


def remove_old_copies(root: str, night: str) -> None:
    """Remove the copies, of whatever night, that dead runs have left: of this machine at once, of others after a day.

    A run holds its copies as long as its process lives, see `hold`. Those that it was killed while making go after an
    hour, if another machine made them.
    """
    for file in _folder_aside(root, night).glob(f".{Path(root).name}-job=*"):
        with suppress(OSError):
            # A copy that is another name of an older file has its time, so this looks at when it got the name.
            age = time.time() - file.stat().st_ctime
            half_made = is_half_made(file)
            name = file.name.rpartition(".")[0] if half_made else file.name
            state, is_ours = state_of(file), name.rpartition(".")[2].split("-")[1:2] == [host()]
            is_old = age > (_HALF_MADE_SECONDS if half_made else _LEFT_OVER_SECONDS)
            if state != "held" and (is_old or (is_ours and state == "free")):
                file.unlink()


def _folder_aside(root: str, night: str) -> Path:
    beside = Path(root).parent
    # A file is shown by renaming it, which needs the same disk.
    is_usable = os.access(beside, os.W_OK | os.X_OK) and beside.stat().st_dev == Path(root).stat().st_dev
    return beside if is_usable else Path(night).parent


def _aside_prefix(root: str, night: str) -> str:
    # A leading dot hides it. Job and night are part of the name, because all nights of all jobs lie there.
    return "." + "-".join([Path(root).name, *Path(night).relative_to(root).parts[:-1]]) + "."


def _files_below(root: str) -> _Files:
    system, folder = fsspec.core.url_to_fs(root)
    # Another process may have written files since this one listed the folder.
    system.invalidate_cache()
    of_jobs: dict[str, list[str]] = {}
    is_local = isinstance(system, LocalFileSystem)
    # One listing of the whole folder: on an object store, each further look is a request.
    for file in sorted(map(str, system.find(folder))):
        *_, job, cutoff, name = ["", "", *file.split("/")]
        is_night = job.startswith("job=") and cutoff.startswith("cutoff=") and name == FILE
        if is_night and (not is_local or is_regular(file)):
            of_jobs.setdefault(job, []).append(file)
    return _Files(system, folder, list(of_jobs.values()))


def _columns_of(system: fsspec.AbstractFileSystem, file: str) -> list[str] | None:
    """The columns of a file that others may lack; None where it is gone by now, or is no Parquet file."""
    try:
        with system.open(file) as stream:
            return [name for name in pq.read_schema(stream).names if _may_be_lacking(name)]
    except (FileNotFoundError, pa.ArrowException):
        return None
    except (OSError, ValueError) as error:
        # Arrow does not say which file is damaged. A name of a column that is no text is a ValueError.
        raise OSError(f"{file} is damaged or may not be read ({error}); restore or delete it") from error


def _has(system: fsspec.AbstractFileSystem, file: str, names: Sequence[str]) -> bool:
    known = _columns_of(system, file)
    return known is None or set(names) <= set(known)


def _may_be_lacking(name: str) -> bool:
    return name == LOCAL_TIME or is_quantile_column(name)


def _in_order(names: Iterable[str]) -> list[str]:
    return sorted({*names}, key=lambda name: 0.0 if name == LOCAL_TIME else quantile_level(name))


def _add_columns(files: _Files, file: str, names: Sequence[str]) -> None:
    system, is_local = files.system, isinstance(files.system, LocalFileSystem)
    before = _state_of(system, file)
    with TemporaryDirectory() as folder:
        aside = file_aside(files.root, file, "new") if is_local else Path(folder) / FILE
        held = None
        try:
            held = make_held(aside)
            try:
                # Damage must not be copied as if it were a value.
                with system.open(file) as stream, pq.ParquetFile(stream, page_checksum_verification=True) as night:
                    _copy(night, names, aside)
            except (OSError, ValueError, LookupError, pa.ArrowException) as error:
                raise OSError(
                    f"{file} cannot be read and written anew ({error}); if damaged, run its night again"
                ) from error
            # A job that published this night meanwhile wrote a newer file. A small gap remains between this look and
            # the replacement, on a local disk too: neither a disk nor a store compares and replaces in one act.
            if _state_of(system, file) == before:
                if is_local:
                    # It may be another job's, which others read.
                    shutil.copymode(file, aside)
                    os.replace(aside, file)
                else:
                    system.put_file(str(aside), file)
        finally:
            aside.unlink(missing_ok=True)
            if held is not None:
                held.close()


def _state_of(system: fsspec.AbstractFileSystem, file: str) -> Mapping[str, Any]:
    """Size, time and so on of a file as it is now; an object store may give what it listed before."""
    system.invalidate_cache()
    state: Mapping[str, Any] = system.info(file)
    return state


def _copy(night: pq.ParquetFile, names: Sequence[str], target: Path) -> None:
    """Write a night again, row group by row group, with these columns after its other columns."""
    own = night.schema_arrow.names
    added = _in_order([*filter(_may_be_lacking, own), *names])
    wanted = [name for name in own if not _may_be_lacking(name)] + added
    writer: pq.ParquetWriter | None = None
    for number in range(night.num_row_groups):
        rows = night.read_row_group(number)
        part = pa.table({name: rows[name] if name in own else _empty(name, rows.num_rows) for name in wanted})
        writer = writer or pq.ParquetWriter(target, part.schema, write_page_checksum=True)
        writer.write_table(part)
    if writer is not None:
        writer.close()


def _empty(name: str, count: int) -> pa.Array:
    return pa.nulls(count, pa.timestamp("us") if name == LOCAL_TIME else pa.float64())
