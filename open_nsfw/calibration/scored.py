"""Labelled pictures -> scores, through the one pipeline and into a file of rows that a later run goes on with."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from open_nsfw.calibration.labelled_set import Example, LabelledSet, identity_of
from open_nsfw.calibration.labels import Labels
from open_nsfw.cores import default_jobs
from open_nsfw.errors import UsageError
from open_nsfw.pictures.extraction import Extraction
from open_nsfw.progress import Progress
from open_nsfw.rows.finished import key_of
from open_nsfw.rows.options import OutputOptions, Wanted
from open_nsfw.rows.reader import read_rows
from open_nsfw.rows.row import Row, is_last, label
from open_nsfw.rows.writer import Writer, open_writer
from open_nsfw.scan import run as scan
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scan.run import count_ahead
from open_nsfw.scoring.load import load_models
from open_nsfw.scoring.model_files import ModelFiles, find_model_files
from open_nsfw.scoring.options import LoadOptions
from open_nsfw.scoring.scorer import Models
from open_nsfw.sources.item import SourceOptions
from open_nsfw.sources.walk import Sources

MOST_MODELS = 5  # named in a message


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
    engine: str | None = None
    """What computed the scores; None if nobody knows, or if several did."""
    has_pictures: bool = False
    """The pictures were at hand just now."""
    folders: tuple[str, ...] = ()
    """The folders of the classes, where LABELS has such."""


def from_entries(labels: Labels) -> Scored:
    """The entries of a file that has scores. Raises UsageError if they are of several models."""
    found = LabelledSet()
    models = {entry.model for entry in labels.entries if entry.model}
    if len(models) > 1:
        named = ", ".join([*sorted(models)[:MOST_MODELS], *(["..."] if len(models) > MOST_MODELS else [])])
        raise UsageError(f"the scores are of several models ({named}); calibrate for one")
    for entry in labels.entries:
        name = f"line {entry.line}" if entry.path is None else label(Row(entry.path, entry.member))
        if entry.score is None:
            found.add_failure(name, entry.error or "")
        else:
            about = (entry.path, entry.member, entry.group, entry.sha256, entry.weight)
            example = Example(entry.score, entry.nsfw, *about)
            found.add(example, name, identity_of(entry.sha256, entry.path, entry.member))
    engines = {entry.engine for entry in labels.entries if entry.score is not None}
    return Scored(found, next(iter(models), None), engine=_single(engines))


@dataclass(frozen=True)
class Keeping:
    """What is computed and kept of each picture beside its row."""

    load: Callable[[ModelFiles], Models]
    """Loads what computes it together with the scores."""
    keep: Callable[[list[Row]], None]
    """Called with rows before they are written: of a picture that has a row, it is kept."""
    has: Callable[[str, str | None], bool]
    """Whether it is kept of the picture (path, member) already; one of which it is not is scored again."""


def score(labels: Labels, options: ScoringOptions, keeping: Keeping | None = None) -> Scored:
    """Score the pictures, those that `options.scores_file` has from an earlier run excepted.

    Raises UsageError, OutputError and SetupError as the command that scores does.
    """

    files = find_model_files(options.model_def, options.pretrained_model)
    arguments = list(labels.folders) or list(dict.fromkeys(entry.path for entry in labels.entries if entry.path))
    output = OutputOptions(
        "jsonl",
        options.scores_file,
        resume=not options.overwrite,
        overwrite=options.overwrite,
        retry_failed=True,
        quiet=options.quiet,
        wanted=Wanted(model=files.short_hash, hash=True),
    )
    with open_writer(output) as writer:
        recorder = _Recorder(writer, partial(count_ahead, arguments), options.quiet, keeping)
        sources = Sources(arguments, SourceOptions(), recorder.skip)
        load = partial(_load, options) if keeping is None else keeping.load
        ended_by = _run(sources, options, partial(load, files), recorder)
    rows = _rows_of(options.scores_file, recorder.seen)
    found = _by_folder(labels.folders, rows) if labels.folders else _by_entry(labels, rows)
    engines = {row.engine for each in rows.values() for row in each if row.score is not None}
    return Scored(found, files.short_hash, sources.passed_over, ended_by, _single(engines), True, tuple(labels.folders))


def _single(engines: set[str] | set[str | None]) -> str | None:
    return next(iter(engines)) or None if len(engines) == 1 else None


def _load(options: ScoringOptions, files: ModelFiles) -> Models:
    return load_models(LoadOptions(engine=options.engine, gpu=options.gpu, threads=1), files)


def _run(sources: Sources, options: ScoringOptions, load: Callable[[], Models], recorder: _Recorder) -> int | None:
    pipeline = PipelineOptions(options.jobs or default_jobs(), Extraction(hash=True))
    try:
        return scan.run(sources, load, pipeline, recorder.write)
    finally:
        recorder.close()


class _Recorder:
    """Writes rows, shows a bar, and remembers which pictures belong to this run: the file may have others."""

    def __init__(
        self, writer: Writer, total: Callable[[], int | None], quiet: bool, keeping: Keeping | None = None
    ) -> None:
        self.seen: set[bytes] = set()
        self._keeping = keeping
        self._writer = writer
        self._is_finished = writer.skip()
        self._progress = Progress(total, shown=not quiet)

    def skip(self, path: str, member: str | None) -> bool:
        """Whether the file has this picture."""
        done = self._is_finished is not None and self._is_finished(path, member)
        if done and self._keeping is not None:
            done = self._keeping.has(path, member)
        if done:
            self._remember(path, member)
        return done

    def write(self, rows: list[Row]) -> None:
        """Take an item's rows."""
        if self._keeping is not None:
            self._keeping.keep(rows)
        self._writer.write(rows)
        for row in rows:
            if is_last(row.kind, row.views):
                self._remember(row.path, row.member)

    def _remember(self, path: str, member: str | None) -> None:

        self.seen.add(key_of(path, member))
        self._progress.advance()

    def close(self) -> None:
        """End the bar."""
        self._progress.close()


def _rows_of(scores_file: str, seen: set[bytes]) -> dict[str, list[Row]]:
    """The rows of this run's pictures, by path; frames are left to their summary."""

    rows: dict[str, list[Row]] = {}
    for row in read_rows(scores_file, "jsonl"):
        if is_last(row.kind, row.views) and key_of(row.path, row.member) in seen:
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
    failed: set[tuple[str, str | None]] = set()
    members: dict[tuple[str, str | None], list[Row]] = {}
    for path, each in rows.items():
        for row in each:
            members.setdefault((path, row.member), []).append(row)
    for entry in labels.entries:
        path, name = entry.path or "", (entry.path or "", entry.member)
        ours = rows.get(path, []) if entry.member is None else members.get(name, [])
        if name not in failed:
            if ours:
                _add(found, ours, entry.nsfw, entry.group, entry.weight)
            else:
                what = "file" if path not in rows else "picture in it"
                found.add_failure(label(Row(path, entry.member)), f"not-found: there is no such {what}")
        if not ours or any(row.score is None for row in ours):
            failed.add(name)  # once is enough for those who are named
    return found


def _add(
    found: LabelledSet, rows: Iterable[Row], nsfw: bool, group: str | None = None, weight: float | None = None
) -> None:
    for row in rows:
        if row.score is None:
            found.add_failure(label(row), row.error or "")
        else:
            identity = identity_of(row.sha256, row.path, row.member)
            found.add(Example(row.score, nsfw, row.path, row.member, group, row.sha256, weight), label(row), identity)
