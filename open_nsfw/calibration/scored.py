"""Labelled pictures -> scores, through the one pipeline and into a file of rows that a later run goes on with."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from open_nsfw.calibration.labels import Example, LabelledSet, Labels, identity_of
from open_nsfw.errors import InputError, UsageError
from open_nsfw.progress import Progress
from open_nsfw.rows.options import OutputOptions
from open_nsfw.rows.row import Row, label
from open_nsfw.rows.writer import Writer, open_writer
from open_nsfw.text import printable

if TYPE_CHECKING:
    from open_nsfw.scoring.model_files import ModelFiles

THUMBNAIL_QUALITY = 70  # of JPEG; about 8 kB each
THUMBNAIL_SECONDS = 60.0  # to decode one, as in a scan


@dataclass(frozen=True)
class ScoringOptions:
    """How pictures are scored."""

    scores_file: str
    """JSON lines, as `classify_nsfw.py --format jsonl --hash` writes them."""
    model_def: str | None = None
    pretrained_model: str | None = None
    engine: str = "auto"
    gpu: int | None = None
    jobs: int | None = None
    overwrite: bool = False
    """Score all pictures anew."""
    quiet: bool = False


@dataclass(frozen=True)
class Scored:
    """The labelled pictures with their scores, and which model gave them (its hash; None if nobody knows)."""

    found: LabelledSet
    model: str | None
    passed_over: int = 0
    """Files in the folders that are no pictures."""
    ended_by: int | None = None
    """The signal that cut the scoring short."""


def from_entries(labels: Labels) -> Scored:
    """The entries of a file that has scores. Raises UsageError if they are of several models."""
    found = LabelledSet()
    models = {entry.model for entry in labels.entries if entry.model}
    if len(models) > 1:
        raise UsageError(f"the scores are of several models ({', '.join(sorted(models))}); calibrate for one")
    for entry in labels.entries:
        name = f"line {entry.line}" if entry.path is None else label(Row(entry.path, entry.member))
        if entry.score is None:
            found.add_failure(name, entry.error or "")
        else:
            example = Example(entry.score, entry.nsfw, entry.path, entry.member)
            found.add(example, name, identity_of(entry.sha256, entry.path, entry.member))
    return Scored(found, next(iter(models), None))


def score(labels: Labels, options: ScoringOptions) -> Scored:
    """Score the pictures, those that `options.scores_file` has from an earlier run excepted.

    Raises UsageError, OutputError and SetupError as the command that scores does.
    """
    from open_nsfw.scan.run import count_ahead
    from open_nsfw.scoring.model_files import find_model_files
    from open_nsfw.sources.item import SourceOptions
    from open_nsfw.sources.walk import Sources

    files = find_model_files(options.model_def, options.pretrained_model)
    arguments = list(labels.folders) or list(dict.fromkeys(entry.path for entry in labels.entries if entry.path))
    output = OutputOptions(
        "jsonl",
        options.scores_file,
        resume=not options.overwrite,
        overwrite=options.overwrite,
        retry_failed=True,
        model=files.short_hash,
    )
    with open_writer(output) as writer:
        notes = _Notes(writer, partial(count_ahead, arguments), options.quiet)
        sources = Sources(arguments, SourceOptions(), notes.skip)
        ended_by = _run(sources, options, files, notes)
    rows = _rows_of(options.scores_file, notes.seen)
    found = _by_folder(labels.folders, rows) if labels.folders else _by_entry(labels, rows)
    return Scored(found, files.short_hash, sources.passed_over, ended_by)


def _run(sources: Any, options: ScoringOptions, files: ModelFiles, notes: _Notes) -> int | None:
    from open_nsfw.cores import available_cores
    from open_nsfw.pictures.extraction import Extraction
    from open_nsfw.scan import run as scan
    from open_nsfw.scan.pipeline import PipelineOptions
    from open_nsfw.scoring.scorer import Models

    def load() -> Models:
        from open_nsfw.scoring.load import load_models
        from open_nsfw.scoring.options import LoadOptions

        return load_models(LoadOptions(engine=options.engine, gpu=options.gpu, threads=1), files)

    pipeline = PipelineOptions(options.jobs or available_cores(), Extraction(hash=True))
    try:
        return scan.run(sources, load, pipeline, notes.write)
    finally:
        notes.close()


class _Notes:
    """Writes rows, shows a bar, and remembers which pictures belong to this run: the file may have others."""

    def __init__(self, writer: Writer, total: Callable[[], int | None], quiet: bool) -> None:
        self.seen: set[bytes] = set()
        self._writer = writer
        self._progress = Progress(total, shown=not quiet)

    def skip(self, path: str, member: str | None) -> bool:
        """Whether the file has this picture."""
        done = self._writer.is_done(path, member)
        if done:
            self._note(path, member)
        return done

    def write(self, rows: list[Row]) -> None:
        """Take an item's rows."""
        self._writer.write(rows)
        for row in rows:
            if row.kind != "frame":
                self._note(row.path, row.member)

    def _note(self, path: str, member: str | None) -> None:
        from open_nsfw.rows.finished import key_of

        self.seen.add(key_of(path, member))
        self._progress.advance()

    def close(self) -> None:
        """End the bar."""
        self._progress.close()


def _rows_of(scores_file: str, seen: set[bytes]) -> dict[str, list[Row]]:
    """The rows of this run's pictures, by path; frames are left to their summary."""
    from open_nsfw.rows.finished import key_of
    from open_nsfw.rows.reader import read_rows

    rows: dict[str, list[Row]] = {}
    for row in read_rows(scores_file, "jsonl"):
        if row.kind != "frame" and key_of(row.path, row.member) in seen:
            rows.setdefault(row.path, []).append(row)
    return rows


def _by_folder(folders: dict[str, bool], rows: dict[str, list[Row]]) -> LabelledSet:
    found = LabelledSet()
    for path in sorted(rows):
        nsfw = next(
            nsfw for folder, nsfw in folders.items() if path == folder or path.startswith(os.path.join(folder, ""))
        )
        _add(found, rows[path], nsfw)
    return found


def _by_entry(labels: Labels, rows: dict[str, list[Row]]) -> LabelledSet:
    found = LabelledSet()
    failed: set[str] = set()
    for entry in labels.entries:
        path = entry.path or ""
        if path in rows and path not in failed:
            _add(found, rows[path], entry.nsfw)
        elif path not in failed:
            found.add_failure(printable(path), "not-found: there is no such file")
        if path not in rows or any(row.score is None for row in rows[path]):
            failed.add(path)  # once is enough for those who are named
    return found


def _add(found: LabelledSet, rows: Iterable[Row], nsfw: bool) -> None:
    for row in rows:
        if row.score is None:
            found.add_failure(label(row), row.error or "")
        else:
            identity = identity_of(row.sha256, row.path, row.member)
            found.add(Example(row.score, nsfw, row.path, row.member), label(row), identity)


# --- small pictures for the report ---


def thumbnails(examples: list[Example]) -> dict[tuple[str, str | None], bytes]:
    """Small JPEGs of these pictures, of a video's first frame, by (path, member); those that cannot be had are left
    out.

    They are decoded where the pipeline decodes, in a process of their own.
    """
    from open_nsfw.pictures.extraction import Extraction, FrameChoice
    from open_nsfw.pictures.isolation import DecodeWorker, Watchdog
    from open_nsfw.sources.walk import Sources

    wanted = {(example.path, example.member) for example in examples if example.path is not None}
    paths = sorted({path for path, _ in wanted if path is not None and os.path.exists(path)})
    found: dict[tuple[str, str | None], bytes] = {}
    watchdog = Watchdog()
    worker = DecodeWorker(Extraction(frames=FrameChoice(max_frames=1)), THUMBNAIL_SECONDS, watchdog)
    try:
        for item in Sources(paths, skip=lambda path, member: (path, member) not in wanted):
            for message, pixels in _pictures(worker, item):
                found[item.path, item.member] = _small(message["width"], message["height"], pixels)
            item.close()
    finally:
        worker.close()
        watchdog.close()
    return found


def _pictures(worker: Any, item: Any) -> Iterator[tuple[dict[str, Any], bytes]]:
    if item.error is not None:
        return
    try:
        for message, pixels in worker.messages(item.location, item.data):
            if message["kind"] == "picture":
                yield message, pixels
    except InputError:
        return  # it has changed since it was scored, or it is a video with more frames


def _small(width: int, height: int, pixels: bytes) -> bytes:
    """A JPEG of uint8 (256, 256, 3), which is what the network looks at, in the picture's own proportions."""
    from PIL import Image

    from open_nsfw.pictures.formats import SIDE

    longest = max(width, height)
    size = max(1, round(SIDE * width / longest)), max(1, round(SIDE * height / longest))
    file = io.BytesIO()
    Image.frombytes("RGB", (SIDE, SIDE), pixels).resize(size).save(file, "JPEG", quality=THUMBNAIL_QUALITY)
    return file.getvalue()
