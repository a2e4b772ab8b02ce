"""What MkDocs does not do by itself with the pages of docs/, which are written for Git hosts too.

- Links out of docs/ lead to the source. The site carries each linked file as a page, and is whole wherever it lies.
- CHANGELOG.md, CONTRIBUTING.md and SECURITY.md are pages of the site.
- Formulas become MathML and diagrams SVG when the site is built. A browser then needs no script for them.

MkDocs calls the functions named `on_...` (`hooks` in mkdocs.yml).
"""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import mmdr
from latex2mathml.converter import convert
from mkdocs.structure.files import File
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename

ROOT = Path(__file__).parents[1]
PAGES_OF_THE_ROOT = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
_LINK_OUT = re.compile(r"\]\(\.\./([^)#\s]+)(#[^)\s]*)?\)")
_LINK_FROM_ROOT = re.compile(r"\]\((?!https?:|#|mailto:)([^)\s]+)\)")
_MERMAID = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
_SOURCE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}</title><style>
:root {{ color-scheme: light dark }} body {{ margin: 0 auto; max-width: 78rem; padding: 1rem; font: 1rem sans-serif }}
pre {{ overflow-x: auto; line-height: 1.35; font-size: .85rem }}
td {{ padding: .2rem .8rem .2rem 0; vertical-align: top }}
{light} @media (prefers-color-scheme: dark) {{ {dark} }}
</style></head><body><p><a href="{start}">Nightcast</a> / {trail}</p>{body}</body></html>
"""


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of the root, and each file of the source that a page links to."""
    texts = [file.content_string for file in files.documentation_pages()]
    for name in PAGES_OF_THE_ROOT:
        text = from_root((ROOT / name).read_text(encoding="utf-8"))
        texts.append(text)
        files.append(File.generated(config, name.lower(), content=text))
    for path in sorted(sources(texts)):
        files.append(File.generated(config, source_page(path), content=source_html(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Lead links out of docs/ to the pages of the source, and draw the diagrams."""

    def drawn(found: re.Match[str]) -> str:
        name = f"assets/diagrams/{page.file.name}-{found.start()}.svg"
        files.append(File.generated(config, name, content=mmdr.render(found[1]).svg()))
        return f"![Diagram: {' '.join(found[1].split()[2:])[:200]}]({name})"

    return _MERMAID.sub(drawn, _LINK_OUT.sub(lambda found: f"]({linked(found[1])})", markdown))


def on_page_content(html: str, **_: Any) -> str:
    """Formulas as MathML."""
    return _FORMULA.sub(_math, html)


def _math(found: re.Match[str]) -> str:
    return str(convert(html.unescape(found[3]), display="inline" if found[2] == "(" else "block"))


def linked(path: str) -> str:
    """Where a link from docs/ to a path of the repository leads on the site."""
    return path.lower() if path in PAGES_OF_THE_ROOT else source_page(path.rstrip("/"))


def source_page(path: str) -> str:
    """The page of a file or folder of the source."""
    return f"source/{path}.html"


def from_root(text: str) -> str:
    """The text of a page of the root as if it lay in docs/."""

    def moved(found: re.Match[str]) -> str:
        path = found[1]
        return f"]({path.removeprefix('docs/')})" if path.startswith("docs/") else f"](../{path})"

    return _LINK_FROM_ROOT.sub(moved, text)


def sources(texts: list[str]) -> set[str]:
    """Files and folders of the repository that pages link to, with the modules of those folders.

    Raises:
        FileNotFoundError: a page links to a file that does not exist.
    """
    found = {match[1].rstrip("/") for text in texts for match in _LINK_OUT.finditer(text)} - {*PAGES_OF_THE_ROOT}
    for path in [*found]:
        if not (ROOT / path).exists():
            raise FileNotFoundError(f"A page of docs/ links to {path}, which does not exist.")
        found |= {each.relative_to(ROOT).as_posix() for each in modules(ROOT / path)}
    return found


def modules(folder: Path) -> Iterator[Path]:
    """The modules of a folder, without those of folders in it; none of a file."""
    yield from sorted(folder.glob("*.py"))


def source_html(path: str) -> str:
    """A file with its syntax coloured, or the modules of a folder with the first line of each."""
    up = "../" * (len(PurePosixPath(path).parts))
    light, dark = (HtmlFormatter(style=style).get_style_defs("pre") for style in ("default", "github-dark"))
    body = _listing(path) if (ROOT / path).is_dir() else _coloured(path)
    return _SOURCE.format(
        name=path, start=f"{up}index.html", trail=html.escape(path), body=body, light=light, dark=dark
    )


def _coloured(path: str) -> str:
    formatter = HtmlFormatter(nowrap=True)
    text = (ROOT / path).read_text(encoding="utf-8")
    return f"<pre>{highlight(text, get_lexer_for_filename(path), formatter)}</pre>"


def _listing(path: str) -> str:
    name = PurePosixPath(path).name
    rows = (
        f'<tr><td><a href="{name}/{each.name}.html">{each.name}</a><td>{html.escape(_first_line(each))}'
        for each in modules(ROOT / path)
    )
    return f"<h1>{html.escape(path)}/</h1><table>{''.join(rows)}</table>"


def _first_line(module: Path) -> str:
    return (ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or "").partition("\n")[0]
