r"""Texts of others, such as ids, answers of servers and contents of files, with every character visible.

A terminal obeys control characters: it would move its cursor, change its title, or hide what was printed before. Marks
of direction let a text look like another one. Such characters are written as Python writes them, such as `\x1b` and
`\u202e`. All scripts and emoji stay as they are.
"""

from __future__ import annotations

import re
import unicodedata

# Visible marks before Arabic and Syriac numbers have the category of the invisible ones.
_VISIBLE_MARKS = re.compile("[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd]")
# These have a category of letters, marks or symbols, and show nothing.
_INVISIBLE = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_JOINERS = "\u200c\u200d"
# The flags of England, Scotland and Wales: a black flag, a region in invisible letters, and their end.
_REGIONAL_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f")
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_PLAIN = re.compile(r"[ -~\n]*")


def visible(text: str) -> str:
    r"""A text of one or more lines; line breaks stay.

    >>> print(visible("a\x1b[31m\u202eb\nמלון 咖啡 👩\u200d🚀"))
    a\x1b[31m\u202eb
    מלון 咖啡 👩‍🚀
    """
    if _PLAIN.fullmatch(text):
        return text
    kept = {place for flag in _REGIONAL_FLAG.finditer(text) for place in range(*flag.span())}
    return "".join(
        letter if letter == "\n" or place in kept or _is_visible(text, place) else _escape(letter)
        for place, letter in enumerate(text)
    )


def visible_line(text: str) -> str:
    r"""The same as one line: line breaks are written too, so that no text begins a line of its own.

    >>> visible_line("a\nb")
    'a\\nb'
    """
    return visible(text).replace("\n", r"\n")


def indented(text: str) -> str:
    """A message whose further lines are indented, so that none of them looks like a message of its own."""
    first, *others = text.split("\n")
    return "\n".join([first, *(line if line.startswith(" ") or not line else f"  {line}" for line in others)])


def _is_visible(text: str, place: int) -> bool:
    letter = text[place]
    if " " <= letter <= "~":
        return True
    if letter in _JOINERS:
        return _joins(text, place)
    if _SELECTORS.fullmatch(letter):
        # One of them chooses how the letter before looks. A row of them is a hidden message.
        return place > 0 and not _SELECTORS.fullmatch(text[place - 1]) and not text[place - 1].isspace()
    if letter in _INVISIBLE:
        return False
    category = unicodedata.category(letter)
    return category not in ("Cc", "Cf", "Cs", "Zl", "Zp") or _VISIBLE_MARKS.fullmatch(letter) is not None


def _joins(text: str, place: int) -> bool:
    """Whether a joiner stands between emoji, or within a word of a script that needs it, such as Persian or Hindi."""
    before, after = text[max(place - 1, 0) : place], text[place + 1 : place + 2]
    if not before or not after:
        return False
    if text[place] == "\u200d" and unicodedata.category(after) == "So":
        return unicodedata.category(before) in ("So", "Sk") or before == "\ufe0f"
    return all(each >= "\u0590" and unicodedata.category(each)[0] in "LM" for each in (before, after)) and not (
        before in _INVISIBLE or _SELECTORS.fullmatch(before)
    )


def _escape(letter: str) -> str:
    number = ord(letter)
    if letter in _NAMED:
        return _NAMED[letter]
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
