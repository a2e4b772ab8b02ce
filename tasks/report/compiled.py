"""Compiled templates beside Python's own compiled modules: to compile those of a night takes a tenth of a second."""

from __future__ import annotations

import hashlib
import importlib.util
import marshal
import os
import sys
from contextlib import suppress
from pathlib import Path

from jinja2 import __version__ as jinja_version
from jinja2.bccache import Bucket, BytecodeCache


class CompiledTemplates(BytecodeCache):
    """Keeps each template's bytecode in `__pycache__`, where Python may write there. Nothing depends on it.

    Jinja's own cache reads a pickle; this one reads what Python's compiled modules are made of.
    """

    def get_cache_key(self, name: str, filename: str | None = None) -> str:
        """The file of the template."""
        return filename or name

    def get_source_checksum(self, source: str) -> str:
        """A digest of all that the bytecode depends on but the interpreter, which the file's name tells."""
        return hashlib.sha256(f"{jinja_version}\n{source}".encode()).hexdigest()

    def load_bytecode(self, bucket: Bucket) -> None:
        """Put the bytecode into the bucket, if there is any of this very source."""
        with suppress(OSError, ValueError, EOFError, TypeError):
            checksum, _, code = _file_of(bucket).read_bytes().partition(b"\n")
            if checksum.decode() == bucket.checksum:
                bucket.code = marshal.loads(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the bytecode of a bucket, whole or not at all."""
        if sys.dont_write_bytecode:
            return
        file = _file_of(bucket)
        aside = file.with_name(f"{file.name}.{os.getpid()}")
        with suppress(OSError):
            file.parent.mkdir(exist_ok=True)
            aside.write_bytes(bucket.checksum.encode() + b"\n" + marshal.dumps(bucket.code))
            aside.replace(file)


def _file_of(bucket: Bucket) -> Path:
    return Path(importlib.util.cache_from_source(f"{bucket.key}.py"))
