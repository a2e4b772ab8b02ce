"""Where shards of series are forecast: in this process, in several of this machine, or on a Dask cluster."""

from tasks.runner.settings import Runner, RunnerError

__all__ = ["Runner", "RunnerError"]
