"""The secrets of this process, and the one function that takes them out of a text.

A secret is found by its value, in whatever form a driver, a server or Python writes it: as it is, percent-encoded,
within quotes of SQL, JSON or HTML, in base64. Whoever reads a place where a secret may stand calls `remember`, and
whoever prints, stores or sends a text calls `hide`.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from itertools import islice, takewhile
from typing import NamedTuple
from urllib.parse import quote, quote_plus, unquote

MASK = "***"
SHORTEST = 4
"""Number of characters from which on a secret is taken out of texts; shorter values occur everywhere by chance."""

SHORTEST_PART = 6
"""The same for a part of a secret, such as what a driver takes for the host if a password holds an `@`."""

SHORTEST_CUT = 8
"""The same for the beginning of a secret within a text."""

_LONG = 6
# Words of messages, not of secrets; a password of this kind hides nothing from anybody.
_PUBLIC = {"postgresql", "postgres", "psycopg", "sqlite", "duckdb", "parquet", "password", "localhost", "nightcast"}
_MOST_CUTS, _LONGEST_CUT = 10, 1_000
_WORD = re.compile(r"[A-Za-z]?[a-z]+")
_DELIMITERS = re.compile(r"[\s/@:?#&=%'\"\\;,<>|]+")
_AFTER_CUT = re.compile(r"(?P<dots>…|\.{2,3})?['\"]?[)\].,;]?\s*")
_MASKS = re.compile(rf"{re.escape(MASK)}(?:{re.escape(MASK)})+")


class _Form(NamedTuple):
    """How one form of a secret is taken out."""

    mask: str
    is_word: bool


_forms: dict[str, _Form] = {}
_whole: set[str] = set()


def remember(secret: str, visible: tuple[str, ...] = ()) -> None:
    """Take a value out of all texts from now on: all of it, and each of its longer parts.

    Args:
        secret: The value, as it is or percent-encoded.
        visible: What stands beside it for everybody to see, such as the user of a URL. A secret that equals it is none.
    """
    for value in {secret.strip("\r\n"), unquote(secret).strip("\r\n")} - {"", MASK}:
        if len(value) < SHORTEST or value in {*visible, *_PUBLIC} or value in _whole or "${" in value:
            continue
        _whole.add(value)
        for form in _forms_of(value):
            _add(form)
        for part in _parts_of(value) - {value, *visible, *_PUBLIC}:
            if len(part) >= SHORTEST_PART:
                _add(part)
                # A name of a host is compared in small letters.
                _add(part.lower())


def remember_as(value: str, name: str) -> None:
    """Write a name, such as `${NAME}`, wherever a value would stand that came from the environment."""
    if len(value) >= SHORTEST and value not in _whole:
        for form in {value, repr(value)[1:-1], quote(value)}:
            _forms[form] = _Form(name, is_word=False)


def forget_all() -> None:
    """Forget all secrets; for tests, of which each has its own."""
    _forms.clear()
    _whole.clear()


def hide(text: str) -> str:
    """A text with *** for each secret that this process knows.

    >>> remember("pa/sswörd@shop-7")
    >>> hide("no host 'shop-7'; password pa%2fssw%c3%b6rd%40shop-7 or 'pa/sswörd@shop-7'")
    "no host '***'; password *** or '***'"
    >>> forget_all()
    """
    spans = sorted(_spans(text)) if _forms else []
    if not spans:
        return text
    pieces, end = list[str](), 0
    for begin, stop, mask in _merged(spans):
        pieces += [text[end:begin], mask]
        end = stop
    return _MASKS.sub(MASK, "".join([*pieces, text[end:]]))


def _spans(text: str) -> Iterator[tuple[int, int, str]]:
    """Where each form of a secret stands in a text, whole or cut off: begin, end, and what to write instead."""
    for form, (mask, is_word) in _forms.items():
        can_be_cut = mask == MASK and not is_word and len(form) > SHORTEST_PART
        begin = text.find(form[:SHORTEST_PART] if can_be_cut else form)
        while begin >= 0:
            same = (one == other for one, other in zip(form, text[begin : begin + len(form)], strict=False))
            end = begin + sum(takewhile(bool, same))
            is_hit = _is_hit(text, begin, end, form)
            if is_hit:
                yield begin, end, mask
            begin = text.find(form[:SHORTEST_PART] if can_be_cut else form, end if is_hit else begin + 1)


def _is_hit(text: str, begin: int, end: int, form: str) -> bool:
    """Whether what a text has of a form is the form itself, or its beginning and was cut off."""
    if end - begin == len(form):
        around = text[max(begin - 1, 0) : begin] + text[end : end + 1]
        return not _forms[form].is_word or not (around.isascii() and any(map(str.isalnum, around)))
    after = _AFTER_CUT.fullmatch(text, end)
    # A word counts only where dots say that something was cut off.
    is_word = _WORD.fullmatch(text, begin, end) is not None
    return end - begin >= (SHORTEST_PART if after else SHORTEST_CUT) and (not is_word or bool(after and after["dots"]))


def _merged(spans: list[tuple[int, int, str]]) -> Iterator[tuple[int, int, str]]:
    """Spans without overlaps: those that overlap become one."""
    begin, end, mask = spans[0]
    for start, stop, other in spans[1:]:
        if start >= end:
            yield begin, end, mask
            begin, end, mask = start, stop, other
        elif stop > end:
            # A name stands for one value alone.
            mask = other if start == begin else MASK
            end = stop
    yield begin, end, mask


def _add(form: str) -> None:
    # A short value and an ordinary word also occur inside of other words by chance.
    _forms[form] = _Form(MASK, len(form) < _LONG or _WORD.fullmatch(form) is not None)


def _parts_of(value: str) -> set[str]:
    """What stands between two delimiters of URLs: readers of a URL that is not encoded differ in where they cut."""
    cuts = [*islice(_DELIMITERS.finditer(value[:_LONGEST_CUT]), _MOST_CUTS)]
    begins, ends = [0, *(cut.end() for cut in cuts)], [*(cut.start() for cut in cuts), len(value)]
    return {value[begin:end] for begin in begins for end in ends if begin < end}


def _forms_of(value: str) -> set[str]:
    """How a value may stand in a text."""
    encoded = {quote(value, safe=""), quote(value), quote(value, safe="/@:"), quote_plus(value)}
    lower = {re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), each) for each in encoded}
    quoted = {repr(value)[1:-1], repr(f"{value}'\"")[1:-4], ascii(value)[1:-1]}
    quoted |= {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    quoted |= {value.replace("'", "''"), value.replace("\\", "\\\\").replace("'", "\\'"), html.escape(value)}
    quoted |= {html.escape(value).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")}
    plain = {value, value.lower(), " ".join(value.split())}
    in_base64 = {base64.b64encode(value.encode("utf-8", "surrogateescape")).decode().rstrip("=")}
    return {form for form in encoded | lower | quoted | plain | in_base64 if len(form) >= SHORTEST}
