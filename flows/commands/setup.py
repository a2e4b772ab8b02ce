"""`demo`, `import`, `serve`, `doctor`: the verbs that prepare a first night."""

from __future__ import annotations

from pathlib import Path

import click

from flows.commands.answer import Answer, answers
from flows.commands.automations import notify_option


@click.command()
@click.argument("folder", metavar="[DIR]", type=click.Path(file_okay=False, path_type=Path), default="demo")
@answers
def demo(folder: Path) -> Answer:
    """Make an example job and run it.

    Makes an example database and a job file in DIR (default: demo), and runs two nights on them. Needs no server.
    """
    from flows.deployments.dispatch import dispatch
    from flows.night.demo import run_demo

    result = run_demo(folder, dispatch, on_progress=lambda message: click.echo(message, err=True))
    return Answer(result.text(), result.to_dict())


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
def import_rows(file: Path, url: str, table_name: str, mode: str) -> Answer:
    """Load a CSV or Parquet file into a database table.

    The file needs a column that names the series, one of timestamps, and one of values; others are loaded too. If they
    are called series_id, timestamp and value, the job file need not name them.
    """
    from typing import cast

    from sql.engine.url import describe, resolve_url
    from sql.imports.import_file import Mode, import_file

    target = resolve_url(url)
    found = import_file(file, target, table_name, mode=cast(Mode, mode))
    text = f"Loaded {found.rows} rows into {table_name} of {describe(target)}, columns {', '.join(found.columns)}."
    if missing := [name for name in ("series_id", "timestamp", "value") if name not in found.columns]:
        text += f" No column is called {' or '.join(missing)}: name yours in the job's `source`."
    return Answer(text, {"rows": found.rows, "columns": found.columns, "table": table_name, "url": describe(target)})


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=4200, show_default=True, help="Port of UI and API.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@notify_option
@answers
def serve(port: int, host: str, notify: str | None) -> Answer:
    """Start a local Prefect server with workers and deployments.

    Starts the server with its UI, makes the work pools and the deployments of prefect.yaml, and starts a worker for
    each pool. Ctrl-C stops everything.
    """
    from flows.server.serve import serve_until_interrupted

    serve_until_interrupted(host, port, notify=notify)
    return Answer("Stopped.", {"stopped": True})


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
    text = "\n".join(f"{'ok ' if each.ok else 'BAD'}  {each.name}: {each.found}" for each in checks)
    document = {"checks": [{"name": each.name, "ok": each.ok, "found": each.found} for each in checks]}
    return Answer(text, document, exit_code=0 if all(each.ok for each in checks) else 1, only_shows=True)
