"""The process that only trains: `python -m tasks.training.child FOLDER`, started by `own_process`.

Standard output carries one JSON object a line: the progress, a line of the log, or the error that ended the training.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from tasks.enduring_output import make_output_enduring
from tasks.heavy_imports import heavy_import
from tasks.printing.errors import clean_error
from tasks.printing.logs import guard_logs

Send = Callable[[str, Any], None]


def main(folder: str) -> NoReturn:
    """Train as the order in the folder says; ends the process."""
    threading.Thread(target=_end_with_the_night, daemon=True).start()
    make_output_enduring()
    guard_logs()
    # Whatever else is printed here must not mix with the messages.
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(kind: str, content: Any) -> None:
        print(json.dumps({kind: content}), file=messages, flush=True)

    log = logging.getLogger("nightcast")
    log.addHandler(_Relay(send))
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        with heavy_import("tasks.training.train"):
            from tasks.training.train import train

        train(Path(folder), lambda progress: send("progress", asdict(progress)))
    except Exception as error:
        send("error", _described(clean_error(error)))
    # TensorFlow takes seconds to release what ends with the process anyway.
    os._exit(0)


class _Relay(logging.Handler):
    """Sends the lines of the log to the night."""

    def __init__(self, send: Send) -> None:
        super().__init__()
        self.send = send

    def emit(self, record: logging.LogRecord) -> None:
        self.send("log", [record.levelno, record.getMessage()])


def _described(error: BaseException) -> dict[str, str]:
    """An error as text, so that the night can raise it again."""
    return {
        "module": type(error).__module__,
        "name": type(error).__qualname__,
        "message": str(error),
        "traceback": "".join(traceback.format_exception(error)),
    }


def _end_with_the_night() -> NoReturn:
    # Nobody writes to standard input. It closes when the night's process ends, even by SIGKILL.
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
