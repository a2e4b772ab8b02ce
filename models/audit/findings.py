"""What an audit finds in the input, and what the job's policies say about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from models.counted import in_number
from models.errors import InputError
from models.settings.audit import AuditSettings

EXAMPLES = 5
# An id may have thousands of characters; its beginning is enough to recognise it in a message.
MOST_CHARACTERS = 60
NOT_OBSERVED = "treated as not observed"
# What `sql/engine/storable.py` puts in place of text that not every database can hold.
CHANGED = "\u2400|\ufffd[0-9A-F]{2}|\u2026[0-9a-f]{16}(/|$)"
KEPT_CHANGED = "kept under a changed name, see series ids in the description of the tables"


@dataclass(frozen=True)
class Finding:
    """One kind of problem in the input.

    Attributes:
        kind: The problem, in a few words.
        count: Number of rows, steps or series that have it.
        examples: At most five of them.
        action: What the night does about it.
        setting: The key of the job file that decides the action, "" where none does.
        fatal: Whether that key says to stop the night.
    """

    kind: str
    count: int
    examples: tuple[str, ...]
    action: str
    setting: str = ""
    fatal: bool = False

    def __str__(self) -> str:
        return f"{self.count} {in_number(self.kind, self.count)} ({self.shown_examples}): {self.action}"

    @property
    def shown_examples(self) -> str:
        """The examples for people, who must not take them for all that there is.

        >>> Finding("gaps", 978, ("Shop 01", "Shop 02"), "left").shown_examples
        'for example Shop 01, Shop 02'
        >>> Finding("dead series", 1, ("Shop 01",), "left").shown_examples
        'Shop 01'
        """
        shown = ", ".join(self.examples)
        return shown if self.count <= len(self.examples) else f"for example {shown}"


class Findings:
    """The findings of one audit, in the order in which they are added.

    Args:
        policies: What the job says about each kind of problem.
    """

    def __init__(self, policies: AuditSettings) -> None:
        self.policies = policies
        self._found: list[Finding] = []

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._found)

    def add(self, kind: str, count: int, examples: Sequence[str], action: str, setting: str = "") -> None:
        """Add a finding that never stops the night; the arguments are the attributes of `Finding`."""
        self._found.append(Finding(kind, count, tuple(examples), action, setting))

    def add_by_policy(self, policy: str, kind: str, count: int, examples: Sequence[str], action: str) -> None:
        """Add a finding that stops the night where its policy is `error`.

        Args:
            policy: The key of `AuditSettings` that decides about it.
            kind: As of `Finding`.
            count: As of `Finding`.
            examples: As of `Finding`.
            action: What the night does about it unless it stops.
        """
        fatal = getattr(self.policies, policy) == "error"
        action = "stops the night" if fatal else action
        self._found.append(Finding(kind, count, tuple(examples), action, f"audit.{policy}", fatal))

    def stop_where_fatal(self) -> None:
        """Raise where a policy calls a finding an error.

        Raises:
            InputError: names every such finding and its key of the job file.
        """
        fatal = [each for each in self._found if each.fatal]
        if fatal:
            found = "; ".join(
                f"{each.count} {in_number(each.kind, each.count)} ({each.shown_examples})" for each in fatal
            )
            keys = " and ".join(each.setting for each in fatal)
            raise InputError(
                f"The source holds {found}. Correct these rows, or set {keys} to another value than error."
            )


def abbreviate(name: object) -> str:
    """An id as messages show it: only its beginning where it is long."""
    text = str(name)
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"
