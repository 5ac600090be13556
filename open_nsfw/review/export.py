"""Decisions -> labels in a file, which `open-nsfw calibrate` and `open-nsfw fine-tune` read."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass

from open_nsfw.calibration.labels import LabelNames
from open_nsfw.errors import UsageError
from open_nsfw.files import check_free, write_whole
from open_nsfw.review.store import Store
from open_nsfw.review.verdicts import Verdict, Verdicts, verdicts
from open_nsfw.text import printable

FOR_CALIBRATION, FOR_TRAINING = "calibrate", "fine-tune"
SCORED = ("path", "member", "label", "score", "weight", "probability", "group", "sha256", "engine", "model")
PLAIN = ("path", "label", "weight", "group")


@dataclass(frozen=True)
class ExportRequest:
    """What is written, and where."""

    output: str
    names: LabelNames = LabelNames()
    use: str = FOR_CALIBRATION
    """`calibrate`: with scores, so that no picture is needed; `fine-tune`: paths and labels."""
    overwrite: bool = False


@dataclass(frozen=True)
class Exported:
    """What came of it."""

    written: int
    other_labels: int
    """Decisions whose label is neither of the two names."""
    no_file: int
    """Left out of what is for fine-tuning: in an archive, or not there any more."""
    found: Verdicts


def export(store: Store, request: ExportRequest) -> Exported:
    """Write the labels. Raises UsageError if there are none or a file is in the way, OutputError."""
    check_free(request.output, request.overwrite)
    with store.reading() as connection:
        found = verdicts(connection)
    known = [each for each in found.decided if request.names.is_nsfw(each.label) is not None]
    plain = request.use == FOR_TRAINING
    kept = [each for each in known if not plain or _is_plain_file(each)]
    if not kept:
        raise UsageError(f"{printable(store.path)}: has no decision to export; {_why_none(found, known)}")
    columns = PLAIN if plain else SCORED
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(_cells(each) for each in kept)
    write_whole(request.output, text.getvalue())
    return Exported(len(kept), len(found.decided) - len(known), len(known) - len(kept), found)


def _why_none(found: Verdicts, known: list[Verdict]) -> str:
    if known:
        return "the pictures that were decided are inside archives, or not there any more"
    if found.decided:
        labels = ", ".join(sorted({each.label for each in found.decided}))
        return f"the labels given are {labels}: say with --positive and --negative which mean nsfw and sfw"
    return "`open-nsfw review` is where they are made"


def _is_plain_file(verdict: Verdict) -> bool:
    place = verdict.item.place_on_disk
    return verdict.item.member is None and place is not None and os.path.exists(place)


def _cells(verdict: Verdict) -> dict[str, object]:
    item = verdict.item
    return {
        "path": item.place_on_disk or item.path,
        "member": item.member,
        "label": verdict.label,
        "score": repr(item.score),
        "weight": repr(verdict.weight),
        "probability": repr(item.probability),
        "group": verdict.group,
        "sha256": item.sha256,
        "engine": verdict.engine,
        "model": verdict.model,
    }


def told(exported: Exported, request: ExportRequest) -> Iterator[str]:
    """The result for people, line by line."""
    yield f"{exported.written:,} labels written to {printable(request.output)}"
    if exported.other_labels:
        names = request.names
        yield f"{exported.other_labels:,} left out: labelled neither '{names.positive}' nor '{names.negative}'"
    if exported.no_file:
        yield f"{exported.no_file:,} left out: inside an archive, or not there any more"
    if exported.found.disagreements:
        yield f"{exported.found.disagreements:,} left out: people disagree, and nobody has settled it"
    if exported.found.open:
        yield f"{exported.found.open:,} pictures that were asked for have no decision yet; weights make up for them"
    if exported.found.open_undecided:
        yield (
            f"warning: {exported.found.open_undecided:,} of those are in the middle, where the ones next to a threshold came "
            "first: rates that take in the middle are about those until all are decided"
        )
