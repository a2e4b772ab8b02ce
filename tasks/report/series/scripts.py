"""The scripts of a page that shows every series, and what the browser may run on it."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markupsafe import Markup

_HERE = Path(__file__).parent
FORMAT = 1
"""Of the block; the script of a release reads its own format only."""

_TAG = f'<script type="application/octet-stream" id="series-block" data-format="{FORMAT}">'
_BLOCK = re.compile(re.escape(_TAG) + r"([A-Za-z0-9+/=]*)</script>")


@dataclass(frozen=True)
class Explorer:
    """What a template puts into a page; see `explorer.html` for the elements that the scripts fill.

    Attributes:
        policy: The content security policy: these scripts run and no others, and nothing is fetched.
        style: The style of the charts.
        scripts: The block and the scripts, for the end of the page.
    """

    policy: str
    style: Markup
    scripts: Markup


def explorer_of(block: str) -> Explorer:
    """What shows a block, see `pack_series`."""
    programs = [_text("uplot.js"), _text("explorer.js")]
    allowed = " ".join(f"'sha256-{_digest(each)}'" for each in programs)
    scripts = "\n".join([f"{_TAG}{block}</script>", *(f"<script>{each}</script>" for each in programs)])
    return Explorer(
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}; base-uri 'none'",
        Markup(f"<style>{_text('uplot.css')}</style>"),
        Markup(scripts),
    )


def block_in(page: Path) -> str:
    """The block of a page that was written before; "" where there is none, or one of another format.

    A page is the only place where its block is kept: it is written again from it.
    """
    if not page.is_file():
        return ""
    found = _BLOCK.search(page.read_text(encoding="utf-8"))
    return found[1] if found else ""


@cache
def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _digest(program: str) -> str:
    return base64.b64encode(hashlib.sha256(program.encode()).digest()).decode()
