"""Files that somebody damaged, and ids and job files that nobody should write."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.faults.judge import unlike
from benchmarks.faults.site import JOB, SMALL, TRAINED
from benchmarks.faults.trial import Trial

MARK = "<script>alert('marked')</script>"
EVIL_IDS = (
    "a\0b", "x" * 3_000, MARK, "'; DROP TABLE run; --", "../../etc/passwd", "\x1b[2J\x1b[31mred", "\u202egnp.exe", "",
    " ", "a/b", "a\nb\r\nc", "\U0001f600" * 40, "NULL", "nan", "ё" * 500, "${HOME}", "%s{0}", "job=other", "\ufeffa",
    "-", "x" * 100_000, "\x07\x08\x7f", "a\tb", "é", "e\u0301",
)  # fmt: skip


def bits_flipped_in_version(trial: Trial) -> None:
    """A bit of a stored version is flipped, or a file of it cut or gone: the night says so."""
    site = trial.begin(TRAINED)
    files = sorted(path for path in (site.job / "versions").rglob("*") if path.is_file())
    file = trial.random.choice(files)
    whole = file.read_bytes()
    trial.how = f"{file.name} {_damage(trial, file)}"
    night = trial.start("--train", "never")
    code = trial.ended(night, allowed=(0, 1))
    if code and "damaged" not in night.said and "version" not in night.said:
        trial.findings.add("unexpected", 1, f"a damaged version is not named: {night.said[-500:]}")
    file.write_bytes(whole)
    trial.follow()


def bits_flipped_in_parquet(trial: Trial) -> None:
    """A published Parquet file is damaged, cut or gone; running its night again gives back what its readers miss."""
    site = trial.begin(again=False)
    trial.end_watching()
    trial.cutoff = "2024-02-02"
    file = site.shown(trial.cutoff)
    trial.how = f"{file.name} {_damage(trial, file)}"
    rows = trial.rows(trial.cutoff)
    if not unlike(file, rows):
        trial.how += ", which no reader sees"
    if trial.ended(trial.start(), allowed=[0]) == 0:
        trial.follow()


def _damage(trial: Trial, file: Path) -> str:
    """Damage a file; says how."""
    way, content = trial.random.random(), bytearray(file.read_bytes())
    if way < 0.15:
        file.unlink()
        return "is gone"
    if way < 0.3:
        file.write_bytes(content[: trial.random.randrange(len(content))])
        return f"is cut to {file.stat().st_size} bytes"
    at = trial.random.choice([trial.random.randrange(len(content)), trial.random.randrange(min(8, len(content)))])
    if way < 0.4:
        at = len(content) - 1 - trial.random.randrange(min(16, len(content)))
    content[at] ^= 1 << trial.random.randrange(8)
    file.write_bytes(content)
    return f"has a flipped bit at {at} of {len(content)}"


def evil_ids(trial: Trial) -> None:
    """Some series have ids that no one should give; the night has all of them, or says which it refuses."""
    picked = trial.random.sample(EVIL_IDS, 4)
    if trial.database == "postgresql":
        picked = [each.replace("\0", "") for each in picked]
    site = trial.begin(SMALL, again=False)
    with site.source().begin() as source:
        days = source.execute(sa.text("SELECT day, value FROM history WHERE series_id = 's000'")).all()
        rows: list[dict[str, Any]] = [{"id": name, "day": day, "v": value} for name in picked for day, value in days]
        source.execute(sa.text("INSERT INTO history (series_id, day, value) VALUES (:id, :day, :v)"), rows)
    trial.how = f"ids {[each[:30] for each in picked]}"
    trial.end_watching()
    night = trial.start(plain=False)
    code = night.wait(300)
    published = {row.series_id for row in site.execute("SELECT series_id FROM forecast WHERE cutoff >= '2024-02-03'")}
    wanted = {f"s{number:03d}" for number in range(6)}
    if code == 0 and not wanted <= published:
        trial.findings.add("lost_rows", 7 * len(wanted - published), f"{sorted(wanted - published)} are missing")
    # An id with NUL cannot be stored on PostgreSQL, nor one of 3,000 characters in its key; both are refused by name.
    refused = len(set(picked)) + len(wanted) - len(published)
    if code == 0 and refused > 0 and "refus" not in night.said and "id" not in night.said:
        trial.findings.add("lost_rows", 7 * refused, f"{refused} series are missing, and nothing is said")
    trial.findings.merge(trial.surprises(night, allowed=(0, 2)))
    for page in (site.job / "reports").rglob("*.html"):
        if MARK in page.read_text(encoding="utf-8"):
            trial.findings.add("unexpected", 1, f"{page.name} holds a script of an id")
    raw = [each for each in ("\x1b[2J", "\u202e", "\x07") if each in night.said]
    trial.findings.add("unexpected", len(raw), f"raw control characters are printed: {raw}")


def evil_files(trial: Trial) -> None:
    """Things that are no files, or not this job's, lie where the night writes; it says so, or goes on."""
    site = trial.begin()
    trial.end_watching()
    places = {
        "a folder for the file": site.shown("2024-02-03"),
        "a folder for the report": site.job / f"reports/{JOB}/2024-02-03T000000Z.html",
        "a folder for a temporary file": site.shown("2024-02-03").with_name("part-1.parquet"),
        "a link to nowhere": site.job / "reports/.nightcast",
        "a file for the scratch": site.job / "reports/.nightcast",
        "a FIFO among the files": site.job / f"forecasts/job={JOB}/cutoff=2024-01-01T000000Z/part-0.parquet",
    }
    what, place = trial.random.choice(sorted(places.items()))
    place.parent.mkdir(parents=True, exist_ok=True)
    if what.startswith("a folder"):
        place.mkdir()
    elif what == "a link to nowhere":
        os.symlink("/nowhere/at/all", place)
    elif what == "a FIFO among the files":
        os.mkfifo(place)
    else:
        place.write_text("mine", encoding="utf-8")
    trial.how = what
    trial.ended(trial.start(), allowed=(0, 1, 2))
    if place.is_dir():
        place.rmdir()
    else:
        place.unlink(missing_ok=True)
    _remove_empty(place.parent, site.job)
    trial.follow()


def _remove_empty(folder: Path, until: Path) -> None:
    """Remove folders that were made for the trial."""
    while folder != until and folder.exists() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
