"""Put the rows onto the time grid, and say what was found on the way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from models.audit.build_panel import Audit, build_panel
from models.errors import InputError
from models.panel.history_summary import Window
from models.settings.audit import AuditSettings
from models.settings.forecast import ForecastSettings
from sql.source.read import Source
from tasks.prefect_ui import show_input
from tasks.reading.covariates import covariates
from tasks.step import logger, step
from tasks.store.panel_file import save_panel
from tasks.store.rows_file import StoredRows


@dataclass(frozen=True)
class Audited:
    """A panel on file, and what the audit found."""

    panel_file: Path
    audit: Audit


@step("audit the input")
def audit_input(
    rows_file: Path,
    source: Source,
    forecast: ForecastSettings,
    cutoff: datetime | None,
    now: datetime,
    policies: AuditSettings,
    window: Window | None = None,
) -> Audited:
    """Build the panel as of the cutoff (the newest observed step where None); InputError where nobody could use it.

    `window` says what is known of older rows where only the newest were read.
    """
    columns = covariates(source, rows_file)
    panel, audit = build_panel(
        StoredRows(rows_file), forecast, columns, cutoff=cutoff, now=now, audit=policies, window=window
    )
    for finding in audit.findings:
        logger().info("%s: %d, %s", finding.kind, finding.count, finding.action)
    show_input(audit)
    return Audited(save_panel(panel, rows_file.with_name("panel.npz")), audit)


def refuse_stale(audit: Audit, source: str, policies: AuditSettings) -> None:
    """Stop where the source is stale and the job says that this is an error.

    Raises:
        InputError: names the newest value of all.
    """
    if audit.stale and policies.stale == "error":
        raise InputError(
            f"{source}: {audit.stale_message}. Load what is missing, or set audit.stale to warn, or "
            "audit.stale_after_steps to more."
        )
