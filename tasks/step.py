"""A step of the night: a Prefect task inside a Prefect flow, and the plain function anywhere else."""

from __future__ import annotations

import functools
import logging
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

from sql.errors import NotPermitted, StorageError, StorageFull
from sql.full_disk import is_full
from tasks.printing.errors import raises_no_secrets

P = ParamSpec("P")
R = TypeVar("R")
LocalError = (FileNotFoundError, FileExistsError, PermissionError, NotADirectoryError, IsADirectoryError)


def is_worth_retrying(error: BaseException) -> bool:
    """Whether a later try may succeed: after errors of files and the network, not of input, rights or folders.

    Nor after errors of a database: whatever reads or writes one has tried again by itself, see `sql.engine.patience`.
    A disk that is full stays full.
    """
    if isinstance(error, StorageError) and not isinstance(error, NotPermitted | StorageFull):
        # Files that are read as a source.
        return isinstance(error.__cause__, OSError) and is_worth_retrying(error.__cause__)
    return isinstance(error, OSError) and not isinstance(error, LocalError) and not is_full(error)


def logger() -> logging.Logger | logging.LoggerAdapter[Any]:
    """The log of the current Prefect run, or the log `nightcast` outside of a flow."""
    if inside_flow():
        from prefect.logging import get_run_logger

        return get_run_logger()
    return logging.getLogger("nightcast")


def step(
    name: str, *, retries: int = 0, retry_delay_seconds: Sequence[float] = ()
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a step of the night.

    Args:
        name: The name of the task in Prefect's UI, followed by the name of the run. `{argument}` and
            `{argument.attribute}` are filled in.
        retries: How often to try again after an error of files or the network.
        retry_delay_seconds: Seconds before each retry; the last value repeats.

    >>> @step("add {a} and {b}")
    ... def add(a: int, b: int) -> int:
    ...     return a + b
    >>> add(1, 2)
    3
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        delays = [*retry_delay_seconds][:retries] or [0.0]
        delays += [delays[-1]] * (retries - len(delays))

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if inside_flow():
                return _as_task(function, name, retries, delays)(*args, **kwargs)
            for delay in delays[:retries]:
                try:
                    return function(*args, **kwargs)
                except Exception as error:
                    if not is_worth_retrying(error):
                        raise
                    logger().warning("%s Trying again in %g s.", error, delay)
                    time.sleep(delay)
            return function(*args, **kwargs)

        return call

    return decorate


def inside_flow() -> bool:
    """Whether this runs as part of a Prefect flow."""
    # Importing Prefect takes 2 s. If it has not been imported, no flow can be running; and while another thread still
    # imports it, an import here would find half of it.
    context = getattr(sys.modules.get("prefect.context"), "FlowRunContext", None)
    return context is not None and context.get() is not None


def _as_task(function: Callable[P, R], name: str, retries: int, delays: list[float]) -> Callable[P, R]:
    from prefect import task
    from prefect.cache_policies import NO_CACHE

    # Panels are large, so Prefect must neither hash inputs nor store results.
    return task(
        name=function.__name__.replace("_", " "),
        task_run_name=f"{name} · {_run_name()}",
        retries=retries,
        retry_delay_seconds=delays,
        retry_condition_fn=_outside_failed,
        cache_policy=NO_CACHE,
        persist_result=False,
    )(raises_no_secrets(function))


def _run_name() -> str:
    """The name of the run, without braces, which Prefect would fill in."""
    from prefect.runtime import flow_run

    return str(flow_run.name).replace("{", "(").replace("}", ")")


def _outside_failed(task: object, task_run: object, state: Any) -> bool:
    try:
        state.result(raise_on_failure=True)
    except Exception as error:
        return is_worth_retrying(error)
    return False
