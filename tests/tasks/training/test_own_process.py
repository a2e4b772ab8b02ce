"""Training in a process of its own: its errors come back, and it ends with the night and the night not with it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
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
        "meaning": "ab12",
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
    with pytest.raises(TrainingFailed, match=r"the night 0\.0\.1\. Install that one there"):
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
    with pytest.raises(TrainingFailed, match="killed by SIGKILL, likely for want of memory"):
        train_apart(stuck, tell)


def _until_ended(child: psutil.Process) -> None:
    deadline = time.monotonic() + 20
    with contextlib.suppress(psutil.NoSuchProcess):
        while child.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
            time.sleep(0.01)


def test_ctrl_c_ends_the_process_too(stuck, when_stuck):
    children = []

    def interrupt(child: psutil.Process) -> None:
        children.append(child)
        child.send_signal(signal.SIGINT)
        # A terminal's goes to the main thread, and one that this thread sends to its process may not.
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        # What lets the child go on must not be sooner than this process's own interruption.
        _until_ended(child)

    # An event loop that ran before in this process may have left it to go on reading where it was interrupted.
    signal.siginterrupt(signal.SIGINT, True)
    when_stuck(interrupt)
    with pytest.raises(KeyboardInterrupt):
        train_apart(stuck, tell)
    assert not children[0].is_running()


def test_the_process_ends_when_its_night_is_killed(stuck):
    code = "import sys; from pathlib import Path; from tasks.training.own_process import train_apart as t; "
    night = subprocess.Popen([sys.executable, "-c", code + "t(Path(sys.argv[1]), print)", str(stuck)])
    pipe = os.open(stuck / "panel.npz", os.O_WRONLY)
    [child] = psutil.Process(night.pid).children()
    night.kill()
    night.wait()
    assert psutil.wait_procs([child], timeout=30)[1] == []
    os.close(pipe)
