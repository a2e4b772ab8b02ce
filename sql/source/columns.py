"""Converts the columns of a source to ids, times and numbers; an error names the values that do not convert."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from sql.engine.storable import LONGEST_CATEGORY, LONGEST_ID, storable_texts
from sql.errors import SourceError, counted_rows

_OFFSET = r"\d:\d\d.*?(Z|[+-]\d\d(:?\d\d)?)$"
# Text that Arrow reads as a number.
_NUMBER = r"(?i)^([+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|inf(inity)?|nan))$"
# Years that the calendar of a night has, as in 64 bits of nanoseconds. Databases hold others, and infinite times.
_FIRST_YEAR, _LAST_YEAR = 1678, 2261
_FIRST, _END = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (_FIRST_YEAR, _LAST_YEAR + 1))
_LATE = datetime(_LAST_YEAR + 1, 1, 1, tzinfo=UTC)
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
# Text of times that Arrow does not read, before and after all years that it does.
_EARLY_TEXT = r"(?i)^(-inf(inity)?|-\d+-\d.*|0000-\d.*|.*\d ?BC)$"
_LATE_TEXT = r"(?i)^\+?(inf(inity)?|\d{5,}-\d.*)$"
_EXAMPLES = 5


def series_ids(parts: list[pa.ChunkedArray], names: list[str], where: str) -> pa.ChunkedArray:
    r"""One id per row: the parts joined by "/". In a part, "/" and "\" get a "\" before them, and so does a part "*".

    In the ids of aggregates, "*" stands for a column that is summed over (`models/hierarchy/hierarchy.py`). What not
    every database can hold is changed, see `storable`; each part has an equal share of the longest id, so that it is
    the same in all ids.

    Args:
        parts: String columns. A single one becomes the id unchanged, unless it is "*".
        names: Their names, for an error.
        where: The table or query, for an error.

    Returns:
        dictionary<int32, string>.

    Raises:
        SourceError: where an id is missing.
    """
    for part, name in zip(parts, names, strict=True):
        if part.null_count:
            raise SourceError(
                f"{part.null_count} of {len(part)} rows of {where} have no {name!r}, so they belong to no series. "
                "Fill it in, or exclude these rows with a query."
            )
    if len(parts) > 1:
        share = (LONGEST_ID - len(parts) + 1) // len(parts)
        escaped = [pc.replace_substring(pc.replace_substring(part, "\\", "\\\\"), "/", "\\/") for part in parts]
        starred = [pc.if_else(pc.equal(part, "*"), "\\*", part) for part in escaped]
        parts = [pc.binary_join_element_wise(*(words(part, share) for part in starred), "/")]
    ids = encoded(parts[0], LONGEST_ID)
    return ids if len(names) > 1 else _with_star_escaped(ids)


def _with_star_escaped(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    r"""Ids of one column, with one more "\" before "*", "\*", "\\*" and so on, so that no id is "*"."""
    names = _dictionary(ids)
    escaped = pc.replace_substring_regex(names, r"\A(\\*\*)\z", r"\\\1")
    if escaped.equals(names):
        return ids
    chunks = [pa.DictionaryArray.from_arrays(chunk.indices, escaped) for chunk in ids.chunks]
    return pa.chunked_array(chunks, ids.type)


def encoded(column: pa.ChunkedArray, longest: int | None = None) -> pa.ChunkedArray:
    """Strings as dictionary<int32, string>, with one dictionary for all chunks, each text as `storable` gives it.

    SQLite does not check that text is UTF-8, so a column may hold bytes that are not text.
    """
    texts = column.cast(pa.string()).dictionary_encode().unify_dictionaries()
    found = _dictionary(texts)
    kept = storable_texts(found, longest)
    if kept is found:
        return texts
    changed = pa.chunked_array([kept.take(chunk.indices) for chunk in texts.chunks])
    return changed.dictionary_encode().unify_dictionaries()


def words(column: pa.ChunkedArray, longest: int = LONGEST_CATEGORY) -> pa.ChunkedArray:
    """Strings, each as `storable` gives it."""
    return encoded(column, longest).cast(pa.string())


def numbers(column: pa.ChunkedArray, name: str, where: str) -> pa.ChunkedArray:
    """The column as float64, null where nothing was observed. Text that is a number counts as that number.

    Raises:
        SourceError: where the column holds anything else; names a few such values.
    """
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_decimal(column.type):
        return column.cast(pa.float64(), safe=False)
    if pa.types.is_boolean(column.type) or pa.types.is_null(column.type):
        return column.cast(pa.float64())
    if not pa.types.is_string(column.type):
        raise SourceError(f"The column {name!r} of {where} holds {column.type}, not numbers. Convert it in a query.")
    texts = encoded(column)
    values = pc.utf8_trim_whitespace(_dictionary(texts))
    try:
        parsed = values.cast(pa.float64())
    except pa.ArrowInvalid:
        raise SourceError(
            f"The column {name!r} of {where} should hold numbers, but holds text: {_offending(texts, pa.float64())}. "
            "Correct these rows. Use NULL for a value that was not observed."
        ) from None
    return _taken(parsed, texts)


def numbers_and_texts(column: pa.ChunkedArray, name: str, where: str) -> tuple[pa.ChunkedArray, pa.ChunkedArray | None]:
    """As `numbers`, but null where the column holds text that is not a number.

    Returns:
        float64; and the texts that are not a number, null elsewhere, or None where every text is a number.

    Raises:
        SourceError: where the column holds neither numbers nor text.
    """
    if not pa.types.is_string(column.type):
        return numbers(column, name, where), None
    texts = encoded(column)
    values = pc.utf8_trim_whitespace(_dictionary(texts))
    is_number = pc.match_substring_regex(values, _NUMBER)
    parsed = _taken(pc.if_else(is_number, values, None).cast(pa.float64()), texts)
    if pc.all(is_number).as_py() in (True, None):
        return parsed, None
    return parsed, _taken(pc.if_else(is_number, None, _dictionary(texts)), texts)


def instants(column: pa.ChunkedArray, name: str, where: str) -> pa.ChunkedArray:
    """The column as timestamp[us, UTC] where its times have a zone, else as timestamp[us]; a day is its midnight.

    Times outside the years 1678 to 2261, and infinite ones, are null.

    Raises:
        SourceError: where the column holds anything but times in ISO 8601, or mixes times with and without an offset.
    """
    return _instants_and_late(column, name, where)[0]


def _instants_and_late(
    column: pa.ChunkedArray, name: str, where: str
) -> tuple[pa.ChunkedArray, pa.ChunkedArray | pa.Array]:
    """As `instants`; and which times are after the last year."""
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        early, late = _beyond(column)
        outside = pc.or_(early, late)
        inside = pc.if_else(outside, None, column) if pc.any(outside).as_py() else column
        return inside.cast(pa.timestamp("us", "UTC" if getattr(column.type, "tz", None) else None), safe=False), late
    if not pa.types.is_string(column.type):
        raise SourceError(
            f"The column {name!r} of {where} holds {column.type}, not times. Convert it in a query, "
            "such as to_timestamp(...) or datetime(..., 'unixepoch')."
        )
    texts = encoded(column)
    values = pc.utf8_trim_whitespace(_dictionary(texts))
    early, late = (pc.match_substring_regex(values, pattern) for pattern in (_EARLY_TEXT, _LATE_TEXT))
    values = pc.if_else(pc.or_(early, pc.and_not(late, early)), None, values)
    with_offset = pc.match_substring_regex(values, _OFFSET)
    share = pc.sum(with_offset).as_py() or 0
    target = pa.timestamp("us", "UTC" if share else None)
    if 0 < share < len(values) - values.null_count:
        examples = [pc.filter(values, mask)[0].as_py()[:40] for mask in (with_offset, pc.invert(with_offset))]
        raise SourceError(
            f"The column {name!r} of {where} holds times both with and without an offset from UTC: {examples}. "
            "Write all of them the same way."
        )
    try:
        parsed = values.cast(target)
    except pa.ArrowInvalid:
        raise SourceError(
            f"The column {name!r} of {where} holds text that is not a time: {_offending(texts, target)}. "
            "Write times as 2024-01-31 or 2024-01-31 18:00:00, with an offset (+00:00) where they are not local. "
            "Convert numbers in a query, such as to_timestamp(...) or datetime(..., 'unixepoch')."
        ) from None
    too_early, too_late = (pc.fill_null(mask, False) for mask in _beyond(parsed))
    inside = pc.if_else(pc.or_(too_early, too_late), None, parsed)
    return _taken(inside, texts), _taken(pc.or_(too_late, pc.and_not(late, early)), texts)


def _beyond(times: pa.ChunkedArray | pa.Array) -> tuple[pa.ChunkedArray | pa.Array, pa.ChunkedArray | pa.Array]:
    """Which times or days are before the first year of the calendar, and which are after the last one."""
    if pa.types.is_date32(times.type):
        count, first, end = times.cast(pa.int32()), _FIRST // 86_400, _END // 86_400
    else:
        per_second = _PER_SECOND["ms" if pa.types.is_date64(times.type) else times.type.unit]
        count, first, end = times.cast(pa.int64()), _FIRST * per_second, _END * per_second
    return pc.less(count, first), pc.greater_equal(count, end)


def timestamps(column: pa.ChunkedArray, name: str, where: str) -> pa.ChunkedArray:
    """The times of the values, as `instants` gives them.

    Raises:
        SourceError: as `instants`, and where a time is missing.
    """
    if column.null_count:
        raise SourceError(
            f"{column.null_count} of {len(column)} rows of {where} have no {name!r}. "
            "Fill it in, or exclude these rows with a query."
        )
    return instants(column, name, where)


def recorded(column: pa.ChunkedArray, name: str, where: str, zone: ZoneInfo) -> pa.ChunkedArray:
    """The times at which rows became known, timestamp[us, UTC]; null where the source has none.

    Args:
        column: The column of the source.
        name: Its name, for an error.
        where: The table or query, for an error.
        zone: Zone of times without one. A local hour that comes twice counts as the later one, so that no row counts
            as known too early.

    Raises:
        SourceError: as `instants`.
    """
    if pa.types.is_null(column.type):
        return column.cast(pa.timestamp("us", "UTC"))
    times, late = _instants_and_late(column, name, where)
    if not times.type.tz:
        times = pc.assume_timezone(times, zone.key, ambiguous="latest", nonexistent="latest")
    times = times.cast(pa.timestamp("us", "UTC"))
    # Null would count as known from the start.
    return pc.if_else(late, pa.scalar(_LATE, times.type), times) if pc.any(late).as_py() else times


def _dictionary(texts: pa.ChunkedArray) -> pa.Array:
    return texts.chunk(0).dictionary if texts.num_chunks else pa.array([], pa.string())


def _taken(parsed: pa.Array, texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([parsed.take(chunk.indices) for chunk in texts.chunks], parsed.type)


def _offending(texts: pa.ChunkedArray, target: pa.DataType) -> str:
    """A few of the values that do not convert, each with its number of rows."""
    examples = []
    for text in _dictionary(texts):
        try:
            pc.utf8_trim_whitespace(text).cast(target)
        except pa.ArrowInvalid:
            rows = pc.sum(pc.equal(texts.cast(pa.string()), text)).as_py()
            examples.append(f"{text.as_py()[:40]!r} ({counted_rows(rows)})")
        if len(examples) == _EXAMPLES:
            break
    return ", ".join(examples)
