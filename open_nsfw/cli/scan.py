"""One scan as `classify_nsfw` was asked for it: from the request to the exit status."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from open_nsfw.cli.decisions import decide
from open_nsfw.cli.outputs import Name, check_output, files_of
from open_nsfw.cli.reporter import Reporter, Tally
from open_nsfw.cli.request import ScanRequest
from open_nsfw.cli.status import Status, ended_by
from open_nsfw.cores import default_jobs
from open_nsfw.errors import SetupError
from open_nsfw.pictures.containers import HEAD, container_of
from open_nsfw.pictures.formats import read_head, sniff
from open_nsfw.rows.options import OutputOptions, Wanted
from open_nsfw.rows.row import Row
from open_nsfw.rows.writer import Writer, open_writer
from open_nsfw.scan import run as scan
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scan.run import count_ahead
from open_nsfw.scoring.fast import escalates
from open_nsfw.scoring.model_files import ModelFiles, find_model_files, known_side, read_ranges
from open_nsfw.scoring.scorer import Models
from open_nsfw.sources.heads import is_surely_archive
from open_nsfw.sources.item import STDIN
from open_nsfw.sources.lists import read_list
from open_nsfw.sources.walk import Sources, is_container

if TYPE_CHECKING:
    from open_nsfw.rows.finished import Finished
    from open_nsfw.scan.score_cache import ScoreCache
    from open_nsfw.scan.sorting import Sorter
    from open_nsfw.sources.watch import WatchedFolder


class Scan:
    """One scan: a request, and what is known once its policy, inputs and model files have been looked at."""

    def __init__(self, program: str, request: ScanRequest) -> None:
        """`program` begins every line on stderr. Raises UsageError if the policy cannot be used."""
        self._program, self._request = program, request
        self._is_single = _is_single_picture(request)
        self._decisions = decide(request.verdict)

    def run(self) -> int:
        """Score everything; the exit status. Raises UsageError, OutputError and SetupError."""
        request = self._request
        check_output(request.output.path, _files_read(request))
        with self._open_cache() as cache, open_writer(self._output_options()) as writer:
            record = _Record(writer, self._reporter(writer), self._request)
            if writer.finished is not None:
                record.add_finished(writer.finished)
            watched = self._watched(writer)
            sources = watched or Sources(self._inputs(), request.sources, writer.skip())
            options, stop = self._pipeline_options(cache), None if watched is None else watched.stop
            signal = scan.run(sources, self._load, options, record.add, stop)
        record.close(sources.passed_over, 0 if cache is None else cache.found)
        if watched is not None and watched.problem is not None:
            raise SetupError(watched.problem)
        return ended_by(signal) if signal is not None else record.status()

    def _watched(self, writer: Writer) -> WatchedFolder | None:
        if self._request.watch is None:
            return None
        from open_nsfw.sources.watch import WatchedFolder  # few runs watch

        return WatchedFolder(self._request.watch, self._request.sources, writer.skip())

    @cached_property
    def _model_files(self) -> ModelFiles:
        """Found, read and hashed when first asked for."""
        return find_model_files(self._request.load.model_def, self._request.load.pretrained_model)

    def _open_cache(self) -> AbstractContextManager[ScoreCache | None]:
        if self._request.cache is None and self._request.watch is None:
            return nullcontext()
        from open_nsfw.scan.score_cache import (
            open_score_cache,
            passing_score_cache,
        )  # loads SQLite, which few runs need

        if self._request.cache is None:
            return passing_score_cache()  # for what is moved within the folder, or comes again
        return open_score_cache(self._request.cache) or nullcontext()

    def _pipeline_options(self, cache: ScoreCache | None) -> PipelineOptions:
        request, policy = self._request, self._decisions.policy
        return PipelineOptions(
            jobs=1 if self._is_single else request.jobs or default_jobs(),
            extraction=request.extraction,
            max_seconds=request.max_seconds,
            quick=request.load.fast,
            quick_side=known_side(request.load.model_def),
            above=self._decisions.above,
            segments=request.verdict.segments,
            stop_above=request.verdict.stop_above,
            verdict=None if policy is None else policy.verdict,
            cache=cache,
        )

    def _output_options(self) -> OutputOptions:
        options = replace(self._request.output, single=self._is_single)
        if not options.resume:
            return options
        return replace(options, wanted=self._wanted())

    def _wanted(self) -> Wanted:
        """What the rows of earlier runs are held to."""
        extraction, policy = self._request.extraction, self._decisions.policy
        return Wanted(
            model=self._model_files.short_hash,  # scores of two models in one file would be worth nothing
            keeps_inexact=self._keeps_inexact(),
            is_container=is_container,
            hash=extraction.hash,
            cells=self._request.explain,
            frame_choice=extraction.frames.name_for,
            views=extraction.views,
            upright=extraction.upright,
            segments=self._request.verdict.segments,
            stop_above=self._request.verdict.stop_above,
            max_frames=extraction.frames.max_frames,
            verdict=(lambda score: None) if policy is None else policy.verdict,
            above=self._decisions.above,
        )

    def _keeps_inexact(self) -> Callable[[float, str], bool]:
        """Whether a score of an earlier run that is not exact will do for this one: in the fast mode one that is far from
        all thresholds of now, and otherwise one that this run would compute in the same way."""
        load = self._request.load
        if not load.fast:
            return lambda score, engine: load.precision != "float32" and engine == f"openvino-{load.precision}"
        thresholds = self._decisions.thresholds
        margins = read_ranges(self._model_files, load.ranges)[0].margins_for(thresholds)
        largest = max(margins.full, margins.reduced)  # which of them the row was under, it does not say
        return lambda score, engine: not escalates(score, thresholds, largest)

    def _load(self) -> Models:
        """Raises SetupError, and UsageError if the policy was made for another model."""
        from open_nsfw.scoring.load import has_pycaffe, load_models

        if self._request.load.engine != "caffe" and not has_pycaffe():
            # NumPy's library of matrix products starts threads that spin for a while: it is imported in 45 ms without, in 60
            # to 90 with two. Nothing here is computed by it; Caffe's sums are.
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        # Many pictures: one a core, side by side. One picture: all cores on it.
        threads = None if self._is_single else 1
        load = replace(self._request.load, threads=threads, thresholds=self._decisions.thresholds)
        models = load_models(load, self._model_files)
        if self._decisions.policy is not None and not self._request.verdict.any_model:
            self._decisions.policy.check_model(models.exact.engine.model_hash)
        if not self._request.explain:
            return models
        from open_nsfw.scoring.explanation import Explainer  # few runs explain

        return replace(models, exact=Explainer(models.exact))

    def _reporter(self, writer: Writer) -> Reporter:
        tally = Tally(self._decisions.bands, self._decisions.fail_above, self._request.load.fast)
        return Reporter(self._program, tally, self._request.quiet, self._is_single, lambda: self._count_ahead(writer))

    def _count_ahead(self, writer: Writer) -> int | None:
        """How many items will come, for the bar; None where only going through them would tell."""
        if self._request.from_list is not None and not os.path.isfile(self._request.from_list):
            return None
        return count_ahead(list(self._inputs()), self._request.sources, writer.skip())

    def _inputs(self) -> Iterator[str]:
        yield from self._request.inputs
        if self._request.from_list is not None:
            yield from read_list(self._request.from_list)


class _Record:
    """All that is done about the rows of an item: they are written first; once they are, the rest can be made up for."""

    def __init__(self, writer: Writer, reporter: Reporter, request: ScanRequest) -> None:
        self._writer, self._reporter = writer, reporter
        self._sorter = _sorter(request, reporter)

    def add(self, rows: list[Row]) -> None:
        """Take the rows of one item."""
        if self._sorter is not None and rows:
            rows = self._sorter.revised(rows)
            if not rows:
                return
        self._writer.write(rows)
        self._reporter.add(rows)
        if self._sorter is not None:
            self._sorter.add(rows)

    def add_finished(self, finished: Finished) -> None:
        """Take the rows of earlier runs: summary and exit status are of the whole file, and a kill may have come between
        a row and what is done about it."""
        self._reporter.tally.add_earlier(finished.scores)
        if self._sorter is not None:
            self._sorter.catch_up(finished.rows())

    def close(self, passed_over: int, found: int) -> None:
        """Sum up. `passed_over`: files that the sources left out; `found`: those whose content was scored before."""
        self._reporter.close(passed_over, "" if self._sorter is None else self._sorter.summary(), found)

    def status(self) -> Status:
        """The exit status of a scan that came to its end."""
        if self._reporter.tally.too_high:
            return Status.ABOVE
        failed = self._reporter.tally.failed or (self._sorter is not None and self._sorter.failed)
        return Status.FAILED if failed else Status.DONE


def _files_read(request: ScanRequest) -> list[Name]:
    """Everything that the command line names to be read, None where it does not."""
    kept = None if request.cache is None else request.cache.path
    return [*request.inputs, request.from_list, request.verdict.policy, kept, *files_of(request.load)]


def _sorter(request: ScanRequest, reporter: Reporter) -> Sorter | None:
    if request.verdict.sorting is None:
        return None
    from open_nsfw.scan.sorting import Sorter  # few runs move or copy files

    return Sorter(request.verdict.sorting, reporter.tell)


def _is_single_picture(request: ScanRequest) -> bool:
    """Whether one plain picture is asked for, as Yahoo's command asks."""
    if len(request.inputs) != 1 or request.from_list is not None or request.extraction.frames.mode != "first":
        return False
    path = request.inputs[0]
    head = read_head(path, HEAD)
    if path == STDIN or (sniff(head) is not None and not is_surely_archive(head)):
        return True
    if container_of(head) is not None or is_container(path):
        return False
    return not set("*?[") & set(path)
