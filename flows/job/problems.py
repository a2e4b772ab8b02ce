"""What is wrong in a job file: every problem once, and none that only follows from another."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Iterator
from copy import deepcopy
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from models.counted import counted
from tasks.night.job import Job
from tasks.printing.safe import without_any_secrets

Location = tuple[int | str, ...]

# What stands for a key that every job needs while the rest is examined. None of them conflicts with another key: one
# step of one second is kept long enough by every `keep_days`.
_STAND_INS: dict[Location, Any] = {
    ("name",): "job",
    ("source",): {"url": "sqlite://", "table": "history"},
    ("source", "url"): "sqlite://",
    ("source", "table"): "history",
    ("forecast",): {"frequency": "s", "horizon": 1},
    ("forecast", "frequency"): "s",
    ("forecast", "horizon"): 1,
}
_MAPPING_TYPES = ("model_type", "model_attributes_type")
# More rounds than a file has problems that hide each other.
_MOST_ROUNDS = 10
_MOST_PROBLEMS = 20
_BOUNDS = dict.fromkeys(("less_than_equal", "too_long", "string_too_long"), "at most")
_BOUNDS |= {"greater_than_equal": "at least"}
_LONGEST_MESSAGE, _LONGEST_NAME = 1_000, 120
_LONGEST_FOUND = 80
_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxlist, _REPR.maxdict, _REPR.maxstring, _REPR.maxother = 3, 10, 5, 80, 80


def problems_of(document: dict[str, Any]) -> list[str]:
    """Every problem of a job file: where it is, what was found, and the remedy."""
    return [text for _, text in located_problems(document)]


def located_problems(document: dict[str, Any]) -> list[tuple[Location, str]]:
    """The same with the location of each problem; it is () for the file as a whole.

    The validation stops at a wrong value, and does not compare it with other keys. So each key that is wrong is taken
    out, and the rest is validated again. A comparison with a key that was wrong would say nothing, and is left out.

    Args:
        document: The job file, as YAML gives it.
    """
    document, wrong, taken_out, found = _unshared(document), set[Location](), set[Location](), dict[str, Location]()
    for _ in range(_MOST_ROUNDS):
        try:
            Job.model_validate(document)
        except ValidationError as error:
            problems = error.errors(include_url=False)
        else:
            break
        intended = {near for problem in problems if (near := _intended(problem)) is not None}
        more_found = {
            _described(problem): problem["loc"]
            for problem in problems
            if not (problem["type"] == "missing" and problem["loc"] in intended)
            and not (_compares(problem) and _any_inside(_keys_of(problem, document), wrong))
        }
        found = {**found, **{text: place for text, place in more_found.items() if text not in found}}
        wrong |= {location for problem in problems for location in _keys_of(problem, document)}
        take_out = {location for problem in problems for location in _to_take_out(problem, document)} - taken_out
        if not take_out:
            break
        for location in take_out:
            _take_out(document, location)
        taken_out |= take_out
    first = [(location, text) for text, location in found.items()][:_MOST_PROBLEMS]
    more = len(found) - len(first)
    return first + ([((), f"and {counted(more, 'more problem')}. Correct these first.")] if more > 0 else [])


def _unshared(value: Any) -> Any:
    """A copy in which what the file repeats by an alias stands for itself, and can be taken out alone."""
    if isinstance(value, dict):
        return {key: _unshared(inner) for key, inner in value.items()}
    return [_unshared(inner) for inner in value] if isinstance(value, list) else value


def abbreviate(value: Any) -> str:
    """What somebody wrote, as messages show it: without secrets, and cut before it is rendered, whatever its size.

    >>> abbreviate([1] * 100)
    '[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, ...]'
    """
    return _cut(_REPR.repr(without_any_secrets(value)), _LONGEST_FOUND)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _any_inside(locations: Iterable[Location], wrong: set[Location]) -> bool:
    """Whether one of the keys is wrong, or stands in a part that is."""
    return any(location[:length] in wrong for location in locations for length in range(1, len(location) + 1))


def _to_take_out(problem: Any, document: dict[str, Any]) -> Iterable[Location]:
    return [problem["loc"]] if problem["type"] == "extra_forbidden" else _keys_of(problem, document)


def _keys_of(problem: Any, document: dict[str, Any]) -> Iterator[Location]:
    """The locations of the keys that a problem is about."""
    location: Location = problem["loc"]
    if problem["type"] == "extra_forbidden":
        yield location
        near = _intended(problem)
        # Which key was meant is not known: it may be any that is not there.
        meant = [near] if near else [(*location[:-1], key) for key in _known_keys(location[:-1])]
        part = _part_at(document, location[:-1])
        yield from (key for key in meant if not (isinstance(part, dict) and key[-1] in part))
    elif not _compares(problem):
        # A wrong entry of a list makes the whole list wrong.
        yield location[:2]
    else:
        for key in _known_keys(location):
            for inner in _known_keys((*location, key)) if not location else ():
                if re.search(rf"\b{key}\.{inner}\b", problem["msg"]):
                    yield (key, inner)
            if location and re.search(rf"\b{key}\b", problem["msg"]):
                yield (*location, key)


def _compares(problem: Any) -> bool:
    """Whether a problem is one of several keys together, rather than of one key."""
    location = problem["loc"]
    return problem["type"] == "value_error" and isinstance(_type_at(location), type)


def _intended(problem: Any) -> Location | None:
    """The location of the key that an unknown one most likely means; None where none is like it."""
    if problem["type"] != "extra_forbidden":
        return None
    *part, key = problem["loc"]
    near = get_close_matches(str(key)[:_LONGEST_NAME], _known_keys(tuple(part)), n=1)
    return (*part, near[0]) if near else None


def _take_out(document: dict[str, Any], location: Location) -> None:
    part = _part_at(document, location[:-1])
    if isinstance(part, dict):
        part.pop(location[-1], None)
        if location in _STAND_INS:
            part[location[-1]] = deepcopy(_STAND_INS[location])


def _part_at(document: dict[str, Any], location: Location) -> Any:
    """A part of the file; None where there is none, or it is no mapping."""
    part: Any = document
    for key in location:
        if isinstance(part, list) and isinstance(key, int):
            part = part[key]
        else:
            part = part.get(key) if isinstance(part, dict) else None
    return part


def _described(problem: Any) -> str:
    """One problem: where it is, what was found, and the remedy."""
    where = _cut(".".join(str(part)[:_LONGEST_NAME] for part in problem["loc"]), _LONGEST_NAME)
    if problem["type"] == "extra_forbidden":
        known, near = _known_keys(problem["loc"][:-1]), _intended(problem)
        remedy = f"did you mean {near[-1]!r}?" if near else f"known keys: {', '.join(known)}."
        return f"unknown key {where!r}; {remedy}"
    if problem["type"] == "missing":
        return f"{where} is missing; every job needs it."
    message = _cut(problem["msg"], _LONGEST_MESSAGE).removeprefix("Value error, ").replace(" after validation", "")
    message = message.removeprefix(f"{where.rpartition('.')[2]} ")
    if problem["type"] in _MAPPING_TYPES:
        message = f"write a mapping of its keys, such as {', '.join(_known_keys(problem['loc'])[:3])}"
    if reason := _reason(problem):
        return f"{where}: {message}{_found(problem, where, message)}. {reason}"
    # A message on several keys names them itself.
    return f"{where}: {message}{_found(problem, where, message)}" if where else message


def _reason(problem: Any) -> str:
    """The sentence of a setting's description that gives the bound that was passed; "" where it has none."""
    part = [key for key in problem["loc"] if isinstance(key, str)]
    model, word = _type_at(part[:-1]), _BOUNDS.get(problem["type"])
    field = None if model is None or word is None else model.model_fields.get(part[-1])
    found = re.search(r"\bAt (?:most|least) .*", (field and field.description) or "")
    return found[0] if word and found and word in found[0].lower() else ""


def _found(problem: Any, where: str, message: str) -> str:
    written = abbreviate(problem["input"])
    # A URL may hold a secret, under whatever key somebody writes it, and a text in place of a mapping often is a URL.
    part = where.partition(".")[0]
    is_secret = "url" in where or part == "notify" or _holds_url(problem["input"])
    is_secret = is_secret or (part in ("source", "output") and problem["type"] in _MAPPING_TYPES)
    is_repeated = isinstance(problem["input"], str | list) and written in message
    return "" if isinstance(problem["input"], dict) or is_secret or is_repeated else f" (found {written})"


def _holds_url(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_url(each) for pair in value.items() for each in pair)
    return any(map(_holds_url, value)) if isinstance(value, list) else isinstance(value, str) and "://" in value


def _known_keys(location: Iterable[int | str]) -> list[str]:
    """The keys that a part of a job may have, by its location (such as `network`, `layers`, 0)."""
    model = _type_at(location)
    return [] if model is None else list(model.model_fields)


def _type_at(location: Iterable[int | str]) -> type[BaseModel] | None:
    """The class of a part of a job, by its location; None for a single setting."""
    model: type[BaseModel] | None = Job
    for key in location:
        if isinstance(key, str):
            field = None if model is None else model.model_fields.get(key)
            model = None if field is None else _inner_model(field.annotation)
    return model


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _inner_model(part))), None)
