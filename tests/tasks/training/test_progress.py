from __future__ import annotations

import io
import logging

from models.training.progress import Progress
from tasks.training.progress import SECONDS_BETWEEN_LINES, training_progress


def rounds(count: int) -> list[Progress]:
    return [Progress(25 * i, 25 * count, 1.0 / i, 2.0 / i, float(count - i)) for i in range(1, count + 1)]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_now_and_then_and_one_at_the_end(caplog):
    caplog.set_level(logging.INFO, logger="nightcast")
    moments = iter(range(0, 10_000, 2))
    with training_progress(io.StringIO(), clock=lambda: float(next(moments))) as on_progress:
        for progress in rounds(12):
            on_progress(progress)
    lines = [record.getMessage() for record in caplog.records]
    # The clock is read twice for a progress that is logged, and once for any other.
    assert lines[0] == "step 25 of 300, loss 1.0000, validation 2.0000, about 11 s left"
    assert lines[-1] == "step 300 of 300, loss 0.0833, validation 0.1667, about 0 s left"
    assert 2 < len(lines) < 12
    assert SECONDS_BETWEEN_LINES == 10


def test_a_time_left_that_is_not_known_yet_is_not_told(caplog):
    caplog.set_level(logging.INFO, logger="nightcast")
    terminal, first = Terminal(), Progress(25, 600, 0.3, 0.2, None)
    for stream in (io.StringIO(), terminal):
        with training_progress(stream) as on_progress:
            on_progress(first)
    assert [record.getMessage() for record in caplog.records] == ["step 25 of 600, loss 0.3000, validation 0.2000"]
    assert "loss 0.2000" in terminal.getvalue()
    assert "left" not in terminal.getvalue()


def test_a_terminal_gets_a_bar_with_the_loss_and_the_time_left(caplog):
    terminal = Terminal()
    with training_progress(terminal) as on_progress:
        for progress in rounds(4):
            on_progress(progress)
    drawn = terminal.getvalue()
    assert "training" in drawn
    assert "100%" in drawn
    assert "loss 0.5000, 0 s left" in drawn
    assert not caplog.records
