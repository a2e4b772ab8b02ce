"""Documents lose their secrets and nothing else: keys and numbers stay."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from sql.output import tables
from sql.secrets.known import hide, remember, remember_whole
from sql.secrets.words import WORDS
from tasks.night.job import Job
from tasks.printing.safe import without_any_secrets, without_secrets


def test_keys_and_numbers_stay_and_texts_lose_their_secrets():
    remember("hunter2-x")
    remember_whole("123456")
    document = {"hunter2-x": 123456, "ids": ["of hunter2-x", ("123456", 0.123456)]}
    assert without_secrets(document) == {"hunter2-x": 123456, "ids": ["of ***", ("***", 0.123456)]}
    assert without_any_secrets({"hunter2-x": [{"hunter2-x": 1}]}) == {"***": [{"***": 1}]}


def test_no_word_of_a_table_or_a_job_file_is_ever_hidden():
    words = {word for table in tables.metadata.tables.values() for word in (table.name, *table.c.keys())}
    words |= _words_of(Job, set())
    assert len(words) > 150
    for word in words:
        remember(word)
    assert {word for word in words if hide(f" {word} ") != f" {word} "} == set()
    assert sorted(word for word in words if len(word) >= 6 and word not in WORDS) == []


def _words_of(kind: Any, seen: set[Any]) -> set[str]:
    """The keys and the words of choice of a part of a job file."""
    if get_origin(kind) is Literal:
        return {each for each in get_args(kind) if isinstance(each, str)}
    words = {word for part in get_args(kind) for word in _words_of(part, seen)}
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in seen:
        seen.add(kind)
        for name, field in kind.model_fields.items():
            words |= {name} | _words_of(field.annotation, seen)
    return words
