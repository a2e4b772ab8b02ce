"""The fields of the forms in the Prefect UI: what a person may say of one run, and nothing else.

The server checks a form by its JSON schema before it makes a run. What is sent past the form is checked by the flow
again, before it reads anything, and refused in the words of the command line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema

from flows.job import find_named_job, jobs_by_name
from flows.moments import to_moment
from models.challengers import CHALLENGERS
from models.retraining import Policy
from models.settings import ForecastSettings

EXAMPLE_JOB = "store-sales"
# A day on a calendar; a whole timestamp for those who write JSON.
_MOMENT = {
    "type": "string",
    "format": "date",
    "pattern": r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$",
}
_MOST_STEPS = ForecastSettings.model_json_schema()["properties"]["horizon"]["maximum"]
_DAY_SECONDS = 86_400

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
HowToTrain = Annotated[
    Literal["scratch", "warm"], _shown(_HOW_TO_TRAIN, type="string", enum=["scratch", "warm"])
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
Cutoffs = Annotated[
    int,
    Field(ge=1, le=1000),
    _shown(
        "From how many past cutoffs to forecast, one horizon apart.", type="integer", minimum=1, maximum=1000
    ),
]
Challengers = Annotated[
    list[str],
    _shown(
        "Other methods, beside the seasonal naive. They need requirements/challengers.txt.",
        type="array",
        items={"type": "string", "enum": [*CHALLENGERS]},
        uniqueItems=True,
    ),
]
