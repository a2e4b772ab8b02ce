"""The job: one YAML file, composed of the parts that sit beside the code that obeys them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from models.calendar.grid import TimeGrid
from models.hierarchy.levels import Levels
from models.settings import (
    AuditSettings,
    CalibrationSettings,
    ForecastSettings,
    HierarchySettings,
    MonitorSettings,
    NetworkSettings,
    PromotionSettings,
    ScheduleSettings,
    Settings,
    TrainingSettings,
)
from sql.engine.url import holds_password
from sql.source.read import Source
from tasks.monitoring.notify import Notify
from tasks.publishing.retention import days_to_judge
from tasks.runner.settings import Runner
from tasks.store.places import Output, Places


class JobError(ValueError):
    """The job file cannot be used; the message says where and what to write instead."""


class Job(Settings):
    """One nightly forecast: where history comes from, what is forecast, and where it goes."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=100, description="Lower-case name, part of every row and path."
    )
    source: Source
    forecast: ForecastSettings
    audit: AuditSettings = AuditSettings()
    hierarchy: HierarchySettings = HierarchySettings()
    network: NetworkSettings = NetworkSettings()
    calibration: CalibrationSettings = CalibrationSettings()
    training: TrainingSettings = TrainingSettings()
    promotion: PromotionSettings = PromotionSettings()
    runner: Runner = Runner()
    schedule: ScheduleSettings = ScheduleSettings()
    output: Output = Output()
    monitor: MonitorSettings = MonitorSettings()
    notify: Notify = Notify()

    @field_validator("network", mode="before")
    @classmethod
    def _auto_is_the_default(cls, value: Any) -> Any:
        return {} if value == "auto" else value

    @model_validator(mode="after")
    def _frequency_has_a_grid(self) -> Self:
        TimeGrid(self.forecast.frequency, self.forecast.time_zone)
        return self

    @model_validator(mode="after")
    def _holds_no_password(self) -> Self:
        urls = {"source.url": self.source.url, "output.url": self.output.url}
        for place, other in enumerate(self.source.known_future_from):
            urls[f"source.known_future_from.{place}.url"] = other.url or ""
        for where, url in urls.items():
            if holds_password(url):
                raise ValueError(f"{where} holds a password; write ${{NAME}} in its place and set that variable")
        return self

    @model_validator(mode="after")
    def _missing_future_is_of_known_columns(self) -> Self:
        policy, known = self.forecast.missing_future, self.source.known_ahead
        unknown = [column for column in policy if column not in known] if isinstance(policy, dict) else []
        if unknown:
            raise ValueError(f"forecast.missing_future names {unknown}; known over the horizon are {known}")
        return self

    @model_validator(mode="after")
    def _segments_are_static_columns(self) -> Self:
        unknown = [column for column in self.monitor.segments if column not in self.source.static]
        if unknown:
            raise ValueError(
                f"monitor.segments names {unknown}, which source.static does not; "
                f"source.static has {self.source.static}"
            )
        return self

    @model_validator(mode="after")
    def _levels_are_parts_of_the_id(self) -> Self:
        _ = self.levels
        return self

    @model_validator(mode="after")
    def _nights_are_kept_until_they_are_judged(self) -> Self:
        keep, needed = self.output.keep_days, days_to_judge(self.forecast)
        if keep is not None and keep < needed:
            raise ValueError(
                f"output.keep_days is {keep}, but {self.forecast.horizon} steps of {self.forecast.frequency!r} reach "
                f"{needed} days ahead, and the last ones would never be judged; give {needed} or more"
            )
        return self

    @property
    def levels(self) -> Levels:
        """The upper levels that are forecast, none where the job names none."""
        return Levels.of(self.source.series_id, self.hierarchy.levels, self.hierarchy.method)

    @property
    def coverage_meant(self) -> float | None:
        """Share of actuals that the widest interval is calibrated to hold; None where nothing is calibrated."""
        low, high = min(self.forecast.quantile_levels), max(self.forecast.quantile_levels)
        return high - low if self.calibration.enabled and high > low else None

    @property
    def promotion_settings(self) -> PromotionSettings:
        """`promotion` with its policy: where the job trains every night, each night is forecast by its own network."""
        policy = "always" if self.training.policy == "scratch" else "evidence"
        return self.promotion.model_copy(update={"policy": self.promotion.policy or policy})


@dataclass(frozen=True)
class LoadedJob:
    """A job and the file that it was read from."""

    job: Job
    path: Path

    @property
    def base(self) -> Path:
        """Folder from which the job's relative paths are meant."""
        return self.path.parent

    @property
    def places(self) -> Places:
        return Places(self.job.name, self.base, self.job.output)


def load_job(path_or_name: str | Path, changes: Mapping[str, Mapping[str, Any]] | None = None) -> LoadedJob:
    """Read a job from its file, or by its name from the jobs folder.

    Args:
        path_or_name: The file, or its name without the ending.
        changes: What holds for this run instead of what the file says, such as `{"forecast": {"horizon": 7}}`.

    Raises:
        JobError: no such file, not YAML, an unknown key (with the nearest known one), a value out of range.
    """
    path = find_job(path_or_name)
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise JobError(f"{path}{place}: not YAML: {problem}. Mend that line.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(f"{path} cannot be read: {error}. Give the path of a job's YAML file.") from None
    if not isinstance(document, dict):
        raise JobError(f"{path} holds no mapping, but {document!r:.40}. Write `name: ...`, `source: ...` and so on.")
    for part, settings in (changes or {}).items():
        # A part that is no mapping is told by the validation.
        if isinstance(document.get(part, {}), dict):
            document[part] = {**document.get(part, {}), **settings}
    try:
        return LoadedJob(Job.model_validate(document), path)
    except ValidationError as error:
        problems = [_in_words(each) for each in error.errors(include_url=False)]
        raise JobError(f"{path}: " + "\n  ".join(problems)) from None


def find_job(path_or_name: str | Path) -> Path:
    """The file of a job given as a path, or as a name in the jobs folder.

    Raises:
        JobError: neither is there; names the jobs that are.
    """
    given = Path(path_or_name)
    return given.resolve() if given.is_file() else find_named_job(str(path_or_name))


def find_named_job(name: str) -> Path:
    """The file of a job given by its name in the jobs folder; a path is no name.

    Raises:
        JobError: it is not there; names the jobs that are.
    """
    known = jobs_by_name()
    if name in known:
        return known[name].resolve()
    folder = jobs_folder().resolve()
    there = f"has {', '.join([*known][:5])}" if known else "has no job"
    if Path(name).is_file():
        raise JobError(
            f"{name!r} is a path, and a deployment takes names: the jobs folder {folder} {there}. "
            "Pick one, or put the file there and deploy again."
        )
    raise JobError(
        f"No job {name!r}: no such file, and the jobs folder {folder} {there}. "
        "Give a path to a YAML file, or set NIGHTCAST_JOBS to the folder of your jobs."
    )


def jobs_by_name() -> dict[str, Path]:
    """Files of the jobs folder by the names under which they can be run."""
    # Where two files differ in their ending only, .yaml is the job.
    files = sorted(jobs_folder().glob("*.y*ml"), key=lambda file: (file.stem, file.suffix == ".yaml"))
    return {file.stem: file for file in files if file.suffix in (".yaml", ".yml")}


def jobs_folder() -> Path:
    """$NIGHTCAST_JOBS, else ./jobs, else ./demo, in which `nightcast demo` puts its job."""
    if named := os.environ.get("NIGHTCAST_JOBS"):
        return Path(named)
    return next((folder for folder in (Path("jobs"), Path("demo")) if folder.is_dir()), Path("jobs"))


def _in_words(problem: Any) -> str:
    """One validation problem as: where, found, remedy."""
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = _known_keys(problem["loc"][:-1])
        near = get_close_matches(str(problem["loc"][-1]), known, n=1)
        remedy = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}."
        return f"unknown key {where!r}; {remedy}"
    if problem["type"] == "missing":
        return f"{where} is missing; every job needs it."
    found = "" if isinstance(problem["input"], dict) or "url" in where else f" (found {problem['input']!r:.80})"
    message = problem["msg"].removeprefix("Value error, ")
    # What concerns several keys names them itself.
    return f"{where}: {message}{found}" if where else f"{message}"


def _known_keys(way: tuple[int | str, ...]) -> list[str]:
    """Keys that the part of a job at this way (such as `network`, `layers`, 0) may have."""
    model: type[BaseModel] = Job
    for key in way:
        if isinstance(key, str) and key in model.model_fields:
            model = _inner_model(model.model_fields[key].annotation) or model
    return list(model.model_fields)


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _inner_model(part))), None)
