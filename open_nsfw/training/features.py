"""Labelled pictures -> the features that the head reads, through the one pipeline, and kept for the next run."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from open_nsfw.calibration import scored
from open_nsfw.calibration.groups import weights_of
from open_nsfw.calibration.labelled_set import Example
from open_nsfw.calibration.labels import Labels
from open_nsfw.calibration.sample import Floats
from open_nsfw.errors import UsageError
from open_nsfw.pictures.formats import SIDE
from open_nsfw.pictures.pixels import Pixels
from open_nsfw.rows.finished import key_of
from open_nsfw.rows.reader import read_rows
from open_nsfw.rows.row import Row, is_last
from open_nsfw.scoring.blobs import BlobClassifier, BlobScore
from open_nsfw.scoring.classifier import Score
from open_nsfw.scoring.model_files import ModelFiles
from open_nsfw.scoring.scorer import Models
from open_nsfw.training.feature_file import FeatureFile, FeatureKind, Float32
from open_nsfw.training.head import Head
from open_nsfw.training.request import TuneRequest

FOLDER = "work"  # in DIR
SCORES, FEATURES, PIXELS = "scores.jsonl", "features.f32", "pixels.u8"  # in that folder
EXTRACTED = "extracted"  # and the table that a cluster computes, unless it has another place
PIXELS_KIND = FeatureKind("", "pixels", SIDE * SIDE * 3, "u1")  # RGB, after the JPEG round trip
LEAST_PICTURES = 20  # of a class; with fewer, no split leaves enough to learn from and enough to measure on


@dataclass(frozen=True, eq=False)
class Dataset:
    """The labelled pictures that count, with their features."""

    examples: list[Example]
    """With the scores of the source model."""
    features: Float32
    """float32 (N, K)"""
    nsfw: NDArray[np.bool_]
    """bool (N,)"""
    scored: scored.Scored
    """What was found, and what does not count."""

    @property
    def weights(self) -> Floats:
        """float64 (N,), above 0: how many pictures each stands for, by the column `weight` of LABELS; all 1 where none says
        more than another."""
        found = weights_of(self.examples)
        return np.ones(len(self.examples)) if found is None else found


def extract(
    labels: Labels, files: ModelFiles, head: Head, request: TuneRequest, with_pixels: bool = False
) -> Dataset | int:
    """The features of all labelled pictures, or the signal that cut the work short. With `with_pixels`, the pictures are kept
    as well, at their 256 x 256 pixels.

    Raises UsageError for labels that nothing can be learnt from, OutputError, and SetupError.
    """
    folder = os.path.join(request.folder, FOLDER)
    kind = FeatureKind(files.digest, head.features, head.weights.shape[1])
    options = scored.ScoringOptions(
        scores_file=os.path.join(folder, SCORES),
        model_def=request.model_def,
        pretrained_model=request.pretrained_model,
        engine="onnxruntime",
        jobs=request.jobs,
        overwrite=request.overwrite,
        quiet=request.quiet,
    )
    with ExitStack() as open_files:
        file = open_files.enter_context(FeatureFile(os.path.join(folder, FEATURES), kind, request.overwrite))
        pixels = None
        if with_pixels:
            path = os.path.join(folder, PIXELS)
            pixels = open_files.enter_context(FeatureFile(path, PIXELS_KIND, request.overwrite))
        keeper = _Keeper(file, pixels, head.features, {} if request.overwrite else _hashes(options.scores_file))
        keeping = scored.Keeping(lambda _: Models(PixelClassifier(files, [head.features])), keeper.keep, keeper.has)
        found = scored.score(labels, options, keeping)
        if found.ended_by is not None:
            return found.ended_by
        examples = [example for example in found.found.examples() if example.sha256 in file]
        features = file.read([example.sha256 or "" for example in examples])
    nsfw = np.array([example.nsfw for example in examples], dtype=bool)
    _check(nsfw, request)
    return Dataset(examples, features, nsfw, found)


class PixelScore(BlobScore):
    """A score with the pixels that it is of: uint8 (256, 256, 3)."""

    pixels: Pixels


class PixelClassifier(BlobClassifier):
    """A classifier whose scores carry their pixels, too."""

    def score_pixels(self, pixels: Iterable[Pixels]) -> list[Score]:
        """One score for each picture."""
        pictures = list(pixels)
        return [self._with_pixels(score, each) for score, each in zip(super().score_pixels(pictures), pictures)]

    def _with_pixels(self, score: Score, pixels: Pixels) -> Score:
        if not isinstance(score, BlobScore):
            return score
        found = PixelScore(float(score))
        found.blobs, found.pixels = score.blobs, pixels
        return found


class _Keeper:
    """Writes the features that scores carry into the file, and the pixels into theirs."""

    def __init__(self, file: FeatureFile, pixels: FeatureFile | None, blob: str, hashes: dict[bytes, str]) -> None:
        self._file, self._pixels, self._blob, self._hashes = file, pixels, blob, hashes

    def keep(self, rows: list[Row]) -> None:
        """Of a film, the features of the frame with the highest score, which is the film's."""
        for row in rows:
            if is_last(row.kind, row.views) and isinstance(row.score, PixelScore) and row.sha256:
                self._file.add(row.sha256, row.score.blobs[self._blob].reshape(-1))
                if self._pixels is not None:
                    self._pixels.add(row.sha256, row.score.pixels.reshape(-1))

    def has(self, path: str, member: str | None) -> bool:
        """Whether the file has those of this picture; one that has no content to be read is none that it lacks."""
        sha256 = self._hashes.get(key_of(path, member))
        return sha256 is not None and sha256 in self._file and (self._pixels is None or sha256 in self._pixels)


def _hashes(scores_file: str) -> dict[bytes, str]:
    """Picture -> SHA-256, as an earlier run wrote them."""
    if not os.path.exists(scores_file):
        return {}
    rows = (row for row in read_rows(scores_file, "jsonl") if is_last(row.kind, row.views) and row.sha256)
    return {key_of(row.path, row.member): row.sha256 or "" for row in rows}


def _check(nsfw: NDArray[np.bool_], request: TuneRequest) -> None:
    """Raises UsageError for labels of one class only, or of too few pictures."""
    names = request.names
    counts = {names.negative: int((~nsfw).sum()), names.positive: int(nsfw.sum())}
    for name, count in counts.items():
        if count < LEAST_PICTURES:
            raise UsageError(
                f"{request.labels}: {count or 'no'} picture{'' if count == 1 else 's'} labelled '{name}' can be used; "
                f"at least {LEAST_PICTURES} of each label are needed"
            )
