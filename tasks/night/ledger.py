"""The ledger of a job: everything that its nights have written to the output tables, and write to them.

A night reads the same small tables in many steps: the runs, the publications, the losses, the alerts, the model
versions. The ledger reads each of them once. What is written through the ledger is read again when it is next needed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from sql.downstream import actuals, anomalies
from sql.engine.patience import before_writing
from sql.output import history, publish, write
from sql.output.retention import forget_nights
from tasks.printing.safe import without_secrets
from tasks.store.places import Places
from tasks.store.version_store import StoredVersion

Row = Mapping[str, Any]


class Ledger:
    """What one job has in the output tables: rows read once each, and every way to write them.

    Before the first night there are no tables. The ledger then has no rows, and makes no tables. It does not migrate
    them either: a night does so when it begins, and `opened` for everybody else.

    Only the owner of the job's lock may trust what was read earlier. After waiting for another process that writes,
    call `forget`.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._rows: dict[tuple[Hashable, ...], Any] = {}
        self._has_tables = False

    @classmethod
    def opened(cls, places: Places) -> Ledger:
        """The ledger of a job that has run before, its tables migrated.

        Raises:
            SourceError: no night has run yet.
            StorageError: the database does not answer.
        """
        places.ready_engine()
        return cls(places)

    @property
    def engine(self) -> sa.Engine:
        """The output database."""
        return self._places.engine()

    @property
    def job(self) -> str:
        """The job's name."""
        return self._places.job

    def forget(self, *tables: str) -> None:
        """Read these tables again when they are next needed; all of them where none is named."""
        self._rows = {key: rows for key, rows in self._rows.items() if tables and key[0] not in tables}

    # What past nights wrote: small tables, read once.

    def publications(self) -> Sequence[Row]:
        """The published nights, oldest cutoff first."""
        return self._once("publication", history.publications)

    def runs(self) -> Sequence[Row]:
        """All runs, newest first."""
        return self._once("run", history.runs)

    def losses(self, segment: str | None = None) -> Sequence[Row]:
        """The loss of each evaluation, oldest first; of all segments where none is named."""
        if ("loss", None) in self._rows and segment is not None:
            return [row for row in self.losses() if row["segment"] == segment]
        return self._once("loss", history.losses, segment)

    def hindcast_losses(self) -> Sequence[Row]:
        """What the nights before the first one would have lost, oldest first."""
        return self._once("hindcast_loss", history.hindcast_losses)

    def alerts(self) -> Sequence[Row]:
        """All alerts, newest first."""
        return self._once("alert", history.alerts)

    def open_alerts(self) -> Sequence[Row]:
        """The alerts that are not closed, newest first; acknowledged ones are among them."""
        return [row for row in self.alerts() if row["state"] != "closed"]

    def models(self) -> Sequence[Row]:
        """All model versions, newest first."""
        return self._once("model", history.models)

    def champion(self) -> Row | None:
        """The model version that forecasts; None where none was promoted."""
        return next((row for row in self.models() if row["stage"] == "champion"), None)

    def promotions(self, version: str | None = None) -> Sequence[Row]:
        """The evaluations of challengers, oldest first; of all versions where none is named."""
        return self._once("promotion", history.promotions, version)

    # What is too big to keep, or is read once anyway.

    def publication_of(self, cutoff: datetime) -> Row | None:
        """The row of one published night as it is now; None where the night is not published."""
        return history.publication_of(self.engine, self.job, cutoff)

    def forecast_of(self, cutoff: datetime) -> pa.Table:
        """One published night, see `history.forecast_of`."""
        return history.forecast_of(self.engine, self.job, cutoff)

    def figures_of(self, cutoff: datetime, last_step: int) -> pa.Table:
        """What it takes to judge one published night, see `history.figures_of`."""
        return history.figures_of(self.engine, self.job, cutoff, last_step)

    def series_ids_of(self, cutoff: datetime) -> list[str]:
        """The ids of the series of one published night."""
        return history.series_ids_of(self.engine, self.job, cutoff)

    def forecasts_of_series(self, series_id: str, first_cutoff: datetime, last_cutoff: datetime) -> pa.Table:
        """What the published nights between two cutoffs forecast for one series, see `history.forecasts_of_series`."""
        return history.forecasts_of_series(self.engine, self.job, series_id, first_cutoff, last_cutoff)

    def points_of(self, cutoff: datetime) -> pa.Table:
        """The medians and baselines of one published night, see `history.points_of`."""
        return history.points_of(self.engine, self.job, cutoff)

    def actuals_between(self, first: datetime, last: datetime) -> pa.Table:
        """The stored actuals of a range of time, see `actuals.actuals_between`."""
        return actuals.actuals_between(self.engine, self.job, first, last)

    def anomalies_since(self, first: datetime | None) -> pa.Table:
        """The anomalies from a time on, all where it is None, see `anomalies.anomalies_since`."""
        return anomalies.anomalies_since(self.engine, self.job, first)

    def anomalies_on(self, evaluated_on: datetime) -> pa.Table:
        """The anomalies that one evaluation found, as `anomalies_since`."""
        return anomalies.anomalies_on(self.engine, self.job, evaluated_on)

    def anomaly_rates(self, before: datetime, most: int) -> Sequence[Row]:
        """How many anomalies evaluations before a moment found, newest first, see `anomalies.anomaly_rates`."""
        return anomalies.anomaly_rates(self.engine, self.job, before, most)

    def anomaly_totals(self, since: datetime | None = None) -> tuple[int, int]:
        """How many actuals evaluations from a time on judged, and how many of them were anomalies."""
        return anomalies.anomaly_totals(self.engine, self.job, since)

    def anomaly_rate_of(self, evaluated_on: datetime) -> Row | None:
        """How many anomalies one evaluation found; None where it judged no actual."""
        return anomalies.anomaly_rate_of(self.engine, self.job, evaluated_on)

    def row_count(self, cutoff: datetime) -> int:
        """The number of forecast rows that one night has now."""
        return history.row_count(self.engine, self.job, cutoff)

    def scores(
        self, cutoff: datetime | None = None, segment: str | None = None, metric: str | None = None
    ) -> Sequence[Row]:
        """Scores by cutoff, segment, step and metric; of all of them where one is left out."""
        return history.scores(self.engine, self.job, cutoff, segment, metric)

    def scores_of(self, cutoff: datetime) -> Mapping[history.ScoreKey, tuple[Any, ...]]:
        """One night's scores by segment, step and metric, see `history.scores_of`."""
        return history.scores_of(self.engine, self.job, cutoff)

    def calibration_evidence(self, before: datetime) -> bytes | None:
        """What was known of coverage by the end of the newest night before a cutoff; None where nothing was."""
        return history.calibration_evidence(self.engine, self.job, before)

    def applied_calibration(self, cutoff: datetime) -> bytes | None:
        """What a night's quantiles were calibrated by; None where nothing was kept."""
        return history.applied_calibration(self.engine, self.job, cutoff)

    # What a night writes. Each write can be repeated.

    def start_run(self, run_id: str, cutoff: datetime, started_at: datetime, kind: str = "nightly") -> None:
        """Note that a run began, of a whole night or of a part of it (`kind`)."""
        self.forget("run")
        write.start_run(self.engine, run_id, self.job, cutoff, started_at, kind)

    def finish_run(self, run_id: str, state: write.RunEnd, finished_at: datetime, facts: Mapping[str, Any]) -> None:
        """Note how a run ended; `facts` are further columns of `run`."""
        self.forget("run")
        # The page is opened by its path.
        shown = {name: value if name == "report" else without_secrets(value) for name, value in facts.items()}
        write.finish_run(self.engine, run_id, state, finished_at, **shown)

    def mark_crashed(self, found_at: datetime) -> Sequence[Row]:
        """Note that the job's running runs are dead, and give their rows; for the owner of the job's lock."""
        self.forget("run")
        return write.mark_crashed(self.engine, self.job, found_at)

    def publish_forecast(self, parts: Iterable[pa.Table], before_commit: Callable[[], None]) -> int:
        """Publish a night whole or not at all; gives the number of its rows."""
        self.forget("publication")
        before_writing()
        return write.publish_forecast(self.engine, parts, before_commit=before_commit)

    def begin_publishing(self, run_id: str) -> None:
        """Note that a run is about to replace a night; the note goes with the commit."""
        publish.begin_publishing(self.engine, run_id)

    def is_published_by(self, cutoff: datetime, run_id: str) -> bool:
        """Whether a run has committed a night, asked on a new connection; waits for a commit on its way."""
        return publish.is_published_by(self.engine, self.job, cutoff, run_id)

    def unsettled_runs(self) -> Sequence[Row]:
        """Run and cutoff of the runs that began to publish and never committed."""
        return publish.unsettled_runs(self.engine, self.job)

    def settle_runs(self, run_ids: Sequence[str]) -> None:
        """Note that the Parquet files of these runs agree with the table."""
        self.forget("run")
        publish.settle_runs(self.engine, run_ids)

    def delete_nights(self, before: datetime) -> int:
        """Delete the nights before a cutoff; gives their number."""
        self.forget("publication")
        return forget_nights(self.engine, self.job, before)

    def keep_actuals(self, rows: pa.Table, outdated: pa.Table, judged: anomalies.Judged | None) -> int:
        """Replace rows of `actual`, and the anomalies among them, see `actuals.keep_actuals`."""
        return actuals.keep_actuals(self.engine, rows, outdated, judged)

    def upsert_scores(self, rows: Sequence[Row]) -> int:
        """Write rows of `score`."""
        return write.upsert_scores(self.engine, rows)

    def drop_scores(self, cutoff: datetime, segments: Sequence[str]) -> None:
        """Delete the scores of some segments of one night."""
        write.drop_scores(self.engine, self.job, cutoff, segments)

    def upsert_losses(self, rows: Sequence[Row]) -> int:
        """Write rows of `loss`."""
        self.forget("loss")
        return write.upsert_losses(self.engine, rows)

    def upsert_hindcast_losses(self, rows: Sequence[Row]) -> int:
        """Write rows of `hindcast_loss`."""
        self.forget("hindcast_loss")
        return write.upsert_hindcast_losses(self.engine, rows)

    def upsert_alerts(self, rows: Sequence[Row]) -> int:
        """Write rows of `alert`."""
        self.forget("alert")
        texts = ("message", "reason", "delivery_errors")
        shown = [{**row, **{name: without_secrets(row[name]) for name in texts if name in row}} for row in rows]
        return write.upsert_alerts(self.engine, shown)

    def upsert_calibration(self, row: Row) -> int:
        """Write a row of `calibration`, or a column of one."""
        return write.upsert_calibration(self.engine, row)

    def upsert_promotions(self, rows: Sequence[Row]) -> int:
        """Write rows of `promotion`."""
        self.forget("promotion")
        return write.upsert_promotions(self.engine, rows)

    def add_model(
        self,
        stored: StoredVersion,
        created_at: datetime,
        trained_until: datetime,
        metrics: Mapping[str, Any] | None = None,
    ) -> None:
        """List a stored model version as a challenger; a version that is listed already stays as it is."""
        self.forget("model")
        write.add_model(
            self.engine,
            self.job,
            stored.version,
            created_at,
            trained_until,
            stored.uri,
            stored.digest,
            metrics=without_secrets(metrics),
        )

    def promote(
        self, version: str, at: datetime, *, served_from: datetime | None = None, reason: str | None = None
    ) -> None:
        """Make a version the champion; the one before it is retired. Without `served_from` it serves every cutoff."""
        self.forget("model")
        write.promote(self.engine, self.job, version, at, served_from=served_from, reason=without_secrets(reason))

    def retire(self, version: str, reason: str) -> None:
        """Retire a challenger; a version that is none stays as it is."""
        self.forget("model")
        write.retire(self.engine, self.job, version, without_secrets(reason))

    def rollback(self, at: datetime | None = None) -> str:
        """Make the champion before the present one the champion again; gives its version."""
        self.forget("model")
        return write.rollback(self.engine, self.job, at)

    def _once(self, table: str, read: Callable[..., Sequence[Row]], *chosen: str | None) -> Sequence[Row]:
        key = (table, *chosen)
        if key not in self._rows:
            if not self._ready():
                return []
            self._rows[key] = read(self.engine, self.job, *chosen)
        found: Sequence[Row] = self._rows[key]
        return found

    def _ready(self) -> bool:
        """Whether there are tables."""
        self._has_tables = self._has_tables or self._places.has_runs()
        return self._has_tables
