"""A connection to PostgreSQL that can be cut at any message: a TCP proxy before the server's socket."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

How = Literal["before", "during", "after"]


@dataclass
class Cut:
    """When a connection is cut, once.

    Attributes:
        at: Says of each piece that a client sends whether the connection is cut there. It gets the number of the piece
            among those of all connections, from 1; what this connection sent so far; and the piece.
        how: `before` it reaches the server, `during` the server's work, or `after` the server has answered.
        away: Seconds for which nobody can connect afterwards.
    """

    at: Callable[[int, bytes, bytes], bool]
    how: How
    away: float = 0.0


def at_commit(number: int, sent: bytes, piece: bytes) -> bool:
    """Whether the piece commits a night's forecasts."""
    return b"COMMIT" in piece and b"INSERT INTO publication" in sent


class Proxy:
    """Listens on a port of this machine until it is closed.

    Args:
        server: The database, by its socket.
        cut: When to cut a connection.

    Attributes:
        url: The database through this proxy.
        pieces: Number of pieces that clients have sent.
        was_cut: Whether a connection was cut.
    """

    def __init__(self, server: sa.URL, cut: Cut) -> None:
        self._target = f"{server.query['host']}/.s.PGSQL.{server.port or 5432}"
        self._cut, self._closed, self._away_until = cut, threading.Event(), 0.0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self.url = server.set(host="127.0.0.1", port=self._listener.getsockname()[1], query={})
        self.pieces, self.was_cut = 0, False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._closed.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if time.monotonic() < self._away_until:
                client.close()
                continue
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        server, sent = socket.socket(socket.AF_UNIX), b""
        with client, server, suppress(OSError):
            server.connect(self._target)
            while True:
                ready, _, _ = select.select([client, server], [], [], 300)
                if not ready:
                    return
                if server in ready:
                    answer = server.recv(1 << 16)
                    if not answer:
                        return
                    client.sendall(answer)
                if client in ready:
                    piece = client.recv(1 << 16)
                    if not piece:
                        return
                    if self._is_cut(sent, piece):
                        self._cut_at(client, server, piece)
                        return
                    server.sendall(piece)
                    # Rows need not be kept: only statements are looked for.
                    sent = (sent + piece)[-4096:] if b"INSERT INTO publication" not in sent else sent

    def _is_cut(self, sent: bytes, piece: bytes) -> bool:
        with self._lock:
            self.pieces += 1
            if self.was_cut or not self._cut.at(self.pieces, sent, piece):
                return False
            self.was_cut = True
            self._away_until = time.monotonic() + self._cut.away
            return True

    def _cut_at(self, client: socket.socket, server: socket.socket, piece: bytes) -> None:
        if self._cut.how == "before":
            return
        server.sendall(piece)
        if self._cut.how == "during":
            client.close()
        # The server ends its work; its answer reaches nobody.
        server.settimeout(5)
        server.recv(1 << 16)
