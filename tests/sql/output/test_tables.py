import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects.postgresql.base import RESERVED_WORDS as POSTGRESQL
from sqlalchemy.dialects.sqlite.base import SQLiteIdentifierPreparer

from sql.output.quantile_columns import is_quantile_column, quantile_column
from sql.output.tables import metadata


@given(st.sets(st.integers(1, 99_999), min_size=2, max_size=2))
def test_different_levels_have_different_columns(parts):
    names = {quantile_column(part / 100_000) for part in parts}
    assert len(names) == 2
    assert all(is_quantile_column(name) for name in names)


@pytest.mark.parametrize("level", [0, 1, 90, -0.1, 1e-12, float("nan")])
def test_what_is_no_level_has_no_column(level):
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantile_column(level)


def test_every_table_has_a_purpose_and_every_column_a_meaning():
    sentences = [table.info["purpose"] for table in metadata.tables.values()]
    sentences += [column.doc for table in metadata.tables.values() for column in table.columns]
    assert [each for each in sentences if not each or not each.endswith(".")] == []


def test_no_table_and_no_column_needs_quotes_in_sql():
    names = {table.name for table in metadata.tables.values()}
    names |= {column.name for table in metadata.tables.values() for column in table.columns}
    assert names & (POSTGRESQL | SQLiteIdentifierPreparer.reserved_words) == set()
    assert {"limit", "order", "group"} <= POSTGRESQL
