"""What people ask of a published night: why it is as it is, and what it would be under other known-future values."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import numpy as np
import pytest
from click.testing import CliRunner

from flows.cli import main
from flows.deployments.dispatch import run_night
from flows.job.job import load_job
from tasks.night.ledger import Ledger
from tasks.report.series.block import unpack
from tasks.store.version_store import StoredVersion

CUTOFF = "2024-02-03"


def ask(*arguments, code=0):
    result = CliRunner().invoke(main, [*map(str, arguments), "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def say(*arguments):
    result = CliRunner().invoke(main, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def query(job, statement):
    with closing(sqlite3.connect(job.parent / "forecasts.db")) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(statement)]


@pytest.fixture(scope="module")
def promoted_once(make_job_in, history_frame, tmp_path_factory):
    """A job with a promotion, a price, visitors and public holidays that ran one night; not to be changed."""
    day = (history_frame["day"] - history_frame["day"].min()).dt.days
    promotion = (day % 11 < 3).astype(int)
    # Every item sells more on promotion; the last rows are those of the days ahead.
    frame = history_frame.assign(
        value=history_frame["value"] + 8.0 * promotion, promotion=promotion, price=2.0 + (day % 5), visitors=100.0
    )
    job = make_job_in(
        tmp_path_factory.mktemp("promoted"),
        frame,
        source={
            "url": "sqlite:///source.db",
            "table": "history",
            "timestamp": "day",
            "static": ["region"],
            "known_future": ["promotion", "price"],
            "observed_past": ["visitors"],
        },
        forecast={"holidays": "ES"},
        training={"max_steps": 60},
    )
    run_night(job, cutoff=CUTOFF)
    return job


@pytest.fixture
def promoted(promoted_once, tmp_path):
    """The same, of this test's own."""
    shutil.copytree(promoted_once.parent, tmp_path / "promoted")
    return tmp_path / "promoted" / promoted_once.name


def medians(job, series="a"):
    rows = query(job, f"SELECT median FROM forecast WHERE series_id = '{series}' ORDER BY step")
    return np.array([row["median"] for row in rows])


def test_the_figures_of_an_explanation_add_up_to_the_published_forecast(promoted):
    found = ask("explain", promoted, "--series", "a")
    by_kind = {figure["name"]: np.array(figure["by_step"]) for figure in found["figures"]}
    assert [*by_kind] == [
        "all taken out", "level", "season", "promotion", "price", "public holidays ES", "rest", "forecast",
    ]  # fmt: skip
    # The base is what was published: same rows, same version, same calibration.
    np.testing.assert_allclose(by_kind["forecast"], medians(promoted), rtol=1e-5)
    total = by_kind.pop("forecast")
    np.testing.assert_allclose(sum(by_kind.values()), total, rtol=1e-6)
    # The cutoff is day 125 of the history. Days 126 to 132 are ahead, and promoted where the rest by 11 is below 3.
    on = (np.arange(126, 133) % 11) < 3
    assert on.any()
    assert (by_kind["promotion"][on] > 0.5).all()
    np.testing.assert_array_equal(by_kind["promotion"][~on], np.zeros((~on).sum()))


def test_an_explanation_of_a_step_reads_as_a_table(promoted):
    told = say("explain", promoted, "--series", "a", "--step", 7)
    lines = told.splitlines()
    assert lines[0] == "a, night of 2024-02-03: step 7, 2024-02-10"
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "part", "all taken out", "level", "season", "promotion", "price", "public holidays ES", "rest", "forecast",
    ]  # fmt: skip
    assert "of 7 steps ahead" in told
    assert float(lines[-1].split()[1]) == pytest.approx(medians(promoted)[6], rel=1e-3)


def test_the_page_of_the_night_says_the_same(promoted):
    file = next((promoted.parent / "reports" / "small").glob("2*.html"))
    [block] = re.findall(r'id="series-block"[^>]*>([^<]+)<', file.read_text(encoding="utf-8"))
    header, arrays = unpack(block.strip())
    explained = [name for name, row in zip(header["ids"], arrays["part_row"], strict=True) if row >= 0]
    assert explained == list("abcdef")
    found = ask("explain", promoted, "--series", "c")["figures"]
    assert header["parts"] == [figure["name"] for figure in found[:-1]]
    on_page = arrays["parts"][int(arrays["part_row"][header["ids"].index("c")])]
    np.testing.assert_allclose(on_page, [figure["by_step"] for figure in found[:-1]], rtol=1e-3, atol=1e-3)


def test_a_series_of_the_fallback_is_explained_by_its_rule(promoted):
    told = say("explain", promoted, "--series", "short")
    assert "forecast by the fallback: " in told
    assert "each step takes the newest value of its place in the season of 7 steps" in told
    assert ask("explain", promoted, "--series", "short")["figures"] == []


def test_a_series_without_covariates_has_level_and_season_only(two_nights):
    found = ask("explain", two_nights, "--series", "b", "--cutoff", "2024-02-10")
    assert [figure["kind"] for figure in found["figures"]] == ["without_all", "level", "season", "rest", "forecast"]
    published = medians_of(two_nights, "b", "2024-02-10")
    np.testing.assert_allclose(found["figures"][-1]["by_step"], published, rtol=1e-5)
    first = ask("explain", two_nights, "--series", "b", "--cutoff", CUTOFF)
    np.testing.assert_allclose(first["figures"][-1]["by_step"], medians_of(two_nights, "b", CUTOFF), rtol=1e-5)
    error = ask("what-if", two_nights, "--set", "promotion=1", code=2)["error"]
    assert error == "The job has no column 'promotion'. Set one that is known ahead; the job has no column that is " + (
        "known ahead."
    )


def medians_of(job, series, day):
    condition = f"series_id = '{series}' AND cutoff = '{day} 00:00:00.000000'"
    rows = query(job, f"SELECT median FROM forecast WHERE {condition} ORDER BY step")
    return np.array([row["median"] for row in rows])


def test_a_scenario_is_beside_the_forecast_and_changes_nothing_of_it(promoted):
    before = query(promoted, "SELECT * FROM forecast")
    found = ask("what-if", promoted, "--set", "promotion=1", "--steps", "2-3", "--series", "a", "--series", "b")
    assert (found["scenario"], found["steps"]) == ("promotion=1 at steps 2-3", [2, 3])
    rows = query(promoted, "SELECT * FROM scenario ORDER BY series_id, step")
    assert [(row["series_id"], row["step"]) for row in rows] == [(name, step) for name in "ab" for step in range(1, 8)]
    of_a = rows[:7]
    assert [row["set_values"] for row in of_a[:4]] == [None, '{"promotion": 1.0}', '{"promotion": 1.0}', None]
    np.testing.assert_allclose([row["base_median"] for row in of_a], medians(promoted), rtol=1e-6)
    difference = np.array([row["median"] - row["base_median"] for row in of_a])
    on = (np.arange(126, 133) % 11) < 3
    changed = np.isin(np.arange(1, 8), (2, 3)) & ~on
    assert (np.abs(difference[changed]) > 0.1).all()
    np.testing.assert_allclose(difference[~changed], 0, atol=1e-4)
    for row in of_a:
        assert row["q0_1"] <= row["q0_5"] <= row["q0_9"]
        assert row["median"] == pytest.approx(row["q0_5"])
    assert query(promoted, "SELECT * FROM forecast") == before
    total = found["totals"]
    assert [line["series"] for line in total] == ["a", "b", "all"]
    assert total[0]["difference"] == pytest.approx(difference[1:3].sum())


def test_a_scenario_of_the_same_name_is_replaced_and_another_stays(promoted):
    ask("what-if", promoted, "--set", "promotion=1", "--name", "spring")
    ask("what-if", promoted, "--set", "price=3", "--name", "other", "--series", "a")
    found = ask("what-if", promoted, "--set", "promotion=0", "--name", "spring", "--series", "c")
    assert found["notes"] == []
    counts = query(promoted, "SELECT scenario, COUNT(*) AS n, MIN(series_id) AS s FROM scenario GROUP BY scenario")
    assert counts == [{"scenario": "other", "n": 7, "s": "a"}, {"scenario": "spring", "n": 7, "s": "c"}]


def test_what_a_scenario_leaves_out_and_what_is_unusual_is_said(promoted):
    told = say("what-if", promoted, "--set", "promotion=1", "--set", "price=50", "--steps", "1")
    assert "promotion=1, price=50 at step 1, night of 2024-02-03" in told
    assert "price=50 is outside of what these series have had, 2 to 6: the network has not learnt" in told
    assert "1 series left out, which the fallback forecasts: short" in told
    assert "Wrote 42 rows of 6 series into the table scenario." in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--set", "visitors=1"], "visitors is not known ahead: it is in source.observed_past"),
        (["--set", "promotion=1", "--series", "short"], "short is forecast by the fallback ("),
        (["--set", "promotion=1", "--steps", "5-9"], "Step 9 is beyond the horizon of that night, which has 7 steps."),
        (["--set", "promotion=1", "--series", "shrt"], "has no series 'shrt'; similar ones are 'short'"),
        (["--set", "promotion=1", "--cutoff", "2024-01-01"], "has no night of 2024-01-01"),
    ],
)
def test_what_cannot_be_imagined_is_refused_and_nothing_is_written(promoted_once, arguments, told):
    assert told in ask("what-if", promoted_once, *arguments, code=2)["error"]
    assert query(promoted_once, "SELECT * FROM scenario") == []


def test_a_step_beyond_the_horizon_and_an_unknown_series_are_not_explained(promoted_once):
    error = ask("explain", promoted_once, "--series", "a", "--step", 8, code=2)["error"]
    assert error == "Step 8 is beyond the horizon of that night, which has 7 steps."
    error = ask("explain", promoted_once, "--series", "A", code=2)["error"]
    assert "has no series 'A'; similar ones are 'a'" in error


def test_the_version_that_published_explains_its_night_whichever_is_the_champion_now(promoted):
    ledger = Ledger.opened(load_job(promoted).places)
    [row] = ledger.models()
    now = datetime(2024, 3, 1, tzinfo=UTC)
    ledger.add_model(StoredVersion("newer", row["uri"], row["digest"]), now, now)
    ledger.promote("newer", now)
    found = ask("explain", promoted, "--series", "a")
    assert found["model_version"] == row["version"]
    # Its files are gone.
    folder = next((promoted.parent / "versions" / "small").iterdir())
    shutil.rmtree(folder)
    with closing(sqlite3.connect(promoted.parent / "forecasts.db")) as connection, connection:
        connection.execute("UPDATE model SET uri = 'file:///nowhere'")
    error = ask("explain", promoted, "--series", "a", code=1)["error"]
    assert f"was forecast by version {row['version']}, which is gone" in error
    assert "or name a night of another version (--cutoff)" in error


def test_a_source_that_has_changed_since_is_said(promoted, tmp_path):
    with closing(sqlite3.connect(promoted.parent / "source.db")) as connection, connection:
        connection.execute("UPDATE history SET value = value + 20 WHERE series_id = 'a' AND day >= '2024-01-30'")
    found = ask("explain", promoted, "--series", "a")
    changed = next(figure for figure in found["figures"] if figure["kind"] == "changed_since")
    assert np.abs(changed["by_step"]).max() > 1
    np.testing.assert_allclose(found["figures"][-1]["by_step"], medians(promoted), rtol=1e-6)
    imagined = ask("what-if", promoted, "--set", "promotion=1", "--series", "a", "--series", "b")
    [note] = imagined["notes"]
    assert "has changed since that night: for 1 of 2 series" in note
    bases = {row["series_id"]: row["base_median"] for row in imagined["rows"] if row["step"] == 1}
    assert abs(bases["a"] - medians(promoted, "a")[0]) > 1
    assert bases["b"] == pytest.approx(medians(promoted, "b")[0])


def test_an_aggregate_is_not_forecast_again(make_job, history_frame):
    frame = history_frame.rename(columns={"series_id": "item"}).assign(store="x", promotion=0)
    job = make_job(
        frame,
        source={
            "url": "sqlite:///source.db",
            "table": "history",
            "timestamp": "day",
            "series_id": ["store", "item"],
            "known_future": ["promotion"],
        },
        hierarchy={"aggregates": ["store"]},
    )
    run_night(job, cutoff=CUTOFF)
    error = ask("explain", job, "--series", "x/*", code=2)["error"]
    assert error == "x/* cannot be forecast again: it is an aggregate, a sum of series. Name another series."
    error = ask("what-if", job, "--set", "promotion=1", "--series", "x/*", "--series", "x/a", code=2)["error"]
    assert error == "x/* cannot be forecast again: it is an aggregate, a sum of series. Leave it out."
    found = ask("what-if", job, "--set", "promotion=1")
    assert "1 series left out (it is an aggregate, a sum of series): x/*" in found["notes"]
