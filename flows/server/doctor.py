"""Look at everything that a night stands on, and say of each whether it is well."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

_PACKAGES = ("nightcast", "tensorflow", "keras", "prefect", "sqlalchemy", "pandas", "numpy", "pyarrow", "scikit-learn")


@dataclass(frozen=True)
class Check:
    """One thing looked at: its name, whether it is well, and what was found or what to do."""

    name: str
    ok: bool
    found: str


def examine(job: str | None) -> list[Check]:
    """Versions, backend, devices, databases (a job's own where one is named) and Prefect."""
    checks = [_look("versions", _versions), _look("backend", _backend), _look("devices", _devices)]
    checks += [_look("sqlite", _sqlite), _look("postgresql driver", _postgresql_driver)]
    if job is not None:
        checks += [_look("source database", lambda: _source(job)), _look("output database", lambda: _output(job))]
    return [*checks, _look("prefect", _prefect)]


def _look(name: str, at: Callable[[], str]) -> Check:
    try:
        return Check(name, True, at())
    except Exception as error:  # a doctor that dies of the first illness finds no second one
        return Check(name, False, f"{type(error).__name__}: {error}")


def _versions() -> str:
    found, missing = [f"python {platform.python_version()}"], []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        raise RuntimeError(f"not installed: {', '.join(missing)}; install with `make setup`")
    return ", ".join(found)


def _backend() -> str:
    from tasks.quiet_keras import backend_name

    return f"keras on {backend_name()}"


def _devices() -> str:
    from tasks.quiet_keras import gpu_names

    gpus = gpu_names()
    which = f" ({', '.join(gpus)})" if gpus else "; training uses the cores"
    return f"{os.cpu_count()} cores, {len(gpus)} GPUs{which}"


def _sqlite() -> str:
    from sql.engine.connection import connect, ping
    from sql.engine.url import resolve_url

    with TemporaryDirectory() as folder:
        ping(connect(resolve_url("sqlite:///doctor.db", Path(folder))))
    return f"adbc {version('adbc-driver-sqlite')}, a database could be made and read"


def _postgresql_driver() -> str:
    from sql.engine.connection import POSTGRESQL_SETUP

    try:
        return f"adbc {version('adbc-driver-postgresql')}, psycopg {version('psycopg')}"
    except PackageNotFoundError as missing:
        return f"{missing.name} is not installed; only needed for PostgreSQL: {POSTGRESQL_SETUP}"


def _source(job: str) -> str:
    from flows.job.job import load_job
    from sql.engine.url import describe, resolve_url
    from sql.source.read import reach

    loaded = load_job(job)
    reach(loaded.job.source, loaded.base)
    return f"{describe(resolve_url(loaded.job.source.url, loaded.base))} answers"


def _output(job: str) -> str:
    from flows.job.job import load_job
    from tasks.store.places import check_places

    places = load_job(job).places
    check_places(places)
    return f"{places.url_text} " + ("answers" if places.has_tables() else "will be made by the first night")


def _prefect() -> str:
    import httpx

    url = os.environ.get("PREFECT_API_URL")
    if not url:
        return "PREFECT_API_URL is not set: nights run at once as plain functions"
    answer = httpx.get(f"{url.rstrip('/')}/health", timeout=5)
    answer.raise_for_status()
    return f"{url} answers"
