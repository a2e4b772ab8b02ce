"""How many training steps there is time for: decided once, from the speed of the first rounds, and in coarse steps.

The learning rate falls over that number of steps, so whoever gets another number gets another network. Each length is
about 1.4 times as long as the next one. A length that an earlier training of the job had is kept while there is time
for it, so that a machine that is a little slower or faster trains the same network.
"""

from __future__ import annotations

from dataclasses import dataclass

# After the best weights are found, this share of as many steps again includes the newest windows.
SETTLING_SHARE = 0.2
# A new length must leave a fifth of the time, one that the job had before a twentieth.
_OF_A_NEW_LENGTH, _OF_A_FORMER_LENGTH = 0.8, 0.95


@dataclass(frozen=True)
class Pace:
    """How fast a training is.

    Attributes:
        done: Training steps made.
        elapsed: Seconds since the training began, compilation included.
        seconds_a_step: Seconds of a step when nothing else disturbs it, validation included.
    """

    done: int
    elapsed: float
    seconds_a_step: float

    def seconds(self, steps: int) -> float:
        """Seconds of the whole training if it takes so many steps, with those on the newest windows after them."""
        return self.elapsed + (steps * (1 + SETTLING_SHARE) - self.done) * self.seconds_a_step


def steps_in_time(planned: int, pace: Pace, limit: float, before: int | None = None) -> int:
    """The number of training steps that there is time for, at least those that are made already.

    Args:
        planned: Steps that were planned.
        pace: How fast the training has been so far.
        limit: Seconds that the training may take.
        before: The number that an earlier training of the job had; None where there is none.

    >>> pace = Pace(done=50, elapsed=10.0, seconds_a_step=0.2)
    >>> steps_in_time(600, pace, limit=200.0), steps_in_time(600, pace, limit=150.0)
    (600, 424)
    >>> steps_in_time(600, pace, limit=155.0, before=600)
    600
    """
    lengths = _lengths(planned, pace.done)
    for steps in lengths:
        share = _OF_A_FORMER_LENGTH if steps == before else _OF_A_NEW_LENGTH
        if pace.seconds(steps) <= share * limit:
            return steps
    return lengths[-1]


def _lengths(planned: int, least: int) -> list[int]:
    """Numbers of steps, longest first, each the last one divided by the square root of two; the least comes last."""
    halvings = (round(planned * 2 ** (-half / 2)) for half in range(64))
    return [steps for steps in halvings if steps > least] + [least]
