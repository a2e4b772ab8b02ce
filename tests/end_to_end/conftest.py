"""A small job on a real source: seven series, one of them too short for the model."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import yaml

from flows.deployments.dispatch import run_night
from models.network.forecaster import Forecaster
from models.panel.panel import Panel
from models.settings.base import Settings
from models.training.progress import Progress
from sql.engine.url import resolve_url
from sql.imports.import_file import import_file
from tasks.quiet_keras import quiet_import
from tasks.training.train import train

DAYS = pd.date_range("2023-10-01", periods=140, freq="D")


@pytest.fixture(scope="session")
def history_frame() -> pd.DataFrame:
    """Six weekly patterns with noise over 140 days, and a series of two days."""
    rng = np.random.default_rng(7)
    frames = []
    for number, name in enumerate(["a", "b", "c", "d", "e", "f", "short"]):
        values = 10 * (number + 1) + 5 * np.sin(2 * np.pi * np.arange(140) / 7 + number) + rng.normal(0, 0.5, 140)
        kept = slice(100, 102) if name == "short" else slice(None)
        region = "north" if number % 2 else "south"
        columns = {"series_id": name, "day": DAYS[kept], "value": values[kept].round(3), "region": region}
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="session")
def make_job_in(history_frame: pd.DataFrame) -> Callable[..., Path]:
    """Writes a source and a job file; gives the file.

    `url` is of the source and of the output (two SQLite files where left out); other arguments
    are merged into the job's parts.
    """

    def make(folder: Path, frame: pd.DataFrame | None = None, url: str | None = None, **parts: Any) -> Path:
        folder.mkdir(exist_ok=True)
        rows = folder / "history.parquet"
        (history_frame if frame is None else frame).to_parquet(rows, index=False)
        source = url or "sqlite:///source.db"
        import_file(rows, resolve_url(source, folder), "history", "replace")
        job: dict[str, Any] = {
            "name": "small",
            "source": {"url": source, "table": "history", "timestamp": "day", "static": ["region"]},
            "forecast": {"frequency": "D", "horizon": 7, "quantile_levels": [0.1, 0.5, 0.9]},
            "network": {"layers": [{"cell": "gru", "units": 4}], "segment": 7, "context_length": 14},
            "training": {"max_steps": 10, "time_limit": 120, "warm_after_days": 10},
            "output": {"url": url or "sqlite:///forecasts.db"},
            "monitor": {"segments": ["region"]},
        }
        for name, part in parts.items():
            job[name] = {**job.get(name, {}), **part} if isinstance(part, dict) else part
        file = folder / "small.yaml"
        file.write_text(yaml.safe_dump(job), encoding="utf-8")
        return file

    return make


@pytest.fixture
def make_job(tmp_path: Path, make_job_in: Callable[..., Path]) -> Callable[..., Path]:
    """As `make_job_in`, in this test's own folder unless another is named."""

    def make(frame: pd.DataFrame | None = None, *, folder: Path = tmp_path, **settings: Any) -> Path:
        return make_job_in(folder, frame, **settings)

    return make


@pytest.fixture(scope="session")
def ran_twice(make_job_in: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job that was trained on 3 February and ran again on the 10th; not to be changed, but copied."""
    job = make_job_in(tmp_path_factory.mktemp("ran_twice"))
    for cutoff in ("2024-02-03", "2024-02-10"):
        run_night(job, cutoff=cutoff)
    return job


@pytest.fixture
def without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of nights and of jobs have no plots, which take half of the time of a small night."""
    monkeypatch.setattr("tasks.report.plots.as_svg", lambda *_: "")
    monkeypatch.setattr("tasks.home.facts.timeline", lambda *_: "")


@pytest.fixture
def two_nights(ran_twice: Path, tmp_path: Path) -> Path:
    """A job of this test's own that ran two nights, a week apart; its model versions stay where they were made."""
    shutil.copytree(ran_twice.parent, tmp_path / "copy")
    return tmp_path / "copy" / ran_twice.name


@pytest.fixture(autouse=True, scope="session")
def _no_server() -> Iterator[None]:
    """Nights run as plain functions unless a test says otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PREFECT_API_URL", raising=False)
        yield


@pytest.fixture(autouse=True, scope="session")
def _trained_in_this_process() -> Iterator[None]:
    """Nights of the tests' own process train in it, which spares each of them importing TensorFlow anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.training.fit_model.train_apart", train)
        yield


@pytest.fixture(autouse=True, scope="session")
def _each_network_trained_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A training of the same panel with the same settings from the same start is done once, whichever test asks for it.

    The same seed trains the same weights bit by bit, see `tests/models/training/test_loop.py`. Every worker of this
    run finds the networks that another one has trained.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "trained"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:

        @contextmanager
        def import_and_replace() -> Iterator[None]:
            with quiet_import():
                from models.training import fit as training

                if not isinstance(training.fit, TrainedOnce):
                    patch.setattr(training, "fit", TrainedOnce(training.fit, folder))
                yield

        for module in ("tasks.quiet_keras", "tasks.evaluation.backtest"):
            patch.setattr(f"{module}.quiet_import", import_and_replace)
        yield


class TrainedOnce:
    """The function `fit`, whose results lie in a folder under a digest of its arguments."""

    def __init__(self, fit: Callable[..., Any], folder: Path) -> None:
        self.fit, self.folder = fit, folder

    def __call__(
        self,
        panel: Panel,
        *settings: Settings,
        start_from: Forecaster | None = None,
        steps_before: Sequence[int] = (),
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> Any:
        """What `fit` gives; also reports its progress again."""
        file = self.folder / f"{_digest(panel, settings, start_from)}-{'-'.join(map(str, steps_before))}"
        if not file.exists():
            rounds: list[Progress] = []
            result = self.fit(
                panel, *settings, start_from=start_from, steps_before=steps_before, on_progress=rounds.append
            )
            unfinished = file.with_name(f"{file.name}.{os.getpid()}")
            unfinished.write_bytes(pickle.dumps((rounds, result)))
            unfinished.rename(file)
        rounds, result = pickle.loads(file.read_bytes())
        for each in rounds:
            on_progress(each)
        return result


def _digest(panel: Panel, settings: Sequence[Settings], start_from: Forecaster | None) -> str:
    digest = hashlib.sha256()
    for field in fields(panel):
        value = getattr(panel, field.name)
        # An array's text leaves out its middle.
        parts = {name: (each.tobytes(), each.shape) for name, each in _arrays(value).items()}
        digest.update(repr((field.name, parts or value)).encode())
    for each in settings:
        digest.update(each.model_dump_json().encode())
    with TemporaryDirectory() as folder:
        if start_from is not None:
            start_from.save(Path(folder))
        for file in sorted(Path(folder).iterdir()):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _arrays(value: Any) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a panel's field: itself, or those of a mapping."""
    named = value if isinstance(value, dict) else {"": value}
    return {name: each for name, each in named.items() if isinstance(each, np.ndarray)}
