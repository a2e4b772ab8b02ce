"""Reads rows of Parquet files: a folder of tables, each of them one file or a folder of parts."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import sqlalchemy as sa

from sql.engine.connection import describe, storage_error
from sql.errors import SourceError, StorageError
from sql.source.reader import BATCH_ROWS, Bounds, Reader, Wanted, moment_for, wanted_columns
from sql.source.resolve import check_names, describe_relation, no_table
from sql.source.settings import Source


@contextmanager
def open_parquet(source: Source, url: sa.URL, bounds: Bounds) -> Iterator[Reader]:
    """Open the table `NAME`: the file `NAME.parquet` in the folder of the URL, or the folder `NAME` with all its parts.

    Parts may be in Hive partitions (`region=north/part-0.parquet`), whose keys become columns of text. Parts may differ
    in their columns, see `parts_of`. Arrow skips parts outside the bounds where their statistics show it.

    Raises:
        SourceError: where the folder, the table or a column is missing, the parts hold a column in types without a
            common one, or the job asks for a query.
        StorageError: where a file cannot be read; NotPermitted where the operating system does not let it be.
    """
    where = f"{describe_relation(source)} in {describe(url)}"
    if source.table is None:
        raise SourceError(
            f"{describe(url)} holds Parquet files, which cannot answer a query. Name one of them in source.table, or "
            "query them with DuckDB: create a view of the files in a DuckDB file, and read that."
        )
    try:
        place = place_of(Path(str(url.database)), source.table, where)
        rows, uniform = parts_of(place, where, {each.name for each in wanted_columns(source)})
        check_names(source, rows.schema.names, where)
        # Arrow cannot compare a bound with the statistics of parts in several types.
        condition = _condition(rows.schema, source, bounds) if source.timestamp in uniform else None

        def batches(wanted: Sequence[Wanted]) -> Iterator[pa.RecordBatch]:
            columns = {each.output: pc.field(each.name) for each in wanted}
            scanner = rows.scanner(columns=columns, filter=condition, batch_size=BATCH_ROWS, **_SHORT_READAHEAD)
            for batch in scanner.to_reader():
                plain = [_plain(batch[i], each, where) for i, each in enumerate(wanted)]
                yield pa.record_batch(plain, [each.output for each in wanted])

        yield Reader(where, batches)
    except PermissionError as error:
        raise storage_error(url, f"read {describe_relation(source)} from", error) from error
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split()).rstrip(". ")
        raise StorageError(f"Could not read {where}: {reason}. Write the file again, or remove it.") from error


_FOOTERS_AT_ONCE = 8


class Parts(NamedTuple):
    """The parts of a table as one dataset, and the columns that have the same type in all parts that have them."""

    rows: pyarrow.dataset.Dataset
    uniform: set[str]


def parts_of(place: Path, where: str, names: Collection[str] | None = None) -> Parts:
    """All parts of a table as one dataset: each column of any part, in the common type of the parts that have it.

    Where a part lacks a column, it is null. Whole numbers beside decimals become decimals, booleans beside numbers 0
    and 1, days beside local times become times, and times of several zones become UTC. A key of a Hive partition is
    text, to the letter: `store=007` stays `007`.

    Args:
        place: A file, or a folder of parts.
        where: The table, for an error.
        names: Columns that need a common type; None for all.

    Raises:
        SourceError: where such a column has no common type, with the types and a file of each; or where a file names
            a column twice.
        OSError, pa.ArrowException: where a file cannot be read.
    """
    place = Path(os.path.abspath(place))
    parts = pyarrow.dataset.dataset(place, format="parquet")
    found: dict[str, dict[pa.DataType, str]] = {}
    given: dict[str, set[pa.DataType]] = {}
    keys: dict[str, pa.DataType] = {}
    for part, schema in footers(list(parts.get_fragments())):
        inside = Path(part.path).relative_to(place) if place.is_dir() else Path(place.name)
        keys |= {folder.partition("=")[0]: pa.string() for folder in inside.parts[:-1] if "=" in folder}
        if len(set(schema.names)) < len(schema.names):
            raise SourceError(f"{inside} of {where} names a column twice: {schema.names}. Rename one.")
        for field in schema:
            found.setdefault(field.name, {}).setdefault(_simple(field.type), str(inside))
            given.setdefault(field.name, set()).add(field.type)
    # A key that the file repeats as a column is the key.
    kinds = {name: _common(list(each)) for name, each in found.items() if name not in keys}
    for name, common in kinds.items():
        if common is None and (names is None or name in names):
            listed = ", ".join(f"{kind} in {file}" for kind, file in list(found[name].items())[:5])
            raise SourceError(
                f"The files of {where} hold the column {name!r} in types without a common one: {listed}. "
                "Write it in one type in all files."
            )
    uniform = {name: next(iter(each)) for name, each in given.items() if len(each) == 1}
    fields = {name: uniform.get(name) or common or next(iter(found[name])) for name, common in kinds.items()} | keys
    hive = pyarrow.dataset.partitioning(pa.schema(keys), flavor="hive") if keys else None
    rows = pyarrow.dataset.dataset(place, pa.schema(fields), format="parquet", partitioning=hive)
    return Parts(rows, set(uniform) - set(keys))


def footers(parts: Sequence[pyarrow.dataset.Fragment]) -> Iterator[tuple[pyarrow.dataset.Fragment, pa.Schema]]:
    """Each part with the schema in its footer, in their order; several footers are read at once.

    Raises:
        OSError, pa.ArrowException: for the first part that cannot be read.
    """
    # On a network disk, nearly all of the time for a footer is spent waiting.
    with ThreadPoolExecutor(_FOOTERS_AT_ONCE, "nightcast-footers") as pool:
        yield from zip(parts, pool.map(lambda part: part.physical_schema, parts), strict=True)


def _simple(kind: pa.DataType) -> pa.DataType:
    """The type of the values: categories as their own, text in one type, and instants in UTC."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    return pa.timestamp(kind.unit, "UTC") if pa.types.is_timestamp(kind) and kind.tz else kind


def _common(kinds: Sequence[pa.DataType]) -> pa.DataType | None:
    """The type that holds the values of all types; None if there is none."""
    if any(pa.types.is_timestamp(kind) for kind in kinds):
        kinds = [pa.timestamp("us") if pa.types.is_date(kind) else kind for kind in kinds]
    if any(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds):
        kinds = [pa.int8() if pa.types.is_boolean(kind) else kind for kind in kinds]
    if len(kinds) > 1:
        # Arrow itself gives too few digits for whole numbers of 64 bits.
        kinds = [pa.decimal128(38, kind.scale) if pa.types.is_decimal128(kind) else kind for kind in kinds]
    try:
        return pa.unify_schemas([pa.schema({"": kind}) for kind in kinds], promote_options="permissive").field(0).type
    except pa.ArrowException:
        return None


# By default the scanner reads dozens of batches ahead.
_SHORT_READAHEAD = {"batch_readahead": 2, "fragment_readahead": 1}


def place_of(folder: Path, table: str, where: str) -> Path:
    """The file or the folder of parts that a table of Parquet files is.

    Raises:
        SourceError: where there is none; names the tables that are there.
    """
    if folder.is_file():
        raise SourceError(
            f"{folder} is a file, but a parquet:// URL names a folder of tables. "
            f"Write url: parquet:///{folder.parent} and table: {folder.stem}."
        )
    if not folder.is_dir():
        raise SourceError(
            f"There is no folder {folder}. Check the URL of the source: a relative path starts from the folder of the "
            "job file."
        )
    for place in (folder / f"{table}.parquet", folder / table):
        if place.exists():
            return place
    inside = sorted(folder.iterdir())
    raise no_table(table, [each.stem for each in inside if each.is_dir() or each.suffix == ".parquet"], where)


def _condition(schema: pa.Schema, source: Source, bounds: Bounds) -> pc.Expression | None:
    """The bounds as a filter, for a column of times. Otherwise whoever reads the batches applies them."""
    terms = []
    for name, compare, bound in (
        (source.timestamp, pc.Expression.__ge__, bounds.since),
        (source.timestamp, pc.Expression.__le__, bounds.until),
    ):
        kind = schema.field(name).type
        if bound is not None and pa.types.is_timestamp(kind):
            terms.append(
                compare(pc.field(name), pa.scalar(moment_for(kind, bound, bounds.zone), pa.timestamp("us", kind.tz)))
            )
    return None if not terms else terms[0] if len(terms) == 1 else terms[0] & terms[1]


def _plain(column: pa.Array, wanted: Wanted, where: str) -> pa.Array:
    """Text in one Arrow type; and columns that name a series, or a category, as text."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    is_text = pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_string(kind)
    if wanted.kind != "text" and not is_text:
        return column
    try:
        return column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise SourceError(
            f"The column {wanted.name!r} of {where} holds {column.type}, which does not convert to text. "
            "Write it as text."
        ) from None
