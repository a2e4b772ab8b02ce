"""What the home of a job is made from: all that its nights have left in the tables and in the folder of reports."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

from models.settings.monitoring import MonitorSettings
from tasks.home.files import Pages
from tasks.monitoring.usual import usual_ratio_of
from tasks.monitoring.watch import PastLosses
from tasks.night.ledger import Ledger
from tasks.report.accuracy import best_known_cutoff
from tasks.report.record import Row
from tasks.store.places import Places

# Runs of these kinds make no forecast.
_NO_NIGHT = {"train", "score"}
NIGHTS_SHOWN = 30


@dataclass(frozen=True)
class JobRecord:
    """Everything that the home of a job shows.

    Attributes:
        job: The job's name.
        zone: Its time zone.
        pages: The pages in its folder.
        runs: Rows of `run`, newest first.
        published: Cutoffs of the nights in the tables.
        losses: Rows of `loss` of all series, oldest first.
        usual: The loss over the seasonal naive's that the rule expected of a night, of the newest nights.
        hindcasts: The same of `hindcast_loss`.
        scores: Rows of `score` over all steps and series, of the forecast with most steps scored.
        alerts: Rows of `alert`, newest first.
        versions: Rows of `model`, newest first.
        promotions: Rows of `promotion`, oldest first.
        backtests: What is known of each backtest, by the name of its page.
        tables: The output database, without a password.
    """

    job: str
    zone: tzinfo
    pages: Pages
    runs: Sequence[Row] = ()
    published: frozenset[datetime] = frozenset()
    losses: Sequence[Row] = ()
    usual: dict[datetime, float | None] = field(default_factory=dict)
    hindcasts: Sequence[Row] = ()
    scores: Sequence[Row] = ()
    alerts: Sequence[Row] = ()
    versions: Sequence[Row] = ()
    promotions: Sequence[Row] = ()
    backtests: dict[str, Row] = field(default_factory=dict)
    tables: str = ""

    def local(self, moment: datetime) -> datetime:
        """A moment as a local time of the job, without a zone."""
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(self.zone).replace(tzinfo=None)

    def night_runs(self) -> list[Row]:
        """The newest run of each night, newest night first."""
        newest: dict[datetime, Row] = {}
        for row in sorted(self.runs, key=lambda row: row["started_at"]):
            if row["kind"] not in _NO_NIGHT:
                newest[row["cutoff"]] = row
        return [newest[cutoff] for cutoff in sorted(newest, reverse=True)]


def read_job(places: Places, ledger: Ledger, zone: tzinfo, monitor: MonitorSettings) -> JobRecord:
    """Read what the home of a job shows. Before the first night there is nothing.

    Raises:
        StorageError: the database does not answer.
        OSError: the folder of reports cannot be read.
    """
    pages = Pages.of(places.report)
    losses, hindcasts = _known(ledger.losses("all")), _known(ledger.hindcast_losses())
    past = PastLosses(losses, hindcasts, ledger.alerts())
    newest = [row["evaluated_on"] for row in losses[-NIGHTS_SHOWN:]]
    best = best_known_cutoff(ledger.scores(segment="all", metric="mae")) if losses else None
    scores = ledger.scores(cutoff=best, segment="all") if best else []
    return JobRecord(
        job=ledger.job,
        zone=zone,
        pages=pages,
        runs=_known(ledger.runs()),
        published=frozenset(row["cutoff"] for row in ledger.publications()),
        losses=losses,
        usual={night: usual_ratio_of(night, "all", past, monitor, zone) for night in newest},
        hindcasts=[row for row in hindcasts if row["segment"] == "all"],
        scores=[row for row in _known(scores) if row["step"] == 0],
        alerts=_known(ledger.alerts()),
        versions=_known(ledger.models()),
        promotions=_known(ledger.promotions()),
        backtests={name: _read_facts(pages, name) for name in pages.backtests},
        tables=places.url_text,
    )


def _read_facts(pages: Pages, page: str) -> Row:
    """What lies beside the page of a backtest; nothing where the file is missing or damaged."""
    try:
        facts = json.loads((pages.folder / page).with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _known(rows: Sequence[Any]) -> list[Row]:
    """Rows with None in place of NaN: some databases store NaN, others null."""
    return [
        {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}
        for row in rows
    ]
