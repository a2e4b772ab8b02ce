"""The environment of the server of `nightcast serve`, of its workers and of their runs."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryFile

from flows.job.job import jobs_folder
from tasks.store.places import REPORT_URL

WORKING_FOLDER = Path(__file__).parents[2]
"""Where the processes work: the folder of this package. People's own folders may have a tasks.py, or a folder sql."""


class PrefectHomeError(ValueError):
    """The folder in which the Prefect server keeps its database cannot be written."""


def server_environment(api: str, published: str) -> dict[str, str]:
    """What the server, the workers and their runs see.

    Raises:
        PrefectHomeError: the folder of Prefect cannot be written.
    """
    # Prefect reads these variables before its own settings.
    environment = os.environ | {"PREFECT_API_URL": api, "DO_NOT_TRACK": "1", REPORT_URL: published}
    # prefect.yaml makes runs work in $PWD, and Prefect looks there first for modules.
    environment["PWD"] = str(WORKING_FOLDER)
    environment["NIGHTCAST_JOBS"] = str(jobs_folder().absolute())
    # The server's usage statistics have a separate switch, which pyproject.toml sets for the project's folder only.
    environment.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    # An automation reports late runs. The default of 15 s is too short for a worker that is busy.
    environment.setdefault("PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS", "600")
    home = Path(environment.get("PREFECT_HOME") or Path.home() / ".prefect").expanduser().absolute()
    environment["PREFECT_HOME"] = str(home)
    try:
        home.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise PrefectHomeError(
            f"The folder of Prefect, {home}, cannot be written: {error.strerror or error}. Set PREFECT_HOME to a "
            "folder that this user may write to."
        ) from None
    return environment
