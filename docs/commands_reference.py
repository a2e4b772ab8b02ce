"""Every verb of the command, with its arguments and options, as `--help` has them."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc

import click

from flows.cli import main


def commands_reference() -> str:
    """A section for each verb, in the order of `nightcast --help`."""
    return "\n".join(line for each in _commands(main, "nightcast") for line in each)


def _commands(group: click.Group, path: str) -> Iterator[list[str]]:
    """The sections of the commands of a group, and of groups in it."""
    for name, command in group.commands.items():
        yield _section(command, f"{path} {name}")
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")


def _section(command: click.Command, path: str) -> list[str]:
    context = click.Context(command, info_name=path)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    lines = [f"### `{path}`", "", "```text", usage, "```", "", *_paragraphs(command.help or ""), ""]
    records = [each.get_help_record(context) for each in command.get_params(context) if each.name != "help"]
    # An argument that has no words of its own stands in the usage.
    rows = [record for record in records if record and record[1]]
    if rows:
        lines += [
            "| option | meaning |",
            "|---|---|",
            *(f"| `{_cell(name)}` | {_cell(text)} |" for name, text in rows),
            "",
        ]
    return lines


def _paragraphs(text: str) -> list[str]:
    return click.formatting.wrap_text(cleandoc(text), width=118, preserve_paragraphs=True).splitlines()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
