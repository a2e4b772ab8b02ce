"""The base of every part of a job file, and types of its numbers."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

FINEST_LEVEL = 0.0001
"""The lowest quantile level, and how far two of them lie apart. Rarer values cannot be learnt from a history."""

QuantileLevel = Annotated[float, Field(ge=FINEST_LEVEL, le=1 - FINEST_LEVEL)]
Width = Annotated[int, Field(ge=1, le=16_384)]
SeasonLength = Annotated[int, Field(ge=1, le=1_000_000)]


def _not_empty(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty; write a name, or leave the key out")
    return text


Name = Annotated[str, Field(max_length=300), AfterValidator(_not_empty)]
"""A column, a table, a place."""

Address = Annotated[str, Field(max_length=4_000), AfterValidator(_not_empty)]
"""A URL or a path."""


def _short_names(folder: str) -> str:
    for name in folder.split("/"):
        if len(name.encode()) > LONGEST_NAME:
            raise ValueError(f"holds the name {name[:40]!r}… of more than {LONGEST_NAME} bytes; shorten it")
    return folder


LONGEST_NAME = 255
"""Of a file or folder, in bytes: what every file system of Linux and macOS allows."""

Folder = Annotated[Address, AfterValidator(_short_names)]
"""A folder, here or in a bucket."""

MOST_NAMES = 1_000
WEEK_SECONDS = 604_800.0
CENTURY_DAYS = 36_525.0


class Settings(BaseModel):
    """Base of every part of a job. It refuses unknown keys, .inf and .nan, and it cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
