"""What benchmarks leave behind: the newest figures, and a history that only grows."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def keeper() -> ModuleType:
    spec = importlib.util.spec_from_file_location("record", ROOT / "benchmarks" / "record.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_newest_run_is_kept_and_every_run_remembered(keeper: ModuleType, tmp_path: Path) -> None:
    keeper.record("speed", {"help_seconds": 0.123456, "rows": 5}, "python benchmarks/speed.py", tmp_path)
    path = keeper.record("speed", {"help_seconds": 0.2}, "python benchmarks/speed.py", tmp_path)
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert set(kept) == {"commit", "date", "machine", "command", "figures"}
    assert kept["figures"] == {"help_seconds": 0.2}
    lines = (tmp_path / "history.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 4 + 2
    assert "help_seconds 0.1235, rows 5" in lines[4]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["history.md", "speed.json"]


@pytest.mark.parametrize("figures", [{}, {"mase": float("nan")}, {"mase": float("inf")}])
def test_a_benchmark_that_measured_nothing_fails_loudly(
    keeper: ModuleType, tmp_path: Path, figures: dict[str, float]
) -> None:
    with pytest.raises(ValueError, match="accuracy"):
        keeper.record("accuracy", figures, "python benchmarks/accuracy.py", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_figure_that_could_not_be_measured_is_null(keeper: ModuleType, tmp_path: Path) -> None:
    path = keeper.record("speed", {"gpu_seconds": None}, "python benchmarks/speed.py", tmp_path)
    assert json.loads(path.read_text(encoding="utf-8"))["figures"] == {"gpu_seconds": None}


def test_a_command_names_no_folder_that_only_this_machine_has(keeper: ModuleType, tmp_path: Path) -> None:
    beside, inside = ROOT.parent / "shared" / "data", ROOT / "demo"
    command = keeper.asked("speed", ["--data", str(beside), "--folder", str(inside), "--sets", "a"])
    assert command == "python benchmarks/speed.py --data ../shared/data --folder demo --sets a"
    assert keeper.asked("year", ["--folder", "/srv/a/b"]) == "python benchmarks/year.py --folder DIR"
