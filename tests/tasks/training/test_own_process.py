"""Training in a process of its own: its errors come back, and it ends with the night and the night not with it."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np
import psutil
import pytest

from models.errors import TrainingFailed
from models.hierarchy.aggregation_levels import AggregationLevels
from models.settings.forecast import ForecastSettings
from models.settings.network import NetworkSettings
from models.settings.training import TrainingSettings
from tasks.store.version_store import StoredVersion
from tasks.training.order import Order, Trained
from tasks.training.own_process import TrainingCrashed, raised_again, train_apart


def order(panel: Path, **changes: object) -> Order:
    """An order for a panel that no test comes as far as to train on."""
    settings = {
        "package": version("nightcast"),
        "job": "small",
        "panel": str(panel),
        "start": None,
        "forecast": ForecastSettings(frequency="D", horizon=7, holidays=["ES"], lower_bound=0),
        "network": NetworkSettings(layers=[{"cell": "lstm", "units": 4}], input={"tokens": {}}),
        "training": TrainingSettings(policy="warm", time_limit=20),
        "levels": AggregationLevels.of(["store", "item"], [["store"], []]),
        "source_fingerprint": "ab12",
    }
    return Order.model_validate(settings | changes)


def tell(progress: object) -> None:
    """Nobody looks."""


@pytest.fixture
def stuck(tmp_path: Path) -> Path:
    """A folder whose training waits for a panel that never comes: its file is a pipe."""
    os.mkfifo(tmp_path / "panel.npz")
    order(tmp_path / "panel.npz").write(tmp_path)
    return tmp_path


@pytest.fixture
def when_stuck(stuck: Path) -> Iterator[Callable[[Callable[[psutil.Process], None]], None]]:
    """Does something to this process's training as soon as that waits for its panel."""
    threads: list[threading.Thread] = []

    def act(do: Callable[[psutil.Process], None]) -> None:
        def wait_and_act() -> None:
            # Opening a pipe to write takes as long as nobody reads.
            pipe = os.open(stuck / "panel.npz", os.O_WRONLY)
            [child] = [each for each in psutil.Process().children() if str(stuck) in each.cmdline()]
            do(child)
            os.close(pipe)

        threads.append(threading.Thread(target=wait_and_act))
        threads[-1].start()

    yield act
    for thread in threads:
        thread.join(30)


def test_an_order_and_an_answer_are_read_as_they_were_written(tmp_path):
    asked = order(tmp_path / "p.npz", start=StoredVersion("v1", "file:///versions/v1", "ab"))
    asked.write(tmp_path)
    assert Order.read(tmp_path) == asked
    trained = Trained({"kept_champion": False, "history": [{"loss": 0.1}]}, {"horizon": 7}, ["adam"], "a table")
    trained.write(tmp_path)
    assert Trained.read(tmp_path) == trained


def test_an_order_of_another_release_is_refused_with_its_remedy(tmp_path):
    order(tmp_path / "p.npz", package="0.0.1").write(tmp_path)
    with pytest.raises(TrainingFailed, match=r"the night 0\.0\.1\. Install 0\.0\.1 there"):
        Order.read(tmp_path)


def test_an_error_in_the_process_comes_back_as_it_was_raised_with_its_traceback(tmp_path):
    panel = tmp_path / "panel.npz"
    np.savez(panel, small=np.array("{}"))
    order(panel).write(tmp_path)
    with pytest.raises(KeyError, match="season_lengths") as caught:
        train_apart(tmp_path, tell)
    assert "in load_panel" in caught.value.__notes__[0]


def test_an_error_that_cannot_be_raised_again_from_its_words_is_named():
    told = {"message": "no memory on gpu:0", "traceback": "there"}
    for kind in ({"module": "tensorflow.errors", "name": "Exhausted"}, {"module": "builtins", "name": "print"}):
        error = raised_again(told | kind)
        assert isinstance(error, TrainingCrashed)
        assert str(error) == f"{kind['name']}: no memory on gpu:0"
        assert error.__notes__ == ["there"]


def test_a_process_that_is_killed_is_a_failed_training(stuck, when_stuck):
    when_stuck(lambda child: child.kill())
    with pytest.raises(TrainingFailed, match="killed by SIGKILL, probably because memory ran out"):
        train_apart(stuck, tell)


def test_a_line_that_the_killed_process_did_not_finish_is_left_out(tmp_path, monkeypatch):
    cut_off = tmp_path / "cut_off.sh"
    cut_off.write_text("""#!/bin/sh\nprintf '{"progress": {"st'; kill -9 $$""", encoding="utf-8")
    cut_off.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(cut_off))
    with pytest.raises(TrainingFailed, match="killed by SIGKILL"):
        train_apart(tmp_path, tell)


# Python reads `sitecustomize.py` as it starts: in the child, training is then a fifth of a second of nothing.
QUICK_TRAINING = """
import dataclasses, json, sys, time, types

Progress = dataclasses.make_dataclass("Progress", ["step", "steps", "loss", "validation_loss", "seconds_left"])

def train(folder, tell):
    for step in range(1, 5):
        tell(Progress(step, 4, 0.1, 0.1, 1.0))
        time.sleep(0.05)
    trained = {"facts": {"kept_champion": False}, "built_for": {}, "choices": [], "summary": ""}
    (folder / "trained.json").write_text(json.dumps(trained), encoding="utf-8")

if "tasks.training.child" in sys.orig_argv:
    sys.modules["tasks.training.train"] = types.SimpleNamespace(train=train)
"""

# Trains once for each line that it reads, and writes how far it is and how it ended.
TRAINS_AGAIN_AND_AGAIN = """
import signal, sys
from pathlib import Path
from tasks.training.own_process import train_apart

def answer(handler):
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)

answer(signal.SIG_IGN)
for line in sys.stdin:
    try:
        answer(signal.default_int_handler)
        print("started", flush=True)
        train_apart(Path(sys.argv[1]), lambda progress: print(f"step {progress.step}", flush=True))
        answer(signal.SIG_IGN)
        print("trained", flush=True)
    except BaseException as error:
        answer(signal.SIG_IGN)
        print(type(error).__name__, error, flush=True)
"""


@pytest.fixture
def trainer(tmp_path):
    """A process that trains again and again, in a process group of its own, and a queue of the lines that it writes."""
    (tmp_path / "sitecustomize.py").write_text(QUICK_TRAINING, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    command, pipe = [sys.executable, "-c", TRAINS_AGAIN_AND_AGAIN, str(tmp_path)], subprocess.PIPE
    lines: queue.Queue[str] = queue.Queue()
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, text=True, bufsize=1, env=os.environ | {"PYTHONPATH": path}, process_group=0
    ) as process:

        def read() -> None:
            for line in process.stdout:
                lines.put(line.strip())

        reader = threading.Thread(target=read)
        reader.start()
        yield process, lines
        process.stdin.close()
        reader.join(60)


def _signal_group(trainer: psutil.Process, number: int) -> None:
    os.killpg(trainer.pid, number)


def _signal_one_by_one(trainer: psutil.Process, number: int) -> None:
    # The child first, as a machine that shuts down may do.
    for each in [*trainer.children(), trainer]:
        # A child that has trained its last step may end by itself just now.
        with suppress(psutil.NoSuchProcess):
            each.send_signal(number)
        time.sleep(0.05)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(("number", "send"), [(signal.SIGINT, _signal_group), (signal.SIGTERM, _signal_one_by_one)])
def test_an_interruption_at_any_moment_of_a_training_is_no_failed_training_and_leaves_no_process(trainer, number, send):
    process, lines = trainer
    itself, outcomes = psutil.Process(process.pid), []
    moments = [("started", delay) for delay in (0, 0.02, 0.05, 0.1)]
    moments += [("step 1", 0), ("step 4", 0), ("step 4", 0.05), ("step 4", 0.07)]
    for line, delay in moments:
        process.stdin.write("train\n")
        while lines.get(timeout=120) != line:
            pass
        time.sleep(delay)
        send(itself, number)
        while (said := lines.get(timeout=120)).startswith("step"):
            pass
        outcomes.append(said)
        # Interrupted while it starts a process, Python keeps the entry of the dead process until the next start.
        deadline = time.monotonic() + 60
        while any(_runs(each) for each in itself.children()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    # A training that had ended before is not interrupted.
    assert set(outcomes[:-3]) == {"KeyboardInterrupt"}
    assert set(outcomes[-3:]) <= {"KeyboardInterrupt", "trained"}


_TRAINS_AFTER_READING = """
import sys
from pathlib import Path
import adbc_driver_sqlite.dbapi
from tasks.training.own_process import train_apart

with adbc_driver_sqlite.dbapi.connect() as connection, connection.cursor() as cursor:
    cursor.execute("SELECT 1")
    cursor.fetchall()
train_apart(Path(sys.argv[1]), print)
"""


def test_ctrl_c_interrupts_a_training_after_a_driver_has_used_the_signal_too(stuck):
    with subprocess.Popen([sys.executable, "-c", _TRAINS_AFTER_READING, str(stuck)], stderr=subprocess.PIPE) as night:
        # The child has begun to wait for its panel.
        pipe = os.open(stuck / "panel.npz", os.O_WRONLY)
        night.send_signal(signal.SIGINT)
        try:
            assert b"KeyboardInterrupt" in night.communicate(timeout=120)[1]
        finally:
            os.close(pipe)
            night.kill()


def test_the_process_ends_when_its_night_is_killed(stuck):
    code = "import sys; from pathlib import Path; from tasks.training.own_process import train_apart as t; "
    night = subprocess.Popen([sys.executable, "-c", code + "t(Path(sys.argv[1]), print)", str(stuck)])
    pipe = os.open(stuck / "panel.npz", os.O_WRONLY)
    [child] = psutil.Process(night.pid).children()
    night.kill()
    night.wait()
    assert psutil.wait_procs([child], timeout=30)[1] == []
    os.close(pipe)
