"""Which prefect.yaml is deployed, and whether every job that it schedules exists."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from flows.deployments.form import EXAMPLE_JOB
from flows.job.job import JobError, jobs_by_name, jobs_folder
from tasks.yaml_file import YamlError, read_yaml

NAME = "prefect.yaml"
OURS = Path(str(files("flows.deployments") / NAME))
"""The file that this package comes with."""
_ENTRYPOINTS = "flows.deployments."


def prefect_file(folder: Path) -> Path:
    """The folder's own file if it has a deployment `nightly` of this product, else the one of this package.

    Raises:
        JobError: the folder's file is not YAML.
    """
    own = (folder / NAME).absolute()
    if not own.is_file():
        return OURS
    for deployment in _inner(_read(own), "deployments"):
        if isinstance(deployment, dict) and deployment.get("name") == "nightly":
            entrypoint = str(deployment.get("entrypoint", "")).replace("/", ".").replace(":", ".")
            return own if entrypoint.startswith(_ENTRYPOINTS) else OURS
    return OURS


def check_schedules(file: Path) -> None:
    """Check that every job that a prefect.yaml of somebody schedules is in the jobs folder.

    Prefect itself refuses to deploy a schedule whose job is not in the form's list, but names neither the file nor a
    remedy.

    Raises:
        JobError: the file is not YAML, or a schedule names a job that does not exist.
    """
    known = [*jobs_by_name()]
    # If there is no job yet, the form lists the example's name, so that the deployments can be made.
    missing = [name for name in scheduled_jobs(file) if name not in (known or [EXAMPLE_JOB])]
    if missing:
        raise JobError(
            f"{file} schedules the job {missing[0]!r}, and the jobs folder {jobs_folder().resolve()} has "
            f"{', '.join(known[:5]) or 'no job'}. Put that job's file into the folder, or name another job under "
            "`schedules`, as `parameters: {job: ...}`."
        )


def _read(file: Path) -> Any:
    try:
        return read_yaml(file)
    except YamlError as error:
        raise JobError(str(error)) from None


def scheduled_jobs(file: Path) -> list[str]:
    """The jobs that a prefect.yaml schedules itself, each once.

    Raises:
        JobError: the file is not YAML.
    """
    # Prefect reports what is no list or mapping.
    schedules = [each for deployment in _inner(_read(file), "deployments") for each in _inner(deployment, "schedules")]
    parameters = [each.get("parameters") for each in schedules if isinstance(each, dict)]
    names = [each.get("job") for each in parameters if isinstance(each, dict)]
    return list(dict.fromkeys(str(name) for name in names if name is not None))


def _inner(part: Any, key: str) -> list[Any]:
    found = part.get(key) if isinstance(part, dict) else None
    return found if isinstance(found, list) else []
