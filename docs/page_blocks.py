"""The code blocks of a page, run in order in a folder, as a reader of the page would run them.

- A block that begins with `# NAME`, or `-- NAME` in SQL, is the file NAME; with `# NAME, at the end` it is added to it.
- Each line of another `sh` block is a command of bash, and another `python` block is a program.
- `yaml`, `text` and other blocks are shown only.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"(?:#|--) ([\w./-]+\.\w+)(, at the end)?\n")


class Block(NamedTuple):
    """A code block: its language and its text."""

    language: str
    text: str


class Done(NamedTuple):
    """A command that was run, and what it printed on standard output."""

    command: str
    output: str


def blocks_of(page: Path) -> list[Block]:
    """The code blocks of a page."""
    return [Block(*found) for found in BLOCK.findall(page.read_text(encoding="utf-8"))]


def run_page(page: Path, folder: Path, without: Mapping[str, str], variables: Mapping[str, str]) -> Iterator[Done]:
    """Do in a folder what a page says.

    Args:
        page: The page.
        folder: Where its commands run and its files go.
        without: Commands that are not run, each with the reason.
        variables: Added to the environment.

    Raises:
        RuntimeError: a command fails; the message has its output.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    environment.update(variables)
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    for block in blocks_of(page):
        if file := _FILE.match(block.text):
            target = folder / file[1]
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("a" if file[2] else "w", encoding="utf-8") as written:
                written.write(block.text[file.end() :])
        elif block.language == "python":
            yield _run([sys.executable, "-c", block.text], block.text, folder, environment)
        elif block.language == "sh":
            for line in block.text.strip().splitlines():
                if line not in without:
                    yield _run(["bash", "-c", line], line, folder, environment)


def _run(command: list[str], shown: str, folder: Path, environment: Mapping[str, str]) -> Done:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{shown}\nended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return Done(shown, done.stdout)
