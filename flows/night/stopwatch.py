"""How long each stage of a night takes, and which one is under way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.activity import activity

# For people who wait.
_STAGES = {
    "read": "reading the source",
    "audit": "auditing the rows",
    "decide": "deciding about the model",
    "fit": "preparing the model",
    "hindcast": "forecasting past nights with the new model",
    "predict": "forecasting",
    "publish": "publishing",
    "judge": "comparing challenger and champion",
    "actuals": "storing the actuals that have arrived",
    "score": "scoring past forecasts",
    "watch": "comparing the loss with past nights",
    "notify": "sending messages",
    "report": "writing the report",
    "forget": "deleting old nights",
}


class Stopwatch:
    """Seconds of each stage, in the order in which the stages ran; a stage that ran twice counts both."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            with activity(_STAGES.get(stage, stage)):
                yield
        finally:
            self.seconds[stage] = round(self.seconds.get(stage, 0.0) + time.perf_counter() - began, 3)
