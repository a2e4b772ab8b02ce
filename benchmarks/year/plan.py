"""What happens to the simulated company, and when."""

from __future__ import annotations

from dataclasses import dataclass

Days = tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """The events of a year, by the first day of data that each concerns; None or empty for events that do not happen.

    Attributes:
        born: Days on each of which some series begin.
        died: Days on each of which some series end.
        late: The day whose rows come a day late.
        dead: First and last day of an outage of the feed; all their rows come after the last day.
        doubled: The day whose rows are loaded twice, some of them with another value.
        revised: First and last day of a region's rows that are revised, and the day at whose end that happens.
        unit: The day from which one series is reported in thousandths.
        shift: The day from which one region sells less, and the share of its sales that remains.
        drift: The days between which more and more promotions are not carried out as planned, and the share of them
            that is reached and stays.
        damaged: The night before which the champion's folder is damaged.
        away: The night on which the source's database does not answer.
        twice: The night that is started twice at the same time.
        killed: The night that is killed.
        skipped: The night that does not run, and the night after which it is filled in.
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
