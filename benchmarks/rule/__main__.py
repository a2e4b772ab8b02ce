"""How soon the alert rule finds a rise of the loss, and how often it raises a false alarm, beside common rules.

    python -m benchmarks.rule [--jobs 20]

Each simulated job (`simulated_jobs.py`) has 180 reference nights and then a year; the network has learnt from all but
the newest 28, 60 or 180 reference nights. Rules see the year as it is, and with losses that rise on its 60th night. The
product's rule runs as it does at night, `models.monitoring.change_detection.judge` on what was known then. It was
chosen on seeds 1 and 2.

    false_per_year      episodes per year while nothing is wrong
    nights_10           nights until a rise of 10 % is found, the median; None if most jobs do not find it in 120
                        nights. Jobs with an alert on the 60th night already are left out.
    onset_off_10, effect_off_10
                        errors of the first reported onset and effect, medians, in nights and as a share
    found_detectable    share of jobs that find a rise of their detectable effect in 14 nights
    chance.RATE         alerts per year while nothing is wrong, for a rule that may raise RATE, in ten years of many
                        more jobs that learn their reference once: of all kinds, and of the worst (`false_alarms.py`)
    alerts_a_rise       alerts that a rise of 20 % for 60 nights raises, if found
    nights_to_close     nights until the last of them closes
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.rule.common_rules import deviations, starting_point, weekly_mean
from benchmarks.rule.detection import (
    RATES,
    SENSITIVITY,
    Outcomes,
    outcomes_of_common_rule,
    outcomes_of_this_rule,
    summarize,
)
from benchmarks.rule.false_alarms import false_alarms
from benchmarks.rule.operating_curve import draw
from benchmarks.rule.simulated_jobs import KINDS, simulate
from benchmarks.shared.record import command_line, record
from models.arrays import BoolArray, FloatArray

COMMON: dict[str, Callable[[FloatArray], BoolArray]] = {
    **{f"starting_point_{rate}": partial(starting_point, rate=rate) for rate in (0.2, 0.05, 0.6)},
    **{f"weekly_mean_{rise}": partial(weekly_mean, rise=rise) for rise in (0.1, 0.05, 0.2, 0.3)},
    **{f"deviations_{number}": partial(deviations, number=number) for number in (3.0, 2.0, 4.0, 6.0)},
}
RAW = {"weekly_mean_raw": weekly_mean, "deviations_raw": deviations}
"""Rules on the loss itself, not relative to the naive's, as they are common."""


def main() -> None:
    """Simulate, apply the rules, print, record and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=6, help="simulated jobs of each kind")
    parser.add_argument("--seed", type=int, default=3, help="seed of the simulation")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, help="false alarms per year of the rule")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), help="kinds of jobs; with some only, keep nothing")
    given = parser.parse_args()
    found: dict[str, dict[str, Outcomes]] = {}
    for number, name in enumerate(given.kinds):
        ratio, naive = simulate(KINDS[name], given.jobs, 1000 * given.seed + number)
        found[name] = {f"rule_{rate}": outcomes_of_this_rule(ratio, rate) for rate in given.rates}
        found[name] |= {rule_name: outcomes_of_common_rule(rule, ratio) for rule_name, rule in COMMON.items()}
        found[name] |= {rule_name: outcomes_of_common_rule(rule, ratio, naive) for rule_name, rule in RAW.items()}
        show(name, {rule: summarize([outcomes]) for rule, outcomes in found[name].items()})
    if given.kinds == list(KINDS):
        figures = figures_of(found, given)
        record("rule", figures, command_line("rule", sys.argv[1:]))
        draw(figures)


def figures_of(found: dict[str, dict[str, Outcomes]], given: argparse.Namespace) -> dict[str, float | int | str | None]:
    """The figures of groups of kinds, the false episodes of each kind, and the alerts of chance."""
    figures: dict[str, float | int | str | None] = {"jobs": given.jobs * len(found)}
    for group, names in groups_of(list(found)).items():
        for rule in next(iter(found.values())):
            summary = summarize([found[name][rule] for name in names])
            figures |= {f"{group}.{rule}.{key}": value for key, value in summary.items()}
    for name, rules in found.items():
        for rate in given.rates:
            key = f"{name.replace(' ', '_')}.rule_{rate}.false_per_year"
            figures[key] = float(np.mean(rules[f"rule_{rate}"].false))
    return figures | false_alarms(2 * given.jobs, given.seed, SENSITIVITY.min_effect)


def groups_of(kinds: list[str]) -> dict[str, list[str]]:
    """Kinds of jobs by their noise."""
    groups = {"all": kinds}
    groups |= {f"noise_{width}": [name for name in kinds if f" {width}%" in name] for width in (3, 5, 10, 20)}
    groups["few_actuals"] = [name for name in kinds if name == "few actuals"]
    return {group: names for group, names in groups.items() if names}


def show(name: str, rules: dict[str, dict[str, float | None]]) -> None:
    """Print what each rule did with one kind of jobs."""
    for rule, figures in rules.items():
        shown = ", ".join(f"{key} {'-' if value is None else f'{value:.3g}'}" for key, value in figures.items())
        print(f"{name:<28}{rule:<22}{shown}", flush=True)


if __name__ == "__main__":
    main()
