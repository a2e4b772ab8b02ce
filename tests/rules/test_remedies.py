"""Remedies that also people read who started the run from a form, and know no option of the command line."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Options of other programs, and of verbs that no form has.
_KNOWN = {"--no-deps", "--no-prompt", "--all", "--python", "--require-hashes", "--segment", "--jobs"}


def test_a_remedy_names_what_to_set_and_its_option_only_in_brackets():
    bare = list[str]()
    for folder in ("flows/night", "flows/job", "tasks", "models"):
        for file in (ROOT / folder).rglob("*.py"):
            for text in _texts(file):
                without_brackets = re.sub(r"\([^()]*\)", "", text)
                options = set(re.findall(r"(?<![-\w])--[a-z][a-z-]+", without_brackets)) - _KNOWN
                bare += [f"{file.relative_to(ROOT)}: {option}" for option in options]
    assert bare == []


def _texts(file: Path) -> list[str]:
    """Every text of a module but its docstrings, with what is filled in left out."""
    module = ast.parse(file.read_text(encoding="utf-8"))
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(module)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    inside = {id(part) for node in ast.walk(module) if isinstance(node, ast.JoinedStr) for part in node.values}
    found = list[str]()
    for node in ast.walk(module):
        if isinstance(node, ast.JoinedStr):
            found.append("".join(str(part.value) for part in node.values if isinstance(part, ast.Constant)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings | inside:
            found.append(node.value)
    return found
