"""Put the rows onto the time grid, and say what was found on the way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from models.audit import Audit, build_panel
from models.settings import ForecastSettings
from sql.read import Source
from tasks.covariates import covariates
from tasks.panel_store import save_panel
from tasks.read_series import load_rows
from tasks.step import logger, step


@dataclass(frozen=True)
class Audited:
    """A panel on file, and what the audit found."""

    panel_file: Path
    audit: Audit


@step("audit the input")
def audit_input(
    rows_file: Path, source: Source, forecast: ForecastSettings, cutoff: datetime | None, now: datetime
) -> Audited:
    """Build the panel as of the cutoff (the newest observed step where None); InputError where nobody could use it."""
    about = covariates(source, rows_file)
    panel, audit = build_panel(load_rows(rows_file), forecast, cutoff=cutoff, now=now, **about)
    for finding in audit.findings:
        logger().info("%s: %d, %s", finding.kind, finding.count, finding.action)
    return Audited(save_panel(panel, rows_file.with_name("panel.npz")), audit)
