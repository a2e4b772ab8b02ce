"""Nights that forecast aggregates too: tables, Parquet, scores and report."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from flows.cli import main
from flows.job.job import load_job
from sql.output import history

STORES, ITEMS = ["Bilbao", "Madrid"], ["*", "salt/pepper", "tea"]
HORIZON = 7


@pytest.fixture(scope="module")
def sales() -> pd.DataFrame:
    """Six series of 140 days that rain keeps customers from all at once, one of them begun a week before 3 February."""
    random = np.random.default_rng(0)
    day = np.arange(140)
    rain = random.normal(0, 3, 140)
    frames = [
        pd.DataFrame({
            "store": store, "item": item, "day": pd.date_range("2023-10-01", periods=140), "region": "north",
            "value": (30 + 8 * np.sin(2 * np.pi * day / 7) + rain + random.normal(0, 1, 140)).round(2),
        })
        for store in STORES for item in ITEMS
    ]  # fmt: skip
    frames[0] = frames[0][frames[0]["day"] >= "2024-01-28"]
    return pd.concat(frames, ignore_index=True)


def run(job, cutoff: str) -> dict:
    result = CliRunner().invoke(main, ["run", str(job), "--cutoff", cutoff, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def nights_by_fallback(make_job_in, sales, tmp_path_factory):
    """A job of the fallback alone, which needs no training, with every aggregate; and the results of its two nights."""
    job = make_job_in(
        tmp_path_factory.mktemp("aggregates"),
        sales,
        source={"series_id": ["store", "item"]},
        forecast={"min_history": 10_000, "lower_bound": 0},
        hierarchy={"aggregates": [["store"], ["item"], []]},
    )
    return job, run(job, "2024-02-03"), run(job, "2024-02-10")


def forecasts(job, name: str) -> pd.DataFrame:
    with closing(sqlite3.connect(job.parent / "forecasts.db")) as connection:
        return pd.read_sql(f"SELECT * FROM {name} ORDER BY series_id, step", connection)


def test_aggregates_stand_beside_the_series_of_the_source_and_are_their_sums(nights_by_fallback):
    job, first, second = nights_by_fallback
    assert (first["series"], first["rows"], second["series"], second["rows"]) == (6, 84, 6, 84)
    rows = forecasts(job, "latest_forecast")
    assert sorted(rows["series_id"].unique()) == [
        "*/*", "*/\\*", "*/salt\\/pepper", "*/tea",
        "Bilbao/*", "Bilbao/\\*", "Bilbao/salt\\/pepper", "Bilbao/tea",
        "Madrid/*", "Madrid/\\*", "Madrid/salt\\/pepper", "Madrid/tea",
    ]  # fmt: skip
    assert (rows.groupby("series_id")["step"].agg(list).map(lambda steps: steps == [*range(1, HORIZON + 1)])).all()
    of = {name: group.set_index("step") for name, group in rows.groupby("series_id")}
    below = {
        "Madrid/*": ["Madrid/\\*", "Madrid/salt\\/pepper", "Madrid/tea"],
        "*/tea": ["Bilbao/tea", "Madrid/tea"],
        "*/*": ["Bilbao/*", "Madrid/*"],
    }
    for name, parts in below.items():
        for column in ("mean", "baseline"):
            assert of[name][column].to_numpy() == pytest.approx(sum(of[part][column] for part in parts), rel=1e-12)
        assert (of[name]["q0_9"] <= sum(of[part]["q0_9"] for part in parts) + 1e-9).all()
        assert (of[name][["q0_1", "q0_5", "q0_9"]].diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)
    assert of["*/*"]["reason"].unique().tolist() == ["6 of 6 parts by fallback"]
    assert of["*/*"]["source"].unique().tolist() == ["fallback"]
    # Rain spoils every series at once: an interval as if they were independent would be far narrower.
    width = of["*/*"]["q0_9"] - of["*/*"]["q0_1"]
    parts = [part for part in map(str, of) if "*" not in part.replace("\\*", "")]
    apart = sum((of[part]["q0_9"] - of[part]["q0_1"]) ** 2 for part in parts) ** 0.5
    assert (width > 1.6 * apart).all()


def test_parquet_holds_the_same_rows_as_the_table(nights_by_fallback):
    job, _, second = nights_by_fallback
    parquet = pd.read_parquet(second["parquet"])
    table = forecasts(job, "latest_forecast")
    both = parquet.merge(table, on=["series_id", "step"], suffixes=("", "_table"))
    assert len(parquet) == len(table) == len(both) == 84
    assert (both["mean"] == both["mean_table"]).all()
    assert (both["q0_9"] == both["q0_9_table"]).all()


def test_each_aggregation_level_is_scored_by_the_sums_of_what_came_true(nights_by_fallback, sales):
    job, _, second = nights_by_fallback
    loaded = load_job(job)
    engine = loaded.places.engine()
    scores = pd.DataFrame(history.scores(engine, "small"))
    names = {"by store", "by item", "total"}
    assert set(scores["segment"]) == {"all", "region=north", "version=fallback"} | names
    week = sales[(sales["day"] > "2024-02-03") & (sales["day"] <= "2024-02-10")]
    total = week.groupby("day")["value"].sum().to_numpy()
    rows = forecasts(job, "forecast")
    night = rows[rows["cutoff"].str.startswith("2024-02-03") & (rows["series_id"] == "*/*")].sort_values("step")
    expected = {"mae": np.abs(night["median"].to_numpy() - total).mean()}
    expected["wape"] = expected["mae"] / total.mean()
    naive = sales[(sales["day"] > "2024-01-27") & (sales["day"] <= "2024-02-03")].groupby("day")["value"].sum()
    for metric, value in expected.items():
        [row] = scores[(scores["segment"] == "total") & (scores["step"] == 0) & (scores["metric"] == metric)].to_dict(
            "records"
        )
        assert row["value"] == pytest.approx(value, rel=1e-5)
        assert row["n"] == HORIZON
    [row] = scores.query("segment == 'total' and step == 0 and metric == 'mae'").to_dict("records")
    assert row["baseline_value"] == pytest.approx(np.abs(naive.to_numpy() - total).mean(), rel=1e-5)
    # The whole is that of the source's own series, as without aggregates.
    [row] = scores.query("segment == 'all' and step == 0 and metric == 'mae'").to_dict("records")
    assert row["n"] == 6 * HORIZON
    losses = {row["segment"]: row["n"] for row in second["losses"]}
    assert losses == {"all": 42, "region=north": 42, "by store": 14, "by item": 21, "total": 7}


def test_the_report_shows_the_total_first_and_the_aggregates_among_the_segments(nights_by_fallback, sales):
    job, _, second = nights_by_fallback
    page = (job.parent / second["report"]).read_text(encoding="utf-8")
    details = json.loads(next((job.parent / "reports" / "small").glob("2024-02-10*.json")).read_text(encoding="utf-8"))
    names = [example["series_id"] for example in details["examples"]]
    assert names[0] == "*/*"
    assert len(names) == len(set(names)) == 4
    newest = sales[sales["day"] == "2024-02-10"]["value"].sum()
    assert details["examples"][0]["history"]["value"][-1] == pytest.approx(newest, rel=1e-6)
    for words in ("by store", "by item", "total", "*/*"):
        assert words in page


def test_series_of_one_column_have_a_total_which_is_scored_from_the_night_on_that_forecast_it(make_job):
    job = make_job(forecast={"min_history": 10_000})
    run(job, "2024-02-02")
    job.write_text(job.read_text(encoding="utf-8") + "\nhierarchy: {aggregates: [[]]}\n", encoding="utf-8")
    night = run(job, "2024-02-03")
    assert night["rows"] == 8 * HORIZON
    means = forecasts(job, "latest_forecast").pivot_table(index="series_id", columns="step", values="mean")
    assert means.loc["*"].to_numpy() == pytest.approx(means.drop("*").sum().to_numpy(), rel=1e-12)
    assert {row["segment"]: row["n"] for row in night["losses"]} == {
        "all": 6, "region=north": 3, "region=south": 3, "total": 0,
    }  # fmt: skip


def test_mint_forecasts_the_total_too_and_moves_the_series_so_that_they_agree(two_nights):
    job = yaml.safe_load(two_nights.read_text(encoding="utf-8"))
    job["forecast"] |= {"lower_bound": 0, "upper_bound": 60}
    job |= {"hierarchy": {"aggregates": [[]], "method": "mint"}, "training": {**job["training"], "policy": "never"}}
    two_nights.write_text(yaml.safe_dump(job), encoding="utf-8")
    assert run(two_nights, "2024-02-11")["fallback_series"] == 1
    made = forecasts(two_nights, "latest_forecast").set_index(["series_id", "step"])
    details = json.loads(next((two_nights.parent / "reports" / "small").glob("2024-02-11*.json")).read_text("utf-8"))
    assert "reconciled by MinT with 1 aggregate, from errors at 8 past cutoffs" in details["network"]["choices"]

    job["hierarchy"]["method"] = "bottom_up"
    two_nights.write_text(yaml.safe_dump(job), encoding="utf-8")
    run(two_nights, "2024-02-11")
    alone = forecasts(two_nights, "latest_forecast").set_index(["series_id", "step"])
    assert (made["mean"] - alone["mean"]).abs().max() > 1e-3
    for rows in (made, alone):
        means = rows["mean"].unstack()
        assert means.loc["*"].to_numpy() == pytest.approx(means.drop("*").sum().to_numpy(), rel=1e-12)
        assert (rows[["q0_1", "q0_5", "q0_9"]].diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)
        # A sum may well be above what no series may be above.
        assert means.drop("*").le(60).all(axis=None)
        assert means.loc["*"].gt(60).all()


def test_mint_without_its_extra_is_one_problem_with_its_remedy(make_job, sales, monkeypatch):
    job = make_job(sales, source={"series_id": ["store", "item"]}, hierarchy={"aggregates": [[]], "method": "mint"})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    checked = CliRunner().invoke(main, ["check", str(job), "--json"])
    assert [problem[:24] for problem in json.loads(checked.stdout)["problems"]] == ["hierarchy.method is mint"]
    ran = CliRunner().invoke(main, ["run", str(job)])
    assert ran.exit_code == 2
    assert "requirements/hierarchy.txt" in ran.stderr
