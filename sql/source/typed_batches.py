"""Converts the batches of a source to batches of ids, times and numbers, without holding all rows in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from sql.engine.bulk import TextAmongNumbers
from sql.errors import SourceError
from sql.source import columns
from sql.source.as_of import recorded_by
from sql.source.reader import Bounds, Reader, Wanted, moment_for, wanted_columns
from sql.source.settings import Source


class Typing(NamedTuple):
    """How to make a column: from which columns of the source, and by which function."""

    inputs: Sequence[Wanted]
    make: Callable[[list[pa.ChunkedArray]], pa.ChunkedArray]


class Misfit(Exception):
    """A batch holds values of the wrong kind in `column`."""

    def __init__(self, column: str) -> None:
        super().__init__(column)
        self.column = column


class Dictionary:
    """The ids so far and their codes. It only grows, so a code keeps its meaning from batch to batch."""

    def __init__(self) -> None:
        self.texts = pa.array([], pa.string())

    def encode(self, ids: pa.DictionaryArray) -> pa.DictionaryArray:
        """The same ids under the codes of this dictionary: dictionary<int32, string>."""
        codes = pc.index_in(ids.dictionary, value_set=self.texts)
        if codes.null_count:
            self.texts = pa.concat_arrays([self.texts, ids.dictionary.filter(codes.is_null())])
            codes = pc.index_in(ids.dictionary, value_set=self.texts)
        return pa.DictionaryArray.from_arrays(codes.take(ids.indices), self.texts)


def typed_batches(
    reader: Reader, source: Source, bounds: Bounds, names: Collection[str] | None = None, value_text: bool = False
) -> Iterator[pa.RecordBatch]:
    """The rows within the bounds, in the columns and types of `read.read_observations`; no batch is empty.

    Args:
        reader: The opened source.
        source: The meaning of its columns.
        bounds: The rows to read.
        names: Only these columns, `timestamp` among them; None for all.
        value_text: Whether to add the column of texts that stand where a number should.

    Raises:
        SourceError: where a column holds values of the wrong kind; the message counts them over all rows.
        TextAmongNumbers: where the value column holds text that is not a number, and `value_text` is false.
    """
    typings = _typings(reader, source, bounds, value_text)
    typings = {name: typing for name, typing in typings.items() if names is None or name in names}
    try:
        yield from _typed(reader, typings, bounds)
    except Misfit as misfit:
        # One batch shows the error; converting the whole column gives the same error with counts over all rows.
        inputs, make = typings[misfit.column]
        make(_whole(reader, inputs))
        raise SourceError(f"The rows of {reader.where} changed while they were read. Run the night again.") from misfit


def _typed(reader: Reader, typings: Mapping[str, Typing], bounds: Bounds) -> Iterator[pa.RecordBatch]:
    wanted = list(dict.fromkeys(each for typing in typings.values() for each in typing.inputs))
    dictionary, kind = Dictionary(), None
    with closing(reader.batches(wanted)) as batches:  # type: ignore[type-var]
        for batch in batches:
            if not batch.num_rows:
                continue
            times = {name: _convert(name, typings, batch) for name in ("timestamp", "recorded_at") if name in typings}
            kind = kind or times["timestamp"].type
            if times["timestamp"].type != kind:
                raise Misfit("timestamp")
            inside = _inside(times, bounds)
            within = batch.filter(inside)
            if not within.num_rows:
                continue
            found = {name: _convert(name, typings, within) for name in typings if name not in times}
            found |= {name: column.filter(inside) for name, column in times.items()}
            if "series_id" in found:
                found["series_id"] = dictionary.encode(found["series_id"])
            yield pa.record_batch([found[name] for name in typings], list(typings))


def _typings(reader: Reader, source: Source, bounds: Bounds, value_text: bool) -> dict[str, Typing]:
    wanted, where = {column.output: column for column in wanted_columns(source)}, reader.where

    def ids(inputs: list[pa.ChunkedArray]) -> pa.ChunkedArray:
        return columns.series_ids(inputs, source.series_id, where)

    def timestamp(inputs: list[pa.ChunkedArray]) -> pa.ChunkedArray:
        return columns.timestamps(inputs[0], source.timestamp, where)

    def recorded(inputs: list[pa.ChunkedArray]) -> pa.ChunkedArray:
        return columns.recorded(inputs[0], str(source.recorded_at), where, bounds.zone)

    def number(name: str) -> Typing:
        return Typing([wanted[name]], lambda inputs: columns.numbers(inputs[0], name, where))

    def value(inputs: list[pa.ChunkedArray]) -> pa.ChunkedArray:
        found, texts = columns.numbers_and_texts(inputs[0], source.value, where)
        if texts is not None and not value_text:
            raise TextAmongNumbers
        return found

    def not_a_number(inputs: list[pa.ChunkedArray]) -> pa.ChunkedArray:
        _, texts = columns.numbers_and_texts(inputs[0], source.value, where)
        return pa.chunked_array([pa.nulls(len(inputs[0]), pa.string())]) if texts is None else texts

    def text(name: str) -> Typing:
        return Typing([wanted[name]], lambda inputs: columns.words(inputs[0]))

    return {
        "series_id": Typing([wanted[f"series_id {i}"] for i in range(len(source.series_id))], ids),
        "timestamp": Typing([wanted["timestamp"]], timestamp),
        "value": Typing([wanted["value"]], value),
        **({"value_text": Typing([wanted["value"]], not_a_number)} if value_text else {}),
        **{name: text(name) for name in source.static},
        **{name: number(name) for name in source.numbers},
        **({"recorded_at": Typing([wanted["recorded_at"]], recorded)} if source.recorded_at else {}),
    }


def _convert(name: str, typings: Mapping[str, Typing], batch: pa.RecordBatch) -> pa.Array:
    inputs, make = typings[name]
    try:
        converted = make([pa.chunked_array([batch[each.output]]) for each in inputs])
    except SourceError as error:
        raise Misfit(name) from error
    return converted.combine_chunks() if converted.num_chunks != 1 else converted.chunk(0)


def _inside(times: Mapping[str, pa.Array], bounds: Bounds) -> pa.Array:
    """Which rows of a batch are within the bounds, which the database may not have applied."""
    moments = times["timestamp"]
    inside = pa.repeat(pa.scalar(True), len(moments))
    for compare, bound in ((pc.greater_equal, bounds.since), (pc.less_equal, bounds.until)):
        if bound is not None:
            limit = pa.scalar(moment_for(moments.type, bound, bounds.zone), moments.type)
            inside = pc.and_(inside, compare(moments, limit))
    if bounds.known_at is not None and "recorded_at" in times:
        inside = pc.and_(inside, recorded_by(times["recorded_at"], bounds.known_at))
    return inside


def _whole(reader: Reader, inputs: Sequence[Wanted]) -> list[pa.ChunkedArray]:
    """All rows of some columns; as text where the type differs between batches."""
    with closing(reader.batches(inputs)) as batches:  # type: ignore[type-var]
        found = [batch for batch in batches if batch.num_rows]
    whole = []
    for position in range(len(inputs)):
        arrays = [batch[position] for batch in found]
        kinds = {array.type for array in arrays if not pa.types.is_null(array.type)}
        kind = kinds.pop() if len(kinds) == 1 else pa.string()
        whole.append(pa.chunked_array([array.cast(kind) for array in arrays], kind))
    return whole
