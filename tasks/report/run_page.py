"""Show a night on the page of its Prefect run: on one screen, with tables of its errors and fallbacks."""

from __future__ import annotations

from pathlib import Path

from tasks.prefect_ui import show_link, show_table, show_text
from tasks.report.record import Row
from tasks.report.screen import error_rows, fallback_rows, night_screen
from tasks.step import inside_flow


def show_night(facts: Row, report: Path, address: str) -> None:
    """Add the night to the run's page; does nothing outside of a flow.

    Args:
        facts: What `page_facts` gives.
        report: The HTML page.
        address: Where a browser finds it; "" where it is published nowhere.
    """
    if not inside_flow():
        return
    show_text("night", night_screen(facts, report, address), f"{facts['verdict'][0]}. The night on one screen")
    if address:
        show_link("report", address, "The whole page of the night")
    if errors := error_rows(facts):
        when = f"{facts['accuracy']['cutoff']:%Y-%m-%d}"
        show_table("errors", errors, f"Errors of the forecast of {when}, beside those of the seasonal naive")
    if fallbacks := fallback_rows(facts["fallback"], facts["run"].get("series")):
        condition = f"job = '{facts['job']}' AND source = 'fallback' AND step = 1"
        query = f"SELECT series_id, reason FROM latest_forecast WHERE {condition}"
        show_table("fallbacks", fallbacks, f"Why series were forecast by the fallback. To list them: `{query}`")
