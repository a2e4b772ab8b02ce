"""What goes wrong on other processes and machines."""

from __future__ import annotations


class RunnerError(Exception):
    """The cluster does not do the work; the message says what, where, and what to do."""
