"""A picture in docs/: false episodes per year against the nights until a rise is found, for each rule and each rise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.shared.command import ROOT

PICTURE = ROOT / "docs" / "rule.svg"
RULES = {
    "rule": ("this rule", "o-"),
    "starting_point": ("the sum it began with", "s-"),
    "weekly_mean": ("week's mean + a share", "^-"),
    "deviations": ("mean + deviations", "v-"),
}
NEVER = 130
"""Drawn for a rule that finds most rises after more than 120 nights or never."""
Figures = Mapping[str, float | int | str | None]


def draw(figures: Figures, path: Path = PICTURE) -> None:
    """Draw the figures of the jobs with a noise of 5 % and 10 % per night."""
    import matplotlib

    matplotlib.use("svg")
    # The same figures give the same file.
    matplotlib.rcParams["svg.hashsalt"] = "rule"
    # Letters as text take a fifth of the space of outlines.
    matplotlib.rcParams["svg.fonttype"] = "none"
    import matplotlib.pyplot as plt

    rises = (5, 10, 20, 50)
    figure, axes = plt.subplots(2, len(rises), figsize=(10, 5), sharex=True, sharey=True)
    for row, noise in zip(axes, (5, 10), strict=True):
        for axis, rise in zip(row, rises, strict=True):
            for rule, (label, style) in RULES.items():
                axis.plot(*_curve(figures, f"noise_{noise}.{rule}", rise), style, label=label, markersize=4)
            axis.set_title(f"{rise} % worse, noise {noise} %", fontsize=9)
            axis.set_xscale("symlog", linthresh=0.1)
            axis.set_yscale("log")
            axis.grid(alpha=0.3)
    figure.supxlabel("false episodes a year", fontsize=9)
    figure.supylabel(f"nights until found, median ({NEVER}: not in 120)", fontsize=9)
    axes[0, 0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _curve(figures: Figures, prefix: str, rise: int) -> tuple[list[float], list[float]]:
    """False episodes per year and nights to detection of each setting of a rule, fewest false episodes first."""
    names = {key.split(".false")[0] for key in figures if key.startswith(prefix) and ".false" in key}
    points = []
    for name in names:
        if not name.endswith("raw"):
            nights = figures[f"{name}.nights_{rise}"]
            points.append((float(figures[f"{name}.false_per_year"] or 0), float(NEVER if nights is None else nights)))
    points.sort()
    return [point[0] for point in points], [point[1] for point in points]
