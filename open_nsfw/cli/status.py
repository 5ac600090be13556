"""The exit statuses of `classify_nsfw` and of every verb of `open-nsfw`."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """What a process ends with."""

    DONE = 0
    """All went well: every input has its score, the comparison is passed, the policy holds."""
    FAILED = 1
    """The work was done, and its result is not good: an input has no score, a comparison fails, a policy no longer holds."""
    ERROR = 2
    """The command line, the model or the output is at fault; one line on stderr says what to do."""
    ABOVE = 3
    """A score is at or above --fail-above."""
    INTERRUPTED = 130
    """Ended by SIGINT, that is Ctrl-C."""
    TERMINATED = 143
    """Ended by SIGTERM."""


def ended_by(signal: int) -> int:
    """The exit status of a command that a signal ended: 128 + its number, as shells have it."""
    return 128 + signal


SIGNALS = "130 or 143 ended by SIGINT or SIGTERM"  # in the exit statuses that a help lists
