"""The kinds of fault, and how many trials of each there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from benchmarks.faults.kinds import damage, disks, elsewhere, kills, mutated, outages, races, receivers, training
from benchmarks.faults.trial import BOTH, Kind


@dataclass(frozen=True)
class Planned:
    """How often a kind is tried on each database.

    Attributes:
        fault: What breaks the night.
        full: Trials of a full run; or where the command line names their number, the share of these.
        short: Trials of a short run.
        databases: Where it can happen.
        share_of: `kills` or `mutations`, of which `full` is a share; "" for a number of its own.
    """

    fault: Kind
    full: float
    short: int
    databases: Sequence[str] = BOTH
    share_of: str = ""


KINDS: dict[str, Planned] = {
    "kill_any_time": Planned(kills.kill_any_time, 0.35, 2, share_of="kills"),
    "kill_at_stage": Planned(kills.kill_at_stage, 0.3, 2, share_of="kills"),
    "kill_at_file_change": Planned(kills.kill_at_file_change, 0.2, 2, share_of="kills"),
    "kill_at_commit": Planned(kills.kill_at_commit, 0.1, 2, share_of="kills"),
    "kill_command": Planned(kills.kill_command, 0.05, 0, share_of="kills"),
    "signal_any_time": Planned(kills.signal_any_time, 30, 1),
    "signal_twice": Planned(kills.signal_twice, 30, 1),
    "signal_command": Planned(kills.signal_command, 15, 0),
    "signal_at_commit": Planned(kills.signal_at_commit, 40, 2),
    "signal_at_point": Planned(kills.signal_at_point, 30, 1),
    "sessions_ended": Planned(outages.sessions_ended, 40, 2, ("postgresql",)),
    "database_restarted": Planned(outages.database_restarted, 25, 1, ("postgresql",)),
    "cut_at_commit": Planned(outages.cut_at_commit, 24, 2, ("postgresql",)),
    "cut_any_time": Planned(outages.cut_any_time, 40, 1, ("postgresql",)),
    "table_locked": Planned(outages.table_locked, 9, 1),
    "killed_while_locked": Planned(outages.killed_while_locked, 6, 1),
    "disk_full": Planned(disks.disk_full, 24, 1),
    "race": Planned(races.race, 20, 1),
    "race_of_two_files": Planned(races.race_of_two_files, 10, 1),
    "bits_flipped_in_version": Planned(damage.bits_flipped_in_version, 20, 0),
    "bits_flipped_in_parquet": Planned(damage.bits_flipped_in_parquet, 20, 1),
    "evil_ids": Planned(damage.evil_ids, 15, 1),
    "evil_files": Planned(damage.evil_files, 12, 1),
    "webhook": Planned(receivers.webhook, 4, 1),
    "killed_while_training": Planned(training.killed_while_training, 8, 0),
    "killed_under_prefect": Planned(elsewhere.killed_under_prefect, 3, 0),
    "killed_dask_worker": Planned(elsewhere.killed_dask_worker, 4, 0),
    "mutated_job_files": Planned(mutated.mutated_job_files, 0.5, 0, ("sqlite",), share_of="mutations"),
    "mutated_tables": Planned(mutated.mutated_tables, 0.5, 0, ("sqlite",), share_of="mutations"),
    "killed_at_message": Planned(receivers.killed_at_message, 6, 1),
}


@dataclass(frozen=True)
class Plan:
    """Which trials to run."""

    short: bool = False
    kills: int = 200
    mutations: int = 10_000
    kinds: Sequence[str] | None = None
    databases: Sequence[str] = BOTH
    seed: int | None = None
    count: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether this is a run to be recorded: of all kinds, on both databases."""
        return not self.kinds and self.seed is None and self.count is None and not self.short

    def trials(self) -> list[tuple[str, str, int]]:
        """Kind, database and seed of each trial; the kinds take turns, so that a run cut short has met all of them."""
        rows = [
            [(name, database, seed) for seed in self._seeds(KINDS[name])]
            for name in self.kinds or KINDS
            for database in self.databases
            if database in KINDS[name].databases
        ]
        return [trial for turn in zip_longest(*rows) for trial in turn if trial is not None]

    def _seeds(self, kind: Planned) -> Iterator[int]:
        if self.seed is not None:
            return iter([self.seed])
        if self.count is not None:
            return iter(range(self.count))
        if self.short:
            return iter(range(kind.short))
        given = {"kills": float(self.kills), "mutations": self.mutations / mutated.BATCH, "": 1.0}
        return iter(range(round(kind.full * given[kind.share_of])))
