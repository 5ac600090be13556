"""Which frames of a film begin a scene, by FFmpeg's own measure, and the choice of frames by scenes.

The measure is that of FFmpeg's filters `select` and `scdet`: how much the pixels differ from those of the frame before, less
what differed there already, so that a moving camera is no new scene. A picture that fades slowly into another is none either:
in a long scene a frame is due every so many seconds as well. What flickers may have a scene in each frame.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from open_nsfw.pictures.film_clock import Sampler

CHANGE = 0.1  # of 1; what `scdet` takes for a new scene unless it is told otherwise
SIDES = (64, 36)  # pixels that are compared; the scores hardly differ from those of the full size
UNIT = Fraction(1, 1000)  # of times, in which the filters are not interested


class SceneSampler:
    """Says of each frame of a track whether it is to be scored: the first of each scene, and in a scene that lasts longer
    than `longest` seconds one every so often."""

    def __init__(self, av: Any, longest: Fraction, tolerance: Fraction) -> None:
        self._changes = _Changes(av)
        self._sampler = Sampler(longest, tolerance)

    def is_due(self, seconds: Fraction, frame: Any) -> bool:
        """Whether PyAV's `frame`, shown at `seconds`, is to be scored; asked once for each frame, in order."""
        begins, is_long = self._changes.is_new_scene(frame), self._sampler.is_due(seconds)
        if begins or is_long:
            self._sampler.restart(seconds)
        return begins or is_long


class _Changes:
    """Compares each frame with the one before it, by a graph of FFmpeg's filters that lets pass what begins a scene."""

    def __init__(self, av: Any) -> None:
        self._av = av
        self._graph: Any = None
        self._form: tuple[str, int, int] | None = None

    def is_new_scene(self, frame: Any) -> bool:
        """Whether a scene begins with this frame; where that cannot be told, it does."""
        form = (frame.format.name, frame.width, frame.height)
        try:
            begins = form != self._form or self._passes(frame)  # the filters compare frames of one size
            if begins:
                self._begin(form, frame)
        except (self._av.error.FFmpegError, ValueError):
            self._form = None
            return True
        return begins

    def _begin(self, form: tuple[str, int, int], frame: Any) -> None:
        """Compare with this frame from now on, and with nothing before it: the measure takes a change that follows on
        another for movement, and would miss the scene behind one that has a single frame."""
        self._graph, self._form = self._made(form), form
        self._passes(frame)

    def _made(self, form: tuple[str, int, int]) -> Any:
        name, width, height = form
        graph = self._av.filter.Graph()
        graph.link_nodes(
            graph.add_buffer(width=width, height=height, format=name, time_base=UNIT),
            graph.add("scale", f"{SIDES[0]}:{SIDES[1]}:flags=fast_bilinear"),
            graph.add("select", rf"gt(scene\,{CHANGE})"),
            graph.add("buffersink"),
        )
        graph.configure()
        return graph

    def _passes(self, frame: Any) -> bool:
        self._graph.push(frame)
        passed = False
        while True:
            try:
                self._graph.pull()
            except (self._av.error.BlockingIOError, self._av.error.EOFError):  # nothing is left in it
                return passed
            passed = True
