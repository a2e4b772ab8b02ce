"""Errors of other processes and machines."""

from __future__ import annotations


class RunnerError(Exception):
    """The cluster failed; the message says how and where, and what to do."""
