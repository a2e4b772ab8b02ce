"""How every verb answers: text or one JSON object, and an exit code that a script can rely on."""

from __future__ import annotations

import functools
import itertools
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ParamSpec, TextIO

import click

from flows.commands.process_end import process_end
from flows.deployments.lost_server import leave_without_it
from sql.secrets.places import remember_text
from tasks.activity import activity, line_hidden
from tasks.enduring_output import clean_output, make_output_enduring, take_output_error
from tasks.interrupts import Interrupted, InterruptsHeldBack, cause_of, hidden_interrupt
from tasks.printing.errors import clean_error, safe_traceback
from tasks.printing.logs import guard_logs
from tasks.printing.safe import safe_line, safe_text, without_secrets
from tasks.printing.visible import indented
from tasks.strict_json import strict_json

P = ParamSpec("P")
_OURS = {"flows", "tasks", "models", "sql"}


@dataclass(frozen=True)
class Answer:
    """What a verb did.

    Attributes:
        text: For people.
        document: For programs: printed as one JSON object under `--json`.
        exit_code: 0 if the work is done, 1 if it failed, 2 for wrong use or bad input.
        only_shows: Whether the text is all that the verb is for, so that it fails where the text cannot be printed.
    """

    text: str
    document: dict[str, Any] = field(default_factory=dict)
    exit_code: int = 0
    only_shows: bool = False


class AnsweringGroup(click.Group):
    """The command with its verbs. Under `--json` it also reports wrong use and interrupts as JSON."""

    def main(self, args: Sequence[str] | None = None, *others: Any, **settings: Any) -> Any:
        """Parse the arguments, run the verb and end the process, as click does."""
        if args is not None:
            # A call from a test or a program, which goes on.
            return self._answer(args, *others, **settings)
        make_output_enduring()
        try:
            return self._answer(args, *others, **settings)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(bool(end.code))
            code = _after_printing(code, only_shows=True)
            leave_without_it(code)
            sys.exit(code)

    def make_context(self, *args: Any, **settings: Any) -> click.Context:
        """Parse the arguments of the command itself, as click does."""
        with _safe_messages():
            return super().make_context(*args, **settings)

    def invoke(self, ctx: click.Context) -> Any:
        """Parse the arguments of the verb and run it, as click does."""
        with _safe_messages():
            return super().invoke(ctx)

    def add_command(self, command: click.Command, name: str | None = None) -> None:
        """Add a verb; the list of verbs shows its whole first sentence, which click would cut."""
        if command.help and not command.short_help:
            first = " ".join(command.help.split("\n\n")[0].split())
            command.short_help = f"{first.split('. ')[0].rstrip('.')}."
        super().add_command(command, name)

    def _answer(self, args: Sequence[str] | None = None, *others: Any, **settings: Any) -> Any:
        given = list(sys.argv[1:] if args is None else args)
        guard_logs()
        for each in given:
            remember_text(each)
        if "--json" not in itertools.takewhile(lambda argument: argument != "--", given):
            return super().main(given, *others, **settings)
        try:
            code = super().main(given, *others, **(settings | {"standalone_mode": False}))
        except click.ClickException as error:
            error.show()
            code, message = error.exit_code, error.format_message()
        except click.Abort as abort:
            code, message = 1, without_secrets(str(abort.__cause__ or "")) or "interrupted"
            click.echo(f"Error: {safe_line(message)}", err=True)
        else:
            sys.exit(code)
        _print_json({"error": message, "exit_code": code})
        sys.exit(code)


@contextmanager
def _safe_messages() -> Iterator[None]:
    """Let messages on wrong use, which repeat what was typed, hold no secrets and no control characters."""
    try:
        yield
    except click.ClickException as error:
        # Further classes of click build their text from it.
        vars(error)["message"] = safe_text(error.message)
        raise


def answers(function: Callable[P, Answer]) -> Callable[P, None]:
    """Turn a function that returns an `Answer` into the body of a verb, and add the option `--json`."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
    @functools.wraps(function)
    def verb(*args: P.args, **kwargs: P.kwargs) -> None:
        as_json = bool(kwargs.pop("as_json"))
        _log_to_standard_error()
        try:
            with activity(function.__name__.replace("_", " ")):
                answer = function(*args, **kwargs)
        except click.ClickException:
            raise
        except KeyboardInterrupt as interrupt:
            _tell_of_interrupt(interrupt, as_json)
            sys.exit(1)
        except Exception as error:
            if hidden := hidden_interrupt(error):
                _tell_of_interrupt(hidden, as_json)
                sys.exit(1)
            answer = failure(error)
            click.echo(answer.text, err=True)
            if as_json:
                _print_json(answer.document)
        else:
            _print_json(answer.document) if as_json else click.echo(safe_text(answer.text))
        code = _after_printing(answer.exit_code, answer.only_shows)
        process_end.answered(code)
        if code:
            sys.exit(code)

    return verb


def _print_json(document: dict[str, Any]) -> None:
    """Print one object whose texts hold no secrets; its keys and numbers stay, so that it stays JSON."""
    with clean_output():
        click.echo(strict_json(without_secrets(document)))


def _tell_of_interrupt(interrupt: KeyboardInterrupt, as_json: bool) -> None:
    """Print one line, and under `--json` one object; a further interrupt waits for it."""
    held = InterruptsHeldBack()
    held.begin()
    cause = cause_of(interrupt)
    told = interrupt if isinstance(interrupt, Interrupted) else Interrupted(f"Interrupted by {cause}.", {}, cause)
    message = without_secrets(str(told))
    click.echo(safe_line(message), err=True)
    if as_json:
        document = {"error": message, "exit_code": 1, "interrupted": True, **told.document}
        _print_json(document)
    if not process_end.answered(1):
        held.drop()


def _after_printing(code: int, only_shows: bool) -> int:
    """The exit code once the answer was printed. Where it could not be, a message says so on standard error."""
    error = take_output_error()
    if error is None:
        return code
    done = "" if only_shows or code else " The work itself is done."
    click.echo(f"Error: The answer could not be printed: {error.strerror or error}.{done}", err=True)
    return code or int(only_shows)


def failure(error: Exception) -> Answer:
    """An error as one message, with exit code 2 if the input or the use is at fault, and 1 otherwise."""
    clean = clean_error(error)
    if os.environ.get("NIGHTCAST_TRACEBACK"):
        click.echo(safe_traceback(clean), err=True, nl=False)
    ours = type(error).__module__.split(".")[0] in _OURS
    code = 2 if ours and isinstance(error, ValueError) else 1
    message = str(clean)
    if not ours and not isinstance(error, OSError):
        message = f"{type(error).__name__}: {message} (unexpected; set NIGHTCAST_TRACEBACK=1 to see where)"
    return Answer(f"Error: {indented(safe_text(message))}", {"error": message, "exit_code": code}, code)


def moment_option(*names: str, **settings: Any) -> Callable[[Any], Any]:
    """An option that takes a timestamp. It is checked here, and gets the job's time zone later."""

    def checked(context: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
        try:
            datetime.fromisoformat(text or "2024-01-01")
        except ValueError:
            raise click.BadParameter(
                f"{(text or '')[:60]!r} is not a timestamp; write 2024-03-01 or 2024-03-01T06:00."
            ) from None
        return text

    return click.option(*names, metavar="TS", callback=checked, **settings)


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, empty: str) -> str:
    """Rows as aligned columns of text, or the text `empty` if there are no rows."""
    if not rows:
        return empty
    cells = [[*columns]] + [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    lines = ("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in cells)
    return "\n".join(line.rstrip() for line in lines)


def outline(document: Mapping[str, Any], depth: int = 0) -> list[str]:
    """A document as lines of text: one for each value, and those of an inner document indented below its name.

    >>> outline({"version": "v1", "metrics": {"loss": 0.123456, "levels": [0.1, 0.9], "at": None}})
    ['version: v1', 'metrics:', '  loss: 0.1235', '  levels: 0.1, 0.9', '  at: -']
    """
    lines = list[str]()
    for name, value in document.items():
        begin = f"{'  ' * depth}{name}:"
        # A list of documents is outlined by number.
        if isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
            value = {str(number): each for number, each in enumerate(value, start=1)}
        if isinstance(value, Mapping) and value:
            lines += [begin, *outline(value, depth + 1)]
        elif isinstance(value, Mapping | list):
            lines.append(f"{begin} {', '.join(map(_cell, value)) or '-'}")
        else:
            lines.append(f"{begin} {_cell(value)}")
    return lines


def _cell(value: Any) -> str:
    if value is None or value != value:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}" if isinstance(value, datetime) else safe_line(value)


class _LogHandler(logging.StreamHandler[TextIO]):
    """Writes no log line into the line that says what is going on."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        with line_hidden():
            super().emit(record)


def _log_to_standard_error() -> None:
    log = logging.getLogger("nightcast")
    if not log.handlers:
        handler = _LogHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
