"""Read as much of the history as the night needs."""

from __future__ import annotations

from flows.night.results import History
from flows.night.stopwatch import Stopwatch
from models.errors import InputError
from sql.errors import SourceError
from tasks.night.night import Run
from tasks.planning.read_plan import ReadPlan, plan_reading
from tasks.reading.audit import audit_input
from tasks.reading.read_series import Extent, read_series
from tasks.run.run_log import expected_rows
from tasks.step import inside_flow


def read_history(run: Run, clock: Stopwatch) -> History:
    """The newest rows where the night will only load its model, else all."""
    with clock("read"):
        plan = plan_reading(run)
    if plan is None:
        return read_whole_history(run, clock)
    # The data show the grid only where all rows are read.
    on_grid = run.on_grid_of(plan.origin)
    try:
        history = _read(on_grid, plan, clock)
    except (InputError, SourceError):
        # The message names the true cause only if all rows were read.
        return read_whole_history(run, clock)
    return history if plan.covers(history.audit.cutoff, on_grid.grid) else read_whole_history(run, clock)


def read_whole_history(run: Run, clock: Stopwatch) -> History:
    """All rows up to the cutoff."""
    return _read(run, None, clock)


def _read(run: Run, plan: ReadPlan | None, clock: Stopwatch) -> History:
    since, window = (None, None) if plan is None else (plan.since, plan.window)
    with clock("read"):
        rows = expected_rows(run.ledger, plan is None) if inside_flow() else None
        extent = Extent(run.requested_cutoff, run.now, since)
        rows_file = read_series(run.job, run.places.base, extent, run.scratch, rows)
    with clock("audit"):
        audited = audit_input(run.job, rows_file, run.requested_cutoff, run.now, window)
    return History(rows_file, audited.panel_file, audited.audit, plan)
