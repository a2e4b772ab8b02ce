"""The documentation agrees with the code, and its links lead somewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
