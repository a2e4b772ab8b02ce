"""Show how far training is: a bar on a terminal, a line every few seconds in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TextIO

import click

from tasks.activity import activity, line_hidden
from tasks.prefect_ui import show_progress
from tasks.step import inside_flow, logger

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

    from models.training.progress import Progress

SECONDS_BETWEEN_LINES = 10.0
# The length of the bar. The number of steps is not known when the bar is made.
PARTS = 1_000


@contextmanager
def training_progress(
    stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[Progress], None]]:
    """The function that training calls after each round of steps.

    Args:
        stream: Where the bar is drawn, if it is a terminal; standard error where None.
        clock: A monotonic clock, in seconds.
    """
    stream = stream or sys.stderr
    with ExitStack() as until_first, ExitStack() as at_end:
        # Before the first round Keras loads, and the training step is compiled.
        until_first.enter_context(activity("training: loading Keras, compiling"))
        show = _lines(clock) if inside_flow() or not stream.isatty() else _bar(stream, at_end)

        def on_progress(progress: Progress) -> None:
            until_first.close()
            show(progress)

        yield on_progress


def _bar(stream: TextIO, at_end: ExitStack) -> Callable[[Progress], None]:
    """Draws a bar, which begins with the first round."""
    bars: list[ProgressBar[Progress | None]] = []

    def draw(progress: Progress) -> None:
        if not bars:
            at_end.enter_context(line_hidden())
            made: ProgressBar[Progress | None] = click.progressbar(
                length=PARTS, label="training", file=stream, show_eta=False, item_show_func=_abbreviated
            )
            bars.append(at_end.enter_context(made))
        [bar] = bars
        bar.update(round(PARTS * progress.step / progress.steps) - bar.pos, progress)

    return draw


def _abbreviated(progress: Progress | None) -> str | None:
    return None if progress is None else f"loss {progress.validation_loss:.4f}{_left(progress, ', ')}"


def _left(progress: Progress, before: str) -> str:
    """The time left after some text; "" where it is not known yet."""
    return "" if progress.seconds_left is None else f"{before}{progress.seconds_left:.0f} s left"


def _lines(clock: Callable[[], float]) -> Callable[[Progress], None]:
    last_line, show = [-SECONDS_BETWEEN_LINES], show_progress("training")

    def line(progress: Progress) -> None:
        if clock() - last_line[0] < SECONDS_BETWEEN_LINES and progress.step < progress.steps:
            return
        last_line[0] = clock()
        show(progress.step / progress.steps, f"step {progress.step} of {progress.steps}, {_abbreviated(progress)}")
        logger().info(
            "step %d of %d, loss %.4f, validation %.4f%s",
            progress.step,
            progress.steps,
            progress.loss,
            progress.validation_loss,
            _left(progress, ", about "),
        )

    return line
