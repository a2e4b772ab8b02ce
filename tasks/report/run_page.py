"""What a night leaves on the page of its Prefect run: itself on one screen, its errors and its fallbacks."""

from __future__ import annotations

from pathlib import Path

from tasks.prefect_ui import show_table, show_text
from tasks.report.night import Row
from tasks.report.screen import error_rows, fallback_rows, night_screen
from tasks.step import inside_flow


def show_night(facts: Row, report: Path) -> None:
    """Put the night on the run's page; does nothing outside of a flow.

    Args:
        facts: What `page` gives.
        report: The HTML page that says it at length.
    """
    if not inside_flow():
        return
    show_text("night", night_screen(facts, report), f"{facts['verdict'][0]}; the night on one screen")
    if errors := error_rows(facts):
        when = f"{facts['accuracy']['cutoff']:%Y-%m-%d}"
        show_table("errors", errors, f"Errors of the forecast of {when}, beside the seasonal naive's")
    if fallbacks := fallback_rows(facts["fallback"], facts["run"].get("series")):
        which = f"job = '{facts['job']}' AND source = 'fallback' AND step = 1"
        words = (
            f"Why series are without the model. Which: `SELECT series_id, reason FROM latest_forecast WHERE {which}`"
        )
        show_table("fallbacks", fallbacks, words)
