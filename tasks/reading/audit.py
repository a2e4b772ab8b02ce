"""Put the rows onto the time grid, and report what the audit found in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from models.audit.build_panel import Audit, build_panel
from models.errors import InputError
from models.panel.history_summary import Window
from models.settings.audit import AuditSettings
from tasks.night.job import Job
from tasks.prefect_ui import show_input
from tasks.reading.covariates import covariates
from tasks.step import logger, step
from tasks.store.panel_file import save_panel
from tasks.store.rows_file import StoredRows


@dataclass(frozen=True)
class AuditedPanel:
    """The file of a panel, and what the audit found."""

    panel_file: Path
    audit: Audit


@step("audit the input")
def audit_input(
    job: Job, rows_file: Path, cutoff: datetime | None, now: datetime, window: Window | None = None
) -> AuditedPanel:
    """Build the panel as of a cutoff.

    Args:
        job: What the rows are.
        rows_file: From `read_series`.
        cutoff: The last timestamp to see; None for the newest observed step.
        now: The moment that counts as now, to see whether the source is stale.
        window: What is known of older rows, where only the newest were read.

    Raises:
        InputError: no panel can be made of the rows.
    """
    columns = covariates(job.source, rows_file)
    panel, audit = build_panel(
        StoredRows(rows_file), job.forecast, columns, cutoff=cutoff, now=now, audit=job.audit, window=window
    )
    for finding in audit.findings:
        logger().info("%s: %d, %s", finding.kind, finding.count, finding.action)
    show_input(audit)
    return AuditedPanel(save_panel(panel, rows_file.with_name("panel.npz")), audit)


def refuse_stale(audit: Audit, source: str, policies: AuditSettings) -> None:
    """Raise an error where the source is stale and `audit.stale` is `error`.

    Raises:
        InputError: names the newest value of the source.
    """
    if audit.stale and policies.stale == "error":
        raise InputError(
            f"{source}: {audit.stale_message}. Load what is missing, or set audit.stale to warn, or raise "
            "audit.stale_after_steps."
        )
