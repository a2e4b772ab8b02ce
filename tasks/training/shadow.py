"""A challenger in the champion's shadow: what both would have forecast, night after night, until one is the better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from models.calendar.grid import TimeGrid
from models.errors import ModelError
from models.evaluation.segments import segments_of
from models.lifecycle.comparison import compare, reach_of
from models.lifecycle.promotion import Sums, Verdict, evidence_of, in_shadow, objections, widest_interval
from models.network.forecaster import Forecaster
from models.settings.forecast import ForecastSettings
from models.settings.training import PromotionSettings
from sql.output import history, write
from tasks.night.night import Run
from tasks.step import logger, step
from tasks.store.panel_file import load_panel
from tasks.store.places import Places
from tasks.store.version_store import StoredVersion, fetch_version, locate_version
from tasks.training.decide import Decided, contender, serves_from
from tasks.training.fit_model import Fitted
from tasks.training.verdict import promotion_row

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Shadow:
    """A challenger and how far back tonight's comparison looks.

    Attributes:
        row: Its row of `model`.
        folder: Its local folder, checked.
        rows: What is known of it before tonight, rows of `promotion`, oldest first.
        judged: How many of the newest steps came true since; 0 for none.
        oldest: Steps back to the newest moment from which one of the two has learnt.
    """

    row: Row
    folder: Path
    rows: Sequence[Row]
    judged: int
    oldest: int


def shadow_of(
    places: Places, decided: Decided, forecast: ForecastSettings, cutoff: datetime, scratch: Path
) -> Shadow | None:
    """The challenger that is judged tonight; None where there is none, and on nights of the past.

    Raises:
        ModelError: it cannot be read.
    """
    row = contender(places)
    if row is None or decided.champion_until is None or not is_newest(places, cutoff) or row["trained_until"] > cutoff:
        return None
    known = history.promotions(places.engine(), places.job, row["version"])
    if known[-1]["evaluated_on"] > cutoff:
        return None
    rows = [each for each in known if each["held_out"] or each["evaluated_on"] < cutoff]
    stored = StoredVersion(row["version"], row["uri"], row["digest"])
    folder = fetch_version(locate_version(stored, places.versions, places.job), scratch)
    grid = TimeGrid(forecast.frequency, forecast.time_zone)
    index, learnt = grid.position(cutoff), max(row["trained_until"], decided.champion_until)
    oldest = index - grid.position(learnt)
    judged = min(index - grid.position(rows[-1]["evaluated_on"]), oldest, forecast.horizon)
    return Shadow(row, folder, rows, max(judged, 0), oldest)


def history_needed(run: Run, decided: Decided, champion: Forecaster, cutoff: datetime) -> int:
    """How many steps before a cutoff the comparison with a challenger looks at, at most; 0 where there is none.

    Raises:
        ModelError: the challenger cannot be read.
    """
    shadow = shadow_of(run.places, decided, run.job.forecast, cutoff, run.scratch)
    return 0 if shadow is None else reach_of(Forecaster.load(shadow.folder), champion, champion.plan.horizon)


def is_newest(places: Places, cutoff: datetime) -> bool:
    """Whether no newer night than this one is published: only such a night says which version comes next."""
    return all(night["cutoff"] <= cutoff for night in history.publications(places.engine(), places.job))


@step("judge the challenger", retries=2, retry_delay_seconds=(2, 10))
def judge_challenger(
    places: Places,
    panel_file: Path,
    decided: Decided,
    fitted: Fitted,
    forecast: ForecastSettings,
    promotion: PromotionSettings,
    segments: Sequence[str],
    cutoff: datetime,
    now: datetime,
) -> str:
    """Forecast what came true since the evaluation before with challenger and champion, and see which is the better.

    A challenger that has shown it becomes the champion of the next night; one that the evidence is against, that has
    had its nights, or that cannot serve any longer is retired. The same night again says the same.

    Returns:
        What is known of it, in words; "" where there is none.
    """
    engine, job = places.engine(), places.job
    if decided.folder is None or decided.champion is None or (fitted.mode == "scratch" and _takes_over(fitted)):
        return ""
    try:
        shadow = shadow_of(places, decided, forecast, cutoff, panel_file.parent)
    except ModelError as error:
        return _let_go(places, f"it cannot be read: {error}")
    if shadow is None or not shadow.judged:
        return ""
    version, champion = shadow.row["version"], Forecaster.load(decided.folder)
    challenger, panel = Forecaster.load(shadow.folder), load_panel(panel_file)
    if shadow.row["metrics"]["built_for"] != _built_for(places, decided.champion.version):
        return _let_go(places, "the job asks for another network now")
    stride = max(1, round(TimeGrid(panel.frequency, panel.time_zone).steps_per_day))
    masks = segments_of(panel, segments)
    tonight = compare(challenger, champion, panel, forecast, masks, shadow.judged, stride=stride, oldest=shadow.oldest)
    first = next((row for row in shadow.rows if row["held_out"]), None)
    evaluations = [row for row in shadow.rows if not row["held_out"]]
    differences = [row["log_ratio"] for row in evaluations if row["log_ratio"] is not None]
    held_out = (1.0, 1.0) if first is None else (first["e_value"], first["champion_e_value"])
    evidence = evidence_of([*differences, tonight.total.difference], held_out)
    total = _sums(evaluations, "all").plus(tonight.total)
    by_segment = {name: _sums(evaluations, name).plus(sums) for name, sums in tonight.segments.items()}
    against = objections(total, by_segment, widest_interval(challenger.plan.quantile_levels), promotion)
    verdict = in_shadow(evidence, total, against, promotion)
    row = promotion_row(
        job, version, decided.champion.version, cutoff, tonight.total, tonight.segments, evidence, verdict, total,
        by_segment,
    )  # fmt: skip
    write.upsert_promotions(engine, [row])
    return _done(places, version, verdict, _next_step(panel.cutoff_index, forecast), now)


def _takes_over(fitted: Fitted) -> bool:
    return fitted.verdict is not None and fitted.verdict.action == "promote"


def _sums(evaluations: Sequence[Row], segment: str) -> Sums:
    found = Sums()
    for row in evaluations:
        found = found.plus((row["segment_sums"] or {}).get(segment, Sums()))
    return found


def _built_for(places: Places, version: str) -> Any:
    rows = history.models(places.engine(), places.job)
    return next(row["metrics"]["built_for"] for row in rows if row["version"] == version)


def _next_step(index: int, forecast: ForecastSettings) -> datetime:
    return TimeGrid(forecast.frequency, forecast.time_zone).instant(index + 1)


def _done(places: Places, version: str, verdict: Verdict, next_night: datetime, now: datetime) -> str:
    word = f"challenger {version}: {verdict.reason}"
    if verdict.action == "promote":
        write.promote(places.engine(), places.job, version, now, served_from=next_night, reason=verdict.reason)
        word += "; it is the champion from the next night on"
    elif verdict.action == "retire":
        write.retire(places.engine(), places.job, version, verdict.reason)
        word += "; it is retired"
    logger().info("%s", word)
    return word


def _let_go(places: Places, reason: str) -> str:
    row = contender(places)
    if row is None:
        return ""
    write.retire(places.engine(), places.job, row["version"], reason)
    word = f"challenger {row['version']} is retired: {reason}"
    logger().warning("%s", word)
    return word


@step("place {fitted.stored.version}", retries=2, retry_delay_seconds=(2, 10))
def place_model(places: Places, fitted: Fitted, cutoff: datetime, now: datetime) -> None:
    """Make tonight's new version the champion, or a challenger in its shadow, as its verdict says.

    On a night that the champion comes after, its version is kept and nothing else changes. There is one
    challenger in the champion's shadow at most, and a night that a newer one has overtaken puts none there.
    """
    if fitted.stored is None or fitted.verdict is None:
        return
    engine, job, version = places.engine(), places.job, fitted.stored.version
    champion = history.champion(engine, job)
    if champion is not None and (champion["version"] == version or serves_from(champion) > cutoff):
        return
    action, reason = fitted.verdict
    if action == "promote":
        write.promote(engine, job, version, now, served_from=cutoff, reason=reason)
    elif action == "retire":
        write.retire(engine, job, version, reason)
    if not is_newest(places, cutoff):
        return
    before = contender(places)
    if fitted.judged is not None:
        write.upsert_promotions(engine, [fitted.judged])
    if before is not None and before["version"] != version and action != "retire" and fitted.mode == "scratch":
        write.retire(engine, job, before["version"], f"undecided when {version} was trained")
