"""The night: in which order its steps run, whether as plain functions or as tasks of a Prefect flow."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from flows.job import LoadedJob, load_job
from flows.moments import local_day, to_cutoff, to_moment
from flows.summary import NightSummary
from models.errors import InputError
from models.retraining import Policy
from sql.errors import SourceError
from sql.read import describe_source
from tasks.artifacts import label_run
from tasks.audit import Audited, audit_input, refuse_stale
from tasks.context import Context, plan_context
from tasks.decide import decide
from tasks.details import Details, write_details
from tasks.fit_model import fit_model, promote_model
from tasks.notify import announce_fallback, fill_in_environment, notify
from tasks.places import check_places
from tasks.predict import predict
from tasks.publish import publish
from tasks.read_series import read_series
from tasks.reconcile import require_method
from tasks.report import write_report
from tasks.retention import forget
from tasks.run_log import begin_run, end_run, note_failure
from tasks.runner.cluster import check_runner
from tasks.score import score
from tasks.summary_file import meaning_of
from tasks.watch import watch
from tasks.watch_input import watch_input


def run_night(
    job: str | Path, *, cutoff: datetime | str | None = None, train: Policy | None = None, now: datetime | None = None
) -> NightSummary:
    """Run a job's night: as a Prefect flow where PREFECT_API_URL is set, else at once as plain functions.

    Args:
        job: Path of the job's file, or its name.
        cutoff: Last timestamp that the forecast may see; the newest observed step where None.
        train: Instead of the job's `training.policy`.
        now: The moment that counts as now; the clock's where None.
    """
    if os.environ.get("PREFECT_API_URL"):
        from flows.nightly import nightly

        return nightly(str(job), None if cutoff is None else str(cutoff), train, now)
    return night(load_job(job), cutoff=cutoff, train=train, now=now or datetime.now(UTC), run_id=uuid4().hex)


def night(
    loaded: LoadedJob, *, cutoff: datetime | str | None, train: Policy | None, now: datetime, run_id: str
) -> NightSummary:
    """One night of one job, from reading to report; a failure is noted in the table `run` and raised again."""
    places, started_at = loaded.places, datetime.now(UTC)
    zone = loaded.job.forecast.zone
    now = to_moment(now, zone)
    label_run(loaded.job.name)
    asked = None if cutoff is None else to_cutoff(cutoff, zone, now)
    try:
        # A target that cannot be filled in must not first be found when there is an alert to tell.
        fill_in_environment(loaded.job.notify.webhook or "")
        require_method(loaded.job.levels)
        check_places(places)
        check_runner(loaded.job.runner)
        with places.scratch(run_id) as scratch:
            return _steps(loaded, asked, train, now, started_at, run_id, scratch)
    except BaseException as error:
        note_failure(places, run_id, asked or now, started_at, datetime.now(UTC), error)
        raise


def _steps(
    loaded: LoadedJob,
    asked: datetime | None,
    train: Policy | None,
    now: datetime,
    started_at: datetime,
    run_id: str,
    scratch: Path,
) -> NightSummary:
    job, places = loaded.job, loaded.places
    training = job.training if train is None else job.training.model_copy(update={"policy": train})
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
    begin_run(places, run_id, cutoff, started_at)
    if audited.audit.stale and job.audit.stale == "error":
        watch_input(places, audited.audit, job.forecast.zone, run_id)
        notify(places, job.notify, cutoff, started_at)
        refuse_stale(audited.audit, describe_source(job.source, loaded.base), job.audit)
    with clock("decide"):
        decided = decide(places, panel_file, job.forecast, job.network, training, cutoff, scratch)
    if context is not None and not context.serves(decided):
        rows_file, audited, context = _read(loaded, asked, now, clock, scratch)
        with clock("decide"):
            decided = decide(places, panel_file, job.forecast, job.network, training, cutoff, scratch)
    with clock("fit"):
        meaning = meaning_of(job.source, loaded.base, job.forecast, job.audit)
        fitted = fit_model(
            places, panel_file, decided, job.forecast, job.network, training, cutoff, started_at, job.levels, meaning
        )
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
        )
    with clock("publish"):
        published = publish(places, predicted.file, cutoff)
        promote_model(places, fitted, cutoff, started_at)
    with clock("score"):
        window = None if context is None else context.window
        scored = score(places, panel_file, rows_file, job.monitor, cutoff, job.levels, window)
    with clock("watch"):
        stale = watch_input(places, audited.audit, job.forecast.zone, run_id)
        watched = watch(places, scored.losses, job.monitor, job.forecast.zone, cutoff, run_id)
    with clock("notify"):
        delivery = notify(places, job.notify, cutoff, started_at)
        announce_fallback(places, cutoff, predicted.fallback_series, predicted.series)
    with clock("report"):
        settings = job.model_dump(mode="json", exclude={"notify"})
        details = Details(settings, run_id, now, audited.audit, decided, fitted, predicted)
        write_details(places, cutoff, details, clock.seconds, panel_file, job.levels)
        report = write_report(places, cutoff, run_id)
    with clock("forget"):
        forget(places, cutoff)
    train_reason = "; ".join(filter(None, (decided.reason, fitted.failure, fitted.trained_on)))
    facts = {
        "train_mode": fitted.mode,
        "train_reason": train_reason,
        "model_version": fitted.version,
        "rows_read": audited.audit.rows_read,
        "series": predicted.series,
        "fallback_series": predicted.fallback_series,
        "seconds": clock.seconds,
        "report": str(report),
    }
    end_run(places, run_id, datetime.now(UTC), facts)
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
        report=str(report),
        undelivered=list(delivery.undelivered),
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
            rows_file = read_series(job.source, loaded.base, job.forecast, asked, now, scratch, since)
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
