"""The fields of the forms in the Prefect UI: what a person may say of one run, and nothing else.

The server checks a form by its JSON schema before it makes a run. What is sent past the form is checked by the flow
again, before it reads anything, and refused in the words of the command line.
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
    "notify": "Tell people",
    "first": "From",
    "every": "Every so many steps",
    "workers": "Nights at once",
    "last": "To",
    "cutoffs": "Cutoffs",
    "challengers": "Compare with",
}
# A day on a calendar; a whole timestamp for those who write JSON.
_MOMENT = {
    "type": "string",
    "format": "date",
    "pattern": r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$",
}
_MOST_STEPS = ForecastSettings.model_json_schema()["properties"]["horizon"]["maximum"]
_DAY_SECONDS = 86_400

# The UI runs lines together unless an empty one is between them.
_WHEN_TO_TRAIN = """Whether tonight trains. Left empty, as the job says.

- **auto**: only where it is due: the champion is too old, many series are new, or the loss has degraded

- **scratch**: train a new network

- **warm**: go on training the champion; a new network where there is none

- **never**: load the champion as it is; the run fails where there is none
"""
_HOW_TO_TRAIN = """How to train.

- **scratch**: a new network

- **warm**: go on training the champion; a new network where there is none
"""


@dataclass(frozen=True)
class _OfJobsFolder:
    """Makes a field a list of the jobs that there are when the deployment is made."""

    description: str

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        # A list of nothing could not be deployed at all; the example's name is refused with the way to make it.
        names = [*jobs_by_name()] or [EXAMPLE_JOB]
        return {"type": "string", "enum": names, "description": self.description}


def with_form(flow: F) -> F:
    """Let a flow's form have titles, and leave out what is left empty.

    Prefect makes the form from the signature that a flow shows. It calls each field as the parameter is called, and
    sends a default of None as null, which the server then refuses as no date and no number.
    """
    shown = inspect.signature(flow.fn, eval_str=True)  # type: ignore[attr-defined]  # a Flow, not imported for this
    parameters = [
        each.replace(default=Field(_default(each), json_schema_extra={"title": TITLES.get(each.name, each.name)}))
        for each in shown.parameters.values()
    ]
    flow.__signature__ = shown.replace(parameters=parameters)  # type: ignore[attr-defined]
    flow.on_crashed(_say_what_the_form_sent)  # type: ignore[attr-defined]
    return flow


def unlike_the_form(flow: Any, parameters: Mapping[str, Any]) -> str:
    """What is wrong with the names of parameters that a run was given, and the remedy; "" where they fit its flow."""
    taken = inspect.signature(flow.fn).parameters
    needed = [name for name, each in taken.items() if each.default is inspect.Parameter.empty]
    found = [f"knows no {name!r}" for name in parameters if name not in taken]
    found += [f"needs {name!r}" for name in needed if name not in parameters]
    if not found:
        return ""
    return (
        f"{flow.name} takes {', '.join(taken)}: it {', and '.join(found)}. Where a form or a schedule says so, the "
        "deployment is of another version than the code: `prefect --no-prompt deploy --all` in the project's folder "
        "renews it."
    )


def _say_what_the_form_sent(flow: Any, flow_run: FlowRun, state: State[Any]) -> None:
    # Parameters that a flow does not take end its process before there is a run to fail: Prefect says Crashed, with an
    # exit code. The worker, which asks what to do of a crash, replaces that by words.
    if message := unlike_the_form(flow, flow_run.parameters):
        from prefect.client.orchestration import get_client
        from prefect.states import Failed

        with get_client(sync_client=True) as client:
            client.set_flow_run_state(flow_run.id, Failed(message=message), force=True)


def _default(parameter: inspect.Parameter) -> Any:
    if parameter.default is inspect.Parameter.empty:
        return ...
    return MISSING if parameter.default is None else parameter.default


def _shown(description: str, **schema: Any) -> WithJsonSchema:
    """What the form knows of a field. Left empty, it is left out, so null is none of its values."""
    return WithJsonSchema({**schema, "description": description})


def _known_job(name: str) -> str:
    find_named_job(name)
    return name


def _timestamp(written: str | None) -> str | None:
    if written is not None:
        to_moment(written, ZoneInfo("UTC"))
    return written


JobName = Annotated[str, AfterValidator(_known_job), _OfJobsFolder("Which job, by the name of its file.")]
Cutoff = Annotated[
    str | None,
    AfterValidator(_timestamp),
    _shown(
        "The last day that may be seen, at its midnight in the job's time zone. Left empty, the newest that the source "
        "has.",
        **_MOMENT,
    ),
]
Train = Annotated[Policy | None, _shown(_WHEN_TO_TRAIN, type="string", enum=[*get_args(Policy)])]
HowToTrain = Annotated[Literal["scratch", "warm"], _shown(_HOW_TO_TRAIN, type="string", enum=["scratch", "warm"])]
HowOftenToTrain = Annotated[
    Literal["once", "each"],
    _shown(
        "Train once, at the first cutoff, or anew at each, as nights that retrain would have.",
        type="string",
        enum=["once", "each"],
    ),
]
Horizon = Annotated[
    int | None,
    Field(ge=1, le=_MOST_STEPS),
    _shown(
        "Number of steps ahead. Left empty, the job's. Any other takes a network of its own, which is trained for "
        "this run and never becomes the job's champion.",
        type="integer",
        minimum=1,
        maximum=_MOST_STEPS,
    ),
]
TimeLimit = Annotated[
    int | None,
    Field(ge=1, le=_DAY_SECONDS),
    _shown(
        f"Seconds that training may take, {_DAY_SECONDS:,} at most; the best weights so far are kept. Left empty, the "
        "job's.",
        type="integer",
        minimum=1,
        maximum=_DAY_SECONDS,
    ),
]
Notify = Annotated[
    bool,
    _shown(
        "Send alerts that open or close to the targets that the job names. Switched off, they are kept in the tables, "
        "and the next run that may tell them does.",
        type="boolean",
    ),
]
First = Annotated[
    str, AfterValidator(_timestamp), _shown("Cutoff of the first night, at midnight in the job's zone.", **_MOMENT)
]
Last = Annotated[str, AfterValidator(_timestamp), _shown("Cutoff of the last night.", **_MOMENT)]
Every = Annotated[
    int | None,
    Field(ge=1),
    _shown(
        "Steps from one cutoff to the next. Left empty, every step; or, where steps are shorter than a day, as the "
        "job's nights lie.",
        type="integer",
        minimum=1,
    ),
]
Workers = Annotated[
    int,
    Field(ge=1, le=64),
    _shown(
        "Nights at once, where training is never or scratch; they are no runs of their own then.",
        type="integer",
        minimum=1,
        maximum=64,
    ),
]
Cutoffs = Annotated[
    int,
    Field(ge=1, le=1000),
    _shown("From how many past cutoffs to forecast, one horizon apart.", type="integer", minimum=1, maximum=1000),
]
Challengers = Annotated[
    list[str],
    _shown(
        "Further methods to compare with, beside the seasonal naive. They need the package statsforecast.",
        type="array",
        items={"type": "string", "enum": [*CHALLENGERS]},
        uniqueItems=True,
    ),
]
