"""The pages that lie in the folder of a job's reports, and the links from each to the one before and after it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from tasks.report.template import html_of
from tasks.store.places import STAMP, stamp, write_whole

TEMPLATES = Path(__file__).parent
_NIGHT = re.compile(rf"({STAMP})\.html")
_BACKTEST = re.compile(rf"backtest-({STAMP})\.html")
_BEGIN, _END = b"<!-- other pages -->", b"<!-- end of other pages -->"
_HEAD = 1 << 18


@dataclass(frozen=True)
class Pages:
    """The pages of a job, oldest first.

    Attributes:
        folder: Where they lie.
        nights: Names of the files of nights.
        backtests: Names of the files of backtests.
    """

    folder: Path
    nights: tuple[str, ...] = ()
    backtests: tuple[str, ...] = ()

    @classmethod
    def of(cls, folder: Path) -> Pages:
        """The pages that are in a folder; none where it does not exist.

        Raises:
            OSError: the folder cannot be read.
        """
        if not folder.is_dir():
            return cls(folder)
        # Stamps sort like times.
        names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
        nights, backtests = (tuple(filter(kind.fullmatch, names)) for kind in (_NIGHT, _BACKTEST))
        return cls(folder, nights, backtests)

    def night(self, cutoff: datetime) -> str:
        """The name of the file of a night; "" where there is none."""
        name = f"{stamp(cutoff)}.html"
        return name if name in self.nights else ""


def moment_of(name: str) -> datetime:
    """The moment in the name of a page: the cutoff of a night, or when a backtest was made.

    >>> moment_of("backtest-2025-03-01T041500Z.html")
    datetime.datetime(2025, 3, 1, 4, 15, tzinfo=datetime.timezone.utc)
    """
    [written] = re.findall(STAMP, name)
    return datetime.strptime(written, "%Y-%m-%dT%H%M%SZ").replace(tzinfo=UTC)


def day_of(moment: datetime) -> str:
    """A local time as a date, with the time of day where it is not midnight.

    >>> day_of(datetime(2025, 3, 1)), day_of(datetime(2025, 3, 1, 6, 30))
    ('2025-03-01', '2025-03-01 06:30')
    """
    return f"{moment:%Y-%m-%d %H:%M}".removesuffix(" 00:00")


def link_pages(pages: Pages, zone: tzinfo, changed: str | None = None) -> None:
    """Write into each page the links to the job's home, and to the page before and after it.

    A page that says so already, or has no place for links because an older release made it, stays as it is.

    Args:
        pages: The pages.
        zone: The time zone of the dates in the links.
        changed: Name of a page that is new or was written again: only its links, those of its neighbours, and those of
            the first page, before which old pages may have been deleted, are written. None for all.

    Raises:
        OSError: a page cannot be read or written.
    """
    for names in (pages.nights, pages.backtests):
        for place in range(len(names)):
            if changed is None or place == 0 or changed in names[max(0, place - 1) : place + 2]:
                _link(pages.folder, names, place, zone)


def _link(folder: Path, names: Sequence[str], place: int, zone: tzinfo) -> None:
    before, after = names[place - 1] if place else "", names[place + 1] if place + 1 < len(names) else ""
    days = {name: day_of(moment_of(name).astimezone(zone).replace(tzinfo=None)) for name in (before, after) if name}
    links = html_of("other_pages.html", {"before": before, "after": after, "days": days}, TEMPLATES).encode()
    with (folder / names[place]).open("rb") as page:
        # A page may hold megabytes of data; the links stand at its beginning.
        head = page.read(_HEAD)
        begin, end = head.find(_BEGIN) + len(_BEGIN), head.find(_END)
        if _BEGIN in head and begin <= end and head[begin:end] != links:
            text = head[:begin] + links + head[end:] + page.read()
            write_whole(folder / names[place], text.decode("utf-8"))
