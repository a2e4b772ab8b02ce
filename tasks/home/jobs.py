"""The page over all jobs of a folder of reports, from what each job's home has left beside itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.home.files import TEMPLATES, Pages
from tasks.report.template import html_of
from tasks.store.places import write_whole

HOME = "index.html"
SUMMARY = "index.json"
_TONES = {"bad": 0, "watch": 1, "good": 2}
_LEAST_DRAWN = 3


class JobSummary(BaseModel):
    """What the page over all jobs says of one; see `summary` of `facts`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    job: str
    verdict: str
    tone: str
    night: str = ""
    page: str = ""
    published: int = 0
    open_alerts: int
    statistic: float | None = None
    mae_gain: float | None = None
    ratio: float | None = None
    usual: float | None = None
    nights: list[float | None]
    has_home: bool = True


def write_jobs(reports: Path) -> Path:
    """Write the page over all jobs into the folder of reports; gives its file.

    Jobs that end at the same time all write it: whoever writes last has seen what each of them left.

    Raises:
        OSError: the folder cannot be read or written.
    """
    file = reports / HOME
    found = read_summaries(reports)
    while True:
        write_whole(file, jobs_page(found))
        again = read_summaries(reports)
        if again == found:
            return file
        found = again


def read_summaries(reports: Path) -> list[JobSummary]:
    """What is known of each job of a folder of reports, by name. A folder without any page is no job.

    Raises:
        OSError: the folder cannot be read.
    """
    folders = sorted(entry for entry in reports.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    return [found for folder in folders if (found := read_summary(folder)) is not None]


def jobs_page(jobs: Sequence[JobSummary]) -> str:
    """The page as HTML: the jobs that need somebody first."""
    order = sorted(jobs, key=lambda each: (_TONES.get(each.tone, 1), each.job))
    return html_of("jobs.html", {"jobs": [_shown(each) for each in order]}, TEMPLATES)


def read_summary(folder: Path) -> JobSummary | None:
    """What is known of a job of a folder of reports; None where the folder is no job's."""
    try:
        document = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        return JobSummary.model_validate({**document, "job": folder.name})
    except (OSError, ValueError, TypeError, RecursionError, ValidationError):
        pass
    # The job has not run since it has homes, or the file is damaged: the next night writes it.
    try:
        pages = Pages.of(folder)
    except OSError:
        return None
    if not pages.nights:
        return None
    return JobSummary(
        job=folder.name,
        verdict="Not known before its next night",
        tone="watch",
        open_alerts=0,
        nights=[],
        page=pages.nights[-1],
        has_home=(folder / HOME).is_file(),
    )


def _shown(each: JobSummary) -> dict[str, Any]:
    known = [value for value in each.nights if value is not None]
    return {
        **each.model_dump(),
        "tone": each.tone if each.tone in _TONES else "watch",
        "night": each.night or each.page.removesuffix(".html"),
        **(_drawn(each.nights) if len(known) >= _LEAST_DRAWN else {"points": "", "limit": 0}),
    }


def _drawn(values: Sequence[float | None]) -> dict[str, Any]:
    """A line of 300 by 44, and the height of the limit in it."""
    top = max(1.25, *(value for value in values if value is not None))
    bottom = min(0.0, *(value for value in values if value is not None))

    def height(value: float) -> str:
        return f"{2 + 40 * (top - value) / (top - bottom):.1f}"

    width = 300 / max(1, len(values) - 1)
    points = [f"{width * place:.1f},{height(value)}" for place, value in enumerate(values) if value is not None]
    return {"points": " ".join(points), "limit": height(1.0)}
