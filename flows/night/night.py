"""The night: in which order its steps run, whether as plain functions or as tasks of a Prefect flow."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from flows.job.job import LoadedJob, load_job
from flows.job.moments import local_day, to_cutoff, to_moment
from flows.night.preflight import Before, before_tonight
from flows.night.scope import WHOLE_NIGHT, Scope
from flows.night.stopwatch import Stopwatch
from flows.night.summary import NightSummary
from models.errors import InputError, TrainingFailed
from models.lifecycle.retraining import Policy
from sql.errors import SourceError
from sql.output.write import RunEnd
from sql.source.read import describe_source
from tasks.evaluation.hindcast import run_hindcast
from tasks.evaluation.score import Scored, score
from tasks.forecasting.calibration import keep_calibration
from tasks.forecasting.predict import Predicted, predict
from tasks.forecasting.reconcile import require_method
from tasks.monitoring.notify import Notified, announce_fallback, check_targets, notify
from tasks.monitoring.watch import Watched, watch
from tasks.monitoring.watch_input import watch_input
from tasks.night.ledger import Ledger
from tasks.night.night import Part, Run
from tasks.planning.read_plan import Context, plan_context
from tasks.prefect_ui import label_run
from tasks.publishing.publish import Published, publish
from tasks.publishing.retention import forget
from tasks.reading.audit import Audited, audit_input, refuse_stale
from tasks.reading.history_file import meaning_of
from tasks.reading.read_series import read_series
from tasks.report.details import Details, write_details
from tasks.report.write import write_report
from tasks.run.lock import keep_turn, one_at_a_time
from tasks.run.run_log import announce_run, begin_run, end_run, note_failure, usual_rows
from tasks.runner.cluster import check_runner
from tasks.step import inside_flow, logger
from tasks.store.places import check_places
from tasks.training.decide import Decided, contender, decide
from tasks.training.fit_model import Fitted, fit_model
from tasks.training.shadow import judge_challenger, place_model


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
        from flows.deployments.nightly import night_as_flow

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
        require_method(loaded.job.aggregation_levels)
        check_places(places)
        check_runner(loaded.job.runner)
        with one_at_a_time(places, loaded.job.schedule.second_run):
            announce_run(places, run_id, asked or now, started_at, scope.part)
            with places.scratch(run_id) as scratch:
                return _steps(_Tonight(loaded, asked, train, now, started_at, run_id, scratch, scope))
    except BaseException as error:
        note_failure(places, run_id, asked or now, started_at, datetime.now(UTC), scope.part, error)
        raise


def _steps(tonight: _Tonight) -> NightSummary:
    """The steps of a night, one after the other."""
    places, scope = tonight.places, tonight.scope
    tonight.read()
    label_run(tonight.job.name, local_day(tonight.cutoff, tonight.job.forecast.zone))
    begin_run(places, tonight.run_id, tonight.cutoff, tonight.started_at, scope.part)
    tonight.refuse_stale()
    if scope.part == "nightly" and tonight.asked is None:
        loaded, now = tonight.loaded, tonight.now
        before = before_tonight(loaded, tonight.cutoff, lambda missed: run_night(loaded.path, cutoff=missed, now=now))
        if before.leaves_out_tonight:
            end_run(places, tonight.run_id, datetime.now(UTC), {"note": before.note}, "skipped")
            return NightSummary.skipped(tonight.run_id, places.job, tonight.cutoff, places.url_text, before.note)
        tonight.before = before
        tonight.run.ledger.forget()
    if scope.part != "score":
        tonight.train()
    scope.in_order()
    # The nights before have written meanwhile.
    tonight.run.ledger.forget()
    if scope.part == "train" and tonight.fitted.failure:
        raise TrainingFailed(tonight.fitted.failure)
    tonight.hindcast()
    if scope.forecasts:
        tonight.forecast()
    tonight.place()
    if scope.judges:
        tonight.judge()
    if scope.forecasts:
        tonight.write_report()
    return tonight.end()


class _Tonight:
    """One night under way: what it was asked for, and what its steps have come to.

    A part of the night leaves out steps; what they would have come to is what stands here at first.

    Args:
        loaded: The job.
        asked: The cutoff that was asked for; None for the newest observed step.
        train: The policy that was asked for; None for the job's.
        now: The moment that counts as now.
        run_id: Key of the run in the table `run`.
        scratch: Folder of the run's own.
        scope: What of the night is done.
    """

    def __init__(
        self,
        loaded: LoadedJob,
        asked: datetime | None,
        train: Policy | None,
        now: datetime,
        started_at: datetime,
        run_id: str,
        scratch: Path,
        scope: Scope,
    ) -> None:
        self.loaded, self.job, self.places = loaded, loaded.job, loaded.places
        self.asked, self.now, self.started_at = asked, now, started_at
        self.run_id, self.scratch, self.scope = run_id, scratch, scope
        self.training = self.job.training
        if train is not None:
            self.training = self.training.model_copy(update={"policy": train})
        # Who asks for a network wants to see what it forecasts; who is the champion is another question.
        self.run = Run(
            self.job,
            self.places,
            Ledger(self.places),
            run_id,
            scope.part,
            asked,
            self.training.policy,
            now,
            started_at,
            scratch,
        )
        self.forecasts_with_new = train == "scratch" and scope.forecasts
        self.clock = Stopwatch()
        self.before = Before()
        self.decided, self.fitted = Decided("none", "only what came true was judged"), Fitted("none")
        self.predicted, self.published = Predicted(scratch, 0, {}), Published(0, "")
        self.stale: Sequence[str] = ()
        self.scored, self.watched, self.delivery = Scored([], {}, None), Watched([], ()), Notified()
        self.challenged, self.report = "", ""

    def read(self) -> None:
        """Rows and panel: as much of the history as the night needs."""
        job = self.job
        with self.clock("read"):
            context = plan_context(
                self.places,
                job.source,
                self.loaded.base,
                job.forecast,
                job.network,
                self.training,
                job.audit,
                job.monitor,
                job.aggregation_levels,
                self.asked,
                self.scratch,
            )
        self._read(context)
        self.cutoff = self.audited.audit.cutoff
        self.night = self.run.at(self.cutoff)
        self.predicted = Predicted(self.scratch, self.audited.audit.series, {})

    def refuse_stale(self) -> None:
        """End the night where the source is stale and the job wants no forecast then; people are told first."""
        audit, policies = self.audited.audit, self.job.audit
        if audit.stale and policies.stale == "error":
            watch_input(self.night, audit)
            self._notify()
            refuse_stale(audit, describe_source(self.job.source, self.loaded.base), policies)

    def train(self) -> None:
        """Decide about tonight's network, and load or train it."""
        job = self.job
        self._decide()
        if self.context is not None and not self.context.serves(self.decided):
            self._read(None)
            self._decide()
        self.run.ledger.forget()
        with self.clock("fit"):
            self.fitted = fit_model(
                self.places,
                self.audited.panel_file,
                self.decided,
                job.forecast,
                job.network,
                self.training,
                self.cutoff,
                self.started_at,
                job.aggregation_levels,
                meaning_of(job.source, self.loaded.base, job.forecast, job.audit),
                job.runner,
                self.run_id,
                job.promotion_settings,
                job.monitor.segments,
                self.forecasts_with_new,
            )

    def hindcast(self) -> None:
        """Try a new network on past nights, so that the first live ones have something to be compared with."""
        # Before the forecast: it calibrates the first one. A network for another horizon than the job's says nothing
        # of its nights.
        if self.scope.promotes and self.fitted.stored is not None:
            self.run.ledger.forget()
            with self.clock("hindcast"):
                run_hindcast(
                    self.places,
                    self.audited.panel_file,
                    self.fitted,
                    self.job.forecast,
                    self.job.monitor,
                    self.job.calibration,
                )

    def forecast(self) -> None:
        """Forecast every series, and publish."""
        job = self.job
        self.run.ledger.forget()
        with self.clock("predict"):
            self.predicted = predict(
                self.places,
                self.audited.panel_file,
                self.fitted,
                job.forecast,
                job.runner,
                self.cutoff,
                self.run_id,
                self.started_at,
                job.aggregation_levels,
                self.training.seed,
                job.calibration,
            )
        self.run.ledger.forget()
        with self.clock("publish"):
            keep_turn(self.places)
            keep_calibration(self.places, self.cutoff, self.predicted.calibrated_by)
            self.published = publish(self.places, self.predicted.file, self.cutoff)

    def place(self) -> None:
        """Judge a challenger beside the champion, and say what becomes of tonight's network."""
        job, promotes = self.job, self.scope.promotes
        if promotes and self.scope.part == "nightly" and contender(self.places) is not None:
            self.run.ledger.forget()
            with self.clock("judge"):
                self.challenged = judge_challenger(
                    self.places,
                    self.audited.panel_file,
                    self.decided,
                    self.fitted,
                    job.forecast,
                    job.promotion_settings,
                    job.monitor.segments,
                    self.cutoff,
                    self.started_at,
                )
        if promotes and self.fitted.stored is not None:
            place_model(self.places, self.fitted, self.cutoff, self.started_at)

    def judge(self) -> None:
        """Score what came true since, compare it with what is usual, and tell people."""
        job = self.job
        self.run.ledger.forget()
        with self.clock("score"):
            self.scored = score(
                self.places,
                self.audited.panel_file,
                self.rows_file,
                job.monitor,
                self.cutoff,
                job.aggregation_levels,
                job.forecast,
                job.calibration,
                None if self.context is None else self.context.window,
                self.predicted.file if self.scope.forecasts else None,
            )
        self.run.ledger.forget()
        with self.clock("watch"):
            self.stale = watch_input(self.night, self.audited.audit)
            self.watched = watch(self.night, self.scored.losses)
        self.run.ledger.forget()
        with self.clock("notify"):
            self._notify()

    def write_report(self) -> None:
        """Write down what the night was, and let go of nights that are too old."""
        announce_fallback(self.night, self.predicted.fallback_series, self.predicted.series)
        self.run.ledger.forget()
        with self.clock("report"):
            settings = self.job.model_dump(mode="json", exclude={"notify"})
            audit = self.audited.audit
            details = Details(settings, self.run_id, self.now, audit, self.decided, self.fitted, self.predicted)
            seconds, panel_file = self.clock.seconds, self.audited.panel_file
            write_details(self.places, self.cutoff, details, seconds, panel_file, self.job.aggregation_levels)
            self.report = str(write_report(self.places, self.cutoff, self.run_id))
        self.run.ledger.forget()
        with self.clock("forget"):
            forget(self.places, self.cutoff)

    def end(self) -> NightSummary:
        """Note in the table `run` that the night is over, and sum it up."""
        audit, decided, fitted, predicted = self.audited.audit, self.decided, self.fitted, self.predicted
        state: RunEnd = "unchanged" if self.published.same_as else "completed"
        same = f"the same rows that run {self.published.same_as} had published" if self.published.same_as else ""
        note = "; ".join(filter(None, (same, self.before.note, self.challenged)))
        train_reason = "; ".join(filter(None, (decided.reason, fitted.failure, fitted.outcome, fitted.trained_on)))
        facts = {
            "train_mode": fitted.mode,
            "train_reason": train_reason,
            "model_version": fitted.version,
            "rows_read": audit.rows_read,
            "series": predicted.series,
            "fallback_series": predicted.fallback_series,
            "seconds": self.clock.seconds,
            "report": self.report or None,
            "note": note or None,
        }
        end_run(self.places, self.run_id, datetime.now(UTC), facts, state)
        return NightSummary(
            run_id=self.run_id,
            job=self.job.name,
            cutoff=self.cutoff,
            series=predicted.series,
            rows=self.published.rows,
            rows_read=audit.rows_read,
            fallback_series=predicted.fallback_series,
            fallback_reasons=predicted.fallback_reasons,
            train_mode=fitted.mode,
            train_reason=train_reason,
            trained_on=fitted.trained_on,
            model_version=fitted.version,
            findings=[str(finding) for finding in audit.findings],
            scores=self.scored.newest_scores,
            losses=self.watched.losses,
            alerts=[*self.stale, *self.watched.changes],
            seconds=self.clock.seconds,
            stale=audit.stale,
            tables=self.places.url_text,
            parquet=self.published.parquet,
            report=self.report,
            undelivered=list(self.delivery.undelivered),
            part=self.scope.part,
            state=state,
            note=note,
            not_taken=fitted.outcome if fitted.stored is not None and fitted.lies != fitted.stored else "",
        )

    def _read(self, context: Context | None) -> None:
        """Read what the context says, or everything where there is none, or it turns out too short."""
        job = self.job
        since, window = (None, None) if context is None else (context.since, context.window)
        try:
            with self.clock("read"):
                usual = usual_rows(self.places, whole_history=context is None) if inside_flow() else None
                self.rows_file = read_series(
                    job.source, self.loaded.base, job.forecast, self.asked, self.now, self.scratch, since, usual
                )
            with self.clock("audit"):
                self.audited: Audited = audit_input(
                    self.rows_file, job.source, job.forecast, self.asked, self.now, job.audit, window
                )
        except (InputError, SourceError):
            # Whatever is wrong, all rows tell it best.
            if context is None:
                raise
            self._read(None)
        else:
            self.context = context
            if context is not None and not context.holds(self.audited.audit.cutoff, job.forecast):
                self._read(None)

    def _decide(self) -> None:
        job, panel_file = self.job, self.audited.panel_file
        with self.clock("decide"):
            self.decided = decide(
                self.places, panel_file, job.forecast, job.network, self.training, self.cutoff, self.scratch
            )

    def _notify(self) -> None:
        if self.scope.tells:
            self.delivery = notify(self.night)
