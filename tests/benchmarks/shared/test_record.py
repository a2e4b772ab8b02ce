"""What a benchmark records: the newest figures, and a line of a history that only grows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.shared.record import command_line, record

ROOT = Path(__file__).parents[3]


def test_the_newest_run_is_kept_and_every_run_remembered(tmp_path: Path) -> None:
    record("speed", {"help_seconds": 0.123456, "rows": 5}, "python -m benchmarks.speed", tmp_path)
    path = record("speed", {"help_seconds": 0.2}, "python -m benchmarks.speed", tmp_path)
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert set(kept) == {"commit", "date", "machine", "command", "figures"}
    assert kept["figures"] == {"help_seconds": 0.2}
    lines = (tmp_path / "history.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 4 + 2
    assert "help_seconds 0.1235, rows 5" in lines[4]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["history.md", "speed.json"]


@pytest.mark.parametrize("figures", [{}, {"mase": float("nan")}, {"mase": float("inf")}])
def test_a_benchmark_that_measured_nothing_fails_loudly(tmp_path: Path, figures: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="accuracy"):
        record("accuracy", figures, "python -m benchmarks.accuracy", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_figure_that_could_not_be_measured_is_null(tmp_path: Path) -> None:
    path = record("speed", {"gpu_seconds": None}, "python -m benchmarks.speed", tmp_path)
    assert json.loads(path.read_text(encoding="utf-8"))["figures"] == {"gpu_seconds": None}


def test_a_command_names_no_folder_that_only_this_machine_has(tmp_path: Path) -> None:
    beside, inside = ROOT.parent / "shared" / "data", ROOT / "demo"
    command = command_line("speed", ["--data", str(beside), "--folder", str(inside), "--sets", "a"])
    assert command == "python -m benchmarks.speed --data ../shared/data --folder demo --sets a"
    assert command_line("year", ["--folder", "/srv/a/b"]) == "python -m benchmarks.year --folder DIR"
