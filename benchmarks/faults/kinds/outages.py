"""Databases that restart, end sessions, drop connections, or are locked by others while a night runs."""

from __future__ import annotations

import signal
import threading
import time
from random import Random

import sqlalchemy as sa

from benchmarks.faults.kinds.proxy import Cut, How, Proxy, at_commit
from benchmarks.faults.site import SMALL, WIDE, secret_url
from benchmarks.faults.trial import Trial
from benchmarks.faults.zygote import Night

_END_SESSIONS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def sessions_ended(trial: Trial) -> None:
    """Somebody ends all sessions of the database, before or after one of the night's stages."""
    trial.begin()
    point = _point(trial, trial.random)
    trial.how = f"sessions ended {point}"
    night = trial.start(fault={"at": point, "does": "SIGSTOP"})
    if night.wait_until_stopped():
        trial.site.execute(_END_SESSIONS)
        night.signal(signal.SIGCONT)
    trial.ended(night, settled=True, allowed=[0])
    trial.follow()


def database_restarted(trial: Trial) -> None:
    """The server restarts before or after one of the night's stages; sometimes it is away for a second."""
    trial.begin()
    point, away = _point(trial, trial.random), trial.random.choice([0.0, 0.0, 1.0])
    trial.how = f"database restarted {point}, away for {away:g} s"
    night = trial.start(fault={"at": point, "does": "SIGSTOP"})
    if night.wait_until_stopped():
        trial.workshop.stop_server()
        if not away:
            trial.workshop.start_server()
        night.signal(signal.SIGCONT)
        if away:
            time.sleep(away)
            trial.workshop.start_server()
    trial.ended(night, settled=True, allowed=[0])
    trial.follow()


def _point(trial: Trial, random: Random) -> str:
    """A point of the night; every third of them is among the last ones, after the forecasts are published."""
    stages = trial.course.stages
    late = stages[stages.index("publish") :]
    if random.random() < 0.1:
        return random.choice(["before commit:", "after commit:"])
    return f"{random.choice(['before', 'after'])}:{random.choice(random.choice([stages, stages, late]))}"


def cut_at_commit(trial: Trial) -> None:
    """The connection drops before, during or after the commit of the forecasts."""
    how: How = trial.random.choice(["before", "during", "after"])
    _cut(trial, Cut(at_commit, how, trial.random.choice([0.0, 0.0, 1.0])), "at the commit")


def cut_any_time(trial: Trial) -> None:
    """A connection drops at a random message."""
    how: How = trial.random.choice(["before", "during", "after"])
    wanted = int(1.3 ** trial.random.uniform(0, 21))
    _cut(trial, Cut(lambda number, sent, piece: number == wanted, how), f"at message {wanted}")


def _cut(trial: Trial, cut: Cut, where: str) -> None:
    trial.begin(trial.random.choice([SMALL, WIDE]))
    proxy = Proxy(trial.site.url, cut)
    try:
        trial.site.given["OUTPUT_URL"] = secret_url(proxy.url)
        night = trial.start()
        code = trial.ended(night)
        trial.how = f"cut {cut.how} {where}, away for {cut.away:g} s: {proxy.was_cut}{trial.how}"
        if proxy.was_cut and code:
            trial.findings.add("unexpected", 1, f"the night failed: {night.said[-500:]}")
        _not_like_itself(trial)
        trial.follow()
    finally:
        proxy.close()


def _not_like_itself(trial: Trial) -> None:
    """A run must not say that the rows of an earlier run were the same where that run is itself."""
    for row in trial.site.execute("SELECT run_id, note FROM run WHERE note IS NOT NULL"):
        trial.findings.add("unexpected", int(row.run_id in row.note), f"run {row.run_id} says: {row.note}")


def table_locked(trial: Trial) -> None:
    """Another session holds a lock on a table for seconds."""
    trial.begin()
    table, seconds = trial.random.choice(["forecast", "run", "publication"]), trial.random.choice([0.5, 2.0, 4.0])
    trial.how = f"{table} locked for {seconds:g} s"
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with trial.site.engine().connect() as connection:
            if trial.database == "postgresql":
                with connection.begin():
                    connection.execute(sa.text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
                    held.set()
                    free.wait(60)
            else:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                held.set()
                free.wait(60)
                connection.exec_driver_sql("ROLLBACK")

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        held.wait(30)
        night = trial.start()
        time.sleep(seconds)
    finally:
        free.set()
        holder.join()
    trial.ended(night, settled=True, allowed=[0])
    trial.follow()


def killed_while_locked(trial: Trial) -> None:
    """A night that waits for a lock of another session gets a signal."""
    trial.begin()
    number = trial.random.choice([signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
    trial.how = f"{number.name} while a table is locked"
    with trial.site.engine().connect() as connection:
        if trial.database == "postgresql":
            connection.execute(sa.text("LOCK TABLE forecast IN ACCESS EXCLUSIVE MODE"))
        else:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        night = trial.start()
        time.sleep(trial.random.uniform(0.3, 2.0))
        _end(night, number)
        connection.rollback()
    trial.ended(night, settled=number != signal.SIGKILL)
    trial.follow()


def _end(night: Night, number: signal.Signals) -> None:
    """Send a signal, and wait a little for the end: it must come before the lock is free."""
    night.signal(number)
    deadline = time.monotonic() + 10
    while night.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
