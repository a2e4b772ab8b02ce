"""The fault campaign in short, its judge, and its proxy: what it counts is there, and a whole campaign holds."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.faults.campaign import Campaign
from benchmarks.faults.judge import FAULTS, files_of, judge, secrets_in
from benchmarks.faults.kinds.catalogue import KINDS, Plan
from benchmarks.faults.site import NIGHTS, PASSWORD, SMALL, Site
from benchmarks.faults.trial import Trial, run_trial
from benchmarks.faults.watcher import Watcher
from benchmarks.faults.workshop import Workshop

DAYS = {*NIGHTS[:2]}


@pytest.fixture(scope="module")
def workshop() -> Iterator[Workshop]:
    # Not below pytest's own folder, which only root could enter where root runs the tests.
    with tempfile.TemporaryDirectory(prefix="nightcast-faults-", ignore_cleanup_errors=True) as folder:
        made = Workshop(Path(folder) / "worker", plain=True)
        yield made
        made.close()


@pytest.fixture
def site(workshop: Workshop) -> Iterator[Site]:
    made = workshop.site(SMALL, "sqlite")
    yield made
    workshop.remove(made)


@pytest.fixture(scope="module")
def watcher() -> Iterator[Watcher]:
    made = Watcher()
    yield made
    made.close()


def test_a_short_campaign_loses_doubles_and_leaves_nothing() -> None:
    with tempfile.TemporaryDirectory(prefix="nightcast-faults-", ignore_cleanup_errors=True) as folder:
        campaign = Campaign(Path(folder), 1, plain=True)
        # Of each kind one trial, on one database and then on the other; the command runs all of them on both.
        trials = [
            (name, kind.databases[number % len(kind.databases)], 0)
            for number, (name, kind) in enumerate(each for each in KINDS.items() if each[1].short)
        ]
        campaign.run(trials)
        campaign.close()
    figures = campaign.figures()
    assert [outcome for outcome in campaign.outcomes if not outcome.held] == []
    assert {figures[name] for name in (*FAULTS, "not_carried_out")} == {0}
    assert figures["tried"] == figures["held"] == len(trials)
    assert sum(outcome.seen.looks for outcome in campaign.outcomes) > len(trials)


def test_a_job_without_a_fault_is_judged_faultless(site: Site) -> None:
    found = judge(site, DAYS, files_of(site), at_rest=True)
    found.merge(secrets_in(site))
    assert (dict(found.counts), found.notes) == ({}, [])


@pytest.mark.parametrize(
    ("change", "fault", "count"),
    [
        ("DELETE FROM forecast WHERE series_id = 's003' AND cutoff LIKE '2024-02-02%'", "lost_rows", 7),
        ("DELETE FROM publication WHERE cutoff LIKE '2024-02-01%'", "half_nights_seen", 1),
        ("UPDATE forecast SET median = 7 WHERE step = 2 AND cutoff LIKE '2024-02-02%'", "parquet_unlike_sql", 1),
        ("UPDATE run SET state = 'running'", "stayed_running", 2),
    ],
)
def test_each_fault_of_the_tables_is_counted(site: Site, change: str, fault: str, count: int) -> None:
    known = files_of(site)
    site.execute(change)
    assert judge(site, DAYS, known, at_rest=True).counts[fault] == count


def test_a_missing_night_and_left_over_files_are_counted(site: Site) -> None:
    known = files_of(site)
    (site.passing / "scratch").mkdir()
    (site.job / "reports").mkdir(exist_ok=True)
    (site.job / "reports/.half.html").touch()
    found = judge(site, {*DAYS, "2024-02-03"}, known, at_rest=True)
    assert (found.counts["lost_rows"], found.counts["left_over_files"]) == (42, 2)


def test_a_password_in_a_file_of_the_job_is_seen(site: Site) -> None:
    (site.job / "notes").write_text(f"postgresql://me:{PASSWORD}@host/db", encoding="utf-8")
    [note] = secrets_in(site).notes
    assert note.startswith("secrets_seen: job/notes")


def test_a_reader_sees_half_a_night(site: Site, watcher: Watcher) -> None:
    watcher.begin("sqlite", str(site.url.database), site.job / "forecasts", 42)
    night = site.start("--cutoff", NIGHTS[2], plain=True)
    assert night.wait() == 0
    assert watcher.end().half == []
    site.execute("DELETE FROM forecast WHERE step = 1 AND cutoff LIKE '2024-02-03%'")
    site.shown(NIGHTS[2]).write_bytes(b"PAR1")
    watcher.begin("sqlite", str(site.url.database), site.job / "forecasts", 42)
    seen = watcher.end()
    assert any("36 rows" in each for each in seen.half)
    assert any("cannot be read" in each for each in seen.half)


def test_a_night_stops_at_the_point_that_was_named(site: Site) -> None:
    night = site.start("--cutoff", NIGHTS[2], plain=True, fault={"at": "before commit:", "does": "SIGKILL"})
    assert night.wait() == -signal.SIGKILL
    assert [str(row.cutoff)[:10] for row in site.execute("SELECT cutoff FROM publication ORDER BY cutoff")] == sorted(
        DAYS
    )
    night = site.start("--cutoff", NIGHTS[2], plain=True, fault={"at": "after:publish", "does": "SIGSTOP"})
    assert night.wait_until_stopped()
    assert len(site.execute("SELECT cutoff FROM publication")) == 3
    night.signal(signal.SIGCONT)
    assert night.wait() == 0


def test_a_trial_that_does_not_hold_says_how_to_repeat_it(workshop: Workshop, watcher: Watcher) -> None:
    def forgetful(trial: Trial) -> None:
        trial.begin(again=False)
        trial.site.execute("DELETE FROM forecast WHERE step = 3 AND cutoff LIKE '2024-02-01%'")
        trial.left()

    outcome = run_trial(workshop, watcher, ("forgetful", forgetful), "sqlite", 5)
    assert (outcome.held, outcome.findings.counts["lost_rows"]) == (False, 6)
    assert outcome.command == "python -m benchmarks.faults --kinds forgetful --databases sqlite --seed 5"
    assert [path.name for path in workshop.folder.iterdir() if path.name.startswith("trial")] == []


def test_the_kinds_of_a_whole_run_take_turns_and_have_their_shares() -> None:
    trials = Plan(kills=40, mutations=100).trials()
    assert {kind for kind, _, _ in trials} == set(KINDS)
    for database in ("sqlite", "postgresql"):
        assert sum(kind.startswith("kill_") and of == database for kind, of, _ in trials) == 40
    assert sum(kind.startswith("mutated_") for kind, _, _ in trials) == 2
    assert len({trial[:2] for trial in trials[:40]}) == 40
    assert Plan(kinds=["race"], databases=["sqlite"], seed=9).trials() == [("race", "sqlite", 9)]
