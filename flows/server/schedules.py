"""Check before deploying that every job that prefect.yaml schedules exists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from flows.deployments.form import EXAMPLE_JOB
from flows.job.job import JobError, jobs_by_name, jobs_folder


def check_schedules(folder: Path) -> None:
    """Check that every job that `folder`/prefect.yaml schedules is in the jobs folder.

    Prefect itself refuses to deploy a schedule whose job is not in the form's list, but names neither the file nor a
    remedy.

    Raises:
        JobError: the file is missing or not YAML, or a schedule names a job that does not exist.
    """
    file = (folder / "prefect.yaml").resolve()
    if not file.is_file():
        raise JobError(f"{file.parent} has no prefect.yaml. Go to the folder that has the project's.")
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise JobError(f"{file} is not YAML: {' '.join(str(error).split())}. Correct that line.") from None
    known = [*jobs_by_name()]
    # If there is no job yet, the form lists the example's name, so that the deployments can be made.
    missing = [name for name in _scheduled(document) if name not in (known or [EXAMPLE_JOB])]
    if missing:
        raise JobError(
            f"{file} schedules the job {missing[0]!r}, and the jobs folder {jobs_folder().resolve()} has "
            f"{', '.join(known[:5]) or 'no job'}. Put that job's file into the folder, or name another job under "
            "`schedules`, as `parameters: {job: ...}`."
        )


def _scheduled(document: Any) -> list[str]:
    """The names of all scheduled jobs, each once."""
    deployments = document.get("deployments") if isinstance(document, dict) else None
    schedules = [each for deployment in deployments or () for each in deployment.get("schedules") or ()]
    names = [(each.get("parameters") or {}).get("job") for each in schedules]
    return list(dict.fromkeys(str(name) for name in names if name is not None))
