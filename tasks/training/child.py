"""The process that trains and nothing else: `python -m tasks.training.child FOLDER`, started by `own_process`.

Standard output carries one JSON object a line: how far training is, what was logged, or the error that ended it.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn


def main(folder: str) -> NoReturn:
    """Train as the order in the folder says; ends the process."""
    threading.Thread(target=_end_with_the_night, daemon=True).start()
    # Whatever else prints here must not stand between the messages.
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(kind: str, what: Any) -> None:
        print(json.dumps({kind: what}), file=messages, flush=True)

    log = logging.getLogger("nightcast")
    log.addHandler(_Told(say))
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        from tasks.training.train import train

        train(Path(folder), lambda progress: say("progress", asdict(progress)))
    except Exception as error:
        kind = type(error)
        where = "".join(traceback.format_exception(error))
        say("error", {"module": kind.__module__, "name": kind.__qualname__, "message": str(error), "traceback": where})
    # TensorFlow takes its time to put away what ends with the process anyway.
    os._exit(0)


class _Told(logging.Handler):
    """Hands the lines of the log to the night."""

    def __init__(self, say: Any) -> None:
        super().__init__()
        self.say = say

    def emit(self, record: logging.LogRecord) -> None:
        self.say("log", [record.levelno, record.getMessage()])


def _end_with_the_night() -> NoReturn:
    # Nobody writes to standard input; it closes when the night has gone, even by SIGKILL.
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
