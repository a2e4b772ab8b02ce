"""Read a YAML file that people hand in: bounded in size and depth, each key once, every error with its line."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor

from sql.secrets.places import remember_text

MOST_BYTES = 1 << 20
MOST_VALUES = 100_000
MOST_LEVELS = 50
# The same as PyYAML and libyaml accept.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_MOST_DIGITS, _MOST_SHOWN = 25, 60
_STANDARD = "tag:yaml.org,2002:"
_KINDS = {"int": "whole number", "float": "number", "bool": "yes or no", "timestamp": "time", "null": "empty value"}
_KINDS_OF_FILES = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
# libyaml, where PyYAML was built with it, is ten times as fast. It takes a few rare things more, such as a tab after a
# colon.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlError(ValueError):
    """A file cannot be read, or is not the YAML that it should be; the message says where, and what to do."""


def read_yaml(path: Path) -> Any:
    """What a YAML file holds: mappings, lists, text, numbers, dates, None.

    Raises:
        YamlError: it is no regular file, cannot be read, is too large or too deep, is not UTF-8 or not YAML, uses a
            key twice, or holds a value that YAML reads otherwise than people do, such as 010 or 12:30.
    """
    return parse_yaml(_text_of(path), str(path))


def parse_yaml(text: str, where: str, loader: Any = _LOADER) -> Any:
    """What YAML text holds.

    Args:
        text: The text.
        where: Name of its file, for messages.
        loader: The parser of PyYAML; libyaml's where there is one.

    Raises:
        YamlError: as `read_yaml`.

    >>> parse_yaml("horizon: 28", "job.yaml")
    {'horizon': 28}
    >>> parse_yaml("horizon: 12:30", "job.yaml")
    Traceback (most recent call last):
        ...
    tasks.yaml_file.YamlError: job.yaml, line 1, column 10: YAML reads '12:30' in base 60, as hours and minutes. \
Write the number in digits alone, or in quotes if it is text.
    """
    # A message on what is wrong may repeat a part of the text.
    remember_text(text)
    if unprintable := _UNPRINTABLE.search(text):
        before, character = _LINE_END.split(text[: unprintable.start()]), ord(unprintable[0])
        raise YamlError(
            f"{where}, line {len(before)}, column {len(before[-1]) + 1}: the character U+{character:04X} cannot stand "
            "in YAML. Remove it; if the file is UTF-16, save it as UTF-8."
        )
    try:
        _refuse_beyond_bounds(text, loader)
        node = yaml.compose(text, Loader=loader)
        if node is None:
            return None
        _refuse_repeated_keys(node)
        return _Constructor().construct_document(node)
    except _Refused as refused:
        raise YamlError(f"{where}, {_place(refused.mark)}: {refused.problem}") from None
    except yaml.YAMLError as error:
        # The words of the slower parser name what it found.
        told = (_syntax_error(text) or error) if loader is not yaml.SafeLoader else error
        mark = getattr(told, "problem_mark", None)
        problem = str(getattr(told, "problem", None) or told)[:200]
        raise YamlError(f"{where}, {_place(mark)}: not YAML: {problem}. Correct that line.") from None


@dataclass
class _Refused(Exception):
    """A problem of valid YAML, and where it stands."""

    problem: str
    mark: Any


def _place(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else "line 1, column 1"


def _syntax_error(text: str) -> yaml.YAMLError | None:
    try:
        for _ in yaml.parse(text, Loader=yaml.SafeLoader):
            pass
    except yaml.YAMLError as error:
        return error
    return None


def _text_of(path: Path) -> str:
    """The text of a regular file in UTF-8."""
    remedy = "Give the path of a YAML file."
    try:
        if (kind := kind_of(path)) != "a file":
            raise YamlError(f"{path} is {kind}, not a file. {remedy}")
        # Should something else have taken its place meanwhile, opening it must not wait.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            content = b"" if size > MOST_BYTES else file.read(MOST_BYTES + 1)
    except OSError as error:
        raise YamlError(f"{path} cannot be read: {error.strerror or error}. {remedy}") from None
    if (size := max(size, len(content))) > MOST_BYTES:
        raise YamlError(f"{path} has {size:,} bytes; the largest YAML file that is read has {MOST_BYTES:,}. {remedy}")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise YamlError(f"{path} is text in UTF-16. Save it as UTF-8.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise YamlError(
            f"{path}, line {line}: the byte 0x{content[error.start]:02x} is not UTF-8. Save the file as UTF-8."
        ) from None


def kind_of(path: Path) -> str:
    """What stands at a path, in words: a file, a folder, a device.

    Raises:
        OSError, ValueError: nothing stands there, or it may not be looked at, or no path can have that name.
    """
    return _KINDS_OF_FILES.get(stat.S_IFMT(path.stat().st_mode), "no file")


@dataclass
class _Open:
    """A list or mapping whose end has not come yet: its anchor, and how many values and levels are in it so far."""

    anchor: str | None
    values: int = 1
    levels: int = 1


def _refuse_beyond_bounds(text: str, loader: Any) -> None:
    """Raise where values nest too deeply, or are too many once each alias is replaced by what it stands for."""
    around, known = [_Open(None)], dict[str, _Open]()
    documents = 0
    for event in yaml.parse(text, Loader=loader):
        mark = event.start_mark
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _Refused("a second document begins. Keep one, without the line ---.", mark)
        elif isinstance(event, yaml.CollectionStartEvent):
            _refuse_repeated_anchor(event.anchor, around, known, mark)
            around.append(_Open(event.anchor))
        elif isinstance(event, yaml.CollectionEndEvent):
            _count(around.pop(), around, known, mark)
        elif isinstance(event, yaml.ScalarEvent):
            _refuse_repeated_anchor(event.anchor, around, known, mark)
            _count(_Open(event.anchor), around, known, mark)
        elif isinstance(event, yaml.AliasEvent):
            shown = f"*{str(event.anchor)[:_MOST_SHOWN]}"
            if any(each.anchor == event.anchor for each in around):
                raise _Refused(f"the alias {shown} stands inside the value that it repeats. Remove it.", mark)
            if event.anchor not in known:
                raise _Refused(f"no value before has the anchor of the alias {shown}. Write the value.", mark)
            of = known[event.anchor]
            if len(around) - 1 + of.levels > MOST_LEVELS:
                raise _Refused(f"an alias nests values more than {MOST_LEVELS} levels deep. Write the value.", mark)
            _count(_Open(None, of.values, of.levels), around, known, mark)
        if len(around) > MOST_LEVELS + 1:
            raise _Refused(f"values nest more than {MOST_LEVELS} levels deep. Remove brackets.", mark)


def _refuse_repeated_anchor(anchor: str | None, around: list[_Open], known: dict[str, _Open], mark: Any) -> None:
    if anchor is not None and (anchor in known or any(each.anchor == anchor for each in around)):
        raise _Refused(f"the anchor &{anchor[:_MOST_SHOWN]} stands before already. Give it another name.", mark)


def _count(value: _Open, around: list[_Open], known: dict[str, _Open], mark: Any) -> None:
    """Count a value that has ended as part of the one around it."""
    if value.anchor is not None:
        known[value.anchor] = value
    outer = around[-1]
    outer.values += value.values
    outer.levels = max(outer.levels, value.levels + 1)
    if outer.values > MOST_VALUES:
        raise _Refused(f"there are more than {MOST_VALUES:,} values, counting what aliases repeat. Remove some.", mark)


def _refuse_repeated_keys(root: yaml.Node) -> None:
    """Raise where a mapping has a key twice, of which one would win in silence."""
    for node in _nodes(root):
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            # `<<` takes over the keys of another mapping, and may stand there for several.
            if isinstance(key, yaml.ScalarNode) and key.tag != f"{_STANDARD}merge":
                name, line = (key.tag, key.value), key.start_mark.line + 1
                if name in lines:
                    shown = _shown(key.value)
                    problem = f"the key {shown} stands in line {lines[name]} and again in line {line}; keep one"
                    raise _Refused(f"not YAML: {problem}. Correct that line.", key.start_mark)
                lines[name] = line


def _nodes(root: yaml.Node) -> Iterator[yaml.Node]:
    """Every node once, in the order of the text."""
    seen, ahead = set[int](), [root]
    while ahead:
        node = ahead.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            if isinstance(node, yaml.MappingNode):
                ahead += [each for pair in reversed(node.value) for each in reversed(pair)]
            elif isinstance(node, yaml.SequenceNode):
                ahead += reversed(node.value)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…")


class _Constructor(SafeConstructor):
    """Makes Python's values of YAML's nodes, and refuses what cannot be one or looks like another one."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        kind = node.tag.removeprefix(_STANDARD)
        if isinstance(node, yaml.ScalarNode):
            if hidden := _UNPRINTABLE.search(node.value):
                raise _Refused(f"the text holds the character U+{ord(hidden[0]):04X}. Remove it.", node.start_mark)
            if kind in ("value", "merge"):  # a lone = or <<
                return node.value
            if kind == "int" and len(node.value) > _MOST_DIGITS:
                raise _Refused(f"{_shown(node.value)} is a number of {len(node.value):,} digits.", node.start_mark)
            if kind in ("int", "float") and ":" in node.value:
                problem = f"YAML reads {_shown(node.value)} in base 60, as hours and minutes."
                raise _Refused(
                    f"{problem} Write the number in digits alone, or in quotes if it is text.", node.start_mark
                )
            if kind == "int" and re.fullmatch(r"[-+]?0[0-7_]+", node.value):
                problem = f"YAML reads {_shown(node.value)} in base 8, because it begins with 0."
                raise _Refused(f"{problem} Write it without the 0, or in quotes if it is text.", node.start_mark)
        if kind not in {*_KINDS, "str", "seq", "map"}:
            tag = f"!!{kind}" if node.tag.startswith(_STANDARD) else node.tag
            raise _Refused(f"the tag {tag[:_MOST_SHOWN]} has no meaning here. Remove it.", node.start_mark)
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError, KeyError, AttributeError, TypeError, IndexError):
            found = _shown(node.value) if isinstance(node, yaml.ScalarNode) else "a list or mapping"
            told = f"{found} is no {_KINDS.get(kind, kind)}"
            raise _Refused(f"{told}. Correct it, or write it in quotes if it is text.", node.start_mark) from None
