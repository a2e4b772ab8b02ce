"""Which version is the champion of a night, which challenger is judged beside it, and where their files are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from models.errors import DamagedVersion
from models.network.forecaster import Forecaster
from tasks.night.ledger import Ledger
from tasks.night.night import Night
from tasks.store.places import Places
from tasks.store.version_store import StoredVersion, fetch_version, known_series, locate_version

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Champion:
    """The champion of a night.

    Attributes:
        row: Its row of `model`.
        folder: Its local folder, checked; None where its files are of no use tonight.
        damage: Why it cannot be read; "" where it can, or need not be.
        note: Why it takes the place of a newer champion, for people; "" where it does not.
    """

    row: Row
    folder: Path | None = None
    damage: str = ""
    note: str = ""


def champion_of(night: Night, built_for: Mapping[str, Any]) -> Champion | None:
    """The champion of a night; None where there is none.

    Where it cannot be read, the former champion takes over, if that one can be read and serves tonight. The champion in
    the table stays the champion: its folder may come back.

    Args:
        night: The night.
        built_for: What tonight's model must be built for.

    Raises:
        DamagedVersion: nothing may be trained, and none can be read.
    """
    row = champion_as_of(night.ledger, night.cutoff)
    if row is None:
        return None
    # A version that has seen what comes after the cutoff must not forecast it.
    if row["trained_until"] > night.cutoff:
        return Champion(row)
    try:
        return Champion(row, _readable(night, row))
    except DamagedVersion as error:
        damage = error
    for former in _champions_before(night.ledger.models(), row, night.cutoff):
        if former["metrics"]["built_for"] != built_for:
            continue
        with suppress(DamagedVersion):
            note = f"champion {row['version']} cannot be read: {damage.found}; "
            note += f"{former['version']}, the one before, takes over"
            return Champion(former, _readable(night, former), note=note)
    if night.policy == "never":
        raise damage
    return Champion(row, damage=damage.found)


def champion_as_of(ledger: Ledger, cutoff: datetime) -> Row | None:
    """The champion of the night of a cutoff: the newest version that served then, whatever became of it since.

    Where none served then, the newest version that had learnt from nothing later; else the present champion. A version
    that was rolled back does not come back.
    """
    champion = ledger.champion()
    if champion is None or serves_from(champion) <= cutoff:
        return champion
    rows = [each for each in ledger.models() if each["trained_until"] <= cutoff]
    former = [each for each in rows if each["promoted_at"] is not None and serves_from(each) <= cutoff]
    others = [each for each in rows if each["stage"] == "challenger"]
    by_age = sorted(others, key=_age)
    by_reign = sorted(former, key=lambda each: (serves_from(each), each["promoted_at"]))
    return [champion, *by_age, *by_reign][-1]


def serves_from(row: Row) -> datetime:
    """The first cutoff that a version forecasts from as champion, or did."""
    served: datetime = row["served_from"] or row["trained_until"]
    return served


def judged_challenger(ledger: Ledger) -> Row | None:
    """The challenger that is judged beside the champion: the newest one that has a row in `promotion`."""
    waiting = [row for row in ledger.models() if row["stage"] == "challenger"]
    newest_first = sorted(waiting, key=_age, reverse=True)
    # Most nights have no challenger, and a job of years has many rows on former ones.
    return next((row for row in newest_first if ledger.promotions(row["version"])), None)


def is_newest(night: Night) -> bool:
    """Whether no newer night is published: only such a night may say which version comes next."""
    return all(row["cutoff"] <= night.cutoff for row in night.ledger.publications())


def stored_version(places: Places, row: Row) -> StoredVersion:
    """The version of a row of `model`, where its files lie now."""
    listed = StoredVersion(row["version"], row["uri"], row["digest"])
    return locate_version(listed, places.versions, places.job)


def _age(row: Row) -> tuple[datetime, datetime]:
    return row["trained_until"], row["created_at"]


def _champions_before(rows: Sequence[Row], champion: Row, cutoff: datetime) -> list[Row]:
    """Former champions, the last one first."""
    last = champion["promoted_at"]
    former = [
        row
        for row in rows
        if row["promoted_at"] is not None
        and row["version"] != champion["version"]
        and row["trained_until"] <= cutoff
        and (last is None or row["promoted_at"] < last)
    ]
    return sorted(former, key=lambda row: (row["promoted_at"], row["created_at"]), reverse=True)


def _readable(night: Night, row: Row) -> Path:
    """The folder of a version, which was read for a try: what cannot be read must not leave a night without forecasts.

    Raises:
        DamagedVersion: it cannot be read, or not by this release.
    """
    folder = fetch_version(stored_version(night.places, row), night.scratch)
    Forecaster.load(folder)
    known_series(folder)
    return folder
