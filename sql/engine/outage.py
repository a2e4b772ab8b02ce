"""What an error of a driver means: the database is away or locked for now, its disk is full, or a right is missing."""

from __future__ import annotations

import re
from pathlib import Path

import sqlalchemy as sa

from sql.errors import Passes
from sql.full_disk import free_bytes

# Classes and codes of SQLSTATE, see https://www.postgresql.org/docs/current/errcodes-appendix.html. Of class 53, a full
# disk (53100, 53400) stays full.
_AWAY_STATES = re.compile(r"08...|53(?!100|400)...|57P0[1235]|25P03|25P04|40001|40P01")
_LOCKED_STATES = re.compile(r"55P03")

# Most drivers give no state where there is no session, and some databases have none. MySQL: 1040 too many connections,
# 1053 shutdown, 1205 lock wait, 1213 deadlock, 2002 to 2013 no connection. Oracle: 60 deadlock, 54 locked, and so on.
_AWAY_CODES = {1040, 1053, 1152, 1203, 1213, 1927, 2002, 2003, 2006, 2013, 2055, 4031}
_LOCKED_CODES = {1205, 3572}
_AWAY = re.compile(
    r"the database system is (starting up|shutting down|in recovery mode|not yet accepting connections)"
    r"|server closed the connection|connection (was )?(reset|closed|refused|aborted|timed out|is closed|is lost)"
    r"|connection (not open|already closed|has been closed|timeout)|lost connection|no connection to the server"
    r"|terminating connection|administrator command|broken pipe|could not (receive|send) data|ssl syscall error"
    r"|is the server running|(network|host) is (unreachable|down)|no route to host|software caused connection abort"
    r"|temporary failure in name resolution|timeout expired|server has gone away"
    r"|too many (clients|connections)|remaining connection slots|no more connections allowed|query_wait_timeout"
    r"|server (conn crashed|login)|pgbouncer cannot connect|deadlock|could not serialize access"
    r"|ora-(00060|01033|01034|01089|01090|03113|03114|03135|12170|12514|12528|12537|12541)|dpy-(4011|6005)",
    re.IGNORECASE,
)
_LOCKED = re.compile(
    r"database (table |schema )?is locked|database is busy|lock timeout|lock wait timeout|could not obtain lock"
    r"|could not set lock on file|lock request time ?out|ora-(00054|30006)",
    re.IGNORECASE,
)

# Insufficient privilege; and a transaction that can only read, as on a standby. Other databases say it in words only.
_DENIED_STATES = ("42501", "25006")
# The disk is full; and what is configured as the most is reached.
_FULL_STATES = ("53100", "53400")
_SHORT_BYTES = 1 << 16
# A database says of what permission is denied. The operating system, which is asked for a file or a socket, does not.
_DENIED = re.compile(
    r"permission denied:? \w|(access|command) denied|readonly database|insufficient privilege", re.IGNORECASE
)


def passes(error: Exception, url: sa.URL) -> Passes:
    """Why a later try may succeed where a driver gave this error; "" where it will not.

    >>> import sqlite3
    >>> passes(sqlite3.OperationalError("database is locked"), sa.make_url("sqlite:///a.db"))
    'locked'
    >>> passes(sqlite3.OperationalError('near "SELEC": syntax error'), sa.make_url("sqlite:///a.db"))
    ''
    """
    cause = getattr(error, "orig", None) or error
    state = getattr(cause, "sqlstate", None)
    if url.get_backend_name() == "postgresql" and state:
        return "locked" if _LOCKED_STATES.fullmatch(state) else "away" if _AWAY_STATES.fullmatch(state) else ""
    code = cause.args[0] if cause.args else None
    if isinstance(code, int) and url.get_backend_name() in ("mysql", "mariadb"):
        return "locked" if code in _LOCKED_CODES else "away" if code in _AWAY_CODES else ""
    text = str(cause)
    if _LOCKED.search(text):
        return "locked"
    is_cut = getattr(error, "connection_invalidated", False) or isinstance(error, sa.exc.PendingRollbackError)
    return "away" if is_cut or _AWAY.search(text) else ""


def is_out_of_space(error: Exception, url: sa.URL) -> bool:
    """Whether an error of a driver says that the disk of the database is full."""
    cause = getattr(error, "orig", None) or error
    if url.get_backend_name() != "sqlite":
        return getattr(cause, "sqlstate", None) in _FULL_STATES
    # SQLite says of its index of the log only that it cannot be written.
    left = free_bytes(Path(str(url.database)).parent)
    return "disk is full" in str(cause) or ("disk I/O error" in str(cause) and left is not None and left < _SHORT_BYTES)


def is_denied(error: Exception, url: sa.URL) -> bool:
    """Whether an error of a driver says that the user lacks a right, or that the database can only be read."""
    cause = getattr(error, "orig", None) or error
    state = getattr(cause, "sqlstate", None)
    # MySQL has a state too, but the same one for a lack of rights as for a syntax error.
    if state and url.get_backend_name() == "postgresql":
        return state in _DENIED_STATES
    return _DENIED.search(str(cause)) is not None
