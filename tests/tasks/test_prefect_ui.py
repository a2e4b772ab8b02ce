"""What is shown of a run is for people only: nothing outside of a flow, and never a reason to fail."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from tasks import prefect_ui


def test_outside_of_a_flow_nothing_is_shown_and_prefect_is_not_imported():
    code = (
        "import sys; from tasks.prefect_ui import *; label_run('small', '2024-02-10'); "
        "show_progress('reading')(1.0, 'read'); show_text('night', '', ''); print('prefect' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """Within a flow whose server is gone; gives the names of what it was asked to show."""
    tried: list[str] = []

    def gone(name: str, *others: object) -> None:
        tried.append(name)
        raise ConnectionError("All connection attempts failed")

    monkeypatch.setattr(prefect_ui, "inside_flow", lambda: True)
    monkeypatch.setattr(prefect_ui, "logger", lambda: logging.getLogger("nightcast"))
    monkeypatch.setattr(prefect_ui, "_label", lambda job, cutoff: None)
    monkeypatch.setattr(prefect_ui, "_new_table", gone)
    monkeypatch.setattr(prefect_ui, "_new_bar", gone)
    return tried


def test_a_server_that_is_gone_is_told_once_and_not_asked_again(asked, caplog):
    prefect_ui.label_run("small")
    prefect_ui.show_table("errors", [], "")
    prefect_ui.show_table("fallbacks", [], "")
    assert asked == ["errors"]
    assert [record.message for record in caplog.records] == [
        "The run's page in Prefect stays incomplete, and the night goes on: All connection attempts failed"
    ]


def test_progress_goes_on_untold_where_its_bar_could_not_be_made(asked):
    prefect_ui.label_run("small")
    prefect_ui.show_progress("training")(1.0, "step 2 of 2")
    prefect_ui.show_progress("forecasting")(1.0, "7 of 7 series")
    assert asked == ["training"]


def test_a_stage_that_is_over_at_once_is_one_bar_and_a_long_one_is_moved(asked, monkeypatch):
    bars: list[tuple[str, float, str]] = []

    def new_bar(stage: str, percent: float, words: str) -> int:
        bars.append((stage, percent, words))
        return 7

    monkeypatch.setattr(prefect_ui, "_new_bar", new_bar)
    monkeypatch.setattr(prefect_ui, "_move_bar", lambda bar, percent, words: bars.append((bar, percent, words)))
    prefect_ui.label_run("small")
    tell = prefect_ui.show_progress("reading")
    tell(0.2, "20 rows")
    assert bars == []
    tell(1.0, "100 rows")
    monkeypatch.setattr(prefect_ui, "SECONDS_BETWEEN_UPDATES", 0.0)
    tell = prefect_ui.show_progress("training")
    tell(0.5, "step 1 of 2")
    tell(1.5, "step 2 of 2")
    assert bars == [("reading", 100, "100 rows"), ("training", 50, "step 1 of 2"), (7, 100, "step 2 of 2")]


def test_the_next_run_asks_again(asked):
    for job in ("small", "other"):
        prefect_ui.label_run(job)
        prefect_ui.show_table("errors", [], "")
    assert asked == ["errors", "errors"]


def test_a_key_has_small_letters_digits_and_dashes_only(asked):
    prefect_ui.label_run("store_sales-2")
    assert prefect_ui._key("night") == "store-sales-2-night"
