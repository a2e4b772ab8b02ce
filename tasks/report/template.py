"""Fill in the template of a page."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sql.secrets.known import hide
from tasks.report.compiled import CompiledTemplates

_FOLDER = Path(__file__).parent


def html_of(template: str, facts: Mapping[str, Any], folder: Path = _FOLDER) -> str:
    """A page as HTML. Every value is escaped, and none holds a secret.

    Args:
        template: The name of a file.
        facts: The names that it reads.
        folder: Where the file is. It may include those of this folder.
    """
    return _environment(folder).get_template(template).render(facts)


@functools.cache
def _environment(folder: Path) -> Environment:
    """What fills in the templates of a folder. It compiles each of them once."""
    return Environment(
        loader=FileSystemLoader([folder, _FOLDER, _FOLDER / "series"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_without_secrets,
        bytecode_cache=CompiledTemplates(),
    )


def _without_secrets(value: Any) -> Any:
    # A plot is markup already, whose figures must stay.
    return hide(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
