"""LABELS -> a better caffemodel, or the word that it is not better. The stages, in order:

    features   every labelled picture through the one pipeline, its features kept on disk
    split      groups of pictures to learn from, to choose by, and to test on
    tune       the head is fitted, its settings chosen on held-out folds
    steps      layers below it are trained, as long as that helps on held-out folds
    measure    before and after on the test pictures
    check      do engines compute from the written files what training computed?
    ranges     what the fast mode must know about the new model

`write` in output.py then leaves everything in the folder.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from open_nsfw.calibration import groups
from open_nsfw.calibration.calibrate import calibrate
from open_nsfw.calibration.choices import Wishes
from open_nsfw.calibration.curves import BootstrapOptions
from open_nsfw.calibration.label_source import read_labels
from open_nsfw.calibration.labelled_set import LabelledSet
from open_nsfw.calibration.labels import Labels
from open_nsfw.calibration.policy import Policy
from open_nsfw.calibration.request import CalibrationRequest
from open_nsfw.calibration.scored import Scored, ScoringOptions
from open_nsfw.errors import ModelError, UsageError
from open_nsfw.files import write_whole
from open_nsfw.nets.read import read_net
from open_nsfw.nets.replace_blobs import replace_blobs
from open_nsfw.nets.training import DEPLOY
from open_nsfw.scoring.model_files import ModelFiles, find_model_files
from open_nsfw.training import output
from open_nsfw.training.check import check_files
from open_nsfw.training.deep import THIS_MACHINE
from open_nsfw.training.epochs import open_board
from open_nsfw.training.fast_ranges import measure_ranges
from open_nsfw.training.features import FOLDER, Dataset, extract
from open_nsfw.training.head import find_head
from open_nsfw.training.measure import compare
from open_nsfw.training.place import Place
from open_nsfw.training.request import TuneRequest
from open_nsfw.training.result import Tuning
from open_nsfw.training.split import Split, split
from open_nsfw.training.stages import DEEP, HEAD, find_part
from open_nsfw.training.steps import Material, keeps_pixels, take_steps, trained_score
from open_nsfw.training.torch_net import check_device, check_part
from open_nsfw.training.tune import Tuned, check_labels, tune_head

CANDIDATE = "candidate.caffemodel"  # the new weights until they are checked


def fine_tune(request: TuneRequest, place: Place = THIS_MACHINE, started: float | None = None) -> Tuning | int:
    """Everything up to the files; a signal's number if one cut the work short. `place`: where layers below the head are
    trained. `started`: what time.monotonic() said when the work began; None: it begins now.

    Raises UsageError for labels that nothing can be learnt from, ModelError for a model that cannot be tuned, OutputError
    where the folder cannot be written.
    """
    started = time.monotonic() if started is None else started
    labels = read_pictures(request)
    source = find_model_files(request.model_def, request.pretrained_model)
    head = find_head(source)
    check_request(source, request)
    board = None if request.tensorboard is None else open_board(request.tensorboard)
    output.prepare(request)
    data = extract(labels, source, head, request, place.keeps_pixels and keeps_pixels(request.train))
    if isinstance(data, int):
        return data
    if request.overwrite:
        output.remove_trainings(Path(request.folder, FOLDER))
    scores = np.array([example.score for example in data.examples])
    check_labels(scores, data.nsfw, request.labels)
    parts = split(data.examples, data.features, data.nsfw, data.scored.folders, request.group_by, request.seed)
    net = read_net(source.model_def, source.pretrained_model)
    work = Path(request.folder, FOLDER)
    material = Material(source, net, head, data, parts, request, work, started, board, place)
    tuned = take_steps(material, tune_head(head, data, parts, request.prevalence, request.seed))
    found = {"before": scores[parts.test], "recalibrated": tuned.recalibrated, "after": tuned.test_scores}
    how = BootstrapOptions(request.resamples, request.seed, request.confidence)
    tested = [data.examples[index] for index in parts.test]
    sample = groups.sample_of(tested, parts.groups[parts.test])
    comparison = compare(found, sample, request.max_fpr, request.prevalence, how)
    model = _candidate(source, tuned, request)
    try:
        with trained_score(material, tuned) as trained:
            agreements = check_files(trained, model, tested, request.jobs)
    except ModelError:
        output.remove_candidate(model)
        raise
    policy = _policy(data, parts, tuned, model, request)
    ranges = measure_ranges(model, [data.examples[index] for index in parts.rest], request.quiet)
    return Tuning(request, source, model, head, data, parts, tuned, comparison, policy, agreements, ranges)


def read_pictures(request: TuneRequest) -> Labels:
    """The labels, which must be of pictures. Raises UsageError."""
    labels = read_labels(request.labels, request.names)
    if labels.scored and not labels.folders:
        raise UsageError(
            f"{request.labels}: has scores; fine-tuning needs the pictures: give the columns path and label alone"
        )
    if request.group_by == groups.COLUMN:
        groups.check_column(labels.entries)
    return labels


def check_request(source: ModelFiles, request: TuneRequest) -> None:
    """Raises UsageError, ModelError and SetupError for what is asked for and cannot be had, before any work."""
    if request.train == HEAD and (request.gpu is not None or request.tensorboard is not None):
        raise UsageError("--gpu and --tensorboard are for layers below the head; leave them out with --train head")
    if request.train in DEEP:
        part = find_part(read_net(source.model_def, source.pretrained_model), request.train)
        check_device(request.gpu)
        check_part(part)
    elif request.gpu is not None:
        check_device(request.gpu)


def _candidate(source: ModelFiles, tuned: Tuned, request: TuneRequest) -> ModelFiles:
    """The new weights as a file, beside the prototxt that they go with."""
    work = Path(request.folder, FOLDER)
    content = replace_blobs(source.pretrained_model.read_bytes(), tuned.blobs)
    write_whole(work / DEPLOY, source.model_def.read_bytes())
    write_whole(work / CANDIDATE, content)
    return find_model_files(work / DEPLOY, work / CANDIDATE)


def _policy(data: Dataset, parts: Split, tuned: Tuned, model: ModelFiles, request: TuneRequest) -> Policy:
    """A policy for the new model, chosen on the pictures that were learnt from, by the scores of held-out folds: the test
    pictures stay out of every choice."""
    found = LabelledSet()
    for index, score in zip(parts.rest.tolist(), tuned.held_out.tolist()):
        example = data.examples[index]
        found.add(replace(example, score=score, group=str(parts.groups[index])), example.path or "", example.sha256)
    wishes = Wishes(max_fpr=request.max_fpr, prevalence=request.prevalence, confidence=request.confidence)
    calibration = CalibrationRequest(
        labels=request.labels,
        wishes=wishes,
        scoring=ScoringOptions(os.devnull),
        names=request.names,
        resamples=1,  # the curves of this calibration are not shown
        seed=request.seed,
        group_by=groups.COLUMN,
        command=request.command,
    )
    return calibrate(Scored(found, model.short_hash, engine="onnxruntime"), calibration).policy
