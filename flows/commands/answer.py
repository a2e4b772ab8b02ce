"""How every verb answers: words or one JSON object, and an exit code that a script can trust."""

from __future__ import annotations

import functools
import itertools
import json
import logging
import math
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, ParamSpec

import click

from flows.deployments.lost_server import leave_without_it

P = ParamSpec("P")
_OURS = {"flows", "tasks", "models", "sql"}


@dataclass(frozen=True)
class Answer:
    """What a verb did.

    Attributes:
        text: For people.
        document: The same for programs; printed as one JSON object under `--json`.
        exit_code: 0 done, 1 the work failed, 2 wrong use or bad input.
    """

    text: str
    document: dict[str, Any] = field(default_factory=dict)
    exit_code: int = 0


class AnsweringGroup(click.Group):
    """The command and its verbs: where `--json` is asked for, wrong use and interrupts are told in JSON too."""

    def main(self, args: Sequence[str] | None = None, *others: Any, **settings: Any) -> Any:
        """Parse and run; ends the process, as click does."""
        try:
            return self._answer(args, *others, **settings)
        except SystemExit as end:
            # Only where the process is ours to end.
            if args is None:
                leave_without_it(end.code if isinstance(end.code, int) else int(bool(end.code)))
            raise

    def _answer(self, args: Sequence[str] | None = None, *others: Any, **settings: Any) -> Any:
        given = list(sys.argv[1:] if args is None else args)
        if "--json" not in itertools.takewhile(lambda argument: argument != "--", given):
            return super().main(given, *others, **settings)
        try:
            code = super().main(given, *others, **(settings | {"standalone_mode": False}))
        except click.ClickException as error:
            error.show()
            code, message = error.exit_code, error.format_message()
        except click.Abort as abort:
            code, message = 1, str(abort.__cause__ or "") or "interrupted"
            click.echo(f"Error: {message}", err=True)
        else:
            sys.exit(code)
        click.echo(_as_json({"error": message, "exit_code": code}))
        sys.exit(code)


def answers(function: Callable[P, Answer]) -> Callable[P, None]:
    """Make a function that gives an `Answer` the body of a verb with `--json`."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
    @functools.wraps(function)
    def verb(*args: P.args, **kwargs: P.kwargs) -> None:
        as_json = bool(kwargs.pop("as_json"))
        _show_progress()
        try:
            answer = function(*args, **kwargs)
        except click.ClickException:
            raise
        except Exception as error:
            answer = failure(error)
            click.echo(answer.text, err=True)
            if as_json:
                click.echo(_as_json(answer.document))
        else:
            click.echo(_as_json(answer.document) if as_json else answer.text)
        if answer.exit_code:
            sys.exit(answer.exit_code)

    return verb


def failure(error: Exception) -> Answer:
    """An error in one message: exit code 2 where the input or the use is at fault, else 1."""
    if os.environ.get("NIGHTCAST_TRACEBACK"):
        traceback.print_exception(error)
    ours = type(error).__module__.split(".")[0] in _OURS
    code = 2 if ours and isinstance(error, ValueError) else 1
    message = str(error)
    if not ours and not isinstance(error, OSError):
        message = f"{type(error).__name__}: {message} (unexpected; NIGHTCAST_TRACEBACK=1 shows where)"
    return Answer(f"Error: {message}", {"error": message, "exit_code": code}, code)


def moment_option(*names: str, **settings: Any) -> Callable[[Any], Any]:
    """An option that takes a timestamp, refused where it does not read as one; placed in a zone later."""

    def checked(context: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
        try:
            datetime.fromisoformat(text or "2024-01-01")
        except ValueError:
            raise click.BadParameter(f"{text!r} is not a timestamp; write 2024-03-01 or 2024-03-01T06:00.") from None
        return text

    return click.option(*names, metavar="TS", callback=checked, **settings)


def table(rows: list[dict[str, Any]], columns: list[str], *, empty: str) -> str:
    """Rows as aligned columns of text; `empty` where there are none."""
    if not rows:
        return empty
    cells = [columns] + [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    lines = ("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in cells)
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: Any) -> str:
    if value is None or value != value:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}" if isinstance(value, datetime) else str(value)


def _as_json(document: dict[str, Any]) -> str:
    return json.dumps(_without_nan(document), default=_plain, allow_nan=False)


def _without_nan(value: Any) -> Any:
    # JSON has no NaN: what was not measured is null.
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def _show_progress() -> None:
    log = logging.getLogger("nightcast")
    if not log.handlers:
        shown = logging.StreamHandler(sys.stderr)
        shown.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        log.addHandler(shown)
        log.setLevel(logging.INFO)
        log.propagate = False
