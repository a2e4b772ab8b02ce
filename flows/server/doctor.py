"""Check everything that a night depends on, and give each a verdict."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from tempfile import TemporaryDirectory

_PACKAGES = ("nightcast", "tensorflow", "keras", "prefect", "sqlalchemy", "pandas", "numpy", "pyarrow", "scikit-learn")
IMPORT_NAMES = ("flows", "tasks", "models", "sql")
"""The top-level modules of this distribution."""


class Problem(Exception):
    """Something is not well; the message says what, and what to do."""


class Unused(Exception):
    """Something is not there that most jobs do not need; the message says what for, and how to get it."""


@dataclass(frozen=True)
class Check:
    """The verdict on one thing.

    Attributes:
        name: What was checked.
        ok: Whether nothing is wrong.
        found: What was found if it is well, else what is wrong and what to do.
        used: Whether it is there at all; most jobs do not need what is not.
    """

    name: str
    ok: bool
    found: str
    used: bool = True


def examine(job: str | None) -> list[Check]:
    """Check versions, import names, the Keras backend, devices, databases and the Prefect server.

    Args:
        job: A job whose own databases are checked too; None for no job.
    """
    checks = [_check("versions", _versions), _check("import names", _import_names)]
    checks += [_check("backend", _backend), _check("devices", _devices)]
    checks += [_check("sqlite", _sqlite), _check("postgresql driver", _postgresql_driver)]
    if job is not None:
        checks += [_check("source database", lambda: _source(job)), _check("output database", lambda: _output(job))]
    return [*checks, _check("prefect", _prefect)]


def _check(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, True, look())
    except Unused as unused:
        return Check(name, True, str(unused), used=False)
    except Problem as problem:
        return Check(name, False, str(problem))
    except Exception as error:  # whatever fails here, the other checks still run
        return Check(name, False, f"{type(error).__name__}: {error}")


def _versions() -> str:
    found, missing = [f"python {platform.python_version()}"], []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        raise Problem(
            f"not installed: {', '.join(missing)}. Install the nightcast wheel again, with everything that it "
            "requires; in a clone of the project, run `make setup`."
        )
    return ", ".join(found)


def _import_names() -> str:
    """Check that no other distribution brings a module that is called like one of ours.

    Of two modules with the same name, Python imports only the one that it finds first.
    """
    owners = packages_distributions()
    others = {name: sorted({each for each in owners.get(name, []) if not _is_nightcast(each)}) for name in IMPORT_NAMES}
    clashes = [f"{name} is also a module of {', '.join(found)}" for name, found in others.items() if found]
    if clashes:
        raise Problem(
            f"{'; '.join(clashes)}. Python may import the wrong one. Install nightcast into an environment of its own."
        )
    return f"{', '.join(IMPORT_NAMES)} belong to nightcast alone"


def _is_nightcast(distribution: str) -> bool:
    return re.sub(r"[-_.]+", "-", distribution).lower() == "nightcast"


def _backend() -> str:
    from tasks.quiet_keras import backend_name

    return f"keras on {backend_name()}"


def _devices() -> str:
    from tasks.quiet_keras import gpu_names

    gpus = gpu_names()
    names = f" ({', '.join(gpus)})" if gpus else "; training uses the cores"
    return f"{os.cpu_count()} cores, {len(gpus)} GPUs{names}"


def _sqlite() -> str:
    from sql.engine.connection import connect, ping
    from sql.engine.url import resolve_url

    with TemporaryDirectory() as folder:
        ping(connect(resolve_url("sqlite:///doctor.db", Path(folder))))
    return f"adbc {version('adbc-driver-sqlite')} made and read a database"


def _postgresql_driver() -> str:
    from sql.engine.connection import POSTGRESQL_SETUP

    try:
        return f"adbc {version('adbc-driver-postgresql')}, psycopg {version('psycopg')}"
    except PackageNotFoundError as missing:
        raise Unused(f"{missing.name} is not installed. If you need PostgreSQL, {POSTGRESQL_SETUP}.") from None


def _source(job: str) -> str:
    from flows.job.job import load_job
    from sql.engine.url import describe, resolve_url
    from sql.source.read import check_source

    loaded = load_job(job)
    check_source(loaded.job.source, loaded.base)
    return f"{describe(resolve_url(loaded.job.source.url, loaded.base))} answers"


def _output(job: str) -> str:
    from flows.job.job import load_job
    from tasks.store.probes import check_places

    places = load_job(job).places
    check_places(places)
    state = "answers" if places.has_database() else "does not exist yet; the first night makes it"
    return f"{places.url_text} {state}"


def _prefect() -> str:
    import httpx

    url = os.environ.get("PREFECT_API_URL")
    if not url:
        raise Unused("PREFECT_API_URL is not set, so nights run without a Prefect server")
    answer = httpx.get(f"{url.rstrip('/')}/health", timeout=5)
    answer.raise_for_status()
    return f"{url} answers"
