"""Videos -> their scores over time, with small pictures of where they are highest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from open_nsfw.calibration.thumbnails import small_jpeg
from open_nsfw.errors import InputError
from open_nsfw.pictures.extraction import PICTURE_FORMATS
from open_nsfw.pictures.isolation import DecodeWorker
from open_nsfw.pictures.picture import Failure, Picture
from open_nsfw.pictures.pixels import as_array
from open_nsfw.rows.row import Row, label
from open_nsfw.scan.decoders import Decoders
from open_nsfw.scan.seen import with_something_to_see
from open_nsfw.scan.segments import Moment
from open_nsfw.scoring.classifier import Classifier
from open_nsfw.sources.item import Item

PEAKS = 6  # small pictures of one track
APART = 2.0  # seconds between two peaks at least, or a twentieth of the track if that is more
CANDIDATES = 60  # peaks that are held until the length of the track is known


@dataclass(frozen=True)
class Peak:
    """A frame that scores higher than those around it."""

    moment: Moment
    thumbnail: bytes
    """JPEG, in the film's own proportions."""


@dataclass(frozen=True)
class Track:
    """One video track of a file, or an animation."""

    name: str
    """For people, on one line."""
    moments: tuple[Moment, ...]
    """Of the frames that have a score, in order; at least one."""
    peaks: tuple[Peak, ...]
    """The highest first."""

    @property
    def highest(self) -> Moment:
        """The first of the frames with the highest score."""
        return max(self.moments, key=lambda moment: moment.score)

    @property
    def is_timed(self) -> bool:
        """Whether all frames say when they are shown."""
        return all(moment.seconds is not None for moment in self.moments)


@dataclass(frozen=True)
class Film:
    """What came of one item."""

    name: str
    """For people, on one line."""
    tracks: tuple[Track, ...]
    errors: tuple[str, ...] = ()
    """What could not be read or scored."""
    is_still: bool = False
    """Whether it is a picture, which has no time."""


def watch(items: Iterable[Item], classifier: Classifier, decoders: Decoders) -> Iterator[Film]:
    """Score each item, in their order; what was taken for its content alone and has only sound is passed over. Raises
    SetupError."""
    return with_something_to_see(decoders.map(partial(_watched, classifier), items))


def _watched(classifier: Classifier, worker: DecodeWorker, item: Item) -> tuple[Item, Film, InputError | None]:
    """One item, in the thread of a decoding process."""
    tracks: dict[int | None, _Growing] = {}
    errors = [] if item.error is None else [item.error]
    is_still = False
    try:
        for found in worker.decode(item.encoded) if item.error is None else ():
            if isinstance(found, Picture) and found.frame is None and found.format in PICTURE_FORMATS:
                is_still = True
            elif isinstance(found, Picture):
                (score,) = classifier.score_pixels([as_array(found)])
                if score.error is not None:
                    errors.append(score.error)
                else:
                    tracks.setdefault(found.track, _Growing()).add(found, float(score))
            elif isinstance(found, Failure):
                errors.append(found.error)
    except InputError as error:
        errors.append(error)
    grown = (grown.track(label(Row(item.path, item.member, track=number))) for number, grown in tracks.items())
    film = Film(label(Row(item.path, item.member)), tuple(grown), tuple(map(str, errors)), is_still)
    return item, film, errors[0] if errors else None


class _Growing:
    """A track while it is scored: its peaks are found on the way, so that no other frame's pixels are held."""

    def __init__(self) -> None:
        self._moments: list[Moment] = []
        self._peaks: list[Peak] = []

    def add(self, picture: Picture, score: float) -> None:
        """Take the next frame."""
        assert picture.frame is not None
        moment = Moment(picture.frame, picture.seconds, score)
        self._moments.append(moment)
        near = [peak for peak in self._peaks if _distance(peak.moment, moment) < APART]
        is_full = len(self._peaks) == CANDIDATES
        if any(peak.moment.score >= score for peak in near) or (
            is_full and not near and self._peaks[-1].moment.score >= score
        ):
            return
        kept = [peak for peak in self._peaks if peak not in near]
        self._peaks = _by_score([*kept, Peak(moment, small_jpeg(picture))])[:CANDIDATES]

    def track(self, name: str) -> Track:
        """The whole of it."""
        apart = max(APART, _distance(self._moments[0], self._moments[-1]) / 20)
        chosen: list[Peak] = []
        for peak in self._peaks:
            if len(chosen) < PEAKS and all(_distance(peak.moment, other.moment) >= apart for other in chosen):
                chosen.append(peak)
        return Track(name, tuple(self._moments), tuple(chosen))


def _distance(one: Moment, other: Moment) -> float:
    """Seconds between two frames; where they have no times, so many frames."""
    if one.seconds is None or other.seconds is None:
        return float(abs(one.frame - other.frame))
    return abs(one.seconds - other.seconds)


def _by_score(peaks: list[Peak]) -> list[Peak]:
    """The highest first, and of equal ones the earliest."""
    return sorted(peaks, key=lambda peak: (-peak.moment.score, peak.moment.frame))
