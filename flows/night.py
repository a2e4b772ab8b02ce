"""The night: in which order its steps run, whether as plain functions or as tasks of a Prefect flow."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from flows.job import LoadedJob, load_job
from flows.missed import Before, before_tonight
from flows.moments import local_day, to_cutoff, to_moment
from flows.summary import NightSummary
from models.errors import InputError, TrainingFailed
from models.retraining import Policy
from sql.errors import SourceError
from sql.read import describe_source
from sql.write import RunEnd
from tasks.artifacts import label_run
from tasks.audit import Audited, audit_input, refuse_stale
from tasks.calibration import keep_calibration
from tasks.context import Context, plan_context
from tasks.decide import Decided, contender, decide
from tasks.details import Details, write_details
from tasks.fit_model import Fitted, fit_model
from tasks.notify import Delivery, announce_fallback, check_targets, notify
from tasks.one_at_a_time import keep_turn, one_at_a_time
from tasks.places import check_places
from tasks.predict import Predicted, predict
from tasks.publish import Published, publish
from tasks.read_series import read_series
from tasks.reconcile import require_method
from tasks.rehearse import rehearse_nights
from tasks.report import write_report
from tasks.retention import forget
from tasks.run_log import announce_run, begin_run, end_run, note_failure, usual_rows
from tasks.runner.cluster import check_runner
from tasks.score import Scored, score
from tasks.shadow import judge_challenger, place_model
from tasks.step import inside_flow, logger
from tasks.summary_file import meaning_of
from tasks.watch import Watched, watch
from tasks.watch_input import watch_input

# The whole night, or a part of it: a new champion, forecasts of the champion as it is, or what came true.
Part = Literal["nightly", "train", "forecast", "score"]


@dataclass(frozen=True)
class Scope:
    """What of a night is done.

    Attributes:
        part: All of it, or only a part.
        promotes: Whether a network that was trained tonight may become the champion.
        tells: Whether the job's targets are told of alerts.
        in_order: Waits for the nights before, where several run at once: which model is the champion, what quantiles
            are calibrated by, and what is said of the loss depend on them; reading and training does not.
    """

    part: Part = "nightly"
    promotes: bool = True
    tells: bool = True
    in_order: Callable[[], None] = lambda: None


WHOLE_NIGHT = Scope()


def run_night(
    job: str | Path,
    *,
    cutoff: datetime | str | None = None,
    train: Policy | None = None,
    horizon: int | None = None,
    time_limit: float | None = None,
    now: datetime | None = None,
) -> NightSummary:
    """Run a job's night: as a Prefect flow where PREFECT_API_URL is set, else at once as plain functions.

    Args:
        job: Path of the job's file, or its name.
        cutoff: Last timestamp that the forecast may see; the newest observed step where None.
        train: Instead of the job's `training.policy`; what "scratch" then trains forecasts tonight, whoever is the
            champion.
        horizon: Instead of the job's; a network for another one never becomes the champion.
        time_limit: Instead of the job's `training.time_limit`, in seconds.
        now: The moment that counts as now; the clock's where None.
    """
    if _server_answers():
        from flows.nightly import night_as_flow

        return night_as_flow(str(job), None if cutoff is None else str(cutoff), train, horizon, time_limit, now)
    loaded, scope = for_this_run(job, horizon, time_limit)
    now = now or datetime.now(UTC)
    return night(loaded, cutoff=cutoff, train=train, now=now, run_id=uuid4().hex, scope=scope)


def for_this_run(
    job: str | Path, horizon: int | None = None, time_limit: float | None = None, part: Part = "nightly"
) -> tuple[LoadedJob, Scope]:
    """A job with what holds for one run instead of what its file says, and what such a night may do."""
    changes: dict[str, dict[str, Any]] = {
        "forecast": {} if horizon is None else {"horizon": horizon},
        "training": {} if time_limit is None else {"time_limit": time_limit},
    }
    loaded = load_job(job, changes)
    # The next night wants a champion for the job's own horizon.
    return loaded, Scope(part, promotes=horizon is None or horizon == load_job(job).job.forecast.horizon)


def _server_answers() -> bool:
    """Whether there is a Prefect server; the night does not wait for one that is away."""
    api = os.environ.get("PREFECT_API_URL")
    if not api or inside_flow():
        return bool(api)
    import httpx

    try:
        httpx.get(f"{api}/health", timeout=10)
    except httpx.TransportError as error:
        logger().warning("No Prefect server answers at %s (%s): the night runs without one.", api, error)
        return False
    return True


def night(
    loaded: LoadedJob,
    *,
    cutoff: datetime | str | None,
    train: Policy | None,
    now: datetime,
    run_id: str,
    scope: Scope = WHOLE_NIGHT,
) -> NightSummary:
    """One night of one job, from reading to report; a failure is noted in the table `run` and raised again.

    Args:
        loaded: The job.
        cutoff: Last timestamp that the forecast may see; the newest observed step where None.
        train: Instead of the job's `training.policy`; a part that must not train is given "never".
        now: The moment that counts as now.
        run_id: Key of the run in the table `run`.
        scope: What of the night is done.
    """
    places, started_at = loaded.places, datetime.now(UTC)
    zone = loaded.job.forecast.zone
    now = to_moment(now, zone)
    label_run(loaded.job.name)
    asked = None if cutoff is None else to_cutoff(cutoff, zone, now)
    try:
        check_targets(loaded.job.notify)
        require_method(loaded.job.levels)
        check_places(places)
        check_runner(loaded.job.runner)
        with one_at_a_time(places, loaded.job.schedule.second_run):
            announce_run(places, run_id, asked or now, started_at, scope.part)
            with places.scratch(run_id) as scratch:
                return _steps(loaded, asked, train, now, started_at, run_id, scratch, scope)
    except BaseException as error:
        note_failure(places, run_id, asked or now, started_at, datetime.now(UTC), scope.part, error)
        raise


def _steps(
    loaded: LoadedJob,
    asked: datetime | None,
    train: Policy | None,
    now: datetime,
    started_at: datetime,
    run_id: str,
    scratch: Path,
    scope: Scope,
) -> NightSummary:
    job, places = loaded.job, loaded.places
    part = scope.part
    forecasts, judges = part in ("nightly", "forecast"), part in ("nightly", "score")
    training = job.training if train is None else job.training.model_copy(update={"policy": train})
    promotion = job.promotion_settings
    clock = Stopwatch()
    with clock("read"):
        context = plan_context(
            places,
            job.source,
            loaded.base,
            job.forecast,
            job.network,
            training,
            job.audit,
            job.monitor,
            job.levels,
            asked,
            scratch,
        )
    rows_file, audited, context = _read(loaded, asked, now, clock, scratch, context)
    cutoff, panel_file = audited.audit.cutoff, audited.panel_file
    label_run(job.name, local_day(cutoff, job.forecast.zone))
    begin_run(places, run_id, cutoff, started_at, part)
    if audited.audit.stale and job.audit.stale == "error":
        watch_input(places, audited.audit, job.forecast.zone, run_id)
        if scope.tells:
            notify(places, job.notify, cutoff, started_at)
        refuse_stale(audited.audit, describe_source(job.source, loaded.base), job.audit)
    before = Before()
    if part == "nightly" and asked is None:
        before = before_tonight(loaded, cutoff, lambda missed: run_night(loaded.path, cutoff=missed, now=now))
    if before.leaves_out_tonight:
        end_run(places, run_id, datetime.now(UTC), {"note": before.note}, "skipped")
        return NightSummary.skipped(run_id, job.name, cutoff, places.url_text, before.note)
    # What a part of the night leaves out.
    decided, fitted = Decided("none", "only what came true was judged"), Fitted("none")
    predicted, published, report = Predicted(scratch, audited.audit.series, {}), Published(0, ""), ""
    stale: Sequence[str] = ()
    scored, watched, delivery = Scored([], {}, None), Watched([], ()), Delivery((), ())
    if part != "score":
        with clock("decide"):
            decided = decide(places, panel_file, job.forecast, job.network, training, cutoff, scratch)
        if context is not None and not context.serves(decided):
            rows_file, audited, context = _read(loaded, asked, now, clock, scratch)
            with clock("decide"):
                decided = decide(places, panel_file, job.forecast, job.network, training, cutoff, scratch)
        with clock("fit"):
            meaning = meaning_of(job.source, loaded.base, job.forecast, job.audit)
            fitted = fit_model(
                places,
                panel_file,
                decided,
                job.forecast,
                job.network,
                training,
                cutoff,
                started_at,
                job.levels,
                meaning,
                job.runner,
                run_id,
                promotion,
                job.monitor.segments,
                # Who asks for a network wants to see what it forecasts; who is the champion is another question.
                train == "scratch" and forecasts,
            )
    scope.in_order()
    if part == "train" and fitted.failure:
        raise TrainingFailed(fitted.failure)
    if scope.promotes and fitted.stored is not None:
        # Before the forecast: it calibrates the first one. A network for another horizon than the job's says nothing
        # of its nights.
        with clock("rehearse"):
            rehearse_nights(places, panel_file, fitted, job.forecast, job.monitor, job.calibration)
    if forecasts:
        with clock("predict"):
            predicted = predict(
                places,
                panel_file,
                fitted,
                job.forecast,
                job.runner,
                cutoff,
                run_id,
                started_at,
                job.levels,
                training.seed,
                job.calibration,
            )
        with clock("publish"):
            keep_turn(places)
            keep_calibration(places, cutoff, predicted.calibrated_by)
            published = publish(places, predicted.file, cutoff)
    challenged = ""
    if scope.promotes and part == "nightly" and contender(places) is not None:
        with clock("judge"):
            challenged = judge_challenger(
                places,
                panel_file,
                decided,
                fitted,
                job.forecast,
                promotion,
                job.monitor.segments,
                cutoff,
                started_at,
            )
    if scope.promotes and fitted.stored is not None:
        place_model(places, fitted, cutoff, started_at)
    if judges:
        with clock("score"):
            window = None if context is None else context.window
            new = predicted.file if forecasts else None
            scored = score(
                places,
                panel_file,
                rows_file,
                job.monitor,
                cutoff,
                job.levels,
                job.forecast,
                job.calibration,
                window,
                new,
            )
        with clock("watch"):
            stale = watch_input(places, audited.audit, job.forecast.zone, run_id)
            watched = watch(
                places, scored.losses, job.monitor, job.forecast.zone, cutoff, run_id, coverage_meant=job.coverage_meant
            )
        with clock("notify"):
            delivery = notify(places, job.notify, cutoff, started_at) if scope.tells else delivery
    if forecasts:
        announce_fallback(places, cutoff, predicted.fallback_series, predicted.series)
        with clock("report"):
            settings = job.model_dump(mode="json", exclude={"notify"})
            details = Details(settings, run_id, now, audited.audit, decided, fitted, predicted)
            write_details(places, cutoff, details, clock.seconds, panel_file, job.levels)
            report = str(write_report(places, cutoff, run_id))
        with clock("forget"):
            forget(places, cutoff)
    state: RunEnd = "unchanged" if published.same_as else "completed"
    same = f"the same rows that run {published.same_as} had published" if published.same_as else ""
    note = "; ".join(filter(None, (same, before.note, challenged)))
    train_reason = "; ".join(filter(None, (decided.reason, fitted.failure, fitted.outcome, fitted.trained_on)))
    facts = {
        "train_mode": fitted.mode,
        "train_reason": train_reason,
        "model_version": fitted.version,
        "rows_read": audited.audit.rows_read,
        "series": predicted.series,
        "fallback_series": predicted.fallback_series,
        "seconds": clock.seconds,
        "report": report or None,
        "note": note or None,
    }
    end_run(places, run_id, datetime.now(UTC), facts, state)
    return NightSummary(
        run_id=run_id,
        job=job.name,
        cutoff=cutoff,
        series=predicted.series,
        rows=published.rows,
        rows_read=audited.audit.rows_read,
        fallback_series=predicted.fallback_series,
        fallback_reasons=predicted.fallback_reasons,
        train_mode=fitted.mode,
        train_reason=train_reason,
        trained_on=fitted.trained_on,
        model_version=fitted.version,
        findings=[str(finding) for finding in audited.audit.findings],
        scores=scored.newest_scores,
        losses=watched.losses,
        alerts=[*stale, *watched.changes],
        seconds=clock.seconds,
        stale=audited.audit.stale,
        tables=places.url_text,
        parquet=published.parquet,
        report=report,
        undelivered=list(delivery.undelivered),
        part=part,
        state=state,
        note=note,
        not_taken=fitted.outcome if fitted.stored is not None and fitted.lies != fitted.stored else "",
    )


def _read(
    loaded: LoadedJob,
    asked: datetime | None,
    now: datetime,
    clock: Stopwatch,
    scratch: Path,
    context: Context | None = None,
) -> tuple[Path, Audited, Context | None]:
    """Rows and panel of a night: what the context says, or everything where there is none, or it turns out too short.

    Gives the rows' file, the audit, and the context that was read; None for everything.
    """
    job = loaded.job
    since, window = (None, None) if context is None else (context.since, context.window)
    try:
        with clock("read"):
            usual = usual_rows(loaded.places, whole_history=context is None) if inside_flow() else None
            rows_file = read_series(job.source, loaded.base, job.forecast, asked, now, scratch, since, usual)
        with clock("audit"):
            audited = audit_input(rows_file, job.source, job.forecast, asked, now, job.audit, window)
    except (InputError, SourceError):
        # Whatever is wrong, all rows tell it best.
        if context is None:
            raise
        return _read(loaded, asked, now, clock, scratch)
    if context is not None and not context.holds(audited.audit.cutoff, job.forecast):
        return _read(loaded, asked, now, clock, scratch)
    return rows_file, audited, context


class Stopwatch:
    """Seconds of each stage, in the order in which the stages ran; together where one ran again."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = round(self.seconds.get(stage, 0.0) + time.perf_counter() - began, 3)
