"""The schedules of prefect.yaml, held against the jobs that there are before anything is deployed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from flows.deployments.form import EXAMPLE_JOB
from flows.job.job import JobError, jobs_by_name, jobs_folder


def check_schedules(folder: Path) -> None:
    """Make sure that every job which `folder`/prefect.yaml schedules is in the jobs folder.

    Prefect refuses to deploy a schedule whose job is not on the form's list, and names neither file nor remedy.

    Raises:
        JobError: there is no such file, it is not YAML, or a schedule names a job that is not there.
    """
    file = (folder / "prefect.yaml").resolve()
    if not file.is_file():
        raise JobError(f"{file.parent} has no prefect.yaml. Go to the folder that has the project's.")
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise JobError(f"{file} is not YAML: {' '.join(str(error).split())}. Mend that line.") from None
    known = [*jobs_by_name()]
    # Where there is no job, the form lists the example's name, so that there is something to deploy.
    missing = [name for name in _scheduled(document) if name not in (known or [EXAMPLE_JOB])]
    if missing:
        raise JobError(
            f"{file} schedules the job {missing[0]!r}, and the jobs folder {jobs_folder().resolve()} has "
            f"{', '.join(known[:5]) or 'no job'}. Name a job that is there under `schedules`, as `parameters: "
            "{job: ...}`, or put that job's file there."
        )


def _scheduled(document: Any) -> list[str]:
    """Names of the jobs that schedules name, each once."""
    deployments = document.get("deployments") if isinstance(document, dict) else None
    schedules = [each for deployment in deployments or () for each in deployment.get("schedules") or ()]
    names = [(each.get("parameters") or {}).get("job") for each in schedules]
    return list(dict.fromkeys(str(name) for name in names if name is not None))
