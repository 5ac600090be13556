"""What a fine-tuning leaves in its folder."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from open_nsfw.calibration.json_values import json_value
from open_nsfw.calibration.output import make_folder
from open_nsfw.calibration.policy_file import check_replaceable, write_policy
from open_nsfw.errors import UsageError
from open_nsfw.files import check_writable, write_whole
from open_nsfw.nets.ranges import Ranges
from open_nsfw.nets.read import read_net
from open_nsfw.nets.train_deploy import train_val
from open_nsfw.nets.training import DEPLOY, SOLVER, TRAIN_VAL, SolverSettings, TrainingOptions, solver
from open_nsfw.scoring.hashes import file_sha256
from open_nsfw.scoring.model_files import ModelFiles
from open_nsfw.training import report
from open_nsfw.training.descent import AVERAGED
from open_nsfw.training.features import EXTRACTED, FEATURES, FOLDER, SCORES
from open_nsfw.training.logistic import STRENGTHS
from open_nsfw.training.request import TuneRequest
from open_nsfw.training.result import NOT_BETTER, Tuning
from open_nsfw.training.sampling import BATCH, steps_an_epoch
from open_nsfw.training.stages import DEEP
from open_nsfw.training.tune import DeepTuned
from open_nsfw.version import __version__

# The place in between is for NOT_BETTER.
WEIGHTS, POLICY, RANGES = "tuned{}.caffemodel", "policy{}.json", "ranges{}.json"
REPORT, NUMBERS = "report.html", "training.json"
TRAIN_LIST, TEST_LIST = "train.txt", "test.txt"
LIBRARIES = ("numpy", "scipy", "scikit-learn", "onnxruntime", "pillow")


def prepare(request: TuneRequest) -> None:
    """Make the folder. Raises UsageError for one that has something else in it, or a run and neither --resume nor
    --overwrite; OutputError where it cannot be written."""
    folder = Path(request.folder)
    is_ours = _has_begun(folder / FOLDER)
    if folder.is_dir() and any(folder.iterdir()) and not is_ours:
        raise UsageError(f"{folder}: is not empty, and no run of fine-tune has begun there; name another --output")
    if is_ours and not (request.resume or request.overwrite):
        what = "has a finished run" if (folder / NUMBERS).exists() else "has a run that did not end"
        raise UsageError(f"{folder}: {what}; --resume goes on with its pictures, --overwrite begins anew")
    if not request.overwrite:
        for suffix in ("", NOT_BETTER):
            check_replaceable(str(folder / POLICY.format(suffix)))
    make_folder(str(folder / FOLDER))
    check_writable(folder / NUMBERS)


def _has_begun(work: Path) -> bool:
    """Whether a run has made this folder: it is as empty as the first step makes it, or has what the next steps write."""
    if not work.is_dir():
        return False
    names = {path.name for path in work.iterdir()}
    return not names or not names.isdisjoint((SCORES, FEATURES, EXTRACTED))


def write(result: Tuning) -> None:
    """Write every file, whole or not at all, training.json last: where that is, the run has ended. Raises OutputError."""
    folder, suffix = Path(result.request.folder), result.suffix
    with suppress(FileNotFoundError):
        os.unlink(folder / NUMBERS)
    for name in (WEIGHTS, POLICY, RANGES):
        with suppress(FileNotFoundError):
            os.unlink(folder / name.format("" if suffix else NOT_BETTER))  # of an earlier run
    write_whole(folder / DEPLOY, result.model.model_def.read_bytes())
    write_whole(folder / WEIGHTS.format(suffix), result.model.pretrained_model.read_bytes())
    _write_for_caffe(result, folder)
    write_policy(result.policy, str(folder / POLICY.format(suffix)))
    _write_ranges(result, folder / RANGES.format(suffix))
    write_whole(folder / REPORT, report.page(result))
    write_whole(folder / NUMBERS, json.dumps(json_value(numbers(result)), indent=1, allow_nan=False) + "\n")
    remove_candidate(result.model)
    remove_trainings(folder / FOLDER)


def remove_candidate(model: ModelFiles) -> None:
    """Remove the files that were checked: they are written under their names now, or not to be kept."""
    for path in (model.model_def, model.pretrained_model):
        path.unlink()


def _write_ranges(result: Tuning, path: Path) -> None:
    if not isinstance(result.ranges, str):
        write_whole(path, result.ranges.to_json())
        return
    with suppress(FileNotFoundError):
        os.unlink(path)  # of an earlier run


def remove_trainings(work: Path) -> None:
    """Activations and the states of trainings, of a run that has ended or is begun anew."""
    for what in DEEP:
        shutil.rmtree(work / what, ignore_errors=True)


def _write_for_caffe(result: Tuning, folder: Path) -> None:
    """What `caffe train` needs to do it in its own way."""
    deep = result.tuned.deep
    options = TrainingOptions(data="image-list", batch_size=BATCH)
    settings = SolverSettings() if deep is None else _settings(deep, len(result.split.rest))
    net = read_net(result.model.model_def, result.model.pretrained_model)
    write_whole(folder / TRAIN_VAL, train_val(net, set(result.tuned.blobs), options))
    write_whole(folder / SOLVER, solver(options, len(result.split.test), settings))
    for name, indices in ((TRAIN_LIST, result.split.rest), (TEST_LIST, result.split.test)):
        examples = [result.data.examples[index] for index in indices]
        paths = [(os.path.abspath(each.path), each.nsfw) for each in examples if each.path and not each.member]
        lines = [f"{path} {int(nsfw)}\n" for path, nsfw in paths if "\n" not in path]
        write_whole(folder / name, os.fsencode("".join(lines)))


def _settings(deep: DeepTuned, pictures: int) -> SolverSettings:
    """Those that were trained with, and as many steps."""
    return replace(deep.settings, steps=deep.found.best * steps_an_epoch(pictures))


def numbers(result: Tuning) -> dict[str, Any]:
    """The content of training.json, but that a number which is not finite becomes null there."""
    request, data, parts, tuned = result.request, result.data, result.split, result.tuned
    found = data.scored.found
    before, after = result.thresholds()
    return {
        "command": request.command,
        "versions": {"open_nsfw": __version__, "python": platform.python_version(), **_versions()},
        "seed": request.seed,
        "trained": {"layers": list(tuned.blobs), "features": result.head.features, "how": request.train},
        "steps": [asdict(step) for step in tuned.steps],
        "deep": None if tuned.deep is None else _deep(tuned.deep, len(parts.rest)),
        "source": {"model": result.source.short_hash, "caffemodel": file_sha256(result.source.pretrained_model)},
        "tuned": {"model": result.model.short_hash, "caffemodel": file_sha256(result.model.pretrained_model)},
        "better": result.comparison.better,
        "labels": {
            **{"pictures": len(data.nsfw), "sfw": int((~data.nsfw).sum()), "nsfw": int(data.nsfw.sum())},
            "share_of_nsfw": float(np.average(data.nsfw, weights=data.weights)),
            **{"sha256": result.data_hash(), "missing": found.missing, "unreadable": found.unreadable},
            **{"duplicates": found.duplicates, "conflicts": found.conflicts},
        },
        "split": {
            "groups": len(set(parts.groups.tolist())),
            "folds": len(parts.folds),
            "test": [data.examples[index].sha256 for index in parts.test],
        },
        "fit": {
            **{"strengths": STRENGTHS, "held_out_log_loss": tuned.losses, "strength": tuned.strength},
            **{"temperature": tuned.temperature, "prevalence": request.prevalence},
            "log_loss_by_pictures": tuned.curve,
        },
        "confidence": request.confidence,
        "max_fpr": request.max_fpr,
        "measures": {each.name: _measure(each) for each in result.comparison.measures},
        "log_loss_against_recalibrated": _measure(result.comparison.recalibrated),
        "decisions": {"threshold_before": before, "threshold_after": after, "flips": len(result.flips())},
        "ranges": result.ranges if isinstance(result.ranges, str) else json_value(_margins(result.ranges)),
        "agreement": [json_value(each) for each in result.agreements],
    }


def _deep(deep: DeepTuned, pictures: int) -> Any:
    settings = {"solver": asdict(_settings(deep, pictures)), "batch": BATCH, "averaged": AVERAGED}
    return {"what": deep.what, "best": deep.found.best, **settings, "epochs": json_value(list(deep.found.epochs))}


def _margins(ranges: Ranges) -> dict[str, Any]:
    """What the margins are and what speaks for them."""
    return {"full": ranges.full, "reduced": ranges.reduced}


def _measure(measure: Any) -> Any:
    return json_value({name: getattr(measure, name) for name in ("before", "after", "difference")})


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in LIBRARIES}
