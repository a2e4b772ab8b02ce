"""The command line as a whole: its verbs, its help, its speed."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from flows.cli import main

VERBS = ["demo", "import", "check", "run", "backtest", "backfill", "models", "alerts", "report", "serve", "doctor"]


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


@pytest.mark.parametrize("verb", [["run"], ["check"], ["report"], ["models", "list"], ["alerts", "list"], ["backtest"]])
def test_a_job_that_is_not_there_is_wrong_use(verb):
    result = CliRunner().invoke(main, [*verb, "nowhere.yaml"])
    assert result.exit_code == 2
    assert "No job 'nowhere.yaml'" in result.stderr


def test_import_loads_a_file_into_a_table(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("series_id,timestamp,value\na,2024-01-01,1\na,2024-01-02,2\n", encoding="utf-8")
    arguments = ["import", str(file), "--to", f"sqlite:///{tmp_path}/s.db", "--table", "t", "--json"]
    assert '"rows": 2' in CliRunner().invoke(main, arguments).stdout
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 2
    assert "There is a table 't'" in again.stderr
