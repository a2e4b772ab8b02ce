"""What holds for the project as a whole: who may import whom, and documentation that the code agrees with."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)


def test_imports_go_one_way() -> None:
    done = run("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-logo")
    assert done.returncode == 0, done.stdout + done.stderr
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    assert len(contracts) >= 10
    for contract in contracts:
        assert f"{contract['name']} KEPT" in done.stdout


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


def test_no_test_folder_is_a_package() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))
