"""How soon the rule that says "worse" finds what is worse, and how often it cries wolf, beside common rules.

    python -m benchmarks.rule [--jobs 20]

Each made-up job (`made_up_nights.py`) has 180 nights to learn from, of which the network has learnt from all but the
newest 28, 60 or 180, and then a year. That year is judged as it is, and with forecasts that are worse from its 60th
night on. The rule runs as it does at night, `models.monitoring.change_detection.judge` on what was known then. It was
chosen on seeds 1 and 2.

    false_per_year      episodes a year in years in which nothing is wrong
    nights_10           nights until 10 % worse is found, the median; None where most jobs had not found it in 120.
                        Jobs that were told as worse already on the 60th night are left out.
    onset_off_10, effect_off_10
                        how far off the onset and the effect first told are, medians, in nights and as a share
    found_detectable    share of jobs in which a rise as small as `detectable` says is found in 14 nights
    chance.RATE         alerts of chance a year where the rule is asked for RATE, in ten years of many more jobs that
                        learn what is usual once: of all, and of the worst kind (`rule_calibration.py`)
    alerts_a_rise       alerts of 20 % worse for 60 nights, where found; nights_to_close, nights until it is over then
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.rule.common_rules import deviations, starting_point, weekly_mean
from benchmarks.rule.false_alarms import calibration
from benchmarks.rule.operating_curve import draw
from benchmarks.rule.simulated_jobs import FRESH, KINDS, LEARNT, YEAR, simulated
from benchmarks.shared.record import asked, record
from models.monitoring.change_detection import Nights, Sensitivity, Verdict, judge
from models.settings.monitoring import MonitorSettings

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

WORSE_FROM, PATIENCE = 60, 120
WORSE = (0.05, 0.1, 0.2, 0.5)
# Of one signal of one segment; a job gives the loss of all its series 0.3 by default, and 0.45 without segments.
RATES = (0.1, 0.3, 0.02, 0.6)
# Two alarms of a rule that knows no episodes are one where fewer nights lie between them.
APART = 7
SETTINGS = MonitorSettings()
SENSITIVITY = Sensitivity(float(np.log1p(SETTINGS.tolerance)), float(np.log1p(SETTINGS.min_effect)))

COMMON: dict[str, Callable[[FloatArray], BoolArray]] = {
    **{f"starting_point_{rate}": partial(starting_point, rate=rate) for rate in (0.2, 0.05, 0.6)},
    **{f"weekly_mean_{more}": partial(weekly_mean, more=more) for more in (0.1, 0.05, 0.2, 0.3)},
    **{f"deviations_{number}": partial(deviations, number=number) for number in (3.0, 2.0, 4.0, 6.0)},
}
# These two beside the loss relative to the naive's are what is common.
RAW = {"weekly_mean_raw": weekly_mean, "deviations_raw": deviations}


class Measured(NamedTuple):
    """What one rule did with jobs of one kind: a list of one value per job for each figure."""

    false: list[float]
    delays: dict[float, list[float]]
    more: dict[str, list[float]]


def verdicts(ratio: FloatArray, fresh: int, rate: float, told: list[bool], until: int) -> Iterator[Verdict]:
    """What this product's rule says of a job's nights, after what it had `told` of its first ones."""
    weekday, states = np.arange(len(ratio)) % 7, [False] * LEARNT + told
    for night in range(len(states), LEARNT + until):
        degraded = np.array([*states, False])
        nights = Nights(ratio[: night + 1], weekday[: night + 1], degraded, LEARNT, LEARNT - fresh)
        verdict = judge(nights, SETTINGS, SENSITIVITY, rate)
        # A night without a figure opens and closes nothing.
        states.append(states[-1] if verdict.state == "not evaluated" else verdict.state == "degraded")
        yield verdict._replace(state="degraded" if states[-1] else "ok")


def worse_by(ratio: FloatArray, rise: float, nights: int) -> FloatArray:
    """Log ratios that lie so much higher for some nights."""
    shifted = ratio.copy()
    shifted[..., LEARNT + WORSE_FROM : LEARNT + WORSE_FROM + nights] += rise
    return shifted


def this_rule(ratio: FloatArray, rate: float) -> Measured:
    """Judge jobs, shape (job, night)."""
    found = Measured([], {worse: [] for worse in WORSE}, {})
    for job, nights in enumerate(ratio):
        fresh = FRESH[job % len(FRESH)]
        calm = list(verdicts(nights, fresh, rate, [], YEAR))
        states = [verdict.state == "degraded" for verdict in calm]
        found.false.append(episodes(np.array(states), 1))
        if states[WORSE_FROM - 1]:
            continue
        told = states[:WORSE_FROM]
        for worse in WORSE:
            shifted = worse_by(nights, np.log1p(worse), PATIENCE)
            after = enumerate(verdicts(shifted, fresh, rate, told, WORSE_FROM + PATIENCE), 1)
            night, first = next(((night, each) for night, each in after if each.state == "degraded"), (np.inf, None))
            found.delays[worse].append(night)
            if first is not None and first.onset is not None:
                onset = abs(first.onset - LEARNT - WORSE_FROM)
                found.more.setdefault(f"onset_off_{worse:.0%}".rstrip("%"), []).append(onset)
                effect = float(np.expm1(first.effect)) - worse
                found.more.setdefault(f"effect_off_{worse:.0%}".rstrip("%"), []).append(effect)
        if rate == RATES[0]:
            of_detectable(nights, calm[WORSE_FROM - 1].detectable_effect, fresh, rate, told, found)
            of_an_end(nights, fresh, rate, told, found)
    return found


def of_detectable(
    nights: FloatArray, detectable: float, fresh: int, rate: float, told: list[bool], found: Measured
) -> None:
    """Whether a rise as small as was said to show in 14 nights does."""
    if np.isfinite(detectable):
        after = verdicts(worse_by(nights, detectable, PATIENCE), fresh, rate, told, WORSE_FROM + 14)
        seen = any(verdict.state == "degraded" for verdict in after)
        found.more.setdefault("found_detectable", []).append(seen)


def of_an_end(nights: FloatArray, fresh: int, rate: float, told: list[bool], found: Measured) -> None:
    """How many alerts a rise of 20 % for two months is, and how soon the last one ends after it."""
    after = verdicts(worse_by(nights, np.log(1.2), 60), fresh, rate, told, WORSE_FROM + 60 + PATIENCE)
    states = np.array([verdict.state == "degraded" for verdict in after])
    if states[:60].any():
        found.more.setdefault("alerts_a_rise", []).append(episodes(states[:60], 1))
    if states[59]:
        open_for = np.flatnonzero(~states[60:])
        found.more.setdefault("nights_to_close", []).append(open_for[0] + 1 if len(open_for) else np.inf)


def common_rule(
    rule: Callable[[FloatArray], BoolArray], ratio: FloatArray, naive: FloatArray | float = 0.0
) -> Measured:
    """The same of a rule that judges whole years."""
    calm = rule(ratio + naive)
    fair = ~calm[:, WORSE_FROM - 1]
    delays = {}
    for worse in WORSE:
        flags = rule(worse_by(ratio, np.log1p(worse), YEAR) + naive)[:, WORSE_FROM : WORSE_FROM + PATIENCE]
        delay = np.where(flags.any(axis=1), flags.argmax(axis=1) + 1, np.inf)
        delays[worse] = delay[fair].tolist()
    return Measured([episodes(each, APART) for each in calm], delays, {})


def episodes(flags: BoolArray, apart: int) -> int:
    """Runs of flagged nights, those with fewer than `apart` nights between them counted as one."""
    nights = np.flatnonzero(flags)
    return int(len(nights) > 0) + int((np.diff(nights) > apart).sum())


def summary(parts: list[Measured]) -> dict[str, float | None]:
    """Means and medians over the jobs of several kinds."""
    figures: dict[str, float | None] = {"false_per_year": float(np.mean([n for part in parts for n in part.false]))}
    for worse in WORSE:
        middle = float(np.median([delay for part in parts for delay in part.delays[worse]] or [np.inf]))
        figures[f"nights_{worse:.0%}".rstrip("%")] = middle if np.isfinite(middle) else None
    for name in {name for part in parts for name in part.more}:
        values = [value for part in parts for value in part.more.get(name, [])]
        middle = float(np.mean(values) if name in ("found_detectable", "alerts_a_rise") else np.median(values))
        figures[name] = middle if np.isfinite(middle) else None
    return figures


def main() -> None:
    """Simulate, judge, print, record and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=6, help="made-up jobs of each kind")
    parser.add_argument("--seed", type=int, default=3, help="of the made-up jobs")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, help="false alarms a year asked of the rule")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), help="which kinds of jobs; nothing is kept then")
    arguments = parser.parse_args()
    measured: dict[str, dict[str, Measured]] = {}
    for number, name in enumerate(arguments.kinds):
        ratio, naive = simulated(KINDS[name], arguments.jobs, 1000 * arguments.seed + number)
        measured[name] = {f"rule_{rate}": this_rule(ratio, rate) for rate in arguments.rates}
        measured[name] |= {rule_name: common_rule(rule, ratio) for rule_name, rule in COMMON.items()}
        measured[name] |= {rule_name: common_rule(rule, ratio, naive) for rule_name, rule in RAW.items()}
        show(name, {rule: summary([found]) for rule, found in measured[name].items()})
    groups = {f"noise_{width}": [name for name in measured if f" {width}%" in name] for width in (3, 5, 10, 20)}
    groups = {"all": list(measured), **groups, "few_actuals": [name for name in measured if name == "few actuals"]}
    groups = {group: names for group, names in groups.items() if names}
    figures: dict[str, float | int | str | None] = {"jobs": arguments.jobs * len(measured)}
    for group, names in groups.items():
        for rule_name in next(iter(measured.values())):
            told = summary([measured[name][rule_name] for name in names])
            figures |= {f"{group}.{rule_name}.{key}": value for key, value in told.items()}
    if arguments.kinds == list(KINDS):
        for name, rules in measured.items():
            for rate in arguments.rates:
                key = f"{name.replace(' ', '_')}.rule_{rate}.false_per_year"
                figures[key] = float(np.mean(rules[f"rule_{rate}"].false))
        figures |= calibration(2 * arguments.jobs, arguments.seed, SENSITIVITY.min_effect)
        record("rule", figures, asked("rule", sys.argv[1:]))
        draw(figures)


def show(name: str, rules: dict[str, dict[str, float | None]]) -> None:
    """Print what each rule did with one kind of jobs."""
    for rule, figures in rules.items():
        told = ", ".join(f"{key} {'-' if value is None else f'{value:.3g}'}" for key, value in figures.items())
        print(f"{name:<28}{rule:<22}{told}", flush=True)


if __name__ == "__main__":
    main()
