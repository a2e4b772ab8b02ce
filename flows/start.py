"""Where the command starts: from its first instant on, an interrupt gets one line and exit code 1."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from signal import Signals
from types import FrameType

from flows.commands.process_end import SIGNALS, handle_interrupts, interrupt_again, process_end


def main() -> None:
    """Run the command with the arguments of this process, which ends with it."""
    expect_interrupts()
    process_end.own()
    # It takes much longer to import than this module.
    from flows.cli import main as command

    try:
        command()
    except SystemExit as end:
        process_end.answered(end.code if isinstance(end.code, int) else int(end.code is not None))
        raise
    except KeyboardInterrupt:
        process_end.answered(1)
        sys.exit("Interrupted.")


def expect_interrupts() -> None:
    """Let an interrupt end this process with one line, until the verb begins and tells of it itself."""
    handle_interrupts(_end_before_the_work)
    sys.unraisablehook = interrupt_again


def _end_before_the_work(number: int, frame: FrameType | None) -> None:
    message = f"Interrupted by {SIGNALS[Signals(number)]}."
    with suppress(OSError):
        os.write(2, f"{message}\n".encode())
        if "--json" in sys.argv:
            os.write(1, f'{{"error": "{message}", "exit_code": 1, "interrupted": true}}\n'.encode())
    os._exit(1)


if __name__ == "__main__":
    main()
