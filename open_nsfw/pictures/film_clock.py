"""Which frames of a film are scored: one in so many seconds of what is shown, whatever the film's clock says.

A frame carries the time at which it is shown. In films that were joined, cut, recorded from the air or made to deceive,
these times start again, run backwards, stand still or jump. So no time is compared with the film's beginning: the
seconds of a film are the sum of the steps from each frame to the next, and a step that cannot be right counts as the
time that one frame usually takes.
"""

from __future__ import annotations

from fractions import Fraction

USUAL_RATE = 25  # frames a second of a film that does not say, or says what cannot be
SLOWEST_RATE = 1
# Steps that are longer are no pauses but another clock. Ten seconds is what FFmpeg takes for the same purpose in
# containers whose clocks may start again; in others a picture may stand for long, as in a recording of slides.
LONGEST_STEP = {"mpegts": 10, "mpeg": 10, "ogg": 10}
LONGEST_STEP_ELSEWHERE = 3600
# A clock that runs too slowly would leave a long stretch between two scored frames. No second of a film is taken to
# have more frames than this, as many as the fastest common cameras and screens show.
FASTEST_RATE = 240


class Clock:
    """The seconds of one video track, from 0 on; they never go back."""

    def __init__(self, usual_step: Fraction, longest_step: Fraction) -> None:
        self._usual, self._longest = usual_step, longest_step
        self._before: Fraction | None = None
        self._seconds: Fraction | None = None

    def tick(self, time: Fraction | None) -> Fraction:
        """When the next frame is shown, which says itself that this is at `time`, or does not say."""
        if self._seconds is None:
            self._seconds = Fraction(0)
        else:
            step = None if time is None or self._before is None else time - self._before
            self._seconds += step if step is not None and 0 < step <= self._longest else self._usual
        self._before = time
        return self._seconds


class Sampler:
    """Says of each frame whether it is to be scored."""

    def __init__(self, every: Fraction, tolerance: Fraction) -> None:
        """One in `every` seconds; a frame counts as in time for what is due up to `tolerance` after it, because
        containers round times."""
        self._every, self._tolerance = every, tolerance
        self._due = Fraction(0)
        self._unseen = 0  # frames since the last one that was scored
        self._most_unseen = max(1, int(every * FASTEST_RATE))

    def is_due(self, seconds: Fraction) -> bool:
        """Whether the frame at `seconds` is to be scored; asked once for each frame, in order."""
        self._unseen += 1
        at = seconds + self._tolerance
        if at < self._due and self._unseen < self._most_unseen:
            return False
        self._due = (at // self._every + 1) * self._every
        self._unseen = 0
        return True

    def restart(self, seconds: Fraction) -> None:
        """The frame at `seconds` is scored, and the next one is due so long after it."""
        self._due = seconds + self._every
        self._unseen = 0
