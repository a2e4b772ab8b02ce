"""The documentation agrees with the code, and its links lead somewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from wings import wings_reference, without_shortcuts

ROOT = Path(__file__).parents[2]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_references_in_the_documentation_are_what_the_code_says_and_no_link_is_dead() -> None:
    done = run("docs/build.py", "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_stale_reference_and_a_dead_link_are_found(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; sys.path.insert(0, 'docs'); import build; page = pathlib.Path(sys.argv[1]); "
        "page.write_text('# Here\\n[a](gone.md) [b](#here) [c](#there)'); "
        "print(list(build.dead_links(page, page.read_text()))); "
        "print('`horizon`' in build.filled('<!-- reference: job -->\\nold\\n<!-- end -->'))"
    )
    done = run("-c", program, str(tmp_path / "page.md"))
    assert done.stdout.split("\n")[:2] == ["['gone.md', '#there']", "True"]


def test_a_reference_that_was_not_asked_for_stays_as_it_is() -> None:
    assert run("docs/build.py", "--check", "wings").returncode == 0
    done = run("docs/build.py", "--check", "rooms")
    assert done.returncode == 2
    assert "no reference has the name rooms; there are commands, job, tables, wings" in done.stderr


def test_the_graph_leaves_out_arrows_that_a_longer_path_implies() -> None:
    arrows = {("a", "b"), ("b", "c"), ("c", "d"), ("a", "d"), ("a", "c")}
    assert without_shortcuts(arrows) == {("a", "b"), ("b", "c"), ("c", "d")}


def test_the_graph_of_a_circle_has_every_arrow() -> None:
    arrows = {("a", "b"), ("b", "c"), ("c", "b"), ("a", "c")}
    assert without_shortcuts(arrows) == arrows


def test_the_graph_is_drawn_of_the_imports_that_are_there() -> None:
    models = wings_reference().partition("### `models/`")[2].partition("### `sql/`")[0]
    assert "    training --> network\n" in models
    assert (
        "| [`training`](../models/training) | Training the network: the one wing that knows Keras. | `fit` |" in models
    )
