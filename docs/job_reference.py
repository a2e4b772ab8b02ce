"""Every key of a job file: type, default and meaning."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from tasks.night.job import Job


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
        most = f", at most {schema['maxItems']:,}" if "maxItems" in schema else ""
        return f"list of {_words(schema['items'], whole)}{most}"
    bounds = [
        f"{sign} {schema[name]:,}".removesuffix(".0")
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
