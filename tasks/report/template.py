"""Fill in the template of a page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sql.secrets.known import hide

_HERE = Path(__file__).parent


def html_of(template: str, facts: Mapping[str, Any]) -> str:
    """A page as HTML. Every value is escaped, and none holds a secret.

    Args:
        template: The name of a file in this folder.
        facts: The names that it reads.
    """
    environment = Environment(
        loader=FileSystemLoader([_HERE, _HERE / "series"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_without_secrets,
    )
    return environment.get_template(template).render(facts)


def _without_secrets(value: Any) -> Any:
    # A plot is markup already, whose figures must stay.
    return hide(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
