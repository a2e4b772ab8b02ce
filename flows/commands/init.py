"""`init`: from somebody's own file or table to a job file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.commands.answer import Answer, answers
from flows.commands.setup import format_options
from tasks.heavy_imports import heavy_import
from tasks.printing.safe import safe_lines

if TYPE_CHECKING:
    from flows.job.new_job import MadeJob
    from sql.imports.file_format import FileFormat

_MOST_NOTES = 8


@click.command()
@click.argument("given", metavar="FILE|URL")
@click.option("--table", metavar="T", help="The table of the database; for a CSV file, the one that it is loaded into.")
@click.option("--name", metavar="NAME", help="The job's name.  [default: that of the file or table]")
@click.option("--horizon", type=click.IntRange(1, 10_000), metavar="N", help="Number of steps to forecast.")
@click.option("--zone", "time_zone", metavar="Z", help="Zone of the days and of times without one, as Europe/Madrid.")
@click.option("--series-id", multiple=True, metavar="COLUMN", help="A column of the series' id; may be repeated.")
@click.option("--timestamp", metavar="COLUMN", help="The column of the time.")
@click.option("--value", metavar="COLUMN", help="The column to forecast.")
@click.option("--to", metavar="URL", help="The database for a file's rows.  [default: a SQLite file beside --jobs]")
@click.option(
    "--jobs",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the job file, made if it is missing.  [default: $NIGHTCAST_JOBS, else jobs]",
)
@answers
@format_options
def init(given: str, folder: Path | None, said: FileFormat, **options: Any) -> Answer:
    """Make a job file for a CSV file, a Parquet file or a table.

    Looks at some of the rows, proposes what each column means and how far apart the times are, says what it is not sure
    of and why, writes a job file with comments into the jobs folder, and prints the next commands. A file or table is
    not changed, and neither is a job file that exists.

    A table and a Parquet file are read as they are. A CSV file is loaded into a database first, as by `nightcast
    import`; the options from --text to --long say how it is written.
    """
    with heavy_import("flows.job.new_job"):
        from flows.job.new_job import NewJob, made_document, make_job
        from tasks.guide.proposal import Wishes

    wished = {key: options.pop(key) for key in ("series_id", "timestamp", "value", "horizon", "time_zone")}
    made = make_job(NewJob(given, folder=folder, wishes=Wishes(**wished), said=said, **options))
    return Answer(safe_lines(_lines(made)), made_document(made))


def _lines(made: MadeJob) -> Iterator[str]:
    from tasks.guide.proposal import listed

    proposal, columns = made.proposal, made.proposal.columns
    found = proposal.found
    part = "" if proposal.whole else "Looked at a part: "
    yield f"{proposal.where}: {part}{found.rows:,} rows, {found.series:,} series"
    shown: dict[str, str] = {
        "series": listed(columns.series_id) or "one, without a column of its id",
        "time": f"{columns.timestamp}, {found.first:%Y-%m-%d %H:%M} to {found.last:%Y-%m-%d %H:%M}",
        "value": f"{columns.value}, {found.least:g} to {found.largest:g}",
        "static": listed([*columns.static, *columns.static_numbers], 20),
        "known ahead": listed(columns.known_future, 20),
        "known so far": listed(columns.observed_past, 20),
        "not used": listed([f"{name} ({why})" for name, why in columns.left_out.items()]),
        "frequency": f"{proposal.frequency}, {proposal.horizon} steps ahead, in {proposal.time_zone}",
        "season": f"{', '.join(map(str, proposal.seasons))} steps",
        "lower bound": "" if proposal.lower_bound is None else f"{proposal.lower_bound:g}",
    }
    yield from (f"  {name:<14}{text}" for name, text in shown.items() if text)
    if columns.doubts:
        yield "Not sure"
        yield from (f"  {doubt.key}: {doubt.why}" for doubt in columns.doubts)
    if made.loaded:
        yield f"Loaded {made.rows:,} rows into {made.loaded}"
    yield from (f"  {note}" for note in made.notes[:_MOST_NOTES])
    if (more := len(made.notes) - _MOST_NOTES) > 0:
        yield f"  and {more} more notes of this kind (--json gives all)"
    yield f"Wrote {made.file}"
    if made.variables:
        yield f"Set the variable {made.variables[0]} to the URL first, since a job file holds no password"
    yield "Next"
    yield from (f"  {command}" for command in made.next)
