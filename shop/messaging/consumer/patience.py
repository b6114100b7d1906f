"""Pauses between the tries of a lone event, before it counts as poisonous."""

import random
from time import sleep

TRIES = 3  # of an event alone, before it is parked

PAUSES = (0.2, 1.0)  # seconds after the first and the second failure, with jitter

LIMIT = 15.0  # seconds of pauses in one delivery of a batch; it exceeds those of a lane that stops


class Patience:
    """The pauses that one delivery has left, however many of its events fail.

    A pause is taken between two transactions: nothing is locked meanwhile. Once the limit is reached the
    tries follow each other at once, so that a batch full of poison takes seconds, not minutes.
    """

    def __init__(self) -> None:
        self._left = LIMIT

    def pause(self, failures: int) -> None:
        """Wait before the next try of an event that failed ``failures`` times."""
        seconds = min(self._left, PAUSES[failures - 1] * random.uniform(0.8, 1.2))
        self._left -= seconds
        if seconds:
            sleep(seconds)
