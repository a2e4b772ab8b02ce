"""No part of a secret leaves a night: not on a screen, in a log, a table, a file or a message, on both databases."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy as sa
import yaml
from click.testing import CliRunner

from flows.cli import main
from flows.job.job import load_job
from sql.output import history

# Every character that a URL, a shell, SQL, JSON or YAML reads in its own way.
SECRETS = {
    "slashes": "p@ss/w0rd:hunter2-Kx9/zz9",
    "query": "h?nter2-Kx9#frag&pass=w%rd-77",
    "quotes": 'it\'s "Kx93Lm" \\ back-77zz',
    "letters": "pässwörd ключ-77 密码-Kx93Lm",
    "encoded": "h%23nter%2Fs3cret-Kx9",
}


def leaks(secret: str, text: str) -> list[str]:
    """The parts of a secret of 6 characters or more that a text holds."""
    parts = [secret[i : i + 6] for i in range(len(secret) - 5)]
    parts += [quote(secret[i : i + 6], safe="") for i in range(len(secret) - 5)]
    parts += [json.dumps(secret[i : i + 6])[1:-1] for i in range(len(secret) - 5)]
    return [part for part in parts if part in text]


def places(secret: str, folder: Path) -> dict[str, tuple[dict[str, object], dict[str, str]]]:
    """For each place where a secret may stand: what the job file says there, and the environment."""
    encoded = quote(secret, safe="")
    whole, nobody = f"postgresql://me:{secret}@127.0.0.1:9/sales", "postgresql://me:${PART}@127.0.0.1:9/sales"
    source = {"table": "history", "timestamp": "day"}
    return {
        "a whole URL in a variable": ({"source": {"url": "${WHOLE}", **source}}, {"WHOLE": whole}),
        "a password in a variable": ({"source": {"url": nobody, **source}}, {"PART": secret}),
        "an option in a variable": (
            {"source": {"url": "postgresql://127.0.0.1:9/sales?password=${PART}", **source}},
            {"PART": encoded},
        ),
        "the path of a file": (
            {"source": {"url": "${WHOLE}", **source}},
            {"WHOLE": f"sqlite:///{folder}/{encoded}.db"},
        ),
        "a variable that is no URL": ({"source": {"url": "${WHOLE}", **source}}, {"WHOLE": f"shop me:{secret}@host"}),
        "the password of the output": ({"output": {"url": nobody}}, {"PART": secret}),
        "a URL of the output in a variable": (
            {"output": {"url": "${WHOLE}"}},
            {"WHOLE": f"postgress://a:{secret}@h/d"},
        ),
        "a URL in the file": ({"source": {"url": whole, **source}}, {}),
        "a text in place of a mapping": ({"source": whole}, {}),
        "a text without a scheme": ({"source": f"me:{secret}@host/sales"}, {}),
        "a list in place of a mapping": ({"output": [whole]}, {}),
        "a mapping in place of a text": ({"source": {"url": {"password": secret}, **source}}, {}),
        "an unknown key": ({"source": {"url": "sqlite:///source.db", **source, "password": secret}}, {}),
        "a URL as a key": ({"notify": {f"https://hooks.example.org/services/{encoded}": 1}}, {}),
        "a target": ({"notify": {"targets": [f"slack://{encoded}/b/c"]}}, {}),
        "targets that are no list": ({"notify": {"targets": f"mailtos://me:{secret}@example.org"}}, {}),
        "a target in a variable": ({"notify": {"targets": ["${WHOLE}"]}}, {"WHOLE": f"nobody://{secret}"}),
        "a webhook": ({"notify": {"webhook": f"https://hooks.example.org/{encoded}", "targets": 7}}, {}),
        "the key of a storage": ({"output": {"parquet": f"s3://AKIA:{secret}@bucket/x"}}, {}),
        "a key without a scheme": ({"runner": {"dask": f"tcp://me:{secret}@dask:8786"}}, {}),
    }


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[int, str]]]:
    """Runs the command with a traceback; gives the exit code and everything that it printed or logged."""
    monkeypatch.setenv("NIGHTCAST_TRACEBACK", "1")
    monkeypatch.setattr("tasks.step.time.sleep", lambda seconds: None)
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger("nightcast").addHandler(handler)

    def run_command(*arguments: object) -> tuple[int, str]:
        log.seek(0)
        log.truncate()
        with redirect_stderr(sys.stderr):
            done = CliRunner().invoke(main, [str(each) for each in arguments])
        return done.exit_code, done.output + done.stderr + log.getvalue() + repr(done.exception)

    yield run_command
    logging.getLogger("nightcast").removeHandler(handler)


@pytest.mark.parametrize("kind", SECRETS)
def test_no_message_holds_a_part_of_a_secret_wherever_it_stands(tmp_path, kind, run, monkeypatch):
    secret = SECRETS[kind]
    for number, (where, (parts, environment)) in enumerate(places(secret, tmp_path).items()):
        job = {
            "name": f"job-{number}",
            "source": {"url": "sqlite:///source.db", "table": "history", "timestamp": "day"},
            "forecast": {"frequency": "D", "horizon": 7},
            **parts,
        }
        file = tmp_path / f"job-{number}.yaml"
        file.write_text(yaml.safe_dump(job, allow_unicode=number % 2 == 0, width=1000), encoding="utf-8")
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            for command in (["check", file], ["run", file, "--json"]):
                code, printed = run(*command)
                assert code in (1, 2), (where, command, printed)
                assert leaks(secret, printed) == [], (where, command, printed)


def test_no_message_on_a_file_that_is_no_yaml_holds_a_secret(tmp_path, run):
    file = tmp_path / "job.yaml"
    for text in (
        "source: {url: 'postgresql://me:hunter2-Kx9@host/sales'\nname: [",
        "postgresql://me:hunter2-Kx9@host/sales: 1\npostgresql://me:hunter2-Kx9@host/sales: 2",
        "postgresql://me:hunter2-Kx9@host/sales",
        "source: !postgresql://me:hunter2-Kx9@host x",
        "source: *postgresql://me:hunter2-Kx9@host",
    ):
        file.write_text(text, encoding="utf-8")
        code, printed = run("check", file)
        assert code == 2
        assert leaks("hunter2-Kx9", printed) == [], printed


def test_no_message_on_wrong_use_holds_a_secret_or_acts_on_the_terminal(run):
    for arguments in (
        ["run", "job.yaml", "postgresql://me:hunter2-Kx9@host/sales"],
        ["import", "nothing.csv", "--to", "postgresql://me:hunter2-Kx9@127.0.0.1:9/sales", "--table", "t"],
        ["run", "--postgresql://me:hunter2-Kx9@host"],
        ["run", "\x1b[2J\u202ehunter2.yaml", "--nonsense\x1b]0;"],
        ["models", "\x1b[2J\u202e", "x"],
        ["check", "\x1b[2J\u202e\nError: forged"],
    ):
        code, printed = run(*arguments)
        assert code in (1, 2)
        assert leaks("hunter2-Kx9", printed) == [], printed
        assert not {"\x1b", "\u202e"} & set(printed.rpartition("SystemExit")[0])
        assert "\nError: forged" not in printed


def with_password(url: str, password: str) -> str:
    """A URL of the tests' PostgreSQL, which asks for no password and takes any; a SQLite URL stays."""
    parts = sa.make_url(url)
    if parts.get_backend_name() == "sqlite":
        return url
    return parts.set(password=password).render_as_string(hide_password=False)


def test_a_whole_night_and_one_that_fails_leave_no_secret_anywhere(
    make_job, database_url, tmp_path, run, monkeypatch, webhook
):
    secret, token = SECRETS["slashes"], "T7Q9XKW-ZyR83vbW-77"
    address, received, status = webhook
    status[0] = 500
    monkeypatch.setattr("tasks.monitoring.deliver._SECONDS_BEFORE_RETRY", ())
    monkeypatch.setenv("NIGHT_URL", with_password(database_url, secret))
    monkeypatch.setenv("HOOK", f"{address}/{token}")
    monkeypatch.setenv("PGPASSWORD", secret)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRETS["query"])
    job = make_job(url=database_url, notify={"webhook": "${HOOK}"})
    document = yaml.safe_load(job.read_text(encoding="utf-8"))
    document["source"]["url"] = document["output"]["url"] = "${NIGHT_URL}"
    job.write_text(yaml.safe_dump(document), encoding="utf-8")
    loaded = load_job(job)
    engine = loaded.places.engine()
    printed = [
        run(*words) for words in (["check", job], ["run", job], ["run", job, "--json", "--cutoff", "2024-02-10"])
    ]
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE history RENAME TO moved"))
    printed += [run("run", job), run("alerts", "list", job), run("alerts", "list", job, "--json"), run("check", job)]

    # A driver that repeats the whole connection string, in a step in the middle of a night.
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(f"driver: connection 'host=h password={secret}' lost; {quote(secret, safe='')} {token}")

    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE moved RENAME TO history"))
    monkeypatch.setattr("flows.night.night.report", fail)
    printed += [run("run", job, "--cutoff", "2024-02-12")]
    assert [code for code, _ in printed[:3]] == [0, 0, 0], printed
    assert printed[-1][0] == 1
    assert "driver: connection" in printed[-1][1]
    assert received
    runs = history.runs(engine, "small")
    assert [row["state"] for row in runs][:1] == ["failed"]
    assert "driver: connection" in runs[0]["error"]
    print([dict(row) for row in history.alerts(engine, "small")])
    print(received)
    # The source is older than the clock allows.
    [told] = history.alerts(engine, "small")
    assert "500" in told["delivery_errors"]["webhook"]

    found = {"the screen": "".join(text for _, text in printed), "the webhook": json.dumps(received)}
    found |= {f"the table {name}": text for name, text in texts_of(engine).items()}
    found |= {str(path): path.read_bytes().decode("utf-8", "replace") for path in tmp_path.rglob("*") if path.is_file()}
    assert len(found) > 10
    for where, text in found.items():
        for each in (secret, token, SECRETS["query"]):
            assert leaks(each, text) == [], where


def texts_of(engine: sa.Engine) -> dict[str, str]:
    """Each table and view of a database as one text."""
    with engine.connect() as connection:
        inspector = sa.inspect(connection)
        names = [*inspector.get_table_names(), *inspector.get_view_names()]
        return {name: repr(connection.execute(sa.text(f'SELECT * FROM "{name}"')).all()) for name in names}
