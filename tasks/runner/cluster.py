"""Connect to the Dask cluster that a job names, or start one of this machine's processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from models.cores import available_cores
from models.extras import require_extra
from tasks.runner.errors import RunnerError
from tasks.settings import Runner
from tasks.step import step

if TYPE_CHECKING:
    from distributed import Client

PACKAGE = "nightcast"
_CONNECT_SECONDS = 15


@step("check the cluster", retries=1, retry_delay_seconds=(4,))
def check_runner(runner: Runner) -> None:
    """Check the cluster before hours of work are spent on a night.

    Raises:
        InputError: Dask is not installed.
        RunnerError: the scheduler does not answer, or a worker lacks this version of the package.
    """
    if runner.on_cluster:
        _require_dask()
    if runner.dask is not None:
        with connected(runner):
            pass


@contextmanager
def connected(runner: Runner) -> Iterator[Client]:
    """A client of the cluster that the job names. A cluster of this machine's processes ends with the client.

    Raises:
        InputError, RunnerError: see `check_runner`.
    """
    _require_dask()
    from distributed import Client, LocalCluster

    with ExitStack() as stack:
        where: Any = runner.dask
        if runner.processes is not None:
            threads = max(1, available_cores() // runner.processes)
            # Any free port: with None the scheduler listens on Dask's own, which another night may have taken.
            where = LocalCluster(
                n_workers=runner.processes, threads_per_worker=threads, processes=True, dashboard_address="127.0.0.1:0"
            )
            stack.enter_context(where)
        try:
            client = stack.enter_context(Client(where, timeout=_CONNECT_SECONDS, set_as_default=False))
        except (OSError, TimeoutError) as error:
            raise RunnerError(
                f"No Dask scheduler answers at {runner.dask} within {_CONNECT_SECONDS} s ({error}). Start one there, "
                "correct runner.dask, or remove it from the job to forecast in this process."
            ) from error
        _require_same_package(client.get_versions(packages=[PACKAGE]), str(runner.dask))
        yield client


def worker_count(client: Client) -> int:
    """The number of workers of the cluster now; it changes when workers die or join."""
    return len(client.nthreads())


def _require_same_package(versions: dict[str, Any], address: str) -> None:
    """Check that the scheduler and all workers have this version of the package."""
    installed = version(PACKAGE)
    processes = {"the scheduler": versions["scheduler"], **versions["workers"]}
    found = {name: each["packages"].get(PACKAGE) for name, each in processes.items() if each is not None}
    wrong = [f"{name} has {each or 'none'}" for name, each in found.items() if each != installed]
    if wrong:
        raise RunnerError(
            f"This night runs {PACKAGE} {installed}, and {len(wrong)} of {len(found)} processes of the Dask cluster at "
            f"{address} do not: {'; '.join(wrong[:5])}. Install {PACKAGE} {installed} on them, and start them again."
        )


def _require_dask() -> None:
    require_extra(
        "distributed", "runner.dask and runner.processes need Dask, which is", "dask", "remove both from the job"
    )
