"""Find a published night, and series of it, that somebody asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from flows.job.job import JobError, LoadedJob
from flows.job.moments import local_day
from flows.job.problems import abbreviate
from tasks.home.write import write_home
from tasks.night.ledger import Ledger

_SIMILAR = 5


def night_at(loaded: LoadedJob, ledger: Ledger, cutoff: datetime | None) -> Mapping[str, Any]:
    """The row of the published night at `cutoff`, or of the newest.

    Raises:
        JobError: that night was not published, or none was; names the newest published nights, or the page that lists
            those that failed.
    """
    nights = ledger.publications()
    if not nights:
        tried = ledger.runs()
        page = _write_home(loaded, ledger) if tried else None
        home = f" {page} lists those that failed." if page else ""
        raise JobError(f"{loaded.job.name} has no night in {loaded.places.url_text} yet.{home} Try `nightcast run`.")
    chosen = [night for night in nights if cutoff in (None, night["cutoff"])]
    if not chosen:
        known = [f"{night['cutoff']:%Y-%m-%dT%H:%MZ}" for night in nights[-5:]]
        raise JobError(f"{loaded.job.name} has no night of {cutoff}; the newest are {known}. Name one.")
    return chosen[-1]


def require_series(loaded: LoadedJob, ledger: Ledger, night: Mapping[str, Any], series_ids: Sequence[str]) -> None:
    """Check that a published night has some series or aggregates.

    Raises:
        JobError: it lacks one; names similar ones.
    """
    known = ledger.series_ids_of(night["cutoff"])
    missing = [each for each in series_ids if each not in known]
    if not missing:
        return
    series_id = missing[0]
    folded = {each.casefold(): each for each in known}
    near = [folded[each] for each in get_close_matches(series_id.casefold(), list(folded), n=_SIMILAR)]
    # Names that hold what was typed, where none is like the whole of it.
    near = near or [each for each in known if series_id.casefold() in each.casefold()][:_SIMILAR]
    similar = f"similar ones are {', '.join(map(abbreviate, near))}" if near else f"it has {len(known):,} others"
    day = local_day(night["cutoff"], loaded.job.forecast.zone)
    raise JobError(
        f"The night of {day} of {loaded.job.name} has no series {abbreviate(series_id)}; {similar}. Name one of them."
    )


def _write_home(loaded: LoadedJob, ledger: Ledger) -> Path:
    return write_home(loaded.places, ledger, loaded.job.forecast.zone, monitor=loaded.job.monitor)
