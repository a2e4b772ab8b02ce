"""The stages of a night: each calls its steps and returns what they came to."""

from __future__ import annotations

from pathlib import Path

from flows.night.reading import read_whole_history
from flows.night.results import Forecasted, History, Judgement, Prepared
from flows.night.stopwatch import Stopwatch
from models.audit.build_panel import Audit
from sql.engine.patience import HASTE, patience
from sql.errors import StorageError
from sql.source.read import describe_source
from tasks.evaluation.actuals import store_actuals
from tasks.evaluation.hindcast import run_hindcast
from tasks.evaluation.score import score
from tasks.explanation.night_parts import NightFiles
from tasks.forecasting.calibration import keep_calibration
from tasks.forecasting.predict import predict
from tasks.home.write import write_home
from tasks.monitoring.notify import Notified, announce_fallback, notify
from tasks.monitoring.watch import watch
from tasks.monitoring.watch_anomalies import watch_anomalies
from tasks.monitoring.watch_input import watch_input
from tasks.night.job import Job
from tasks.night.ledger import Ledger
from tasks.night.night import Night
from tasks.publishing.publish import publish
from tasks.publishing.retention import delete_old_nights
from tasks.reading.audit import refuse_stale
from tasks.report.details import Details, write_details
from tasks.report.series.gather import SeriesFiles
from tasks.report.write import write_report
from tasks.run.lock import keep_lock
from tasks.step import logger
from tasks.store.places import Places
from tasks.training.champion import judged_challenger
from tasks.training.decide import Decision, decide
from tasks.training.fit_model import fit_model
from tasks.training.night_model import NightModel
from tasks.training.promotion import apply_promotion
from tasks.training.shadow import judge_challenger


def refuse_stale_source(night: Night, audit: Audit, sends_alerts: bool) -> None:
    """End the night where the source is stale and the job wants no forecast then; people are notified first.

    Raises:
        InputError: names the newest value of the source.
    """
    if audit.stale and night.job.audit.stale == "error":
        watch_input(night, audit)
        _notify(night, sends_alerts)
        refuse_stale(audit, describe_source(night.job.source, night.places.base), night.job.audit)


def prepare_model(night: Night, history: History, use_new_model: bool, clock: Stopwatch) -> Prepared:
    """Decide about tonight's model, and load or train it. Where past forecasts are only judged, there is none.

    All rows are read where the decision is not the one that the reading was planned for.
    """
    if not night.needs_model:
        return Prepared(history, Decision("none", "past forecasts were only judged"), NightModel("none"))
    decision = _decide(night, history, clock)
    if history.plan is not None and not history.plan.serves(decision):
        history = read_whole_history(night, clock)
        decision = _decide(night, history, clock)
    with clock("fit"):
        model = fit_model(night, history.panel_file, decision, use_new_model)
    return Prepared(history, decision, model)


def _decide(night: Night, history: History, clock: Stopwatch) -> Decision:
    with clock("decide"):
        return decide(night, history.panel_file)


def hindcast_new_model(night: Night, prepared: Prepared, clock: Stopwatch) -> None:
    """Try a new model on past nights, so that the first live ones have something to be compared with.

    This runs before the forecast, which the hindcast calibrates on the first night. A network for another horizon than
    the job's must not be tried: it says nothing of the job's nights.
    """
    if prepared.model.new_version is None:
        return
    with clock("hindcast"):
        run_hindcast(night, prepared.history.panel_file, prepared.model)


def forecast_and_publish(night: Night, prepared: Prepared, clock: Stopwatch) -> Forecasted:
    """Forecast every series, and publish."""
    with clock("predict"):
        predicted = predict(night, prepared.history.panel_file, prepared.model)
    with clock("publish"):
        keep_lock(night.places)
        keep_calibration(night, predicted.calibration_file)
        published = publish(night, predicted.file)
    return Forecasted(predicted, published)


def decide_promotion(night: Night, prepared: Prepared, clock: Stopwatch) -> str:
    """Judge a challenger beside the champion, and promote or retire tonight's new version.

    Returns:
        How the challenger stands, for people; "" where there is none.
    """
    standing = ""
    # People may promote or roll back a version while a night runs.
    night.ledger.forget("model", "promotion")
    if night.kind == "nightly" and judged_challenger(night.ledger) is not None:
        with clock("judge"):
            standing = judge_challenger(night, prepared.history.panel_file, prepared.decision, prepared.model)
    if prepared.model.new_version is not None:
        apply_promotion(night, prepared.model)
    return standing


def judge(
    night: Night, history: History, forecast: Forecasted | None, sends_alerts: bool, clock: Stopwatch
) -> Judgement:
    """Store the actuals that have arrived, score past forecasts by them, judge the loss, and notify people."""
    with clock("actuals"):
        store_actuals(night, history.panel_file, history.rows_file)
    with clock("score"):
        scored = score(
            night,
            history.panel_file,
            history.rows_file,
            None if history.plan is None else history.plan.window,
            None if forecast is None else forecast.predicted.file,
        )
    with clock("watch"):
        input_changes = watch_input(night, history.audit)
        anomaly_changes = watch_anomalies(night)
        watched = watch(night, scored.losses)
    with clock("notify"):
        notified = _notify(night, sends_alerts)
    return Judgement(scored, watched, (*input_changes, *anomaly_changes, *watched.changes), notified)


def report(
    night: Night, prepared: Prepared, forecast: Forecasted, judgement: Judgement | None, clock: Stopwatch
) -> tuple[str, str]:
    """Write the page of the night, and delete nights that are too old.

    Returns:
        The page's file, and "". Where it could not be written, "" and why: the night is published all the same.
    """
    predicted, audit = forecast.predicted, prepared.history.audit
    announce_fallback(night, predicted.fallback_series, predicted.series)
    page, unwritten = "", ""
    with clock("report"):
        try:
            details = Details(audit, prepared.decision, prepared.model, predicted)
            write_details(night, details, clock.seconds, prepared.history.panel_file)
            past = None if judgement is None else judgement.scored.past_forecasts
            folder = prepared.model.folder
            forecast_with = None if folder is None else NightFiles(folder, predicted.calibration_file)
            files = SeriesFiles(prepared.history.panel_file, predicted.file, past, audit.rows_since, forecast_with)
            page = str(write_report(night, files))
        except Exception as error:
            unwritten = f"the report could not be written: {_reason(error)}"
            logger().warning("The night is published, but %s", unwritten)
    with clock("forget"):
        delete_old_nights(night)
    return page, unwritten


def update_home(places: Places, ledger: Ledger, job: Job, changed: Path) -> str:
    """Bring the pages over all nights up to date. Where they cannot be written the log says so, and nothing else fails.

    Args:
        places: Where the job's reports are.
        ledger: What its nights wrote.
        job: The job.
        changed: The page that was just written.

    Returns:
        The file of the job's home; "" where it could not be written.
    """
    try:
        # Who reads the pages can do without them for a night, so a database that is away is not waited for.
        with patience(HASTE):
            return str(write_home(places, ledger, job.forecast.zone, changed, job.monitor))
    except Exception as error:
        logger().warning("The pages over all nights could not be written: %s", _reason(error))
        return ""


def _reason(error: Exception) -> str:
    """Why something failed, for people; an error whose kind says more than its text is named."""
    told = isinstance(error, StorageError | OSError)
    return str(error) if told else f"{type(error).__name__}: {error}"


def _notify(night: Night, sends_alerts: bool) -> Notified:
    return notify(night) if sends_alerts else Notified()
