"""What is measured after each night, and how it grows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import sqlalchemy as sa

MOST_PERCENT = 3.0
COUNTS = ("files", "threads", "children", "temporary")
BEGIN, END = 20, 60
"""The nights whose median is compared with that of the last fifth."""


@dataclass(frozen=True)
class Sample:
    """What was measured after one night."""

    memory_mib: float
    files: int
    threads: int
    children: int
    temporary: int
    bytes_a_row: float


def sample(pid: int, passing: Path, database: Path) -> Sample:
    """Measure a process, its folder for temporary files, and the output database."""
    process = Path(f"/proc/{pid}")
    pages = int((process / "statm").read_text(encoding="ascii").split()[1])
    children = sum(
        _parent(each) == pid for each in Path("/proc").glob("[0-9]*") if each.name != str(pid)
    )  # the ones that it waits for, too
    engine = sa.create_engine(f"sqlite:///{database}", poolclass=sa.NullPool)
    with engine.connect() as connection:
        rows = connection.scalar(sa.text("SELECT COUNT(*) FROM forecast")) or 1
    return Sample(
        memory_mib=pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        files=len(list((process / "fd").iterdir())),
        threads=len(list((process / "task").iterdir())),
        children=children,
        temporary=len(list(passing.rglob("*"))),
        bytes_a_row=database.stat().st_size / rows,
    )


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[1])
    except OSError:
        return 0


def growth_of(samples: Sequence[Sample]) -> dict[str, float]:
    """For each measure, its median over the last fifth against that of the nights 20 to 60, or of the second fifth.

    Percent; for counts, the difference. At most a fifth of the nights may be odd without effect.

    >>> steady = [Sample(100.0, 5, 1, 0, 0, 90.0)] * 99
    >>> growth_of([*steady, Sample(500.0, 50, 1, 0, 0, 90.0)])["memory_mib"]
    0.0
    >>> growth_of([Sample(100.0 + night, 5, 1, 0, 0, 90.0) for night in range(100)])["files"]
    0.0
    """
    fifth = max(1, len(samples) // 5)
    early = samples[BEGIN:END] if len(samples) >= 2 * END else samples[fifth : 2 * fifth]
    found = {}
    for name in asdict(samples[0]):
        before, after = (median(getattr(each, name) for each in part) for part in (early, samples[-fifth:]))
        found[name] = float(after - before) if name in COUNTS else 100 * (after / before - 1)
    return found


def figures_of(samples: Sequence[Sample]) -> dict[str, float]:
    """The last value of each measure, and its growth."""
    return {name: float(value) for name, value in asdict(samples[-1]).items()} | {
        f"{name}_growth": value for name, value in growth_of(samples).items()
    }


def grown(samples: Sequence[Sample]) -> list[str]:
    """The measures that grow, in words; a database may shrink over its rows.

    >>> grown([Sample(100.0 + night, 5 + night // 50, 1, 0, 0, 90.0) for night in range(200)])
    ['memory_mib grows by 100.7 %', 'files grows by 2.5']
    """
    return [
        f"{name} grows by {value:.3g}" if name in COUNTS else f"{name} grows by {value:.1f} %"
        for name, value in growth_of(samples).items()
        if value > (0.5 if name in COUNTS else MOST_PERCENT)
    ]
