"""The image does its work as its user, on a root file system that is read-only."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path

import pytest
from engine import Mount, run_in  # type: ignore[import-not-found]  # found by the path in conftest.py

ROOT = Path(__file__).parents[2]
IN_MEMORY = [Mount(None, "/tmp"), Mount(None, "/prefect")]


@pytest.fixture
def run(image, tmp_path):
    """Runs a command in the image as `docker run --read-only` does, with a volume at /data."""
    for each in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        each.chmod(0o755)
    data = tmp_path / "data"
    data.mkdir(mode=0o777)
    data.chmod(0o777)

    def run(*command: str, mounts: tuple[Mount, ...] = ()) -> subprocess.CompletedProcess[str]:
        return run_in(image, command, [*IN_MEMORY, Mount(data, "/data"), *mounts])

    return run


def test_its_command_is_nightcast_and_its_label_the_version(image, run):
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert image.labels["org.opencontainers.image.version"] == version
    assert run(*image.entrypoint, "--version").stdout == f"nightcast {version}\n"
    assert "Start with `nightcast demo`" in run(*image.entrypoint, *image.command).stdout


def test_its_user_can_write_to_its_folders_only(run):
    folders = "/app /opt/nightcast /jobs /etc /root /data /prefect /tmp"
    tried = f"for each in {folders}; do touch $each/x && echo $each; done; id -u"
    assert run("sh", "-c", tried).stdout.split() == ["/data", "/prefect", "/tmp", "10001"]


def test_it_has_no_tools_of_the_build(image, run):
    assert {each.name for each in (image.layer / "opt").iterdir()} == {"nightcast"}
    assert {each.name for each in (image.layer / "app").iterdir()} == {"containers"}
    names = "import importlib.util as u; print([name for name in ('pip', 'uv', 'pytest') if u.find_spec(name)])"
    assert run("python", "-c", names).stdout == "[]\n"


def test_what_python_compiles_is_there_whatever_the_times_of_the_files(run):
    program = (
        "import importlib.util as u, struct, sys; from pathlib import Path; found = set()\n"
        "for name in ('flows.cli', 'tasks.night.night', 'keras', 'prefect', 'pandas'):\n"
        "    found.add(struct.unpack('<I', Path(u.find_spec(name).cached).read_bytes()[4:8])[0])\n"
        "print(found, sys.flags.dont_write_bytecode)"
    )
    # A hash instead of a time stamp, which is not checked.
    assert run("python", "-c", program).stdout == "{1} 0\n"


def test_its_health_check_tells_what_is_wrong(image, run):
    done = run(*image.healthcheck)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "BAD" not in done.stdout
    unreachable = run("env", "PREFECT_API_URL=http://127.0.0.1:9/api", *image.healthcheck)
    assert unreachable.returncode == 1
    assert "BAD  prefect" in unreachable.stdout


def test_secrets_become_variables_and_one_that_cannot_be_read_is_named(run, tmp_path):
    secret, other = tmp_path / "secret", tmp_path / "other"
    secret.write_text("a b$c\n", encoding="utf-8")
    other.write_text("", encoding="utf-8")
    wrapper = "/app/containers/with-secrets"
    mounts = (Mount(secret, "/run/secrets/TOKEN"), Mount(other, "/run/secrets/prefect-password"))
    done = run(wrapper, "python", "-c", "import os; print(repr(os.environ['TOKEN']), len(os.environ))", mounts=mounts)
    assert done.stdout.startswith("'a b$c' "), done.stderr
    secret.chmod(0o600)
    refused = run(wrapper, "true", mounts=mounts)
    assert refused.returncode == 2
    assert refused.stderr.startswith("with-secrets: user 10001 cannot read /run/secrets/TOKEN.")


def test_a_night_runs_without_a_server(image, run, tmp_path):
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    # No series is long enough to train on: the fallback forecasts.
    (jobs / "small.yaml").write_text(
        "name: small\n"
        "source: {url: 'sqlite:////data/history.db', table: observations}\n"
        "forecast: {frequency: D, horizon: 7, min_history: 100}\n"
        "output: {url: 'sqlite:////data/forecasts.db', parquet: /data/forecasts/, versions: /data/versions/, "
        "report: /data/reports/}\n",
        encoding="utf-8",
    )
    rows = "".join(f"a,2024-01-{day:02},{day}\n" for day in range(1, 31))
    (jobs / "history.csv").write_text(f"series_id,timestamp,value\n{rows}", encoding="utf-8")
    for command in (
        ["import", "/jobs/history.csv", "--to", "sqlite:////data/history.db", "--table", "observations"],
        ["check", "small"],
        ["run", "small", "--json"],
    ):
        done = run(*image.entrypoint, *command, mounts=(Mount(jobs, "/jobs", read_only=True),))
        assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["rows"] == 7
