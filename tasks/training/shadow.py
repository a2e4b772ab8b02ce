"""A challenger in the champion's shadow: what both would have forecast, night after night, until one is the better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import ModelError
from models.evaluation.segments import segments_of
from models.lifecycle.comparison import Rivals, compare, look_back
from models.lifecycle.e_values import NO_EVIDENCE, EValues, e_values_of
from models.lifecycle.paired_sums import PairedSums
from models.lifecycle.promotion import decide_in_shadow, objections, widest_interval
from models.network.forecaster import Forecaster
from models.panel.panel import Panel
from tasks.night.ledger import Ledger
from tasks.night.night import Night
from tasks.step import logger, step
from tasks.store.panel_file import load_panel
from tasks.store.version_store import fetch_version
from tasks.training.champion import is_newest, judged_challenger, stored_version
from tasks.training.decide import Decision
from tasks.training.night_model import NightModel
from tasks.training.promotion import Compared, Evaluation

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Shadow:
    """A challenger, and how far back tonight's comparison looks.

    Attributes:
        row: Its row of `model`.
        folder: Its local folder, checked.
        rows: Its evaluations before tonight, rows of `promotion`, oldest first.
        judged: The number of the newest steps whose actuals have arrived since; 0 for none.
        oldest: Steps back to the newest moment from which one of the two has learnt.
    """

    row: Row
    folder: Path
    rows: Sequence[Row]
    judged: int
    oldest: int


def shadow_of(night: Night, decision: Decision) -> Shadow | None:
    """The challenger that is judged tonight; None where there is none, and on nights of the past.

    Raises:
        ModelError: it cannot be read.
    """
    row = judged_challenger(night.ledger)
    if row is None or decision.champion_until is None or not is_newest(night) or row["trained_until"] > night.cutoff:
        return None
    known = night.ledger.promotions(row["version"])
    if known[-1]["evaluated_on"] > night.cutoff:
        return None
    rows = [each for each in known if each["held_out"] or each["evaluated_on"] < night.cutoff]
    folder = fetch_version(stored_version(night.places, row), night.scratch)
    index, learnt_until = night.grid.position(night.cutoff), max(row["trained_until"], decision.champion_until)
    oldest = index - night.grid.position(learnt_until)
    judged = min(index - night.grid.position(rows[-1]["evaluated_on"]), oldest, night.job.forecast.horizon)
    return Shadow(row, folder, rows, max(judged, 0), oldest)


def history_needed(night: Night, decision: Decision, champion: Forecaster) -> int:
    """The most steps before the cutoff that a comparison with a challenger looks at; 0 where there is no challenger.

    Raises:
        ModelError: the challenger cannot be read.
    """
    shadow = shadow_of(night, decision)
    return 0 if shadow is None else look_back(Forecaster.load(shadow.folder), champion, champion.plan.horizon)


@step("judge the challenger", retries=2, retry_delay_seconds=(2, 10))
def judge_challenger(night: Night, panel_file: Path, decision: Decision, model: NightModel) -> str:
    """Let challenger and champion forecast the steps whose actuals arrived since the last evaluation, and compare them.

    A challenger that has shown that it is better becomes the champion of the next night. It is retired where the
    evidence is against it, where it has had its nights, or where it cannot serve any longer. The same night run again
    gives the same result.

    Returns:
        How it stands, for people; "" where there is none.
    """
    if decision.folder is None or decision.champion is None or (model.mode == "scratch" and model.takes_over):
        return ""
    try:
        shadow = shadow_of(night, decision)
    except ModelError as error:
        return _retire(night.ledger, f"it cannot be read: {error}")
    if shadow is None or not shadow.judged:
        return ""
    if shadow.row["metrics"]["built_for"] != _built_for(night.ledger, decision.champion.version):
        return _retire(night.ledger, "the job asks for another network now")
    panel, champion = load_panel(panel_file), Forecaster.load(decision.folder)
    evaluation = _evaluate(night, shadow, panel, champion, decision.champion.version)
    night.ledger.upsert_promotions([evaluation.row(night.job.name)])
    return _apply(night, evaluation, panel)


def _evaluate(night: Night, shadow: Shadow, panel: Panel, champion: Forecaster, champion_version: str) -> Evaluation:
    """Tonight's comparison, and what it says together with those before."""
    challenger, policy = Forecaster.load(shadow.folder), night.job.promotion_settings
    segments = segments_of(panel, night.job.monitor.segments)
    stride = max(1, round(panel.grid.steps_per_day))
    rivals = Rivals(challenger, champion, panel, night.job.forecast, segments, stride)
    tonight = compare(rivals, shadow.judged, oldest=shadow.oldest)
    first = next((row for row in shadow.rows if row["held_out"]), None)
    before = [row for row in shadow.rows if not row["held_out"]]
    differences = [row["log_ratio"] for row in before if row["log_ratio"] is not None]
    held_out = NO_EVIDENCE if first is None else EValues(first["e_value"], first["champion_e_value"])
    evidence = e_values_of([*differences, tonight.total.difference], held_out)
    overall = Compared(
        _sums(before, "all").plus(tonight.total),
        {name: _sums(before, name).plus(sums) for name, sums in tonight.segments.items()},
    )
    nominal = widest_interval(challenger.plan.quantile_levels)
    against = objections(overall.total, overall.segments, nominal, policy)
    promotion = decide_in_shadow(evidence, overall.total, against, policy)
    compared = Compared(tonight.total, tonight.segments)
    return Evaluation(shadow.row["version"], champion_version, night.cutoff, compared, overall, evidence, promotion)


def _sums(evaluations: Sequence[Row], segment: str) -> PairedSums:
    found = PairedSums()
    for row in evaluations:
        found = found.plus((row["segment_sums"] or {}).get(segment, PairedSums()))
    return found


def _built_for(ledger: Ledger, version: str) -> Any:
    return next(row["metrics"]["built_for"] for row in ledger.models() if row["version"] == version)


def _apply(night: Night, evaluation: Evaluation, panel: Panel) -> str:
    """Promote or retire the challenger as was decided; gives how it stands, for people."""
    version, (action, reason) = evaluation.version, evaluation.promotion
    standing = f"challenger {version}: {reason}"
    if action == "promote":
        next_night = panel.grid.instant(panel.cutoff_index + 1)
        night.ledger.promote(version, night.started_at, served_from=next_night, reason=reason)
        standing += "; it is the champion from the next night on"
    elif action == "retire":
        night.ledger.retire(version, reason)
        standing += "; it is retired"
    logger().info("%s", standing)
    return standing


def _retire(ledger: Ledger, reason: str) -> str:
    """Retire the challenger that cannot be judged; gives what happened, for people."""
    row = judged_challenger(ledger)
    if row is None:
        return ""
    ledger.retire(row["version"], reason)
    message = f"challenger {row['version']} is retired: {reason}"
    logger().warning("%s", message)
    return message
