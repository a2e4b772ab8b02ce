"""Runs every recipe of docs/recipes.md on a real job, and compares its answer with one that was computed apart."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pytest
import sqlalchemy as sa

PAGE = (Path(__file__).parents[3] / "docs" / "recipes.md").read_text(encoding="utf-8")
QUESTIONS = ("Actual against forecast", "Error by week", "What changed since yesterday", "The total with its interval")
TOOLS = ("SQLite", "PostgreSQL", "DuckDB over Parquet", "pandas", "Polars")
BLOCKS = {
    (tool, question): block
    for tool, section in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    for question, block in re.findall(r"^### (.+?)\n```\w+\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
}
# Those that ask the database run on both.
CASES = [
    (tool, question, kind)
    for tool, question in BLOCKS
    for kind in ("sqlite", "postgresql")
    if (tool, kind) not in {("SQLite", "postgresql"), ("PostgreSQL", "sqlite"), ("DuckDB over Parquet", "postgresql")}
]


@pytest.fixture(scope="module")
def expected(jobs: dict[str, tuple[Path, sa.Engine]], sales: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The answers, from the history and the files of the nights alone."""
    nights = pd.read_parquet(jobs["sqlite"][0] / "forecasts").drop(columns=["job", "model_version", "reason"])
    nights["night"] = nights["cutoff"].astype(str).rank(method="dense")
    nights["local_date"] = nights["timestamp"].dt.tz_convert("Europe/Madrid").dt.tz_localize(None)
    history = sales.assign(series_id=lambda rows: rows["store"] + "/" + rows["item"])
    rows = nights.merge(history, left_on=["series_id", "local_date"], right_on=["series_id", "sold_at"])
    rows = rows.assign(actual=rows["units"], error=rows["median"] - rows["units"])
    rows["inside"] = (rows["actual"] >= rows["q0_05"]) & (rows["actual"] <= rows["q0_95"])
    one = rows[(rows["series_id"] == "Madrid/coffee") & (rows["step"] == 1)].sort_values("local_date")
    week = (rows["local_date"] - pd.to_timedelta(rows["local_date"].dt.day_of_week, unit="D")).rename("week")
    weekly = rows.assign(mae=rows["error"].abs(), naive_mae=(rows["baseline"] - rows["actual"]).abs(), n=1.0)
    weeks = weekly.assign(bias=rows["error"], coverage=rows["inside"].astype(float)).groupby(week)
    figures = weeks[["n", "mae", "naive_mae", "bias", "coverage"]].mean().reset_index()
    figures["n"] = weeks.size().to_numpy()
    newest, previous = (nights[nights["night"] == night] for night in (4.0, 3.0))
    both = newest.merge(previous, on=["series_id", "timestamp"], suffixes=("_now", "_before"))
    both = both.assign(change=both["median_now"] - both["median_before"], local_date=both["local_date_now"])
    both["size"] = -both["change"].abs()
    both = both.sort_values(["size", "series_id", "timestamp"]).head(10)
    total = newest[newest["series_id"] == "*/*"].sort_values("step")
    return {
        QUESTIONS[0]: one[["local_date", "actual", "median", "q0_05", "q0_95", "error", "inside"]],
        QUESTIONS[1]: figures,
        QUESTIONS[2]: both[["series_id", "local_date", "median_before", "median_now", "change"]],
        QUESTIONS[3]: total[["local_date", "median", "q0_05", "q0_95"]],
    }


def answered(tool: str, block: str, folder: Path, engine: sa.Engine) -> pd.DataFrame:
    """What a recipe answers."""
    if tool == "SQLite":
        with closing(sqlite3.connect(folder / "forecasts.db")) as connection:
            return pd.read_sql(block.rstrip("; \n"), connection)
    if tool == "PostgreSQL":
        with engine.connect() as connection:
            return pd.DataFrame(connection.execute(sa.text(block)).mappings().all())
    if tool == "DuckDB over Parquet":
        with closing(duckdb.connect()) as database:
            return database.sql(block).df()
    names: dict[str, Any] = {"engine": engine}
    exec(block, names)
    found: pd.DataFrame | pl.DataFrame = names["answer"]
    # Polars' own way to pandas would change the types once more.
    return pd.DataFrame(found.to_dicts()) if isinstance(found, pl.DataFrame) else found


def test_each_tool_has_a_recipe_for_each_question() -> None:
    assert {*BLOCKS} == {(tool, question) for tool in TOOLS for question in QUESTIONS}


@pytest.mark.parametrize(("tool", "question", "kind"), CASES, ids=[f"{t}, {q}, {k}" for t, q, k in CASES])
def test_a_recipe_answers_its_question(
    jobs: Any, expected: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch, tool: str, question: str, kind: str
) -> None:
    folder, engine = jobs[kind]
    monkeypatch.chdir(folder)
    found, wanted = answered(tool, BLOCKS[tool, question], folder, engine), expected[question].reset_index(drop=True)
    assert len(wanted) >= 3
    assert [*found.columns] == [*wanted.columns]
    for name in wanted.columns:
        if name in ("local_date", "week"):
            assert [str(value)[:10] for value in found[name]] == [str(value)[:10] for value in wanted[name]], name
        elif name == "series_id":
            assert found[name].tolist() == wanted[name].tolist()
        else:
            assert found[name].astype(float).tolist() == pytest.approx(wanted[name].astype(float).tolist(), rel=1e-6), (
                name
            )
