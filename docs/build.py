"""Write the reference parts of docs/ from the code that obeys them, and try every link.

    make docs

A reference stands between `<!-- reference: NAME -->` and `<!-- end -->`; what is around it is
written by hand. With `--check` nothing is written, and a page that would change is an error.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from sql.output.tables import metadata
from tasks.night.job import Job

ROOT = Path(__file__).parents[1]
PAGES = (*sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*.md")))
BLOCK = re.compile(r"(<!-- reference: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def main() -> int:
    """Write or check all pages; 1 where a page is stale (with --check) or a link leads nowhere."""
    problems = []
    for page in PAGES:
        before = page.read_text(encoding="utf-8")
        after = filled(before)
        if after != before:
            if "--check" in sys.argv[1:]:
                problems.append(f"{page.relative_to(ROOT)} is not what the code says; run `make docs`")
            else:
                page.write_text(after, encoding="utf-8")
                print(f"Wrote {page.relative_to(ROOT)}")
        problems += [
            f"{page.relative_to(ROOT)} links to {link}, which is not there" for link in dead_links(page, after)
        ]
    print("\n".join(problems) if problems else f"{len(PAGES)} pages are in order.")
    return 1 if problems else 0


def filled(text: str) -> str:
    """A page with its references as the code has them now.

    Raises:
        KeyError: where a page asks for a reference that does not exist.
    """
    return BLOCK.sub(lambda found: f"{found[1]}\n{REFERENCES[found[2]]()}\n{found[3]}", text)


def dead_links(page: Path, text: str) -> Iterator[str]:
    """Links to files or to headings that do not exist; addresses of other sites are not tried."""
    for link in LINK.findall(text):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, heading = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (heading and heading not in headings(target.read_text(encoding="utf-8"))):
            yield link


def headings(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def job_reference() -> str:
    """Every key of a job file: type, default and meaning, part by part."""
    schema = Job.model_json_schema()
    parts = [_part("Top", schema["properties"] | {}, schema, Job)]
    for name in (
        "source",
        "forecast",
        "audit",
        "hierarchy",
        "network",
        "training",
        "runner",
        "output",
        "calibration",
        "promotion",
        "monitor",
        "notify",
    ):
        parts += _parts(name, Job.model_fields[name].annotation, schema)
    return "\n".join(parts)


def _parts(name: str, model: Any, schema: dict[str, Any]) -> list[str]:
    found = [_part(f"`{name}`", schema["$defs"][model.__name__]["properties"], schema, model)]
    for key, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        if inner is not None:
            found += _parts(f"{name}.{key}", inner, schema)
    return found


def _part(title: str, properties: dict[str, Any], schema: dict[str, Any], model: Any) -> str:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if default is PydanticUndefined:
            shown = "required"
        elif default is None or isinstance(default, BaseModel):
            shown = ""
        else:
            # As YAML has it: true, and no quotes around words.
            shown = f"`{str(default).lower() if isinstance(default, bool) else default}`".replace("'", "")
        meaning = field.description or properties[key].get("description") or _model_words(field.annotation)
        rows.append(f"| `{key}` | {_words(properties[key], schema)} | {shown} | {meaning} |")
    heading = "### The job itself" if title == "Top" else f"### {title}"
    return "\n".join([heading, "", *rows, ""])


def _model_in(annotation: Any) -> Any:
    """The pydantic model inside an annotation such as `list[Layer] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        if (inner := _model_in(part)) is not None:
            return inner
    return None


def _model_words(annotation: Any) -> str:
    model = _model_in(annotation)
    return (model.__doc__ or "").strip().splitlines()[0] if model else ""


def _words(schema: dict[str, Any], whole: dict[str, Any]) -> str:
    """A JSON schema's type in words."""
    if "$ref" in schema:
        return "mapping"
    if "anyOf" in schema:
        return " or ".join(_words(part, whole) for part in schema["anyOf"] if part.get("type") != "null")
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_words(schema['items'], whole)}"
    bounds = [
        f"{sign} {schema[name]:g}"
        for name, sign in (
            ("exclusiveMinimum", "&gt;"),
            ("minimum", "≥"),
            ("exclusiveMaximum", "&lt;"),
            ("maximum", "≤"),
        )
        if name in schema
    ]
    words = {"string": "text", "boolean": "true or false", "object": "mapping"}
    kind = words.get(schema.get("type", ""), schema.get("type", "any"))
    return " ".join([kind, ", ".join(bounds)]).strip()


def tables_reference() -> str:
    """Every table of the output database: its purpose; columns with types and meanings."""
    return "\n".join(_table(table) for table in sorted(metadata.tables.values(), key=lambda each: each.name))


def _table(table: sa.Table) -> str:
    rows = ["| column | type | meaning |", "|---|---|---|"]
    for column in table.columns:
        kind = f"{_sql_words(column.type)}, key" if column.primary_key else _sql_words(column.type)
        rows.append(f"| `{column.name}` | {kind} | {column.doc} |")
    return "\n".join([f"### `{table.name}`", "", table.info["purpose"], "", *rows, ""])


def _sql_words(kind: sa.types.TypeEngine[Any]) -> str:
    known = {
        "UTCDateTime": "timestamp, UTC",
        "Double": "double precision",
        "BigInteger": "bigint",
        "Integer": "integer",
        "JSON": "JSON",
        "Boolean": "boolean",
        "LargeBinary": "bytes",
        "String": "text",
        "Text": "text",
    }
    return known.get(type(kind).__name__, type(kind).__name__)


REFERENCES: dict[str, Callable[[], str]] = {"job": job_reference, "tables": tables_reference}

if __name__ == "__main__":
    sys.exit(main())
