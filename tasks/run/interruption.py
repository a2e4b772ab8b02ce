"""What an interrupted run says and notes: what was published, and what was not."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from models.counted import counted
from sql.engine.patience import Patience, patience
from sql.errors import StorageError
from tasks.interrupts import Interrupted, InterruptsHeldBack, cause_of
from tasks.night.ledger import Ledger
from tasks.night.night import Run
from tasks.run.run_log import note_failure
from tasks.step import logger
from tasks.store.places import Places

# Whoever interrupts does not want to wait for a database that is away.
_PATIENCE = Patience(away=4.0, locked=4.0)


def note_interrupt(run: Run, error: BaseException) -> BaseException:
    """Note that a run was interrupted; a further interrupt waits for the note, and ends nothing else.

    Returns:
        What to raise: an `Interrupted` for Ctrl-C and SIGTERM, and the error itself where Prefect ends the run.
    """
    held = InterruptsHeldBack()
    held.begin()
    try:
        # A transaction that the interrupt left open ends with the variables that hold it.
        traceback.clear_frames(error.__traceback__)
        gc.collect()
        with patience(_PATIENCE):
            note_failure(run, datetime.now(UTC), error)
            found = _what_is_published(run)
        told = f"Interrupted by {cause_of(error)}. {found.pop('message')}"
        if isinstance(error, Interrupted):
            # A missed night, which this one runs first.
            told = f"{told} A missed night before it: {error}"
            found["published"] = [*(error.document.get("published") or []), *(found["published"] or [])]
        if isinstance(error, KeyboardInterrupt):
            return Interrupted(told, {"run_id": run.run_id, **found}, cause_of(error))
        logger().warning("%s", told)
        return error
    finally:
        held.drop()


def interrupted_nights(places: Places, cutoffs: Sequence[datetime], begun: int, error: BaseException) -> Interrupted:
    """What an interrupted backfill says.

    Args:
        places: The job's places.
        cutoffs: The nights that were to run, oldest first.
        begun: How many of them had begun.
        error: What interrupted it.
    """
    cause = cause_of(error)
    held = InterruptsHeldBack()
    held.begin()
    try:
        with patience(_PATIENCE):
            there = {row["cutoff"] for row in Ledger(places).publications()}
    except StorageError as failure:
        unknown = f"{begun} of {counted(len(cutoffs), 'night')} had begun. Which are published, is not known: {failure}"
        return Interrupted(f"Interrupted by {cause}. {unknown}", {"published": None}, cause)
    finally:
        held.drop()
    published = [cutoff for cutoff in cutoffs if cutoff in there]
    begun_only = [cutoff for cutoff in cutoffs[:begun] if cutoff not in there]
    left = [cutoff for cutoff in cutoffs[begun:] if cutoff not in there]
    parts = [f"{len(published)} of {counted(len(cutoffs), 'night')} {'is' if len(published) == 1 else 'are'} published"]
    if begun_only:
        parts.append(f"{_days(begun_only)} had begun and {'is' if len(begun_only) == 1 else 'are'} not published")
    parts.append(f"{counted(len(left), 'night')} {'was' if len(left) == 1 else 'were'} not begun")
    return Interrupted(
        f"Interrupted by {cause}. {', '.join(parts)}. Start the backfill again: it goes on from there.",
        {"published": _texts(published), "not_published": _texts(begun_only), "not_begun": _texts(left)},
        cause,
    )


def _what_is_published(run: Run) -> dict[str, Any]:
    try:
        run.ledger.forget()
        [cutoff] = [row["cutoff"] for row in run.ledger.runs() if row["run_id"] == run.run_id] or [None]
        night = next((row for row in run.ledger.publications() if row["cutoff"] == cutoff), None)
    except StorageError as failure:
        return {"message": f"The database does not say whether the night is published: {failure}", "published": None}
    if cutoff is None or not run.forecasts:
        return {"message": "It published nothing.", "published": []}
    text = f"{cutoff:%Y-%m-%d %H:%M}"
    if night is None:
        return {"message": f"Nothing of the night of {text} is published. Run it again.", "published": []}
    if night["run_id"] != run.run_id:
        told = f"The night of {text} stays as run {night['run_id']} published it. Run it again."
        return {"message": told, "published": []}
    told = (
        f"The night of {text} is published; what comes after may be missing: scores, alerts, the report. Run it again."
    )
    return {"message": told, "published": _texts([cutoff])}


def _texts(cutoffs: Sequence[datetime]) -> list[str]:
    return [cutoff.isoformat() for cutoff in cutoffs]


def _days(cutoffs: Sequence[datetime]) -> str:
    """Nights for people, five at most.

    >>> _days([datetime(2024, 3, 1, tzinfo=UTC)])
    'the night of 2024-03-01 00:00'
    """
    shown = ", ".join(f"{cutoff:%Y-%m-%d %H:%M}" for cutoff in cutoffs[:5])
    return f"the night{'s' if len(cutoffs) > 1 else ''} of {shown}" + (" and others" if len(cutoffs) > 5 else "")
