"""Does what the README says: every command and program in its code blocks is run, or known to be run elsewhere."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE = (ROOT / "flows" / "night" / "store-sales.yaml").read_text(encoding="utf-8")

# Commands that would fetch, install or start again what runs this test, and where each is tried instead.
ELSEWHERE = {
    "git clone <this repository> nightcast": ".ci/run",
    "cd nightcast": ".ci/run",
    "source .venv/bin/activate": "every other command here runs in the environment",
    "make test": "this is one of its tests",
    "make check": ".ci/run",
    ".venv/bin/uv pip install --python .venv/bin/python --require-hashes -r requirements/postgres.txt": (
        "requirements/dev.txt, which this test runs with, holds the same"
    ),
    ".venv/bin/uv pip install --python .venv/bin/python --require-hashes -r requirements/challengers.txt": (
        "requirements/dev.txt, which this test runs with, holds the same"
    ),
}
# The Makefile's recipe, without making the environment that this test runs in.
INSTEAD = {"make demo": "nightcast demo demo"}


class Block(NamedTuple):
    language: str
    text: str


BLOCKS = [Block(*found) for found in re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which the README's reader has a history of their own, and little patience for training."""
    days = [date(2024, 1, 1) + timedelta(days=i) for i in range(120)]
    lines = [f"{name},{day},{10 + day.weekday()}" for name in ("apples", "pears") for day in days]
    (tmp_path / "history.csv").write_text("\n".join(["series_id,timestamp,value", *lines]) + "\n", encoding="utf-8")
    (tmp_path / "demo").mkdir()
    job = yaml.safe_load(EXAMPLE)
    job["training"]["max_steps"] = 30
    job["monitor"]["hindcast_nights"] = 7
    (tmp_path / "demo" / "store-sales.yaml").write_text(yaml.safe_dump(job), encoding="utf-8")
    return tmp_path


def run(command: list[str], folder: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_every_command_of_the_readme_does_what_it_says(folder: Path) -> None:
    said: dict[str, str] = {}
    for block in BLOCKS:
        if block.language == "sh":
            for line in block.text.strip().splitlines():
                command = re.sub(r"\s+#.*", "", line)
                if command not in ELSEWHERE:
                    said[command] = run(shlex.split(INSTEAD.get(command, command)), folder)
                if command.startswith("nightcast init"):
                    with (folder / "jobs" / "mine.yaml").open("a", encoding="utf-8") as job:
                        job.write("training: {max_steps: 30}\nmonitor: {hindcast_nights: 7}\n")
        elif block.language == "python":
            said[block.text] = run([sys.executable, "-c", block.text], folder)

    proposed = next(output for command, output in said.items() if command.startswith("nightcast init"))
    assert proposed.startswith(next(block.text for block in BLOCKS if block.text.startswith("history.csv: ")))
    assert "Night         model         series" in said["make demo"]
    assert "2025-01-31    scratch           60" in said["make demo"]
    assert re.search(r"mean absolute error \(MAE\) +\d", said["make demo"])
    table = next(output for program, output in said.items() if "latest_forecast" in program)
    assert table.count("Madrid/coffee") == 5
    parquet = next(output for program, output in said.items() if "read_parquet" in program)
    assert "2025-02-27T230000Z" in parquet
    assert "champion" in said["nightcast models list demo/store-sales.yaml"]
    assert (folder / "demo" / "reports" / "store-sales" / "2025-02-27T230000Z.html").is_file()


def test_the_demo_pasted_into_the_readme_has_the_lines_of_a_real_one() -> None:
    pasted = next(block.text for block in BLOCKS if block.language == "text" and "Night  " in block.text)
    for line in (
        "Files",
        "seasonal naive",
        "inside the 90 % interval",
        "  report    demo/reports/store-sales/",
    ):
        assert line in pasted


def test_the_accuracy_in_the_readme_is_the_one_that_was_measured() -> None:
    kept = json.loads((ROOT / "benchmarks" / "results" / "accuracy.json").read_text(encoding="utf-8"))["figures"]
    rows = re.findall(r"^\| `(\w+)`: .*? \| (.*) \|$", README, re.MULTILINE)
    assert [name for name, _ in rows] == ["tourism_monthly", "pedestrian"]
    for name, cells in rows:
        shown = [float(cell.removesuffix(" %")) for cell in cells.split(" | ")]
        mase, naive_mase, wql, naive_wql, coverage, seconds = shown
        assert mase == kept[f"{name}.mase"]
        assert wql == kept[f"{name}.wql"]
        assert (naive_mase, naive_wql) == (kept[f"{name}.seasonal_naive.mase"], kept[f"{name}.seasonal_naive.wql"])
        assert coverage == round(100 * kept[f"{name}.coverage_80"])
        assert seconds == round(kept[f"{name}.train_seconds"])


def test_every_verb_of_the_command_is_in_the_readme() -> None:
    from flows.cli import main

    for verb in main.commands:
        assert f"`nightcast {verb}" in README, verb


@pytest.mark.parametrize("extra", ["postgres.txt", "challengers.txt"])
def test_what_the_readme_installs_is_what_is_tested(extra: str) -> None:
    def locked(name: str) -> set[str]:
        return set(re.findall(r"^\S+==\S+", (ROOT / "requirements" / name).read_text(encoding="utf-8"), re.MULTILINE))

    assert locked("base.txt") < locked(extra) < locked("dev.txt")


def test_yaml_of_the_readme_is_yaml() -> None:
    for block in BLOCKS:
        if block.language == "yaml":
            assert isinstance(yaml.safe_load(block.text), dict)
