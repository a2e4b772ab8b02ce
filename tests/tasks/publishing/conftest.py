"""A wire to PostgreSQL that breaks at the commit."""

from __future__ import annotations

import selectors
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Literal

import pytest
import sqlalchemy as sa

Moment = Literal["before the commit", "while it commits", "after the commit"]


class BreakableWire:
    """A proxy on a socket of its own. It cuts the connection that commits, as often as `cuts` says.

    Attributes:
        url: The database of `postgres_url`, through this wire.
        moment: Whether the server then gets the COMMIT or not, and whether its answer is waited for.
        cuts: How many more commits are cut.
        marker: Only connections that have sent these bytes are cut.
        stays_away: Whether new connections are refused once one was cut.
    """

    def __init__(self, direct: sa.URL, folder: Path) -> None:
        port = str(direct.port or direct.query.get("port", 5432))
        self.url = direct.set(query={"host": str(folder), "port": port}).render_as_string()
        self.moment: Moment = "after the commit"
        self.cuts, self.marker, self.stays_away = 0, b"INSERT INTO publication", False
        self._is_away = False
        self._server = str(Path(str(direct.query["host"])) / f".s.PGSQL.{port}")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / f".s.PGSQL.{port}"))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def repair(self) -> None:
        """Let new connections through, and cut no more."""
        self._is_away, self.cuts = False, 0

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._is_away:
                    client.close()
                else:
                    threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        sent = b""
        with closing(client), closing(socket.socket(socket.AF_UNIX)) as server, selectors.DefaultSelector() as ready:
            server.connect(self._server)
            ready.register(client, selectors.EVENT_READ)
            ready.register(server, selectors.EVENT_READ)
            while True:
                for key, _ in ready.select():
                    read = key.fileobj
                    try:
                        message = read.recv(65_536)  # type: ignore[union-attr]
                        if not message:
                            return
                        if read is server:
                            client.sendall(message)
                            continue
                        sent = (sent + message)[-200_000:]
                        if self.cuts and b"COMMIT" in message and self.marker in sent:
                            self._cut(server, message)
                            return
                        server.sendall(message)
                    except OSError:
                        return

    def _cut(self, server: socket.socket, commit: bytes) -> None:
        self.cuts -= 1
        self._is_away = self.stays_away
        if self.moment != "before the commit":
            server.sendall(commit)
        if self.moment == "after the commit":
            server.recv(65_536)


@pytest.fixture
def postgres_template(postgres_with_tables: str) -> str:
    """Every database of these tests has the tables."""
    return postgres_with_tables


@pytest.fixture
def wire(postgres_url) -> Iterator[BreakableWire]:
    """A `BreakableWire` to the database of `postgres_url`."""
    with tempfile.TemporaryDirectory(prefix="nightcast-wire-") as folder:
        made = BreakableWire(sa.make_url(postgres_url), Path(folder))
        yield made
        made.close()
