"""The services of compose.yaml, started in their order: a night in Prefect, on PostgreSQL, and its page."""

from __future__ import annotations

import json
import time
from graphlib import TopologicalSorter
from pathlib import Path
from pwd import getpwnam
from typing import Any

import numpy as np
import pandas as pd
import pytest
from engine import Engine, Image  # type: ignore[import-not-found]  # found by the path in conftest.py

# What the entry point of PostgreSQL's own image does at the first start, with the programs of Debian.
POSTGRES = """
set -e
data=/var/lib/postgresql/data
export PGDATA=$data POSTGRES_USER=postgres PGHOST=/tmp LANG=C.UTF-8
initdb --username=postgres --pwfile="$POSTGRES_PASSWORD_FILE" --auth-local=trust --auth-host=scram-sha-256 >/dev/null
pg_ctl --wait --silent --options="-c listen_addresses= -c unix_socket_directories=/tmp" start >/dev/null
for script in /docker-entrypoint-initdb.d/*; do "$script"; done
pg_ctl --wait --silent --mode=fast stop
exec postgres -c listen_addresses=127.0.0.1 -c unix_socket_directories=/tmp
"""
JOB = """
name: small
source: {url: postgresql://nightcast@postgres/nightcast, table: history}
forecast: {frequency: D, horizon: 7, quantile_levels: [0.1, 0.5, 0.9]}
network: {layers: [{cell: gru, units: 4}], segment: 7, context_length: 14}
training: {max_steps: 10}
output:
  url: postgresql://nightcast@postgres/nightcast
  parquet: /data/forecasts/
  versions: /data/versions/
  report: /data/reports/
"""
WITH_SECRETS = "/app/containers/with-secrets"
READY_WITHIN = 600.0
NIGHTLY = ["prefect", "deployment", "run", "nightly/nightly", "--param", "job=small", "--watch"]


@pytest.fixture
def postgres(tmp_path: Path) -> Image:
    """Stands for PostgreSQL's image: the programs of Debian's package, and their user."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not programs:
        pytest.fail("There is no PostgreSQL with its extensions. Install it: apt-get install postgresql.")
    layer = tmp_path / "postgres" / "layer"
    (layer / "tmp").mkdir(parents=True, mode=0o1777)
    (layer / "tmp").chmod(0o1777)
    return Image(
        layer, {"PATH": f"{programs[-1].parent}:/usr/sbin:/usr/bin:/sbin:/bin"}, user=getpwnam("postgres").pw_uid
    )


def make_history(folder: Path) -> None:
    days = pd.date_range("2023-10-01", periods=140, freq="D")
    noise = np.random.default_rng(7)
    weeks = 5 * np.sin(2 * np.pi * np.arange(140) / 7)
    series = {name: 10 * number + weeks + noise.normal(0, 0.5, 140) for number, name in enumerate("abcdef", start=1)}
    rows = pd.concat(pd.DataFrame({"series_id": name, "timestamp": days, "value": series[name]}) for name in series)
    rows.to_csv(folder / "history.csv", index=False)
    (folder / "small.yaml").write_text(JOB, encoding="utf-8")
    (folder / "schedules.yaml").write_text('small: {cron: "0 3 1 1 *", time_zone: Europe/Madrid}\n', encoding="utf-8")


def wait_until_healthy(engine: Engine, name: str, image: Image | None = None) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while not engine.is_healthy(name, image):
        ended = engine.running[name].poll()
        assert ended is None, f"{name} ended with {ended}:\n{engine.log(name)[-4000:]}"
        assert time.monotonic() < deadline, f"{name} does not become healthy:\n{engine.log(name)[-4000:]}"
        time.sleep(3)


def start_in_order(engine: Engine, compose: Any, postgres: Image) -> None:
    """`docker compose up`: each service once those that it depends on are healthy, or have ended well."""
    services = {name: each for name, each in compose["services"].items() if not each.get("profiles")}
    order = TopologicalSorter({name: each.get("depends_on", {}) for name, each in services.items()})
    for name in order.static_order():
        if name == "postgres":
            engine.start(name, ["sh", "-c", POSTGRES], postgres)
            wait_until_healthy(engine, name, postgres)
            continue
        engine.start(name)
        if services[name]["healthcheck"].get("disable"):
            ended = engine.running.pop(name).wait(timeout=READY_WITHIN)
            assert ended == 0, f"{name} ended with {ended}:\n{engine.log(name)[-4000:]}"
        else:
            wait_until_healthy(engine, name)


def page(engine: Engine, address: str) -> str:
    program = f"from urllib.request import urlopen; print(urlopen('{address}').read().decode())"
    done = engine.run("nightcast", "python", "-c", program, entrypoint=[WITH_SECRETS])
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_services_run_a_night_and_publish_its_page(engine, compose, postgres, tmp_path):
    make_history(tmp_path / "jobs")
    start_in_order(engine, compose, postgres)
    there = "postgresql://nightcast@postgres/nightcast"
    loaded = engine.run("nightcast", "import", "/jobs/history.csv", "--to", there, "--table", "history")
    assert loaded.returncode == 0, loaded.stderr
    checked = engine.run("nightcast", "check", "small")
    assert checked.returncode == 0, checked.stdout + checked.stderr

    # The schedule is on the server, and the worker runs the night.
    secrets = [WITH_SECRETS]
    schedules = engine.run("nightcast", "nightcast", "schedule", "--json", entrypoint=secrets)
    assert "0 3 1 1 *" in schedules.stdout, schedules.stderr
    night = engine.run("nightcast", *NIGHTLY, entrypoint=secrets)
    assert night.returncode == 0, night.stdout + night.stderr + engine.log("worker-cpu")[-4000:]
    listed = engine.run("nightcast", "nightcast", "models", "list", "small", "--json", entrypoint=secrets)
    assert [each["stage"] for each in json.loads(listed.stdout)["models"]] == ["champion"]

    # Published where Prefect's database is too, each under a role and a password of its own.
    count = "SELECT count(*), count(DISTINCT run_id), min(source) FROM latest_forecast"
    program = f"import psycopg; print(psycopg.connect('{there}').execute({count!r}).fetchone())"
    assert engine.run("nightcast", "python", "-c", program, entrypoint=secrets).stdout == "(42, 1, 'model')\n"
    strange = engine.run("nightcast", "python", "-c", program.replace("/nightcast'", "/prefect'"), entrypoint=secrets)
    assert 'permission denied for database "prefect"' in strange.stderr

    # The page of the night from the server of the reports, and the UI, which Prefect unpacks when it starts.
    assert "2024-02-17T000000Z.html" in page(engine, "http://reports:4201/small/")
    assert '<script type="module"' in page(engine, "http://prefect:4200/")
    settings = json.loads(page(engine, "http://prefect:4200/ui-settings"))
    assert settings["api_url"] == "http://127.0.0.1:4200/api"
    assert engine.log("worker-cpu").count("only-nightcast-password") == 0

    # An engine that stops them need not kill them.
    patience = {name: service.get("stop_grace_period") for name, service in compose["services"].items()}
    assert {patience[name] for name in ("worker-cpu", "prefect", "reports")} == {"1m0s"}
    for name in ("worker-cpu", "reports", "prefect"):
        engine.stop(name, patience=60)
