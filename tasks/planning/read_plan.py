"""Which rows a night needs that only forecasts: the newest ones, where a summary tells what the older ones hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from models.baselines.fallback import spread_steps
from models.calendar.grid import TimeGrid
from models.errors import InputError, ModelError
from models.evaluation.volume_classes import volume_reach
from models.hierarchy.aggregation_levels import AggregationLevels
from models.network.forecaster import Forecaster
from models.panel.history_summary import Window
from models.settings.audit import AuditSettings
from models.settings.forecast import ForecastSettings
from models.settings.monitoring import MonitorSettings
from models.settings.network import NetworkSettings
from models.settings.training import TrainingSettings
from sql.output import history
from sql.source.read import Source, takes_since
from tasks.evaluation.counted_points import counted_before
from tasks.reading.history_file import meaning_of, read_summary
from tasks.step import logger, step
from tasks.store.places import Places
from tasks.training.decide import Decided, weigh
from tasks.training.shadow import shadow_of


@dataclass(frozen=True)
class Context:
    """What a night reads that will only load a version, as far as can be known before it has read anything.

    Attributes:
        since: No row before it is read.
        window: The same on the grid, and the summary of what is older.
        reach: Steps before the cutoff that forecasts, the report, the classes by volume and the comparison with a
            challenger look at.
        version: The version that will be loaded.
    """

    since: datetime
    window: Window
    reach: int
    version: str

    def serves(self, decided: Decided) -> bool:
        """Whether the night does what it was expected to do."""
        return decided.mode == "load" and decided.champion is not None and decided.champion.version == self.version

    def holds(self, cutoff: datetime, forecast: ForecastSettings) -> bool:
        """Whether all that a night at this cutoff looks at was read."""
        grid = TimeGrid(forecast.frequency, forecast.time_zone)
        return grid.position(cutoff) - self.reach >= self.window.since


@step("see how much history {places.job} needs", retries=2, retry_delay_seconds=(2, 10))
def plan_context(
    places: Places,
    source: Source,
    base: Path,
    forecast: ForecastSettings,
    network: NetworkSettings,
    training: TrainingSettings,
    policies: AuditSettings,
    monitor: MonitorSettings,
    levels: AggregationLevels,
    cutoff: datetime | None,
    scratch: Path,
) -> Context | None:
    """The context of a night that will only load its version; None where it reads everything.

    Everything is read where all of it may matter: to train, to reconcile or add up series, to find or mend changes of
    unit, and where rows say when they were recorded, since old ones may have been revised.

    Args:
        places: Where the job's results and versions lie.
        source: Where the rows lie.
        base: The folder of the job file.
        forecast: The job's, as are the next five.
        network: What a version must have been built for.
        training: When to train.
        policies: What becomes of dirt.
        monitor: How far back nights are scored again.
        levels: The aggregation levels.
        cutoff: What was asked for; None for the newest step.
        scratch: Where a version is fetched to.
    """
    if not places.has_tables() or not sa.inspect(places.engine()).has_table("publication"):
        return None
    published = history.publications(places.ready_engine(), places.job)
    # The newest step is not known yet; it is hardly ever older than that of the newest night.
    expected = cutoff or (published[-1]["cutoff"] if published else None)
    if expected is None or levels or not _simple(source, base, forecast, policies):
        return None
    try:
        decided = weigh(places, _covariates(source), None, forecast, network, training, expected, scratch)
        if decided.mode != "load" or decided.folder is None or decided.champion is None:
            return None
        forecaster = Forecaster.load(decided.folder)
        summary = read_summary(decided.folder, meaning_of(source, base, forecast, policies))
        shadow = shadow_of(places, decided, forecast, expected, scratch)
        reach = 0 if shadow is None else shadow.reach(forecaster)
    except (InputError, ModelError):  # the night itself will say so
        return None
    if summary is None or (forecaster.forecast.lower_bound is not None and forecast.lower_bound is None):
        return None
    grid = TimeGrid(forecast.frequency, forecast.time_zone)
    index, season = grid.position(expected), summary.season_length
    # Tonight is the newest night once more, which counts what it did then, or, as a rule, a new one.
    tonight = [expected] if cutoff else [expected, grid.instant(index + 1)]
    counted = [counted_before(places, evaluation, grid) for evaluation in tonight]
    before = min(*(each.before for each in counted), index - (monitor.rescore_steps or season))
    last = {row["cutoff"]: grid.position(row["last_timestamp"]) for row in published}
    judged = [
        grid.position(night)
        for night, end in last.items()
        if end > before or any(each.leaves(night, end) for each in counted)
    ]
    reach = max(reach, forecaster.memory, spread_steps(season), 3 * forecast.horizon)
    if monitor.volume_classes:
        reach = max(reach, index - min(judged, default=index) + volume_reach(grid, season))
    window = Window(min(index - reach, summary.until - season), summary)
    if min(judged, default=index) < summary.until or window.read_since <= summary.first.min():
        return None
    since = grid.instant(window.read_since)
    logger().info("reads from %s on, since %s will be loaded", since, decided.champion.version)
    return Context(since, window, reach, decided.champion.version)


def _simple(source: Source, base: Path, forecast: ForecastSettings, policies: AuditSettings) -> bool:
    """Whether nothing in the job makes old rows matter, and the database can leave them out."""
    missing = forecast.missing_future
    carried_on = "last" in (missing.values() if isinstance(missing, dict) else [missing])
    return (
        source.recorded_at is None
        and policies.unit_changes == "keep"
        and not (source.known_ahead and carried_on)
        and takes_since(source, base)
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
