"""What an audit finds, and what the job's policies say about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.errors import InputError

EXAMPLES = 5
# An id may have thousands of characters; a message needs only enough of them to know it again.
SHOWN_CHARACTERS = 60
NOT_OBSERVED = "taken as not observed"


@dataclass(frozen=True)
class Finding:
    """One kind of oddity in the input.

    Attributes:
        kind: What it is, in a few words.
        count: How many rows, steps or series.
        examples: Five of them at most.
        action: What the night did about it.
        setting: The key of the job file that says what to do about it, "" where nothing can.
        fatal: Whether that key says to stop.
    """

    kind: str
    count: int
    examples: tuple[str, ...]
    action: str
    setting: str = ""
    fatal: bool = False

    def __str__(self) -> str:
        return f"{self.count} {self.kind} ({', '.join(self.examples)}): {self.action}"


def finding(kind: str, count: int, examples: Sequence[str], action: str, setting: str, policy: str | None) -> Finding:
    """What was found, with what the audit's policy says about it."""
    fatal = policy == "error"
    return Finding(kind, count, tuple(examples), "stops the night" if fatal else action, f"audit.{setting}", fatal)


def stop_where_fatal(findings: Sequence[Finding]) -> None:
    """Raise where a policy calls something that was found an error.

    Raises:
        InputError: names every such finding and the keys of the job file that say otherwise.
    """
    fatal = [each for each in findings if each.fatal]
    if fatal:
        found = "; ".join(f"{each.count} {each.kind} ({', '.join(each.examples)})" for each in fatal)
        keys = " and ".join(each.setting for each in fatal)
        raise InputError(f"The source holds {found}. Mend these rows, or give {keys} another value than 'error'.")


def shown(name: object) -> str:
    """An id as messages have it: its beginning where it is long."""
    text = str(name)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"
