"""How far training is: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

import click

from tasks.prefect_ui import show_progress
from tasks.step import inside_flow, logger

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

    from models.training.progress import Progress

SECONDS_BETWEEN_LINES = 10.0
# The bar is as long as all steps together, which are known only once training tells of them.
PARTS = 1_000


@contextmanager
def told_progress(
    stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[Progress], None]]:
    """What training calls after each round of steps.

    Args:
        stream: Where the bar is drawn if it is a terminal; standard error where None.
        clock: Seconds that only go forward.
    """
    stream = stream or sys.stderr
    if inside_flow() or not stream.isatty():
        yield _lines(clock)
        return
    bar: ProgressBar[Progress | None]
    with click.progressbar(
        length=PARTS, label="training", file=stream, show_eta=False, item_show_func=_in_short
    ) as bar:

        def draw(progress: Progress) -> None:
            bar.update(round(PARTS * progress.step / progress.steps) - bar.pos, progress)

        yield draw


def _in_short(progress: Progress | None) -> str | None:
    return None if progress is None else f"loss {progress.validation_loss:.4f}, {progress.seconds_left:.0f} s left"


def _lines(clock: Callable[[], float]) -> Callable[[Progress], None]:
    told, tell = [-SECONDS_BETWEEN_LINES], show_progress("training")

    def line(progress: Progress) -> None:
        if clock() - told[0] < SECONDS_BETWEEN_LINES and progress.step < progress.steps:
            return
        told[0] = clock()
        tell(progress.step / progress.steps, f"step {progress.step} of {progress.steps}, {_in_short(progress)}")
        logger().info(
            "step %d of %d, loss %.4f, validation %.4f, about %.0f s left",
            progress.step,
            progress.steps,
            progress.loss,
            progress.validation_loss,
            progress.seconds_left,
        )

    return line
