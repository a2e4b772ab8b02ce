"""Times that no calendar of a job has: a source leaves such rows out, but a table must not lose them on import."""

from __future__ import annotations

from typing import Literal

import pytest
import sqlalchemy as sa

from sql.engine.connection import connect
from sql.engine.url import resolve_url
from sql.errors import SourceError
from sql.imports.import_file import import_file

FAR = "9999-12-31 00:00:00"


@pytest.fixture
def load(tmp_path, database_url):
    def load(text: str, mode: Literal["create", "append", "replace"] = "create") -> None:
        file = tmp_path / "rows.csv"
        file.write_text(text, encoding="utf-8")
        import_file(file, resolve_url(database_url, tmp_path), "rows", mode)

    return load


def column(url: str, name: str) -> list[str]:
    with connect(resolve_url(url)).connect() as connection:
        return [str(value) for value in connection.execute(sa.text(f"SELECT {name} FROM rows")).scalars()]


def test_a_column_with_such_a_time_stays_text(load, database_url):
    load(f"series_id,timestamp,value,valid_to\na,2026-01-01,1,{FAR}\na,2026-01-02,2,2026-01-05 00:00:00\n")
    assert column(database_url, "valid_to") == [FAR, "2026-01-05 00:00:00"]


def test_in_the_column_of_the_timestamp_it_is_refused_and_named(load):
    with pytest.raises(SourceError, match=r"'timestamp' of .* outside the years 1678 to 2261 \(1 row\), such as 9999"):
        load(f"series_id,timestamp,value\na,{FAR},1\na,2026-01-02 00:00:00,2\n")


def test_a_table_of_times_is_given_none_in_its_place(load, database_url):
    load("series_id,timestamp,value\na,2026-01-01 00:00:00,1\n")
    with pytest.raises(SourceError, match="outside the years 1678 to 2261"):
        load(f"series_id,timestamp,value\na,{FAR},1\n", "append")
    assert len(column(database_url, "value")) == 1
