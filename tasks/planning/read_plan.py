"""How much history a night must read: the newest rows where it only loads a version, else everything.

The version has a summary of what older rows hold. Each step that looks back says how far by a function
`history_needed` in its own module; the plan asks them all and takes the furthest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from models.baselines import fallback
from models.calendar.grid import TimeGrid
from models.errors import InputError, ModelError
from models.network.forecaster import Forecaster
from models.panel.history_summary import HistorySummary, Window
from sql.source.read import Source, takes_since
from tasks.evaluation import score
from tasks.evaluation.nights_due import oldest_night_due
from tasks.night.night import Run
from tasks.planning.published_grid import published_origin
from tasks.reading.history_file import read_summary, source_fingerprint
from tasks.report import details
from tasks.step import logger, step
from tasks.training import shadow
from tasks.training.decide import Decision, decide_for


@dataclass(frozen=True)
class ReadPlan:
    """What a night reads that will only load a version, as far as can be known before it has read anything.

    Attributes:
        since: No row before this moment is read.
        window: The same as a grid position, with the summary of what is older.
        history_needed: How many steps before the cutoff the night's steps look at.
        version: The version that will be loaded.
        origin: One step of the grid of the nights before, see `published_origin`.
    """

    since: datetime
    window: Window
    history_needed: int
    version: str
    origin: str | None

    def serves(self, decision: Decision) -> bool:
        """Whether the night's decision is the one that the plan expected."""
        return decision.mode == "load" and decision.champion is not None and decision.champion.version == self.version

    def covers(self, cutoff: datetime, grid: TimeGrid) -> bool:
        """Whether the plan reads all that a night at this cutoff looks at."""
        return grid.position(cutoff) - self.history_needed >= self.window.since


@step("see how much history {run.job.name} needs", retries=2, retry_delay_seconds=(2, 10))
def plan_reading(run: Run) -> ReadPlan | None:
    """The plan of a night that will only load its version; None where the night must read everything.

    That is so where old rows may matter: to train, to add up series or reconcile them, to find or mend changes of
    unit, and where rows say when they were recorded, since old ones may have been revised.
    """
    if not run.places.has_runs():
        return None
    run.places.ready_engine()
    origin = published_origin(run.job, run.ledger)
    run = run.on_grid_of(origin)
    cutoffs = _expected_cutoffs(run)
    if not cutoffs or not _summary_can_stand_in(run):
        return None
    loaded = _version_to_load(run, cutoffs[0])
    if loaded is None:
        return None
    job, grid, summary = run.job, run.grid, loaded.summary
    index, season_length = grid.position(cutoffs[0]), summary.season_length
    oldest_night = oldest_night_due(run.ledger, grid, cutoffs, job.monitor, season_length)
    needed = max(
        loaded.history_needed,
        fallback.history_needed(season_length),
        details.history_needed(job.forecast.horizon),
        score.history_needed(index - oldest_night, job.monitor, grid, season_length),
    )
    window = Window(min(index - needed, summary.until - season_length), summary)
    if oldest_night < summary.until or window.read_since <= summary.first.min():
        return None
    since = grid.begin(window.read_since)
    logger().info("The night loads %s, so it reads the rows from %s on.", loaded.version, since)
    return ReadPlan(since, window, needed, loaded.version, origin)


@dataclass(frozen=True)
class _Loaded:
    """The version that the night will load.

    Attributes:
        version: Its name.
        summary: What it holds of old history.
        history_needed: How many steps before the cutoff its networks look at, and the comparison with a challenger.
    """

    version: str
    summary: HistorySummary
    history_needed: int


def _version_to_load(run: Run, cutoff: datetime) -> _Loaded | None:
    """The version of a night that will only load one; None where it trains, or where the summary is of no use."""
    try:
        night = run.at(cutoff)
        decision = decide_for(night, _covariates(run.job.source))
        if decision.mode != "load" or decision.folder is None or decision.champion is None:
            return None
        forecaster = Forecaster.load(decision.folder)
        summary = read_summary(decision.folder, source_fingerprint(run.job, run.places.base))
        shadow_steps = shadow.history_needed(night, decision, forecaster)
    except (InputError, ModelError):  # The night's own decision raises the error again.
        return None
    # A lower bound that the job no longer names is chosen anew, from the whole history.
    if summary is None or (forecaster.forecast.lower_bound is not None and run.job.forecast.lower_bound is None):
        return None
    return _Loaded(decision.champion.version, summary, max(forecaster.look_back, shadow_steps))


def _expected_cutoffs(run: Run) -> Sequence[datetime]:
    """The cutoffs that the night may have: the one asked for, or the newest night's and the one after it.

    Empty where no night was published, and none is asked for: the newest step of the source is not known yet. It is
    hardly ever older than the newest night.
    """
    if run.requested_cutoff is not None:
        return [run.requested_cutoff]
    published = run.ledger.publications()
    if not published:
        return []
    newest: datetime = published[-1]["cutoff"]
    return [newest, run.grid.instant(run.grid.position(newest) + 1)]


def _summary_can_stand_in(run: Run) -> bool:
    """Whether a summary says all that the job needs of old rows, and the source can leave them out."""
    source, missing = run.job.source, run.job.forecast.missing_future
    carries_last = "last" in (missing.values() if isinstance(missing, dict) else [missing])
    return (
        not run.job.aggregation_levels
        and source.recorded_at is None
        and run.job.audit.unit_changes == "keep"
        and not (source.known_ahead and carries_last)
        and takes_since(source, run.places.base)
    )


def _covariates(source: Source) -> Mapping[str, list[str]]:
    """As `Panel.covariates`, before there is a panel."""
    kinds = {
        "static": source.static,
        "static_numbers": source.static_numbers,
        "known_future": source.known_ahead,
        "observed_past": source.observed_past,
    }
    return {kind: sorted(names) for kind, names in kinds.items() if names}
