"""The secrets of this process, and the one function that takes them out of a text.

A secret is found by its value, in whatever form a driver, a server or Python writes it: as it is, percent-encoded,
within quotes of SQL, JSON or HTML, in base64. Whoever reads a place where a secret may stand calls `remember`, and
whoever prints, stores or sends a text calls `hide`.

A short secret and one that is a word of this product would make messages unreadable. They are hidden only where they
stand as in a URL, or after `password=` and the like.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from itertools import islice, takewhile
from typing import Literal, NamedTuple
from urllib.parse import quote, quote_plus, unquote

from sql.secrets.words import WORDS

MASK = "***"
SHORTEST = 6
"""Number of characters from which on a secret, or a part of one, is taken out wherever it stands."""

SHORTEST_CUT = 8
"""The same for the beginning of a secret within a text."""

_MOST_CUTS, _LONGEST_CUT = 10, 1_000
_WORD = re.compile(r"[A-Za-z]?[a-z]+")
_DELIMITERS = re.compile(r"[\s/@:?#&=%'\"\\;,<>|]+")
_AFTER_CUT = re.compile(r"(?P<dots>…|\.{2,3})?['\"]?[)\].,;]?\s*")
# What stands before the value of an option, such as `password='` or `"token": "`.
_NAMED = re.compile(
    r"""(?:pass|passwd|password|pwd|secret|token|key|sig|signature|sas)(?:['"]?\s{0,3}=\s{0,3}['"{]?|['"]:\s?['"])""",
    re.IGNORECASE,
)
_LONGEST_NAMED = 20
_MASKS = re.compile(rf"{re.escape(MASK)}(?:{re.escape(MASK)})+")


class _Form(NamedTuple):
    """How one form of a secret is taken out: anywhere, as a whole word or path, or only where a password stands."""

    mask: str
    where: Literal["anywhere", "word", "path", "place"]


_forms: dict[str, _Form] = {}
_whole: set[str] = set()


def remember(secret: str, visible: tuple[str, ...] = ()) -> None:
    """Take the secret of a URL out of all texts from now on: all of it, and each of its longer parts.

    Args:
        secret: The value, as it is or percent-encoded.
        visible: What stands beside it for everybody to see, such as the user of a URL. A secret that equals it is none.
    """
    for value in _values(secret):
        if _remember_value(value, visible):
            for part in _parts_of(value) - {value, *visible}:
                if len(part) >= SHORTEST and part.lower() not in WORDS:
                    _add(part)
                    # A name of a host is compared in small letters.
                    _add(part.lower())


def remember_whole(secret: str) -> None:
    """The same for a value that is no part of a URL, such as that of a variable: no part of it stands anywhere else."""
    for value in _values(secret):
        _remember_value(value)


def remember_as(path: str, name: str) -> None:
    """Write a name, such as `${NAME}`, wherever a path would stand that came from the environment."""
    if len(path) >= SHORTEST and path not in _whole:
        for form in {path, repr(path)[1:-1], quote(path)}:
            _forms[form] = _Form(name, "path")


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
    for form, (mask, where) in _forms.items():
        can_be_cut = where == "anywhere" and len(form) > SHORTEST
        begin = text.find(form[:SHORTEST] if can_be_cut else form)
        while begin >= 0:
            same = (one == other for one, other in zip(form, text[begin : begin + len(form)], strict=False))
            end = begin + sum(takewhile(bool, same))
            is_hit = _is_hit(text, begin, end, form)
            if is_hit:
                yield begin, end, mask
            begin = text.find(form[:SHORTEST] if can_be_cut else form, end if is_hit else begin + 1)


def _is_hit(text: str, begin: int, end: int, form: str) -> bool:
    """Whether what a text has of a form is the form itself, or its beginning and was cut off."""
    if end - begin == len(form):
        return _stands_there(text, begin, end, _forms[form].where)
    after = _AFTER_CUT.fullmatch(text, end)
    # A word counts only where dots say that something was cut off.
    is_word = _WORD.fullmatch(text, begin, end) is not None
    return end - begin >= (SHORTEST if after else SHORTEST_CUT) and (not is_word or bool(after and after["dots"]))


def _stands_there(text: str, begin: int, end: int, where: str) -> bool:
    """Whether a form that a text holds stands where it counts."""
    before, after = text[max(begin - 2, 0) : begin], text[end : end + 2]
    if where == "place":
        start = max(begin - _LONGEST_NAMED, 0)
        is_password = before[-1:] == ":" and after[:1] == "@" and "//" in text[max(begin - 99, 0) : begin]
        named = any(found.end() == begin for found in _NAMED.finditer(text, start, begin))
        return is_password or (named and not after[:1].isalnum())
    if where == "path":
        # Not the beginning of another path, which would lead nowhere, nor the end of one.
        return re.match(r"[\w/-]|\.\w", after) is None and re.search(r"[\w.-]$|[^/]/$", before) is None
    if where == "word":
        around = before[-1:] + after[:1]
        if around.isascii() and any(map(str.isalnum, around)):
            return False
        # The digits of a larger number.
        return not (text[begin].isdigit() and (re.search(r"\d[.,]$", before) or re.match(r"[.,]\d", after)))
    return True


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


def _values(secret: str) -> set[str]:
    return {secret.strip("\r\n"), unquote(secret).strip("\r\n")} - {"", MASK}


def _remember_value(value: str, visible: tuple[str, ...] = ()) -> bool:
    """Remember a value in all its forms; gives whether it is new, and long and strange enough to be found anywhere."""
    if value in _whole or "${" in value:
        return False
    if len(value) < SHORTEST or value in visible or value.lower() in WORDS:
        for form in {value, quote(value, safe="")}:
            _forms.setdefault(form, _Form(MASK, "place"))
        return False
    _whole.add(value)
    for form in _forms_of(value):
        _add(form)
    return True


def _add(form: str) -> None:
    # An ordinary word and a number also occur inside of others by chance.
    is_word = form.isdigit() or _WORD.fullmatch(form) is not None
    _forms[form] = _Form(MASK, "word" if is_word else "anywhere")


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
    every = encoded | lower | quoted | plain | in_base64
    return {form for form in every if len(form) >= SHORTEST and form not in WORDS}
