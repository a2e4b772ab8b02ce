"""`demo`, `import`, `serve`, `doctor`: what comes before a first night."""

from __future__ import annotations

from pathlib import Path

import click

from flows.commands.answer import Answer, answers
from flows.commands.automations import notify_option


@click.command()
@click.argument("folder", metavar="[DIR]", type=click.Path(file_okay=False, path_type=Path), default="demo")
@answers
def demo(folder: Path) -> Answer:
    """Make an example database in DIR (default: demo) and run the whole nightly job on it, without a server."""
    from flows.night.demo import run_demo

    result = run_demo(folder, progress=lambda message: click.echo(message, err=True))
    return Answer(result.text(), result.to_dict())


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--to", "url", required=True, metavar="URL", help="Database, such as sqlite:///example.db.")
@click.option("--table", "table_name", required=True, metavar="T", help="Table to load into.")
@click.option(
    "--mode",
    type=click.Choice(["create", "append", "replace"]),
    default="create",
    show_default=True,
    help="What to do with the table: it must be new, keep its rows, or lose them.",
)
@answers
def import_rows(file: Path, url: str, table_name: str, mode: str) -> Answer:
    """Load a CSV or Parquet file of (series_id, timestamp, value, ...) into a table."""
    from typing import Literal, cast

    from sql.engine.url import describe, resolve_url
    from sql.imports.import_file import import_file

    target = resolve_url(url)
    found = import_file(file, target, table_name, mode=cast(Literal["create", "append", "replace"], mode))
    text = f"{found.rows} rows into {table_name} of {describe(target)}, columns {', '.join(found.columns)}."
    if missing := [name for name in ("series_id", "timestamp", "value") if name not in found.columns]:
        text += f" None is called {' or '.join(missing)}: a job has to name its own in source."
    return Answer(text, {"rows": found.rows, "columns": found.columns, "table": table_name, "url": describe(target)})


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=4200, show_default=True, help="Port of the UI and API.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@notify_option
@answers
def serve(port: int, host: str, notify: str | None) -> Answer:
    """A local Prefect server with UI, the work pools, workers and prefect.yaml's deployments, until Ctrl-C."""
    from flows.server.serve import serve_until_interrupted

    serve_until_interrupted(host, port, notify=notify)
    return Answer("Stopped.", {"stopped": True})


@click.command()
@click.argument("job", required=False)
@answers
def doctor(job: str | None) -> Answer:
    """Versions, backend, devices, database and Prefect reachability, each with a verdict."""
    from flows.server.doctor import examine

    checks = examine(job)
    text = "\n".join(f"{'ok ' if each.ok else 'BAD'}  {each.name}: {each.found}" for each in checks)
    document = {"checks": [{"name": each.name, "ok": each.ok, "found": each.found} for each in checks]}
    return Answer(text, document, exit_code=0 if all(each.ok for each in checks) else 1)
