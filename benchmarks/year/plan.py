"""What happens to the simulated company, and when."""

from __future__ import annotations

from dataclasses import dataclass

Days = tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What happens, by the day of the data that it first concerns; None or nothing for what does not.

    Attributes:
        born: Days on which some series begin each.
        died: Days since which some series each have no row.
        late: The day whose rows come a day late.
        dead: First and last day of those whose rows all come after the last.
        doubled: The day whose rows are loaded twice, some of them with another value.
        revised: First and last day of a region's rows that are revised, and the day at whose end they are.
        unit: Since when one series is told in thousandths.
        shift: Since when one region sells less, and what share of its sales stays.
        drift: Between which days ever more promotions are not carried out as planned, up to this share; so it stays.
        damaged: The night before which the champion's folder is damaged.
        away: The night on which the source's database does not answer.
        twice: The night that is started twice at once.
        killed: The night that is killed.
        skipped: The night that is not run, and the one after which it is filled in.
    """

    born: Days = ()
    died: Days = ()
    late: str | None = None
    dead: tuple[str, str] | None = None
    doubled: str | None = None
    revised: tuple[str, str, str] | None = None
    unit: str | None = None
    shift: tuple[str, float] | None = None
    drift: tuple[str, str, float] | None = None
    damaged: str | None = None
    away: str | None = None
    twice: str | None = None
    killed: str | None = None
    skipped: tuple[str, str] | None = None


YEAR = Plan(
    born=("2025-02-10", "2025-08-01"),
    died=("2025-03-05", "2025-09-10"),
    late="2025-02-18",
    doubled="2025-04-08",
    shift=("2025-04-23", 0.65),
    damaged="2025-06-03",
    revised=("2025-06-09", "2025-06-15", "2025-06-20"),
    unit="2025-07-08",
    away="2025-07-29",
    twice="2025-08-12",
    killed="2025-08-21",
    drift=("2025-09-15", "2025-11-10", 0.7),
    dead=("2025-11-18", "2025-11-20"),
    skipped=("2025-12-03", "2025-12-06"),
)
