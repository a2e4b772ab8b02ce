"""Which published nights an evaluation scores: those with actuals that are new, or that may have changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from models.calendar.grid import TimeGrid
from models.panel.panel import Panel
from models.settings.monitoring import MonitorSettings
from tasks.evaluation.counted_points import CountedPoints, counted_points
from tasks.night.ledger import Ledger
from tasks.night.night import Night
from tasks.reading.read_series import recorded_since


@dataclass(frozen=True)
class NightDue:
    """A published night that is scored.

    Attributes:
        publication: Its row of the table `publication`.
        cutoff_index: Grid position of its cutoff.
        counted_until: Grid position up to which its points were counted on earlier evaluations.
    """

    publication: Mapping[str, Any]
    cutoff_index: int
    counted_until: int


def due_tonight(night: Night, panel: Panel, rows_file: Path) -> tuple[CountedPoints, list[NightDue]]:
    """What earlier evaluations counted, and the nights that tonight's evaluation scores, oldest first.

    Nights are scored again as far back as `rescored_after` says. Where the job leaves that open, also those of which a
    row was recorded since the evaluation before.

    Args:
        night: Tonight.
        panel: Tonight's history.
        rows_file: The rows from which it was built.
    """
    monitor, grid = night.job.monitor, panel.grid
    counted = counted_points(night.ledger, night.cutoff, grid)
    after = rescored_after(counted, monitor, panel.season_lengths[0])
    if monitor.rescore_steps is None:
        after = min(after, before_newly_recorded(rows_file, night.grid, counted.previous_index))
    return counted, nights_due(night.ledger, counted, grid, after)


def nights_due(ledger: Ledger, counted: CountedPoints, grid: TimeGrid, rescored_after: int) -> list[NightDue]:
    """The nights that an evaluation scores, oldest first.

    Args:
        ledger: The job's.
        counted: What was counted before the evaluation.
        grid: The job's time grid.
        rescored_after: Nights with a step after this grid position are scored, even if all of it was counted before.
    """
    due = []
    for row in ledger.publications():
        index, last_index = grid.position(row["cutoff"]), grid.position(row["last_timestamp"])
        is_older = index < counted.cutoff_index
        if is_older and (last_index > rescored_after or counted.has_uncounted(row["cutoff"], last_index)):
            due.append(NightDue(row, index, counted.counted_until[row["cutoff"]]))
    return due


def rescored_after(counted: CountedPoints, monitor: MonitorSettings, season_length: int) -> int:
    """The grid position after which an evaluation scores every night again, since actuals may have come late.

    `monitor.rescore_steps` before the evaluation's cutoff, or one season where that is left open; in any case what has
    arrived since the evaluation before.
    """
    return min(counted.previous_index, counted.cutoff_index - (monitor.rescore_steps or season_length))


def before_newly_recorded(rows_file: Path, grid: TimeGrid, previous_index: int) -> int:
    """The grid position before the oldest step of which a row was recorded since the evaluation before.

    Args:
        rows_file: From `read_series`.
        grid: The job's time grid.
        previous_index: Cutoff of the evaluation before; the answer where no row was recorded since.
    """
    # Its night ran at the instant of its cutoff at the earliest.
    oldest = recorded_since(rows_file, grid.instant(previous_index), ZoneInfo(grid.time_zone))
    return previous_index if oldest is None else grid.position(oldest) - 1


def oldest_night_due(
    ledger: Ledger, grid: TimeGrid, cutoffs: Iterable[datetime], monitor: MonitorSettings, season_length: int
) -> int:
    """Grid position of the oldest night that an evaluation would score, before its rows are read.

    Args:
        ledger: The job's.
        grid: The job's time grid.
        cutoffs: The cutoffs that the evaluation may have.
        monitor: The job's.
        season_length: In steps.

    Returns:
        The oldest of the cutoffs where no night is due.
    """
    oldest = []
    for cutoff in cutoffs:
        counted = counted_points(ledger, cutoff, grid)
        due = nights_due(ledger, counted, grid, rescored_after(counted, monitor, season_length))
        oldest += [counted.cutoff_index, *(night.cutoff_index for night in due)]
    return min(oldest)
