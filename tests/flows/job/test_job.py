"""Job files: what is understood, and what is refused with which words."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from flows.job.job import JobError, load_job
from sql.source.settings import KnownFuture, Source

SMALLEST = """
name: small
source: {url: "sqlite:///source.db", table: history}
forecast: {frequency: D, horizon: 7}
"""


def load(folder: Path, text: str):
    file = folder / "job.yaml"
    file.write_text(text, encoding="utf-8")
    return load_job(file)


def test_a_job_needs_only_name_source_frequency_and_horizon(tmp_path):
    loaded = load(tmp_path, SMALLEST)
    assert loaded.job.output.url == "sqlite:///forecasts.db"
    assert loaded.job.training.policy == "auto"
    assert loaded.base == tmp_path


def test_a_relative_place_is_meant_from_the_folder_of_the_job_file(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    places = load(tmp_path, SMALLEST).places
    assert places.parquet == str(tmp_path / "forecasts")
    assert places.url_text == f"sqlite:///{tmp_path}/forecasts.db"


def test_network_auto_is_the_same_as_no_network(tmp_path):
    assert load(tmp_path, SMALLEST + "network: auto\n").job == load(tmp_path, SMALLEST).job


@pytest.mark.parametrize(("written", "understood"), [("ES", ["ES"]), ("[US-CA, 'NO', US-CA]", ["US-CA", "NO"])])
def test_holidays_are_of_one_place_or_several(tmp_path, written, understood):
    text = SMALLEST.replace("horizon: 7", f"horizon: 7, holidays: {written}")
    assert load(tmp_path, text).job.forecast.holidays == understood


def test_a_level_of_one_column_may_stand_without_brackets(tmp_path):
    text = SMALLEST.replace("table: history", "table: history, series_id: [store, item]")
    loaded = load(tmp_path, text + "hierarchy: {aggregates: [store, [item], []]}\n")
    assert loaded.job.aggregation_levels.names == ("by store", "by item", "total")
    assert not load(tmp_path, text).job.aggregation_levels


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            SMALLEST + "name: large\n",
            "line 5, column 1: not YAML: the key 'name' stands in line 2 and again in line 5; keep one",
        ),
        (
            SMALLEST + "training:\n  seed: 1\n  time_limit: 60\n  seed: 2\n",
            "line 8, column 3: not YAML: the key 'seed' stands in line 6 and again in line 8; keep one",
        ),
        (SMALLEST.replace("horizon: 7", "horizon: 7, 'horizon': 8"), "the key 'horizon' stands in line 4"),
    ],
)
def test_a_key_that_is_written_twice_is_refused_with_both_lines(tmp_path, text, message):
    with pytest.raises(JobError) as raised:
        load(tmp_path, text)
    assert message in str(raised.value)


def test_a_mapping_may_take_over_keys_of_others_and_write_them_anew(tmp_path):
    text = SMALLEST + "training: {<<: {seed: 1, time_limit: 60}, <<: {seed: 3}, seed: 2}\n"
    assert load(tmp_path, text).job.training.seed == 2


def test_a_job_is_found_by_its_name_in_the_jobs_folder(tmp_path, monkeypatch):
    load(tmp_path, SMALLEST)
    monkeypatch.setenv("NIGHTCAST_JOBS", str(tmp_path))
    assert load_job("job").job.name == "small"


def test_a_job_that_is_nowhere_is_answered_with_the_jobs_that_are_there(tmp_path, monkeypatch):
    load(tmp_path, SMALLEST)
    monkeypatch.setenv("NIGHTCAST_JOBS", str(tmp_path))
    with pytest.raises(JobError, match=r"No job 'jib'.* has job"):
        load_job("jib")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SMALLEST.replace("horizon: 7", "horizn: 7"), "unknown key 'forecast.horizn'; did you mean 'horizon'"),
        (
            SMALLEST + "output: {keep_days: 6}\n",
            "keep_days is 6, but 7 steps of 'D' reach 7 days ahead.*give 7 or more",
        ),
        (
            SMALLEST + "hierarchy: {aggregates: [[stor]]}\n",
            "job.yaml: hierarchy.aggregates lists .'stor'., but 'stor' is not a col",
        ),
        (
            SMALLEST + "hierarchy: {aggregates: [series_id]}\n",
            "all columns of source.series_id and so sums over nothing",
        ),
        (
            SMALLEST + "hierarchy: {aggregates: []}\n",
            "hierarchy.aggregates: names no aggregate; write .... for the total",
        ),
        (SMALLEST + "hierarchy: {method: mint}\n", "hierarchy: method is mint, but aggregates names no aggregate"),
        (
            SMALLEST + "hierarchy: {aggregates: store}\n",
            "hierarchy.aggregates: Input should be a valid list .found 'store'",
        ),
        (
            SMALLEST + "hierarchy: {method: mean}\n",
            "hierarchy.method: Input should be 'bottom_up'.* .found 'mean'",
        ),
        (SMALLEST + "hierarchy: {aggregate: [[]]}\n", "unknown key 'hierarchy.aggregate'; did you mean 'aggregates'"),
        (SMALLEST + "hierarchi: {}\n", "unknown key 'hierarchi'; did you mean 'hierarchy'"),
        (SMALLEST + "trainig: {}\n", "unknown key 'trainig'; did you mean 'training'"),
        (SMALLEST + "network: {layers: [{cel: gru}]}\n", "unknown key 'network.layers.0.cel'; did you mean 'cell'"),
        (SMALLEST + "network: {input: {token: {}}}\n", "unknown key 'network.input.token'; did you mean 'tokens'"),
        (SMALLEST + "colour: red\n", "unknown key 'colour'; known keys: name, replaces, source"),
        (SMALLEST.replace("horizon: 7", "horizon: 0"), "forecast.horizon: .*greater than or equal to 1 .found 0"),
        (SMALLEST.replace("horizon: 7", "horizon: 7, lower_bound: 1.0e+40"), "forecast.lower_bound: .*beyond 3.4e.38"),
        (SMALLEST.replace("horizon: 7", "horizon: 7, upper_bound: -3.5e+38"), "forecast.upper_bound: .*beyond 3.4e.38"),
        (SMALLEST.replace(", horizon: 7", ""), "forecast.horizon is missing"),
        (
            SMALLEST.replace("frequency: D", "frequency: daily"),
            "job.yaml: forecast.frequency: 'daily' is not a pandas offset alias",
        ),
        (SMALLEST.replace("name: small", "name: Small Job"), "name: .*found 'Small Job'"),
        (SMALLEST.replace(", table: history", ""), "source"),
        (SMALLEST + "monitor: {segments: [region]}\n", "monitor.segments names .*, which are not in source.static"),
        (SMALLEST.replace("horizon: 7", "horizon: 7, holidays: ES-Madird"), "forecast.holidays: .*similar ones are MD"),
        (SMALLEST.replace("horizon: 7", "horizon: 7, holidays: NO"), "forecast.holidays: .*write 'NO' for Norway"),
        (SMALLEST.replace("horizon: 7", "horizon: 7, missing_future: {price: last}"), "missing_future names .'price'."),
        (SMALLEST.replace("horizon: 7", "horizon: 7, missing_future: none"), "forecast.missing_future"),
        (
            SMALLEST.replace("history}", "history, known_future_from: {table: weather, colums: warmth}}"),
            "unknown key 'source.known_future_from.0.colums'; did you mean 'columns'",
        ),
        (SMALLEST + "forecast: [\n", "line 6.*not YAML"),
        ("- a\n- b\n", "holds no mapping"),
        ("", "is empty"),
    ],
)
def test_a_wrong_job_file_is_refused_with_the_place_and_the_remedy(tmp_path, text, words):
    with pytest.raises(JobError, match=f"(?s){words}"):
        load(tmp_path, text)


@pytest.mark.parametrize("name", ["", " \t"])
@pytest.mark.parametrize("key", ["table", "timestamp", "value", "recorded_at", "series_id", "static", "columns"])
def test_a_name_without_characters_is_refused_wherever_a_column_or_table_is_named(tmp_path, key, name):
    content = yaml.safe_load(SMALLEST)
    ahead = {"table": "weather", "columns": ["warmth"]}
    places = {"": {key: name}, r"known_future_from\.0\.": {"known_future_from": {**ahead, key: name}}}
    for (place, part), keys in zip(places.items(), (Source.model_fields, KnownFuture.model_fields), strict=True):
        if key in keys:
            written = {**content, "source": {**content["source"], **part}}
            with pytest.raises(JobError, match=rf"source\.{place}{key}(\.0)?: is empty; write a name"):
                load(tmp_path, yaml.safe_dump(written))


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan", "1.0e+999"])
@pytest.mark.parametrize(
    "setting",
    [
        "forecast: lower_bound",
        "forecast: upper_bound",
        "network: dropout",
        "training: time_limit",
        "training: learning_rate",
        "training: retrain_after_days",
        "training: warm_after_days",
        "training: new_series_share",
        "monitor: tolerance",
        "monitor: min_effect",
    ],
)
def test_a_number_that_is_none_is_refused_in_every_setting(tmp_path, setting, number):
    part, key = setting.split(": ")
    content = yaml.safe_load(SMALLEST)
    content[part] = {**content.get(part, {}), key: yaml.safe_load(number)}
    with pytest.raises(JobError, match=rf"{part}.{key}: Input should be a finite number \(found"):
        load(tmp_path, yaml.safe_dump(content))


def test_every_problem_of_a_job_file_is_told_at_once(tmp_path):
    with pytest.raises(JobError) as told:
        load(tmp_path, SMALLEST.replace("horizon: 7", "horizon: 0").replace("table:", "tabel:"))
    assert "forecast.horizon" in str(told.value)
    assert "did you mean 'table'" in str(told.value)


def test_a_password_of_what_is_known_ahead_is_refused_too(tmp_path):
    entry = "{url: 'postgresql://me:hunter2@host/db', table: weather, columns: warmth}"
    with pytest.raises(JobError, match=r"source.known_future_from.0.url holds a password") as told:
        load(tmp_path, SMALLEST.replace("history}", f"history, known_future_from: {entry}}}"))
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize("where", ["source", "output"])
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@host/db",
        "postgresql://me:hunter2/x@host/db",
        "postgresql://host/db?password=hunter2",
        "postgresql://me:hunter2@host:${PORT}/db",
    ],
)
def test_a_password_in_the_file_is_refused_and_not_repeated(tmp_path, where, url):
    text = SMALLEST.replace("sqlite:///source.db", url) if where == "source" else SMALLEST + f"output: {{url: '{url}'}}"
    with pytest.raises(JobError, match=rf"{where}.url holds a password; write \$\{{NAME\}}") as told:
        load(tmp_path, text)
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:${SECRET}@host/db",
        "postgresql://host/db?password=${SECRET}",
        "postgresql://host/db?passfile=/run/secrets/pgpass",
        "${URL}",
    ],
)
def test_a_password_from_elsewhere_is_taken(tmp_path, url):
    assert load(tmp_path, SMALLEST + f"output: {{url: '{url}'}}").job.output.url == url


@pytest.mark.parametrize("example", sorted(Path("examples").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_example_is_a_job(example):
    assert load_job(example).job.name


@pytest.mark.parametrize("name", ["2024", "007", "2024-01-01", "0x1f", "1e5", "true", "nan", "null"])
def test_a_name_that_readers_of_a_path_take_for_something_else_is_refused(tmp_path, name):
    with pytest.raises(JobError, match=f"name: .*would take '{name}' for a number, a date"):
        load(tmp_path, SMALLEST.replace("name: small", f"name: '{name}'"))


@pytest.mark.parametrize("name", ["sales", "2024-sales", "e-mails", "0xz", "trues", "s1", "1st"])
def test_a_name_with_a_word_in_it_is_a_name(tmp_path, name):
    assert load(tmp_path, SMALLEST.replace("name: small", f"name: '{name}'")).job.name == name


def test_a_small_file_that_would_become_large_is_refused_by_its_line(tmp_path):
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in pairwise("abcdefghi")
    )
    with pytest.raises(JobError, match=r"job.yaml, line 10, column \d+: there are more than 100,000 values") as raised:
        load(tmp_path, SMALLEST + bomb)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    "part", ["colour: [{}]", "training: [{}]", "forecast_x: &a [{}]\ncolour: [*a, *a]", "{}: 1", "name_of: {{a: [{}]}}"]
)
def test_what_was_found_is_cut_before_it_is_shown(tmp_path, part):
    with pytest.raises(JobError) as raised:
        load(tmp_path, SMALLEST + part.format(", ".join(["x" * 200] * 400)[: 1000 if part[0] == "{" else None]) + "\n")
    assert len(str(raised.value)) < 1_500


def test_of_many_problems_the_first_are_told_and_the_others_counted(tmp_path):
    with pytest.raises(JobError, match=r"and 480 more problems\. Correct these first\.") as raised:
        load(tmp_path, SMALLEST + "".join(f"colour_{n}: red\n" for n in range(500)))
    assert len(str(raised.value).splitlines()) == 21


def test_what_a_file_repeats_by_an_alias_is_told_for_each_place(tmp_path):
    text = SMALLEST + "training: &a {seed: -1}\npromotion: {nights: 0}\nrunner: *a\n"
    with pytest.raises(JobError) as raised:
        load(tmp_path, text)
    assert "training.seed" in str(raised.value)
    assert "unknown key 'runner.seed'" in str(raised.value)


def test_a_job_that_is_no_file_is_named_as_what_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    os.mkfifo("pipe")
    Path("link").symlink_to("nowhere")
    for name, words in [
        ("folder", "No job 'folder': that is a folder, not a file, and the jobs folder"),
        ("pipe", "that is a named pipe, not a file"),
        ("/dev/null", "that is a device, not a file"),
        ("link", "that is a link to a file that does not exist"),
        ("x" * 5_000, r"that file cannot be read \(File name too long\)"),
        ("a\0b", "no such file"),
    ]:
        with pytest.raises(JobError, match=words) as raised:
            load_job(name)
        assert len(str(raised.value)) < 500
