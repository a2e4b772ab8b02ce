"""The night on one screen, as Markdown: a summary of the report for the page of a Prefect run.

It is made from the same facts as the report, see `tasks.report.page.page_facts`.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from models.counted import counted, in_number
from tasks.report.accuracy import COVERAGE
from tasks.report.record import Row

MARKS = {"good": "🟢", "watch": "🟡", "bad": "🔴"}
# Legible on light and dark backgrounds: an image does not follow the colours of the page that shows it.
COLOURS = {
    "ink": "#64748b",
    "muted": "#7c8aa0",
    "line": "#94a3b8",
    "model": "#3b82f6",
    "naive": "#d97706",
    "alarm": "#ef4444",
}
FINDINGS_SHOWN = 6
PLOTS_SHOWN = 4
# The most common metrics, with their short names. All others are in the table of errors.
HEADLINES = {"mae": "MAE", "mase": "MASE", "wape": "WAPE", "weighted_quantile_loss": "wQL"}


def night_screen(facts: Row, report: Path, address: str = "") -> str:
    """One night as Markdown.

    Args:
        facts: What `page_facts` gives.
        report: The HTML page.
        address: Where a browser finds it; "" where it is published nowhere.
    """
    verdict, tone = facts["verdict"]
    ahead = f", {counted(facts['horizon'], 'step')} of {facts['frequency']} ahead" if facts["horizon"] else ""
    rows = {
        "Read": _read(facts),
        "Findings": "<br>".join(_findings(facts)),
        "Model": _model(facts),
        "Accuracy": "<br>".join(_accuracy(facts)),
        "Tonight's loss": "<br>".join(_losses(facts)),
        "Published": "<br>".join(_published(facts)),
        "Alerts": "<br>".join(_alerts(facts)),
        "Time": _time(facts["seconds"]),
        "Report": place_of(report, address),
    }
    return "\n".join(
        [
            f"## {MARKS[tone]} {verdict}",
            f"**{facts['job']}**, night of {facts['cutoff']:%A} {_day(facts['cutoff'])} ({facts['zone']}){ahead}",
            "",
            "| | |",
            "|---|---|",
            *(f"| **{name}** | {text} |" for name, text in rows.items() if text),
            "",
            *_plots(facts),
        ]
    )


def error_rows(facts: Row) -> list[Row]:
    """The errors of the forecast with most steps scored, over all series and by segment."""
    known = facts["accuracy"]
    if known is None:
        return []
    return [
        {
            "segment": row["segment"],
            "metric": row["label"],
            "model": measure(row["value"], row["share"]),
            "seasonal naive": measure(row["baseline_value"], row["share"]),
            "difference": _lower(row["gain"]) or "–",
            "points": row["n"],
        }
        for row in [*known["overall"], *known["by_segment"]]
    ]


def _read(facts: Row) -> str:
    audit = facts["audit"]
    if audit is None:
        return f"{_number(facts['run'].get('rows_read'))} rows of {_number(facts['run'].get('series'))} series"
    first, last = (_day(facts["local"](audit[end])) for end in ("first", "last"))
    since = audit.get("rows_since")
    newest = f" from {_day(facts['local'](since))} on" if since else ""
    return f"{_number(audit['rows_read'])} rows{newest} of {_number(audit['series'])} series, {first} to {last}"


def _findings(facts: Row) -> Iterator[str]:
    findings = (facts["audit"] or {}).get("findings") or []
    if not findings:
        yield "none"
    for each in findings[:FINDINGS_SHOWN]:
        examples = f" ({cell(each['examples'][0])}{', …' if each['count'] > 1 else ''})" if each["examples"] else ""
        kind = in_number(each["kind"], each["count"])
        yield f"{_number(each['count'])} {cell(kind)}{examples}: {cell(each['action'])}"
    if len(findings) > FINDINGS_SHOWN:
        yield f"and {len(findings) - FINDINGS_SHOWN} more kinds, see the table of the input"


def _model(facts: Row) -> str:
    decision, training = facts["decision"], facts["training"]
    lines = [": ".join(filter(None, (decision["mode"], cell(decision["reason"]))))]
    if decision["version"]:
        lines.append(f"version `{decision['version']}`")
    if training:
        outcome = "the champion is better and stays" if training["kept_champion"] else cell(facts["outcome"])
        lines.append(f"{counted(training['steps'], 'step')} in {_duration(training['seconds'])}, {outcome}")
    return "<br>".join(filter(None, lines))


def _losses(facts: Row) -> Iterator[str]:
    tonight, nominal = facts["tonight"], facts["nominal"]
    if tonight is None or tonight["loss"] is None:
        yield "not evaluated: no new actual of an earlier forecast has arrived"
        yield from _hindcast(facts["hindcast"])
        return
    yield f"{_against(tonight, facts['ratio'], facts['usual'])}; verdict: {tonight['state']}"
    if tonight["coverage"] is not None:
        interval = f"{nominal:.0%} interval" if nominal else "widest interval"
        yield f"{tonight['coverage']:.0%} of {_number(tonight['n'])} new actuals inside the {interval}"
    if bad := [row["segment"] for row in facts["segments"] if row["state"] == "degraded"]:
        yield f"degraded in {cell(', '.join(bad))}"


def _hindcast(found: Row | None) -> Iterator[str]:
    if found is None:
        return
    covered = "" if found["coverage"] is None else f", {found['coverage']:.0%} inside the widest interval"
    yield f"hindcast: {_against(found, found['ratio'], None)}{covered}; {found['basis']}"


def _against(row: Row, ratio: float | None, usual: float | None) -> str:
    """A loss beside the seasonal naive's, and what the ratio of both usually is."""
    figures = f"{_number(row['loss'])} against the seasonal naive's {_number(row['baseline_loss'])}"
    expected = "" if usual is None else f", usually {usual:.2f}"
    return figures if ratio is None else f"{figures}, a ratio of {ratio:.2f}{expected}"


def _accuracy(facts: Row) -> Iterator[str]:
    known = facts["accuracy"]
    if known is None:
        return
    overall = {row["metric"]: row for row in known["overall"]}
    errors = [
        f"{name} {measure(row['value'], row['share'])} (naive {measure(row['baseline_value'], row['share'])})"
        for metric, name in HEADLINES.items()
        if (row := overall.get(metric))
    ]
    shares = [
        f"{row['value']:.0%} inside the {metric.removeprefix(COVERAGE)}% interval"
        for metric, row in overall.items()
        if metric.startswith(COVERAGE)
    ]
    steps = f"{counted(known['steps'], 'step')} scored"
    yield f"the forecast of {_day(known['cutoff'])}, {steps}"
    yield from (", ".join(figures) for figures in (errors, shares) if figures)


def _published(facts: Row) -> Iterator[str]:
    run, places = facts["run"], facts["places"]
    steps = f"{counted(facts['horizon'], 'step')} of " if facts["horizon"] else ""
    fallback = run.get("fallback_series")
    share = f", {_number(fallback)} of them by fallback" if fallback else ", all by the model"
    yield f"{steps}{_number(run.get('series'))} series{share}"
    for reason, count in facts["fallback"]:
        yield f"{_number(count)} by fallback: {cell(reason)}"
    for label in ("Tables", "Parquet"):
        if places.get(label):
            yield f"{label.lower()} `{cell(places[label])}`"


def _alerts(facts: Row) -> Iterator[str]:
    if not facts["alerts"]:
        yield "none"
    for alert in facts["alerts"]:
        unsent = f", not delivered to {', '.join(alert['delivery_errors'])}" if alert.get("delivery_errors") else ""
        state = f"{alert['state']} by {alert['acknowledged_by']}" if alert["acknowledged_by"] else alert["state"]
        others = f"; explains {counted(len(alert['others']), 'other alert')}" if alert["others"] else ""
        yield f"🔔 {cell(alert['message'] or alert['signal'])} ({cell(state)}{unsent}){others}"


def _time(seconds: dict[str, float]) -> str:
    if not seconds:
        return ""
    longest = sorted(seconds.items(), key=lambda item: -item[1])[:3]
    return f"{_duration(sum(seconds.values()))}, mostly {', '.join(f'{k} {_duration(v)}' for k, v in longest)}"


def _plots(facts: Row) -> Iterator[str]:
    known = facts["accuracy"]
    plots = [("Loss, night by night", facts["loss_plot"])]
    plots += [(f"Error by step ahead, forecast of {_day(known['cutoff'])}", known["plot"])] if known else []
    plots += [(fan["series_id"], fan["plot"]) for fan in facts["fans"]]
    drawn = [*images([(title, svg) for title, svg in plots if svg][:PLOTS_SHOWN])]
    yield from drawn
    if drawn:
        yield "Blue is the model, dashed the seasonal naive. Below the loss: the statistic over its limit, red above."


def place_of(page: Path, address: str = "") -> str:
    """Where a page is, as Markdown: a link to its address, or its path if it has none.

    Browsers follow no link from a web page to a local file.
    """
    path = f"`{cell(str(page.resolve()))}` on {cell(os.uname().nodename)}"
    return (
        f"[{cell(address)}]({address.replace('(', '%28').replace(')', '%29').replace('|', '%7C')})" if address else path
    )


def images(plots: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Plots in pairs, as lines of Markdown with embedded images.

    Args:
        plots: Title and SVG of each. One whose SVG is "" is left out.
    """
    drawn = [(title, _image(svg, title)) for title, svg in plots if svg]
    for left in range(0, len(drawn), 2):
        pair = drawn[left : left + 2]
        yield f"| {' | '.join(cell(title) for title, _ in pair)} |"
        yield "|---" * len(pair) + "|"
        yield f"| {' | '.join(image for _, image in pair)} |"
        yield ""


def _image(svg: str, title: str) -> str:
    """An `<img>` that holds the plot itself."""
    svg = re.sub(r"var\(--(\w+)\)", lambda found: COLOURS[found[1]], svg)
    data = base64.b64encode(svg.encode()).decode()
    return f'<img alt="{cell(title).replace(chr(34), "&quot;")}" width="380" src="data:image/svg+xml;base64,{data}">'


def cell(text: str) -> str:
    """A text escaped for a cell of a Markdown table."""
    text = " ".join(str(text).split())
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("`", "'")


def _day(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment.hour or moment.minute else f"{moment:%Y-%m-%d}"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 100 else f"{value:,.0f}"


def measure(value: float | None, share: bool) -> str:
    """A metric for people.

    >>> measure(0.7912345, False), measure(0.2512, True), measure(None, False)
    ('0.791', '25.1%', '–')
    """
    return "–" if value is None else f"{value:.1%}" if share else _number(value)


def _lower(gain: float | None) -> str:
    return "" if gain is None else f"{gain:.0%} lower" if gain >= 0 else f"{-gain:.0%} higher"


def _duration(seconds: float) -> str:
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s" if seconds >= 90 else f"{seconds:.3g} s"


def fallback_rows(reasons: Sequence[tuple[str, int]], series: int | None) -> list[Row]:
    """Why series got the fallback, and how many."""
    return [
        {"reason": reason, "series": count, "share": f"{count / series:.1%}" if series else "–"}
        for reason, count in reasons
    ]
