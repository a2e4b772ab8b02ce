"""Fill in the template of a page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def html_of(template: str, facts: Mapping[str, Any]) -> str:
    """A page as HTML. Every value is escaped.

    Args:
        template: The name of a file in this folder.
        facts: The names that it reads.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(facts)
