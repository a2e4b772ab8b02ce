"""The wings of each package: what each says of itself, and which imports which.

The order is that of the layers in pyproject.toml, which import-linter holds. The graph comes from grimp, the library
that import-linter reads imports with.
"""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PACKAGES = ("flows", "tasks", "models", "sql")
Arrows = set[tuple[str, str]]


def wings_reference() -> str:
    """A table and a graph for each package."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    return "\n".join(_section(package, arrows_between_wings(graph, package)) for package in PACKAGES)


def arrows_between_wings(graph: grimp.ImportGraph, package: str) -> Arrows:
    """Pairs (importer, imported) of a package's wings."""
    found = set()
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            ends = [name.split(".")[:2] for name in (module, imported)]
            if all(end[0] == package and len(end) == 2 for end in ends) and ends[0] != ends[1]:
                found.add((ends[0][1], ends[1][1]))
    return found


def without_shortcuts(arrows: Arrows) -> Arrows:
    """The arrows that no longer path implies; all of them where the arrows form a circle.

    >>> sorted(without_shortcuts({("a", "b"), ("b", "c"), ("a", "c")}))
    [('a', 'b'), ('b', 'c')]
    """
    below: dict[str, set[str]] = {}
    for importer, imported in arrows:
        below.setdefault(importer, set()).add(imported)

    def reached(begin: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(below.get(begin, ()))
        while waiting:
            wing = waiting.pop()
            if wing not in seen:
                seen.add(wing)
                waiting += below.get(wing, ())
        return seen

    from_below = {wing: set().union(*map(reached, imported)) for wing, imported in below.items()}
    if any(wing in reached(wing) for wing in below):
        return arrows
    return {(importer, imported) for importer, imported in arrows if imported not in from_below[importer]}


def _section(package: str, arrows: Arrows) -> str:
    names = _wings_in_order(package)
    rows = [f"| {_link(package, name)} | {_sentence(package, name)} | {_face(package, name)} |" for name in names]
    drawn = without_shortcuts(arrows)
    lines = [f"    {importer} --> {imported}" for importer, imported in _in_order(drawn, names)]
    implied = len(arrows) - len(drawn)
    note = f"{len(arrows)} imports between wings" + (f"; {implied} follow from the arrows drawn." if implied else ".")
    return "\n".join(
        [
            f"### `{package}/`",
            "",
            "| wing | what it is | face |",
            "|---|---|---|",
            *rows,
            "",
            note,
            "",
            "```mermaid",
            "flowchart TD",
            *lines,
            "```",
            "",
        ]
    )


def _wings_in_order(package: str) -> list[str]:
    """The wings, top layer first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    [layered] = [each for each in contracts if each.get("containers") == [package]]
    return [name for layer in layered["layers"] for name in layer.split(" | ")]


def _in_order(arrows: Arrows, names: list[str]) -> list[tuple[str, str]]:
    return sorted(arrows, key=lambda arrow: (names.index(arrow[0]), names.index(arrow[1])))


def _file(package: str, name: str) -> Path:
    folder = ROOT / package / name
    return folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")


def _link(package: str, name: str) -> str:
    target = f"{package}/{name}" if (ROOT / package / name).is_dir() else f"{package}/{name}.py"
    return f"[`{name}`](../{target})"


def _docstring(package: str, name: str) -> str:
    return ast.get_docstring(ast.parse(_file(package, name).read_text(encoding="utf-8"))) or ""


def _sentence(package: str, name: str) -> str:
    """The first paragraph of the docstring, in one line."""
    return " ".join(_docstring(package, name).partition("\n\n")[0].split())


def _face(package: str, name: str) -> str:
    """The names after "Its face:"; a wing that is one module has none."""
    found = re.search(r"Its face: (.*?)\.?(?:\n\n|$)", _docstring(package, name), re.DOTALL)
    return " ".join(found[1].split()) if found else ""
