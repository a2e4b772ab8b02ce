from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sql.engine import bulk
from sql.engine.storable import storable
from sql.errors import SourceError
from sql.source import columns


def column(values, kind=None):
    return pa.chunked_array([pa.array(values, kind)])


@given(st.lists(st.tuples(st.text("ab/\\"), st.text("ab/\\")), min_size=1, max_size=20))
def test_different_parts_never_give_the_same_id(parts):
    left, right = (column(side, pa.string()) for side in zip(*parts, strict=True))
    ids = columns.series_ids([left, right], ["x", "y"], "table").to_pylist()
    assert len(set(ids)) == len(set(parts))


@given(st.lists(st.floats(allow_nan=False) | st.none(), max_size=20))
def test_numbers_survive_as_text(values):
    texts = column([None if value is None else repr(value) for value in values], pa.string())
    assert columns.numbers(texts, "value", "table").to_pylist() == values


def test_integers_decimals_and_truth_values_are_numbers():
    assert columns.numbers(column([1, None]), "value", "t").to_pylist() == [1.0, None]
    assert columns.numbers(column([True, False]), "value", "t").to_pylist() == [1.0, 0.0]
    assert columns.numbers(column(["1.50"]).cast(pa.decimal128(9, 2)), "value", "t").to_pylist() == [1.5]
    assert columns.numbers(column([None], pa.null()), "value", "t").type == pa.float64()


def test_at_most_five_offending_values_are_shown_and_long_ones_are_cut():
    with pytest.raises(SourceError, match="holds text") as error:
        columns.numbers(column([f"word{i}" * 50 for i in range(20)]), "value", "t")
    assert str(error.value).count("word") <= 5 * 9
    assert str(error.value).count("(1 row)") == 5


def test_times_of_other_types_are_refused_with_a_way_out():
    with pytest.raises(SourceError, match=r"holds int64, not times.*unixepoch"):
        columns.instants(column([1]), "timestamp", "t")
    with pytest.raises(SourceError, match="not numbers"):
        columns.numbers(column([datetime(2024, 1, 1, tzinfo=UTC)]), "value", "t")


@pytest.mark.parametrize("text", ["2024-01-01T06:00:00+02:00", "2024-01-01 04:00:00Z", "2024-01-01 09:30:00.000+0530"])
def test_an_offset_makes_an_instant(text):
    assert columns.instants(column([text]), "t", "t").to_pylist() == [datetime(2024, 1, 1, 4, tzinfo=UTC)]


@pytest.mark.parametrize("text", ["2024-01-01", " 2024-01-01 00:00:00 ", "2024-01-01T00:00:00.000000"])
def test_without_an_offset_a_time_is_local(text):
    assert columns.instants(column([text]), "t", "t").to_pylist() == [datetime(2024, 1, 1)]


ANYTHING = [
    *(None, True, 1, 2**70, -(10**400), 1.5, float("nan"), Decimal("1.5"), Decimal("sNaN"), Decimal("1e400")),
    *(b"\xff", b"1", "1", "x", "\ud800", date(2024, 1, 1), datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC)),
    *(time(1), timedelta(1), UUID(int=1), [1], {}, 1j),
]


@pytest.mark.parametrize("kind", ["number", "timestamp", "text"])
@given(values=st.lists(st.sampled_from(ANYTHING), min_size=1, max_size=4))
def test_whatever_a_driver_returns_is_read_or_named(kind, values):
    found = bulk._joined([bulk._array(values, kind)], kind)
    read = {
        "number": lambda: columns.numbers_and_texts(found, "x", "table 't'")[0],
        "timestamp": lambda: columns.instants(found, "x", "table 't'"),
        "text": lambda: columns.series_ids([found], ["x"], "table 't'"),
    }[kind]
    try:
        assert len(read()) == len(values)
    except SourceError as error:
        if "'x'" not in str(error):
            raise


def test_integers_beyond_64_bits_are_numbers_and_those_beyond_doubles_infinite():
    found = bulk._array([2**70, 10**400, -(10**400)], "number")
    assert found.to_pylist() == [float(2**70), float("inf"), float("-inf")]


@given(st.text(max_size=6) | st.sampled_from(["1.", ".5e-3", "+7", "NaN", "-inf", "0x1", "1,5", "1e", " 8 "]))
def test_text_is_a_number_or_kept_as_what_it_is(text):
    values, texts = columns.numbers_and_texts(column([text, "2"]), "x", "table 't'")
    try:
        expected = columns.numbers(column([text]), "x", "table 't'")[0]
    except SourceError:
        assert values.to_pylist() == [None, 2.0]
        assert texts.to_pylist() == [storable(text), None]
    else:
        assert texts is None
        assert str(values[0]) == str(expected)
