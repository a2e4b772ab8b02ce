"""Check before deploying that every job that prefect.yaml schedules exists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flows.deployments.form import EXAMPLE_JOB
from flows.job.job import JobError, jobs_by_name, jobs_folder
from tasks.yaml_file import YamlError, read_yaml


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
        document = read_yaml(file)
    except YamlError as error:
        raise JobError(str(error)) from None
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
    # Prefect reports what is no list or mapping.
    schedules = [each for deployment in _inner(document, "deployments") for each in _inner(deployment, "schedules")]
    parameters = [each.get("parameters") for each in schedules if isinstance(each, dict)]
    names = [each.get("job") for each in parameters if isinstance(each, dict)]
    return list(dict.fromkeys(str(name) for name in names if name is not None))


def _inner(part: Any, key: str) -> list[Any]:
    found = part.get(key) if isinstance(part, dict) else None
    return found if isinstance(found, list) else []
