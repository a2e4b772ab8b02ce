"""The command line as a whole: its verbs, its help, its speed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from flows.cli import main

VERBS = [
    "demo",
    "init",
    "import",
    "check",
    "run",
    "backtest",
    "backfill",
    "models",
    "alerts",
    "anomalies",
    "report",
    "explain",
    "what-if",
    "schedule",
    "serve",
    "doctor",
    "automations",
]


def test_the_verbs_of_the_contract_are_there():
    assert set(VERBS) == set(main.commands)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb):
    result = CliRunner().invoke(main, [verb, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_help_imports_none_of_the_heavy_libraries():
    heavy = {"pandas", "numpy", "prefect", "sqlalchemy", "keras", "tensorflow", "pyarrow", "matplotlib", "sklearn"}
    code = f"import sys, flows.cli; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_verb_is_wrong_use():
    assert CliRunner().invoke(main, ["fly"]).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "x.yaml", "--cutoff", "yesterdayish"], "'yesterdayish' is not a timestamp; write 2024-03-01"),
        (["run", "x.yaml", "--train", "maybe"], "'maybe' is not one of 'auto'"),
        (["run", "x.yaml", "--frob"], "No such option '--frob'"),
        (["run", "x.yaml", "--horizon", "0"], "0 is not in the range 1<=x<=10000"),
        (["run", "x.yaml", "--time-limit", "90000"], "90000 is not in the range 1<=x<=86400"),
        (["run"], "Missing argument 'JOB'"),
        (["backtest", "x.yaml", "--cutoffs", "0"], "0 is not in the range 1<=x<=1000"),
        (["backfill", "x.yaml"], "Missing option '--from'"),
        (["runn", "x.yaml"], "No such command 'runn'. Did you mean 'run'?"),
        (["models"], "No such option '--json'"),
        (["models", "lisst", "x.yaml"], "No such command 'lisst'"),
        (["run", "--json", "x.yaml", "--frob"], "No such option '--frob'"),
        ([], "No such option '--json'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_is_one_json_object_too_where_that_is_asked_for(arguments, words):
    result = CliRunner().invoke(main, arguments if "--json" in arguments else [*arguments, "--json"])
    told = json.loads(result.stdout)
    assert (result.exit_code, set(told), told["exit_code"]) == (2, {"error", "exit_code"}, 2)
    assert words in told["error"]
    assert words in result.stderr


def test_wrong_use_without_json_says_nothing_on_standard_output():
    for arguments in (["run"], ["run", "--frob"], ["run", "--frob", "--", "--json"]):
        result = CliRunner().invoke(main, arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "Error: " in result.stderr


def test_an_interrupted_verb_is_a_failure_in_json_too(monkeypatch):
    def end(job):
        raise KeyboardInterrupt("ended by SIGTERM")

    monkeypatch.setattr("flows.job.job.load_job", end)
    result = CliRunner().invoke(main, ["run", "x.yaml", "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"error": "Interrupted by SIGTERM.", "exit_code": 1, "interrupted": True}
    assert result.stderr == "Interrupted by SIGTERM.\n"


def test_an_interrupted_backtest_says_that_it_publishes_nothing(monkeypatch):
    def end(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("flows.night.backtest.backtest_job", end)
    result = CliRunner().invoke(main, ["backtest", "x.yaml"])
    told = "Interrupted by Ctrl-C. The backtest has no results; it publishes nothing.\n"
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", told)


def test_help_is_help_though_json_is_asked_for():
    result = CliRunner().invoke(main, ["run", "--json", "--help"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("Usage: ")


@pytest.mark.parametrize("verb", [["run"], ["check"], ["report"], ["models", "list"], ["alerts", "list"], ["backtest"]])
def test_a_job_that_is_not_there_is_wrong_use(verb):
    result = CliRunner().invoke(main, [*verb, "nowhere.yaml"])
    assert result.exit_code == 2
    assert "No job 'nowhere.yaml'" in result.stderr


def test_import_loads_a_file_into_a_table(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("series_id,timestamp,value\na,2024-01-01,1\na,2024-01-02,2\n", encoding="utf-8")
    arguments = ["import", str(file), "--to", f"sqlite:///{tmp_path}/s.db", "--table", "t", "--json"]
    answer = json.loads(CliRunner().invoke(main, arguments).stdout)
    assert (answer["rows"], answer["columns"]) == (2, ["series_id", "timestamp", "value"])
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 2
    assert "There is already a table 't'" in again.stderr


def test_import_says_which_columns_it_found_and_which_a_job_will_miss(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("series_id,timestamp,units\na,2024-01-01,1\n", encoding="utf-8")
    result = CliRunner().invoke(main, ["import", str(file), "--to", f"sqlite:///{tmp_path}/s.db", "--table", "t"])
    assert "columns series_id (text), timestamp (time), units (number). No column is called value" in result.stdout


def test_import_says_which_numbers_stay_text_and_takes_the_word_of_the_user(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("shop,sold,units\n1,2024-01-01 00:00,NA\n2,2024-01-01 00:00,3\n3,2024-01-01 00:00,4\n")
    arguments = ["import", str(file), "--to", f"sqlite:///{tmp_path}/s.db", "--table"]
    result = CliRunner().invoke(main, [*arguments, "t"])
    assert "'units' stays text, so that 'NA' and the like stay as they are. Say --number units" in result.stdout
    given = ["--text", "shop", "--number", "units", "--json"]
    answer = json.loads(CliRunner().invoke(main, [*arguments, "u", *given]).stdout)
    assert (answer["kinds"], answer["notes"]) == ({"shop": "text", "sold": "time", "units": "number"}, [])
    file.write_text("day,units,price\n2024-01-01,1,5\n2024-01-02,2,6\n")
    for way, kinds in (("--wide", ["series_id", "timestamp", "value"]), ("--long", ["day", "units", "price"])):
        answer = json.loads(CliRunner().invoke(main, [*arguments, way.strip("-"), way, "--json"]).stdout)
        assert answer["columns"] == kinds
    file.write_text("shop\tsold\tunits\n1\t01/02/2024\t1,234\n")
    given = ["--delimiter", "tab", "--decimal", ",", "--date-format", "%d/%m/%Y", "--json"]
    answer = json.loads(CliRunner().invoke(main, [*arguments, "w", *given]).stdout)
    assert answer["written"] == {
        "encoding": "UTF-8", "delimiter": "\t", "decimal": ",", "date_format": {"sold": "%d/%m/%Y"}
    }  # fmt: skip
    wrong = CliRunner().invoke(main, [*arguments, "v", "--text", "shops"])
    assert wrong.exit_code == 2
    assert "has no column 'shops'. It has ['shop', 'sold', 'units']" in wrong.stderr


def groups(command=main, path=()):
    """All commands that have verbs, each with its path."""
    yield path, command
    for name, inner in command.commands.items():
        if isinstance(inner, click.Group):
            yield from groups(inner, (*path, name))


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_list_of_verbs_cuts_no_sentence(width, monkeypatch):
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_: os.terminal_size((width, 24)))
    for path, group in groups():
        shown = " ".join(CliRunner().invoke(main, [*path, "--help"], terminal_width=width).stdout.split())
        assert "..." not in shown.replace("[ARGS]...", "")
        for verb in group.commands.values():
            sentence = " ".join((verb.help or "").split("\n\n")[0].split()).split(". ")[0].rstrip(".")
            assert f"{sentence}." in shown
