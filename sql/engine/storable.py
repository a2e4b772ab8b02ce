"""Text that every database can hold, as a column of text and as a part of a key.

PostgreSQL takes no NUL character, few databases take bytes that are not text, and a key of MySQL has 255 characters.
What would not fit is changed in a way that people can read, and stays distinct, so that moving a job changes nothing.
"""

from __future__ import annotations

import codecs
import hashlib
import re

import pyarrow as pa
import pyarrow.compute as pc

LONGEST_ID = 255
"""Characters of a series id, or of any other text that is a part of a key."""

LONGEST_CATEGORY = 180
"""Characters of a category: the name of a segment begins with that of its column, of 64 characters at most."""

_NUL = "\u2400"
_NO_TEXT = "\ufffd"
_DIGEST_CHARACTERS = 16
_SURROGATE = re.compile("[\ud800-\udfff]")


def storable(text: str, longest: int | None = None) -> str:
    r"""The text itself where every database can hold it, else a text in its place.

    Args:
        text: Any text.
        longest: The most characters; None where the text may have any number. What is too long is cut, and ends with
            "…" and a digest of the whole.

    >>> storable("caf\u00e9"), storable("a\0b"), storable("a\ud800")
    ('café', 'a␀b', 'a�D800')
    >>> storable("x" * 30, longest=20)
    'xxx…666a596df2cf2181'
    """
    if "\0" in text:
        text = text.replace("\0", _NUL)
    if not text.isascii():
        text = _SURROGATE.sub(lambda found: f"{_NO_TEXT}{ord(found[0]):04X}", text)
    if longest is None or len(text) <= longest:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{text[: longest - _DIGEST_CHARACTERS - 1]}…{digest}"


def readable(raw: bytes) -> str:
    r"""Bytes as text; each byte that is not text in UTF-8 is written as two digits.

    >>> readable(b"M\xe1laga")
    'M�E1laga'
    """
    return raw.decode("utf-8", "nightcast.digits")


def _as_digits(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(f"{_NO_TEXT}{byte:02X}" for byte in error.object[error.start : error.end]), error.end


codecs.register_error("nightcast.digits", _as_digits)


def storable_texts(texts: pa.Array, longest: int | None = None) -> pa.Array:
    """Strings that may hold bytes which are not text; each as `storable` gives it. Null stays null."""
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        texts = pa.array([None if raw is None else readable(raw) for raw in texts.cast(pa.binary()).to_pylist()])
    unfit = pc.match_substring(texts, "\0")
    if longest is not None:
        unfit = pc.or_(unfit, pc.greater(pc.utf8_length(texts), longest))
    if not pc.any(unfit).as_py():
        return texts
    return pa.array([None if text is None else storable(text, longest) for text in texts.to_pylist()], texts.type)
