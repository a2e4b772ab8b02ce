"""A backtest as one self-contained HTML page, and in short as Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

from models.counted import counted
from models.evaluation.backtest import NAIVE, NETWORK, BacktestResult
from tasks.printing.safe import without_secrets
from tasks.report import backtest_plots, plots
from tasks.report.accuracy import COVERAGE, METRICS, gain, is_share, label_of
from tasks.report.screen import cell, images, measure, place_of
from tasks.report.template import html_of
from tasks.step import step
from tasks.store.places import Places, stamp, write_whole
from tasks.strict_json import strict_json

Row = Mapping[str, Any]
# The metrics that are plotted by step: an error, and the loss that is watched every night.
PLOTTED = ("mase", "scaled_quantile_loss")
HEADLINES = ("mae", "mase")
# Those that the job's home shows of each backtest.
IN_SHORT = HEADLINES


@dataclass(frozen=True)
class BacktestPage:
    """A backtest for people.

    Attributes:
        file: The HTML page.
        screen: The same in short, as Markdown with embedded plots.
    """

    file: Path
    screen: str


@step("write the backtest's page")
def write_backtest(
    places: Places, judged: BacktestResult, cutoffs: Sequence[datetime], trained: str, zone: tzinfo, now: datetime
) -> BacktestPage:
    """Write the page into the folder of the job's reports, under the time at which it was made.

    Beside it lies what the job's home says of it, as JSON: `cutoffs`, `trained` and `errors`, all for people.

    Args:
        places: Where the job's reports are.
        judged: The figures.
        cutoffs: Oldest first.
        trained: How often the network was trained, as text.
        zone: The time zone of the dates on the page.
        now: When it was made.
    """
    path = places.report / f"backtest-{stamp(now)}.html"
    local = [cutoff.astimezone(zone) for cutoff in cutoffs]
    facts = backtest_facts(places.job, judged, local, trained)
    write_whole(path, html_of("backtest_page.html", facts))
    in_short = {
        "cutoffs": f"{counted(len(local), 'cutoff')}, {local[0]:%Y-%m-%d} to {local[-1]:%Y-%m-%d}",
        "trained": trained,
        "errors": [
            f"{row['metric']} {row['model']}, seasonal naive {row['seasonal naive']}"
            for row in overall_rows(judged)
            if row["metric"] in map(label_of, IN_SHORT)
        ],
    }
    write_whole(path.with_suffix(".json"), strict_json(without_secrets(in_short)))
    return BacktestPage(path, backtest_screen(facts, path, places.published_at(path)))


def backtest_screen(facts: Row, page: Path, address: str = "") -> str:
    """The backtest on one screen, as Markdown.

    Args:
        facts: What `backtest_facts` gives.
        page: The HTML page with all figures.
        address: Where a browser finds it; "" where it is published nowhere.
    """
    rows = [
        f"| {cell(row['segment'])} | {row['label']} | {cell(row['against'])} | {row['words']} |"
        for row in facts["differences"]
    ]
    drawn = [(f"Scaled quantile loss, against {name}", plot) for name, plot in facts["plots"].items()]
    drawn += [*facts["by_step"].items(), ("Coverage by step", facts["coverage_by_step"])]
    cutoffs = counted(len(facts["cutoffs"]), "cutoff")
    title = f"{facts['job']}, {cutoffs}, {facts['trained']}. Full page: {place_of(page, address)}"
    head = ["| segment | loss | against | the model's is (95 % interval) |", "|---|---|---|---|"]
    return "\n".join([title, "", *head, *rows, "", *images(drawn)])


def backtest_facts(job: str, judged: BacktestResult, cutoffs: Sequence[datetime], trained: str) -> dict[str, Any]:
    """The names that the page's template reads."""
    names = [NETWORK, NAIVE, *judged.scores[0]["challengers"]] if judged.scores else [NETWORK, NAIVE]
    whole = [row for row in judged.scores if row["step"] == 0]
    steps = sorted({row["step"] for row in judged.scores if row["step"]})
    of_step = {(row["metric"], row["step"]): row for row in judged.scores}
    plots_by_step = {
        METRICS[metric][0]: backtest_plots.by_step(
            steps, {name: [figure(of_step[metric, each], name) for each in steps] for name in names}, METRICS[metric][0]
        )
        for metric in PLOTTED
        if steps
    }
    widths = [row["metric"] for row in whole if row["metric"].startswith(COVERAGE)]
    nominal = [float(metric.removeprefix(COVERAGE)) / 100 for metric in widths]
    coverage = {
        share: [figure(of_step[metric, each], NETWORK) for each in steps]
        for share, metric in zip(nominal, widths, strict=True)
    }
    observed = [figure(of_step[metric, 0], NETWORK) or 0.0 for metric in widths]
    compared = [row for row in judged.differences if row["metric"] == "scaled_quantile_loss"]
    return {
        "job": job,
        "cutoffs": list(cutoffs),
        "trained": trained,
        "names": names,
        "whole": [
            {
                "label": label_of(row["metric"]),
                "share": is_share(row["metric"]),
                "figures": [figure(row, name) for name in names],
                "n": row["n"],
            }
            for row in whole
        ],
        "headlines": [_headline(row) for row in whole if row["metric"] in (*HEADLINES, *widths[-1:])],
        "segments": [
            {"segment": row["segment"], "figures": [figure(row, name) for name in names], "n": row["n"]}
            for row in judged.segments
            if row["metric"] == "mase"
        ],
        "coverages": [label_of(metric) for metric in widths],
        "coverage_of": _coverage_of(judged, widths),
        "by_step": plots_by_step,
        "coverage_by_step": backtest_plots.coverage_by_step(steps, coverage) if steps and coverage else "",
        "calibration": plots.calibration(nominal, observed) if nominal else "",
        "differences": [
            {**row, **shares_of(row), "label": label_of(row["metric"]), "words": describe_difference(row)}
            for row in judged.differences
        ],
        "plots": {name: _plot_differences([row for row in compared if row["against"] == name]) for name in names[1:]},
        "by_fallback": {name: sum(reasons.values()) for name, reasons in judged.by_fallback.items() if reasons},
        "forecasts": judged.forecasts,
    }


def _headline(row: Row) -> dict[str, Any]:
    """A metric of the model in large figures; coverage is no error, so it has no gain."""
    value, baseline = figure(row, NETWORK), figure(row, NAIVE)
    is_coverage = row["metric"].startswith(COVERAGE)
    return {
        "label": label_of(row["metric"]),
        "share": is_share(row["metric"]),
        "value": value,
        "baseline": baseline,
        "gain": None if is_coverage else gain(value, baseline),
        "n": row["n"],
    }


def overall_rows(judged: BacktestResult) -> list[dict[str, Any]]:
    """The metrics over all steps and series for people, with one column for each forecaster."""
    rows = []
    for row in (row for row in judged.scores if row["step"] == 0):
        names = [NETWORK, NAIVE, *row["challengers"]]
        share = is_share(row["metric"])
        shown = {name: measure(figure(row, name), share) for name in names}
        rows.append({"metric": label_of(row["metric"]), **shown, "points": row["n"]})
    return rows


def figure(row: Row, name: str) -> float | None:
    """The value of one forecaster in a row of scores; None if it has none."""
    value = row["value"] if name == NETWORK else row["baseline_value"] if name == NAIVE else row["challengers"][name]
    return None if value is None or math.isnan(value) else float(value)


def shares_of(row: Row) -> dict[str, float | None]:
    """A difference and its interval as shares of the other's loss; None if not known."""
    shares = {name: row[name] / row["second"] if row["second"] else math.nan for name in ("mean", "low", "high")}
    return {f"{name}_share": None if math.isnan(share) else share for name, share in shares.items()}


def describe_difference(row: Row) -> str:
    """How much lower or higher the model's loss is, with its 95 % interval.

    >>> describe_difference({"mean": -0.3, "low": -0.5, "high": -0.1, "second": 1.0})
    '30 % lower (10 to 50 %)'
    >>> describe_difference({"mean": 0.1, "low": -0.1, "high": 0.3, "second": 1.0})
    '10 % higher (10 % lower to 30 % higher)'
    """
    mean, low, high = (shares_of(row)[f"{name}_share"] for name in ("mean", "low", "high"))
    if mean is None:
        return "not known"
    if low is None or high is None:
        return f"{_side(mean)} (interval not known)"
    if low < 0 < high:
        return f"{_side(mean)} ({_side(low)} to {_side(high)})"
    near, far = sorted((abs(low), abs(high)))
    return f"{_side(mean)} ({100 * near:.0f} to {100 * far:.0f} %)"


def _side(share: float) -> str:
    return f"{100 * abs(share):.0f} % {'higher' if share > 0 else 'lower'}"


def _coverage_of(judged: BacktestResult, widths: Sequence[str]) -> dict[str, list[float | None]]:
    """For each segment, the observed coverage of each interval."""
    rows = [*({**row, "segment": "all"} for row in judged.scores if row["step"] == 0), *judged.segments]
    found: dict[str, dict[str, float | None]] = {}
    for row in rows:
        found.setdefault(row["segment"], {})[row["metric"]] = figure(row, NETWORK)
    return {segment: [each.get(metric) for metric in widths] for segment, each in found.items()}


def _plot_differences(rows: Sequence[Row]) -> str:
    shares = [shares_of(row) for row in rows]
    ends = ([share[f"{name}_share"] for share in shares] for name in ("mean", "low", "high"))
    return backtest_plots.differences([str(row["segment"]) for row in rows], *ends) if rows else ""
