"""The fields of the forms in the Prefect UI: everything that a person can choose for one run.

The server checks a form by its JSON schema before it makes a run. The flow checks the parameters again before it reads
anything, because a run can also be started without the form, and answers as the command line does.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args
from zoneinfo import ZoneInfo

from pydantic import MISSING, AfterValidator, Field, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema

from flows.job.job import find_named_job, jobs_by_name
from flows.job.moments import to_moment
from models.baselines.challengers import CHALLENGERS
from models.lifecycle.retraining import Policy
from models.settings.forecast import ForecastSettings

if TYPE_CHECKING:
    from prefect.client.schemas import FlowRun, State

EXAMPLE_JOB = "store-sales"
F = TypeVar("F")
TITLES = {
    "job": "Job",
    "cutoff": "Cutoff",
    "train": "Training",
    "horizon": "Horizon",
    "time_limit": "Time limit",
    "notify": "Send alerts",
    "first": "From",
    "every": "Steps between cutoffs",
    "workers": "Nights at once",
    "last": "To",
    "cutoffs": "Cutoffs",
    "challengers": "Compare with",
    "person": "Your name",
    "segment": "Segment",
    "version": "Version",
}
# The form shows a calendar; those who write JSON may also give a time of day.
_MOMENT = {
    "type": "string",
    "format": "date",
    "pattern": r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$",
}
_MOST_STEPS = ForecastSettings.model_json_schema()["properties"]["horizon"]["maximum"]
_MOST_STEPS_BETWEEN = 100_000
_DAY_SECONDS = 86_400

# The UI joins lines unless an empty line separates them.
_WHEN_TO_TRAIN = """When to train. If empty, the job's setting.

- **auto**: only if training is due: the champion is too old, many series are new, or the loss has degraded

- **scratch**: train a new network

- **warm**: continue training the champion, or train a new network if there is no champion

- **never**: load the champion; the run fails if there is none
"""
_HOW_TO_TRAIN = """How to train.

- **scratch**: train a new network

- **warm**: continue training the champion, or train a new network if there is no champion
"""


@dataclass(frozen=True)
class _OfJobsFolder:
    """Makes a field a list of the jobs that exist when the deployment is made."""

    description: str

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        # Prefect cannot deploy an empty list. Without any job, the example's name is listed; a run with it fails with
        # the command that makes the example.
        names = [*jobs_by_name()] or [EXAMPLE_JOB]
        return {"type": "string", "enum": names, "description": self.description}


def with_form(flow: F) -> F:
    """Give the fields of a flow's form titles, and leave out fields that are left empty.

    Prefect makes the form from the flow's signature. By itself it titles each field with the parameter's name. It sends
    a default of None as null, which the server then refuses because it is no date and no number.
    """
    signature = inspect.signature(flow.fn, eval_str=True)  # type: ignore[attr-defined]  # a Flow, not imported for this
    parameters = [
        each.replace(default=Field(_default(each), json_schema_extra={"title": TITLES.get(each.name, each.name)}))
        for each in signature.parameters.values()
    ]
    flow.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    flow.on_crashed(_explain_parameters)  # type: ignore[attr-defined]
    return flow


def unknown_parameters(flow: Any, parameters: Mapping[str, Any]) -> str:
    """What is wrong with the names of a run's parameters, and the remedy; "" if they fit its flow."""
    taken = inspect.signature(flow.fn).parameters
    needed = [name for name, each in taken.items() if each.default is inspect.Parameter.empty]
    found = [f"knows no {name!r}" for name in parameters if name not in taken]
    found += [f"needs {name!r}" for name in needed if name not in parameters]
    if not found:
        return ""
    why = (
        "If a form or a schedule sent these parameters, the deployment is from another version of the code: start "
        "`nightcast serve` again, or deploy again on a server of your own."
    )
    if "job" in needed and "job" not in parameters:
        why += (
            " A schedule that somebody paused or resumed in the UI has lost its job in Prefect: `nightcast schedule "
            "JOB CRON` gives it back."
        )
    return f"{flow.name} takes {', '.join(taken)}: it {', and '.join(found)}. {why}"


def _explain_parameters(flow: Any, flow_run: FlowRun, state: State[Any]) -> None:
    # Parameters that a flow does not take end its process before the run begins. Prefect then only reports a crash with
    # an exit code. The worker runs this hook after a crash, and replaces that by an explanation.
    if message := unknown_parameters(flow, flow_run.parameters):
        from prefect.client.orchestration import get_client
        from prefect.states import Failed

        with get_client(sync_client=True) as client:
            client.set_flow_run_state(flow_run.id, Failed(message=message), force=True)


def _default(parameter: inspect.Parameter) -> Any:
    if parameter.default is inspect.Parameter.empty:
        return ...
    return MISSING if parameter.default is None else parameter.default


def _field(description: str, **schema: Any) -> WithJsonSchema:
    """The JSON schema of a field. An empty field is left out, so null is not among its values."""
    return WithJsonSchema({**schema, "description": description})


def _known_job(name: str) -> str:
    find_named_job(name)
    return name


def _timestamp(written: str | None) -> str | None:
    if written is not None:
        to_moment(written, ZoneInfo("UTC"))
    return written


JobName = Annotated[str, AfterValidator(_known_job), _OfJobsFolder("The job, by the name of its file.")]
Cutoff = Annotated[
    str | None,
    AfterValidator(_timestamp),
    _field(
        "The last day that the forecast may see, at midnight in the job's time zone. If empty, the newest in the "
        "source.",
        **_MOMENT,
    ),
]
Train = Annotated[Policy | None, _field(_WHEN_TO_TRAIN, type="string", enum=[*get_args(Policy)])]
HowToTrain = Annotated[Literal["scratch", "warm"], _field(_HOW_TO_TRAIN, type="string", enum=["scratch", "warm"])]
HowOftenToTrain = Annotated[
    Literal["once", "each"],
    _field(
        "Train once, at the first cutoff, or again at each cutoff, as a job that trains every night.",
        type="string",
        enum=["once", "each"],
    ),
]
Horizon = Annotated[
    int | None,
    Field(ge=1, le=_MOST_STEPS),
    _field(
        "Number of steps to forecast. If empty, the job's. For any other number a separate network is trained, which "
        "never becomes the champion.",
        type="integer",
        minimum=1,
        maximum=_MOST_STEPS,
    ),
]
TimeLimit = Annotated[
    int | None,
    Field(ge=1, le=_DAY_SECONDS),
    _field(
        f"Seconds that training may take, at most {_DAY_SECONDS:,}. Where they do not suffice for all steps, it takes "
        "fewer. If empty, the job's limit.",
        type="integer",
        minimum=1,
        maximum=_DAY_SECONDS,
    ),
]
Notify = Annotated[
    bool,
    _field(
        "Send alerts that open or close to the job's targets. If switched off, alerts stay in the tables, and the next "
        "run that may send them does so.",
        type="boolean",
    ),
]
First = Annotated[
    str, AfterValidator(_timestamp), _field("The first cutoff, at midnight in the job's time zone.", **_MOMENT)
]
Last = Annotated[str, AfterValidator(_timestamp), _field("The last cutoff.", **_MOMENT)]
Every = Annotated[
    int | None,
    Field(ge=1, le=_MOST_STEPS_BETWEEN),
    _field(
        "Steps from one cutoff to the next. If empty, 1; for steps shorter than a day, the usual cutoffs of the job's "
        "nights.",
        type="integer",
        minimum=1,
        maximum=_MOST_STEPS_BETWEEN,
    ),
]
Workers = Annotated[
    int,
    Field(ge=1, le=64),
    _field(
        "How many nights to run at once. More than one needs the training policy never or scratch, and the nights are "
        "then no separate runs in Prefect.",
        type="integer",
        minimum=1,
        maximum=64,
    ),
]
Cutoffs = Annotated[
    int,
    Field(ge=1, le=1000),
    _field("How many past cutoffs to forecast from, one horizon apart.", type="integer", minimum=1, maximum=1000),
]
Challengers = Annotated[
    list[str],
    _field(
        "Further methods to compare with, beside the seasonal naive. They need the package statsforecast.",
        type="array",
        items={"type": "string", "enum": [*CHALLENGERS]},
        uniqueItems=True,
    ),
]
_LONGEST_TEXT = 300
Person = Annotated[
    str,
    Field(min_length=1, max_length=_LONGEST_TEXT),
    _field("The name to record.", type="string", minLength=1, maxLength=_LONGEST_TEXT),
]
Segment = Annotated[
    str | None,
    Field(min_length=1, max_length=_LONGEST_TEXT),
    _field(
        "The group of series, such as all. If empty, the run lists those with an open alert: press Resume on its page.",
        type="string",
        maxLength=_LONGEST_TEXT,
    ),
]
Version = Annotated[
    str | None,
    Field(min_length=1, max_length=_LONGEST_TEXT),
    _field(
        "The version that becomes the champion. If empty, the run lists all versions: press Resume on its page.",
        type="string",
        maxLength=_LONGEST_TEXT,
    ),
]
