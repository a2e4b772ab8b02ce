"""`demo`, `import`, `doctor`: the verbs that prepare a first night."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.commands.answer import Answer, answers
from tasks.activity import line_hidden
from tasks.heavy_imports import heavy_import
from tasks.printing.safe import safe_lines

if TYPE_CHECKING:
    from flows.server.doctor import Check
    from sql.imports.file_format import FileFormat


@click.command()
@click.argument("folder", metavar="[DIR]", type=click.Path(file_okay=False, path_type=Path), default="demo")
@answers
def demo(folder: Path) -> Answer:
    """Make an example job and run it.

    Makes an example database and a job file in DIR (default: demo), and runs two nights on them. Needs no server.
    """
    with heavy_import("flows.night.demo"):
        from flows.deployments.dispatch import dispatch
        from flows.night.demo import run_demo

    def tell(message: str) -> None:
        with line_hidden():
            click.echo(message, err=True)

    result = run_demo(folder, dispatch, on_progress=tell)
    return Answer(result.text(), result.to_dict())


def format_options(function: Callable[..., Answer]) -> Callable[..., Answer]:
    """Options that say what the file alone does not tell; the function gets them as one `FileFormat`, `said`."""

    @click.option("--text", multiple=True, metavar="COLUMN", help="A column of ids or categories, kept to the letter.")
    @click.option("--number", multiple=True, metavar="COLUMN", help="A column of numbers; NA and NaN mean missing.")
    @click.option("--time", multiple=True, metavar="COLUMN", help="A column of times.")
    @click.option("--delimiter", metavar="CHARACTER", help="What separates the columns, such as ';' or the word tab.")
    @click.option("--decimal", type=click.Choice([".", ","]), help="What begins the decimals of a number.")
    @click.option("--date-format", metavar="FORMAT", help="How days are written, such as %d.%m.%Y or %m/%d/%Y.")
    @click.option(
        "--wide/--long",
        default=None,
        help="Whether a column for each series, or for each day, becomes rows.",
    )
    @functools.wraps(function)
    def with_format(
        text: tuple[str, ...], number: tuple[str, ...], time: tuple[str, ...], wide: bool | None, **others: Any
    ) -> Answer:
        from sql.imports.file_format import FileFormat

        delimiter, decimal, date_format = (others.pop(name) for name in ("delimiter", "decimal", "date_format"))
        delimiter = "\t" if delimiter in ("tab", "\\t") else delimiter
        return function(**others, said=FileFormat(text, number, time, delimiter, decimal, date_format, wide))

    return with_format


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--to", "url", required=True, metavar="URL", help="URL of the database, such as sqlite:///example.db.")
@click.option("--table", "table_name", required=True, metavar="T", help="The table to load into.")
@click.option(
    "--mode",
    type=click.Choice(["create", "append", "replace"]),
    default="create",
    show_default=True,
    help="`create` makes a new table, `append` adds rows to one, `replace` removes its rows first.",
)
@answers
@format_options
def import_rows(file: Path, url: str, table_name: str, mode: str, said: FileFormat) -> Answer:
    """Load a CSV or Parquet file into a database table.

    The file needs a column that names the series, one of timestamps, and one of values; others are loaded too. If they
    are called series_id, timestamp and value, the job file need not name them.

    In a CSV file only an empty field is NULL. A code such as 007, 1E3 or NA stays as it is: a column becomes numbers
    only if all of its fields are plain numbers. --text, --number and --time say what a column holds; each may be
    repeated. They are known for series_id, value and timestamp.

    How the file is written, such as with semicolons and decimal commas, is found out and printed. Where the file leaves
    a doubt, such as 01/02/2026, an option must say it: --delimiter, --decimal, --date-format, --wide or --long.
    """
    from typing import cast

    from sql.engine.url import describe, resolve_url
    from sql.imports.import_file import Mode, import_file

    target = resolve_url(url)
    found = import_file(file, target, table_name, cast(Mode, mode), said)
    sentences = [f"Loaded {found.rows} rows into {table_name} of {describe(target)}, columns {_listed(found.columns)}."]
    if missing := [name for name in ("series_id", "timestamp", "value") if name not in found.columns]:
        sentences.append(f"No column is called {' or '.join(missing)}: name yours in the job's `source`.")
    document = {
        "rows": found.rows,
        "columns": list(found.columns),
        "kinds": found.columns,
        "notes": found.notes,
        "written": found.written,
        "table": table_name,
        "url": describe(target),
    }
    return Answer(safe_lines([" ".join(sentences), *found.notes]), document)


def _listed(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in columns.items())


@click.command()
@click.argument("job", required=False)
@answers
def doctor(job: str | None) -> Answer:
    """Check the installation, the databases and the server.

    Reports versions, the Keras backend, GPUs, and whether the databases and the Prefect server answer, each with a
    verdict. With a JOB it also checks that job's own databases.
    """
    from flows.server.doctor import examine

    checks = examine(job)
    text = safe_lines(f"{_verdict(each)}  {each.name}: {each.found}" for each in checks)
    document = {"checks": [asdict(each) for each in checks]}
    return Answer(text, document, exit_code=0 if all(each.ok for each in checks) else 1, only_shows=True)


def _verdict(check: Check) -> str:
    return "BAD" if not check.ok else "ok " if check.used else "-  "
