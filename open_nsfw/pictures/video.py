"""Frames of a film, by PyAV (the extra `video`).

file -> packets of its video tracks -> frames -> those that are due -> pictures
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO

from PIL import Image

from open_nsfw.errors import InputError
from open_nsfw.pictures.containers import HEAD, container_of
from open_nsfw.pictures.decode import check_pixels
from open_nsfw.pictures.extraction import NO_PICTURES, Extraction, too_many_frames
from open_nsfw.pictures.film_clock import (
    FASTEST_RATE,
    LONGEST_STEP,
    LONGEST_STEP_ELSEWHERE,
    SLOWEST_RATE,
    USUAL_RATE,
    Clock,
    Sampler,
)
from open_nsfw.pictures.film_file import Damage, FilmFile, import_av, open_film, packets, reason_of
from open_nsfw.pictures.picture import Failure, Found
from open_nsfw.pictures.scenes import SceneSampler
from open_nsfw.pictures.upright import frame_orientation
from open_nsfw.pictures.views import views

# Streams in these containers can be joined end to end. FFmpeg knows only the tracks that it found at the beginning; where
# no more of them comes, the rest is opened anew, up to so many times.
JOINABLE = ("mpegts", "mpeg")
MOST_PARTS = 64
# Packets without a frame, more than any decoder keeps back: the track goes on in another coding.
SILENT_PACKETS = 64
FORGIVEN = 8  # of these for a frame: decoders take some packets of another coding for frames
OVERLAP = 4  # packets before these that are read once more, as the tables of a transport stream stand between packets

FULL_RANGE = 2  # AVCOL_RANGE_JPEG: black is 0 and white 255
BT_709, BT_601 = 1, 5  # SWS_CS_ITU709, SWS_CS_ITU601


def video_pictures(source: str | BinaryIO, options: Extraction) -> Iterator[Found]:
    """A film's frames, of each of its video tracks one every `options.frames.every_seconds`, the first and the last one
    always, and with `options.frames.scenes` the first of each scene.

    Raises InputError if there is no picture at all, and after the last frame if something in between was damaged.
    """
    av = import_av()
    try:
        with open(source, "rb") if isinstance(source, str) else nullcontext(source) as file:
            yield from _Film(av, file, options).pictures()
    except OSError as error:  # of the disk; those of FFmpeg are dealt with where they come
        raise InputError("unreadable", f"cannot be read: {reason_of(error)}") from error


@dataclass(frozen=True)
class _Shown:
    """A frame that was decoded: PyAV's frame, its number in its track, and when it is shown."""

    frame: Any
    index: int
    seconds: Fraction


class _Track:
    """One video track while it is read."""

    def __init__(self, stream: Any, number: int | None, container: str, every: Fraction, scenes_of: Any = None) -> None:
        """`number` is None for the only one; `scenes_of`: the module `av`, where scenes are to be told apart."""
        rate = stream.average_rate or 0
        usual = 1 / Fraction(rate if SLOWEST_RATE <= rate <= FASTEST_RATE else USUAL_RATE)
        self._clock = Clock(usual, Fraction(LONGEST_STEP.get(container, LONGEST_STEP_ELSEWHERE)))
        self._unit = stream.time_base or usual  # of times in the container
        tolerance = min(usual, self._unit) / 2
        self._sampler = Sampler(every, tolerance)
        self._scenes = None if scenes_of is None else SceneSampler(scenes_of, every, tolerance)
        self.number = number
        self.count = 0  # frames decoded
        self.seconds = Fraction(0)  # when the last of them is shown
        self.unscored: _Shown | None = None  # the last of them, unless it was due
        self.silent = 0  # packets without a frame of late
        self.begun: deque[int] = deque(maxlen=OVERLAP)  # where in the part the last packets before them begin

    def take(self, frame: Any) -> _Shown | None:
        """The frame, if it is to be scored."""
        self.seconds = self._clock.tick(None if frame.pts is None else frame.pts * (frame.time_base or self._unit))
        shown = _Shown(frame, self.count, self.seconds)
        scenes = self._scenes
        due = self._sampler.is_due(self.seconds) if scenes is None else scenes.is_due(self.seconds, frame)
        self.count += 1
        self.silent = max(0, self.silent - FORGIVEN)
        self.unscored = None if due else shown
        return shown if due else None

    def begin_part(self) -> None:
        """The packets to come are those of another part."""
        self.silent = 0
        self.begun.clear()

    def await_frame(self, place: int) -> None:
        """The packet that begins at `place` is about to be decoded."""
        if not self.silent or not self.begun:
            self.begun.append(place)
        self.silent += 1

    def where(self) -> str:
        """The place that was reached, for people."""
        track = "" if self.number is None else f" of track {self.number}"
        return f"after frame {self.count - 1}{track} at {float(self.seconds):.6g} s" if self.count else "at its start"


class _Film:
    """One file while it is read."""

    def __init__(self, av: Any, file: BinaryIO, options: Extraction) -> None:
        self._av, self._file, self._options = av, file, options
        container = container_of(file.read(HEAD))
        if container is None:
            raise InputError("undecodable", "a damaged or unknown video: it does not begin like one")
        self._container = container
        self._every = Fraction(str(float(options.frames.every_seconds)))  # 0.2 is a fifth, which no float is
        self._tracks: dict[int, _Track] = {}  # by their number
        self._several = False
        self._is_last_part = False
        self._scored = 0
        self._damage = Damage()
        self._reformatter = av.video.reformatter.VideoReformatter()

    def pictures(self) -> Iterator[Found]:
        """All that is due, part after part, and the last frame of each track."""
        start = 0
        for part in range(MOST_PARTS):
            self._is_last_part = part == MOST_PARTS - 1
            start = yield from self._part(start)
            if not start:
                break
        else:
            self._damage.add("at its end", "it is joined from more parts than are read")
        for track in self._tracks.values():
            if track.unscored is not None:
                yield from self._views(track, track.unscored)
        if not any(track.count for track in self._tracks.values()):
            raise InputError("truncated", "a damaged video: not one frame of it can be decoded")
        self._damage.check()

    def _part(self, start: int) -> Generator[Found, None, int]:
        """The frames of the part that begins at byte `start`. Returns where the next one begins; 0 if there is none."""
        file = FilmFile(self._file, start)
        try:
            container = open_film(self._av, file, self._container)
        except InputError:
            if not start:
                raise
            return 0  # what is left is no film
        with container:
            streams, failures = self._usable(container, is_first=not start)
            if not streams:
                return 0
            yield from failures
            before = sum(track.count for track in self._tracks.values())
            following = yield from self._frames(container, streams)
        if file.error is not None:
            self._damage.add("where reading fails", file.error)
            return 0
        any_frame = before < sum(track.count for track in self._tracks.values())
        goes_on = self._container in JOINABLE and any_frame and 0 < following < file.size
        return start + following if goes_on else 0

    def _goes_on_in_parts(self) -> bool:
        return self._container in JOINABLE and not self._is_last_part

    def _usable(self, container: Any, is_first: bool) -> tuple[dict[Any, _Track], list[Failure]]:
        """The video streams of a part that can be decoded, and why others cannot. A part goes on with the tracks of the one
        before it, by their numbers. Raises InputError if the first one has no stream to decode."""
        streams = [each for each in container.streams.video if not self._is_cover(each)]
        if is_first and not streams:
            raise InputError(NO_PICTURES, "a media file without a video stream")
        self._several = self._several or len(streams) > 1
        usable, failures = {}, []
        for number, stream in enumerate(streams):
            try:
                self._check(stream)
            except InputError as error:
                failures.append(Failure(error, 0, None, number if self._several else None))
                continue
            if number not in self._tracks:
                label = number if self._several else None
                scenes_of = self._av if self._options.frames.scenes else None
                self._tracks[number] = _Track(stream, label, self._container, self._every, scenes_of)
            usable[stream] = self._tracks[number]
        if is_first and not usable:
            raise failures[0].error
        return usable, failures

    def _is_cover(self, stream: Any) -> bool:
        """Whether a stream is a picture that is attached to the film, or to a piece of music."""
        kinds = self._av.stream.Disposition
        return kinds.attached_pic in stream.disposition and kinds.timed_thumbnails not in stream.disposition

    def _check(self, stream: Any) -> None:
        """Raises InputError for a stream that is not to be decoded, or cannot be."""
        coding = stream.codec_context
        if coding is None:
            raise InputError("unsupported", "a video in a coding that FFmpeg has no decoder for")
        check_pixels(coding.width, coding.height, self._options.limits)
        stream.thread_type = "NONE"  # the other cores have files of their own

    def _frames(self, container: Any, streams: dict[Any, _Track]) -> Generator[Found, None, int]:
        """The frames of a part that are due. Returns the byte, counted from its beginning, behind the last packet from
        which a frame came or may have come."""
        tracks = {stream.index: track for stream, track in streams.items()}
        before = {index: track.count for index, track in tracks.items()}
        for track in tracks.values():
            track.begin_part()
        end = 0
        for packet in packets(self._av, container, list(streams), self._damage):
            track, place = tracks[packet.stream.index], end if packet.pos is None else packet.pos
            track.await_frame(place)
            end = max(end, place + packet.size)
            yield from self._decoded(track, packet.decode)
            if track.silent > SILENT_PACKETS and track.count > before[packet.stream.index] and self._goes_on_in_parts():
                break
        silent = [track.begun[0] for track in tracks.values() if track.silent > SILENT_PACKETS]
        for stream, track in streams.items():
            yield from self._decoded(track, stream.decode)  # what the decoder still holds
        return min([end, *silent])

    def _decoded(self, track: _Track, decode: Callable[[], list[Any]]) -> Iterator[Found]:
        """Of the frames that `decode` gives those that are due, as pictures. What fails is damage, and the film goes on."""
        try:
            frames = decode()
        except EOFError:  # the decoder has nothing more
            return
        except (self._av.error.FFmpegError, ValueError, OSError) as error:
            self._damage.add(track.where(), error)
            return
        for frame in frames:
            if frame.is_corrupt and track.count:  # those before the first that is whole are left over from a cut
                self._damage.add(track.where(), "the next frame is incomplete")
            shown = track.take(frame)
            if shown is not None:
                yield from self._views(track, shown)

    def _views(self, track: _Track, shown: _Shown) -> Iterator[Found]:
        """A frame by Yahoo's recipe. Raises InputError if there were enough of them."""
        if self._scored == self._options.frames.max_frames:
            raise too_many_frames(self._options.frames)
        self._scored += 1
        where = (shown.index, round(float(shown.seconds), 6), track.number)
        try:
            check_pixels(shown.frame.width, shown.frame.height, self._options.limits)
            image = self._image(shown.frame)
            image.format = self._container.upper()
            orientation = frame_orientation(shown.frame) if self._options.upright else None
            yield from views(image, self._options, *where, orientation=orientation)
        except InputError as error:
            yield Failure(error, *where)
        except (self._av.error.FFmpegError, ValueError, OSError) as error:
            yield Failure(InputError("undecodable", f"a damaged video: {reason_of(error)}"), *where)

    def _image(self, frame: Any) -> Image.Image:
        """A frame of PyAV as a Pillow image, RGB, with the colours that the film says its numbers stand for."""
        # PyAV pays attention to what is said of the film's numbers only if RGB is said to have another colour space, which
        # it has not: it has none.
        form = frame.format
        if not form.is_rgb and len(form.components) >= 3:
            is_full = form.name.startswith("yuvj")
            frame = self._reformatter.reformat(
                frame,
                format="rgb24",
                src_colorspace=frame.colorspace,
                dst_colorspace=BT_601 if frame.colorspace == BT_709 else BT_709,
                src_color_range=FULL_RANGE if is_full else frame.color_range,
                dst_color_range=FULL_RANGE,
            )
        image: Image.Image = frame.to_image()
        return image
