"""The shape of the code: short parameter lists, short modules, small folders, wings that name their face.

The sets below list what broke a rule when the rule was written. A test fails where something else breaks it, and also
where something listed no longer does: delete its line then.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("flows", "tasks", "models", "sql")
MOST_PARAMETERS = {"flows": 6, "tasks": 6, "models": 8, "sql": 8}
MOST_LINES = 320
MOST_MODULES = 15

TOO_MANY_PARAMETERS: set[str] = set()
TOO_LONG: set[str] = set()
TOO_FULL: set[str] = set()
# One migration follows another; nobody reads them as one folder.
GROWS_BY_DESIGN = {"sql/migrations/versions"}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(tree: ast.AST, owner: str = "", *, in_class: bool = False) -> Iterator[tuple[str, int]]:
    """Each function's qualified name and its number of parameters, without `self` and `cls`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args
            number = len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs)
            number += (given.vararg is not None) + (given.kwarg is not None)
            static = any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in node.decorator_list)
            yield f"{owner}{node.name}", number - (in_class and not static)
            yield from functions(node, f"{owner}{node.name}.")
        elif isinstance(node, ast.ClassDef):
            yield from functions(node, f"{owner}{node.name}.", in_class=True)
        else:
            yield from functions(node, owner, in_class=in_class)


def assert_only(found: set[str], listed: set[str], rule: str) -> None:
    assert not found - listed, f"{rule}: {sorted(found - listed)}"
    assert not listed - found, f"No longer an exception, delete from the list: {sorted(listed - found)}"


def test_no_function_takes_more_parameters_than_a_reader_can_hold() -> None:
    found = {
        f"{name_of(path)}:{name}"
        for package, most in MOST_PARAMETERS.items()
        for path in modules(package)
        for name, number in functions(ast.parse(path.read_text(encoding="utf-8")))
        if number > most
    }
    assert_only(found, TOO_MANY_PARAMETERS, f"At most {MOST_PARAMETERS} parameters")


def test_parameters_are_counted_without_self_and_with_keywords() -> None:
    program = """
def one(a, /, b, *, c): ...
class Two:
    def method(self, a, *rest, **more): ...
    @classmethod
    def made(cls, a): ...
    @staticmethod
    def alone(a, b):
        def inner(x): ...
"""
    assert dict(functions(ast.parse(program))) == {
        "one": 3, "Two.method": 3, "Two.made": 1, "Two.alone": 2, "Two.alone.inner": 1,
    }  # fmt: skip


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    found = {
        name_of(path)
        for package in (*PACKAGES, "benchmarks")
        for path in modules(package)
        if len(path.read_text(encoding="utf-8").splitlines()) > MOST_LINES
    }
    assert_only(found, TOO_LONG, f"At most {MOST_LINES} lines")


def test_no_folder_is_a_hall() -> None:
    found = set()
    for package in (*PACKAGES, "benchmarks"):
        folders = {path.parent for path in modules(package)}
        for folder in folders:
            number = sum(path.name != "__init__.py" for path in folder.glob("*.py"))
            if number > MOST_MODULES:
                found.add(name_of(folder))
    assert_only(found - GROWS_BY_DESIGN, TOO_FULL, f"At most {MOST_MODULES} modules in a folder")


def wings() -> list[Path]:
    return sorted(path.parent for package in PACKAGES for path in (ROOT / package).glob("*/__init__.py"))


def defined_in(wing: Path) -> set[str]:
    """The wing's modules, and what they define at their top."""
    names = set()
    for path in wing.glob("*.py"):
        names.add(path.stem)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                names.add(node.name)
    return names


@pytest.mark.parametrize("wing", wings(), ids=name_of)
def test_a_wing_is_a_docstring_that_names_its_face(wing: Path) -> None:
    tree = ast.parse((wing / "__init__.py").read_text(encoding="utf-8"))
    docstring = ast.get_docstring(tree)
    assert docstring, "A wing states its sentence."
    assert len(tree.body) == 1, "A wing re-exports nothing."
    sentence, _, face = docstring.partition("Its face: ")
    assert sentence.splitlines()[0].endswith("."), "The first line is the wing's sentence."
    names = set(re.findall(r"`(\w+)`", face))
    assert names, "A wing names its face: `Its face: ...`."
    assert names <= defined_in(wing), f"{sorted(names - defined_in(wing))} is not in {name_of(wing)}"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_a_docstring(package: str) -> None:
    tree = ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    assert len(tree.body) == 1
