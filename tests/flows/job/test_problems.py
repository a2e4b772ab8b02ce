"""Job files with several mistakes: each is told, and no problem that only follows from another."""

from __future__ import annotations

import pytest
import yaml

from flows.job.problems import problems_of
from tasks.night.job import Job

SOURCE = "source: {url: 'sqlite://', table: t}\n"
GOOD = "name: small\n" + SOURCE + "forecast: {frequency: D, horizon: 3}\n"


def told(text: str) -> list[str]:
    return problems_of(yaml.safe_load(text))


def test_a_job_without_a_mistake_has_no_problem():
    assert told(GOOD) == []


@pytest.mark.parametrize(
    ("text", "only"),
    [
        (GOOD.replace("horizon", "horzion"), "unknown key 'forecast.horzion'; did you mean 'horizon'?"),
        (GOOD.replace("name", "nmae"), "unknown key 'nmae'; did you mean 'name'?"),
        (GOOD.replace("forecast:", "forcast:"), "unknown key 'forcast'; did you mean 'forecast'?"),
        (GOOD.replace("table", "tabel"), "unknown key 'source.tabel'; did you mean 'table'?"),
        (GOOD.replace(", table: t", ""), "source: give table or query; there is neither"),
        # The column that the segments name stands under the misspelt key.
        (
            GOOD.replace("table: t", "table: t, statc: [region]") + "monitor: {segments: [region]}\n",
            "unknown key 'source.statc'; did you mean 'static'?",
        ),
        (
            GOOD.replace("source:", "sorce:") + "monitor: {segments: [region]}\n",
            "unknown key 'sorce'; did you mean 'source'?",
        ),
        (
            GOOD.replace("table: t", "table: t, series_ids: [store, item]") + "hierarchy: {aggregates: [store]}\n",
            "unknown key 'source.series_ids'; did you mean 'series_id'?",
        ),
        (
            GOOD.replace("table: t", "table: t, known_futur: [price]").replace(
                "3}", "3, missing_future: {price: last}}"
            ),
            "unknown key 'source.known_futur'; did you mean 'known_future'?",
        ),
        # A hundred steps of 15 minutes are kept long enough by two days.
        (
            GOOD.replace("D, horizon: 3", "15mins, horizon: 100") + "output: {keep_days: 2}\n",
            "forecast.frequency: '15mins' is not a pandas offset alias; use s, min, h, D, B, W-MON, MS, ME, BME, QS, "
            "QE, YS, YE or a multiple such as 15min.",
        ),
        (
            GOOD + "runner: {dask: here, processes: 2}\n",
            "runner.dask: not an address of a Dask scheduler; write tcp://HOST:PORT (or tls://), such as "
            "tcp://dask:8786 (found 'here')",
        ),
        (
            GOOD + "training: fast\n",
            "training: write a mapping of its keys, such as policy, time_limit, seed (found 'fast')",
        ),
        (GOOD + "output: {parquet: ' '}\n", "output.parquet: is empty; write a name, or leave the key out (found ' ')"),
        (GOOD + "training: {time_limit: 0}\n", "training.time_limit: Input should be greater than 0 (found 0)"),
    ],
)
def test_one_mistake_is_named_alone(text, only):
    assert told(text) == [only]


@pytest.mark.parametrize(
    ("text", "beginnings"),
    [
        (
            GOOD.replace("D, horizon", "daily, horzion"),
            ["forecast.frequency: 'daily'", "unknown key 'forecast.horzion'"],
        ),
        (GOOD.replace("D, horizon: 3", "daily, horizon: -3"), ["forecast.frequency: 'daily'", "forecast.horizon: "]),
        (
            GOOD.replace("D, horizon: 3", "daily, horizon: 3, time_zone: Europe/Madird, quantile_levels: [0.1, 0.1]"),
            ["forecast.frequency: ", "forecast.time_zone: 'Europe/Madird'", "forecast.quantile_levels: holds a level"],
        ),
        # Comparisons of keys, beside a wrong value, and beside each other.
        (
            GOOD.replace("3}", "3, quantile_levels: [90], lower_bound: 5, upper_bound: 1}"),
            ["forecast.quantile_levels.0: ", "forecast: lower_bound 5.0 is not below upper_bound 1.0"],
        ),
        (
            GOOD + "output: {keep_days: 1}\nmonitor: {segments: [region]}\nhierarchy: {aggregates: [region]}\n",
            ["monitor.segments names", "hierarchy.aggregates lists", "output.keep_days is 1, but 3 steps of 'D'"],
        ),
        (
            "name: Bad Name\n"
            + SOURCE.replace("table: t", "table: t, query: q.sql, value: v, timestamp: v")
            + "forecast: {frequency: D, horizon: 3}\n",
            ["name: ", "source: give table or query, not both", "source: the column 'v' stands under both"],
        ),
        (
            GOOD.replace("sqlite://", "postgresql://u:pw@h/d")
            + "output: {url: 'postgresql://u:pw@h/d'}\ntrainig: {}\n",
            ["unknown key 'trainig'", "source.url holds a password", "output.url holds a password"],
        ),
        (
            GOOD + "runner: {dask: 'tcp://a:1', processes: 2, shrad: 3}\n",
            ["unknown key 'runner.shrad'", "runner: both dask"],
        ),
        (
            "training: {policy: x}\n",
            ["name is missing", "source is missing", "forecast is missing", "training.policy: "],
        ),
    ],
)
def test_several_mistakes_are_all_named(text, beginnings):
    problems = told(text)
    assert len(problems) == len(beginnings)
    for beginning in beginnings:
        assert sum(problem.startswith(beginning) for problem in problems) == 1, problems


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("3}", "3, holidays: [XX, ES, QQ]}"), ["'XX'", "'QQ'"]),
        (GOOD + "notify: {targets: ['slack://key', '${SLACK}', 'x']}\n", ["target 1, 3: write the name"]),
    ],
)
def test_several_wrong_entries_of_a_list_are_all_named(text, words):
    [problem] = told(text)
    assert all(word in problem for word in words)


@pytest.mark.parametrize(
    "key", ["webhook: [https://hooks.example.org/key]", "targets: ['slack://key']", "targets: key"]
)
def test_no_problem_repeats_a_target_because_it_may_hold_a_secret(key):
    [problem] = told(GOOD + f"notify: {{{key}}}\n")
    assert "/key" not in problem
    assert "'key'" not in problem


@pytest.mark.parametrize(
    "mistake",
    [
        "output: postgresql://me:secret@host/db",
        "output: [postgresql://me:secret@host/db]",
        "notify: https://hooks.slack.com/secret",
        "notify: secret",
        "source: postgresql://me:secret@host/db",
        "source: {url: 'sqlite://', table: t, known_future_from: postgresql://me:secret@host/db}",
        f"training: {'x' * 80}://me:secret@host",
    ],
)
def test_no_problem_repeats_a_url_or_target_written_under_the_wrong_key(mistake):
    [problem] = told(yaml.safe_dump(yaml.safe_load(GOOD) | yaml.safe_load(mistake)))
    assert "secret" not in problem
    assert "(found" not in problem


@pytest.mark.parametrize("part", [name for name, field in Job.model_fields.items() if name not in ("name", "replaces")])
def test_a_part_that_is_no_mapping_is_named_beside_another_mistake(part):
    [first, second] = told(yaml.safe_dump({**yaml.safe_load(GOOD), "name": "Bad Name", part: 5}))
    assert (first.startswith("name: "), second.startswith(f"{part}: write a mapping")) == (True, True)


@pytest.mark.parametrize(
    ("rate", "reason"),
    [
        (0, "with 0 no actual is ever an anomaly; give a small share such as 0.001, or enabled: false"),
        (1, "with 1 every actual is an anomaly; give a small share such as 0.001"),
        (1.5, "less than 1"),
        (-0.1, "greater than 0"),
    ],
)
def test_a_rate_of_anomalies_that_lists_nothing_or_everything_is_refused_with_the_reason(rate, reason):
    [problem] = told(yaml.safe_dump({**yaml.safe_load(GOOD), "anomalies": {"rate": rate}}))
    assert problem.startswith("anomalies.rate: ")
    assert reason in problem
