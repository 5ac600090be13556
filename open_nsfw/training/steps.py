"""The steps of a fine-tuning: the head, and what lies below it, each only as far as it helps on held-out folds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from open_nsfw.calibration.sample import Floats, Ints
from open_nsfw.cores import default_jobs
from open_nsfw.errors import ModelError
from open_nsfw.files import write_whole
from open_nsfw.installing import install_command
from open_nsfw.nets.net import Net
from open_nsfw.nets.training import SolverSettings
from open_nsfw.progress import Progress
from open_nsfw.scoring.model_files import ModelFiles
from open_nsfw.training import estimate
from open_nsfw.training.check import Trained, head_score, part_score
from open_nsfw.training.deep import MOST_EPOCHS, THIS_MACHINE, Asked, train_deep
from open_nsfw.training.epochs import EpochLog
from open_nsfw.training.features import Dataset
from open_nsfw.training.head import Head
from open_nsfw.training.inputs import views_that_fit
from open_nsfw.training.logistic import STRENGTHS, fit_line, fit_path, log_loss, one_thread
from open_nsfw.training.place import ACTIVATIONS, Place, Task
from open_nsfw.training.request import TuneRequest
from open_nsfw.training.sampling import BATCH
from open_nsfw.training.split import Split
from open_nsfw.training.stages import ALL, AUTO, DEEP, HEAD, STAGE2, STAGE3, Part, find_part
from open_nsfw.training.torch_net import TorchNet, check_part
from open_nsfw.training.trainer import Blobs, Course, Pictures, part_logits
from open_nsfw.training.tune import DeepTuned, Step, Tuned, prior_to_add, rounded, source_logits
from open_nsfw.training.views import MIDDLE

FORMAT = 1  # of what is kept of a training; one of another is begun anew
# Clipping: without it single steps throw back what earlier ones have learnt. Log loss on held-out folds in the first three
# epochs of `all` on 160 pictures: 0.47, 0.50, 0.35 without, 0.47, 0.41, 0.30 at 30, 0.50, 0.40, 0.41 at 10 (lengths of gradients
# there: 4 to 86, half of them over 15). Of stage 3 on 400 the best epoch has 0.203, 0.205 and 0.294.
SETTINGS = SolverSettings(base_lr=0.001, momentum=0.9, weight_decay=0.0001, step_size=None, clip_gradients=30.0)
# Pictures of the rarer class that are learnt from, below which `auto` does not try a step: it would take minutes to find out
# that so few labels do not say what so many weights should be.
LEAST_PICTURES = {STAGE3: 150, STAGE2: 600, ALL: 2500}
LEAST_LOSS = 0.02  # on held-out folds: below it there is nothing to gain


@dataclass(frozen=True, eq=False)
class Material:
    """What every step works on."""

    source: ModelFiles
    net: Net
    head: Head
    data: Dataset
    parts: Split
    request: TuneRequest
    folder: Path
    """Where what is computed is kept."""
    started: float
    """time.monotonic() when the command began."""
    board: Any = None
    """For TensorBoard."""
    place: Place = THIS_MACHINE
    """Where parts are trained."""

    @property
    def device(self) -> str:
        """torch's name of what computes."""
        return "cpu" if self.request.gpu is None else f"cuda:{self.request.gpu}"

    @property
    def jobs(self) -> int:
        """Threads that compute."""
        return self.request.jobs or default_jobs()

    @property
    def rest(self) -> Pictures:
        """What is learnt from."""
        digests = [self.data.examples[index].sha256 or "" for index in self.parts.rest]
        return Pictures(digests, self.data.nsfw[self.parts.rest])

    @property
    def weights(self) -> Floats:
        """float64 (rest,): how many pictures each of them stands for."""
        return self.data.weights[self.parts.rest]

    @property
    def tested(self) -> list[str]:
        """SHA-256 of the test pictures."""
        return [self.data.examples[index].sha256 or "" for index in self.parts.test]


def keeps_pixels(train: str) -> bool:
    """Whether a step may be tried that needs the pictures themselves."""
    return train in DEEP or (train == AUTO and find_spec("torch") is not None)


def take_steps(material: Material, tuned: Tuned) -> Tuned:
    """What is best after the steps that were asked for; `tuned` is the head's. Raises ModelError for a net that the step
    which was asked for by name cannot train."""
    train = material.request.train
    if train == HEAD:
        return tuned
    if train in DEEP:
        find_part(material.net, train)
        return _take(material, tuned, train)
    best = tuned
    for what in DEEP:
        reason = _why_not(material, best, what)
        if reason:
            return best.after(Step(what, None, False, reason))
        best = _take(material, best, what)
        if not best.steps[-1].used:
            break
    return best


def _why_not(material: Material, best: Tuned, what: str) -> str:
    """Why `auto` does not try a step; empty if it does."""
    rarer = int(np.bincount(material.rest.nsfw, minlength=2).min())
    if rarer < LEAST_PICTURES[what]:
        return f"{rarer:,} pictures of the rarer label to learn from are too few; it is tried with {LEAST_PICTURES[what]:,}"
    if best.steps[-1].held_out is not None and best.steps[-1].held_out < LEAST_LOSS:
        return f"a log loss of {best.steps[-1].held_out:.4f} on held-out folds leaves nothing to gain"
    if find_spec("torch") is None:
        return f"torch is not installed: {install_command('train')}"
    try:
        check_part(find_part(material.net, what))
    except ModelError as error:
        return str(error)
    return ""


def _take(material: Material, best: Tuned, what: str) -> Tuned:
    """The step's weights where they help, or were asked for by name; else what was best before, with a word about it."""
    part = find_part(material.net, what)
    folder = material.folder / what
    folder.mkdir(exist_ok=True)
    say = _Speaker(material.request.quiet)
    task = Task(
        source=material.source,
        net=material.net,
        part=part,
        what=what,
        settings=SETTINGS,
        seed=material.request.seed,
        views=_plan(material, part, folder),
        device=material.device,
        jobs=material.jobs,
        work=material.folder,
        folder=folder,
        watch=say.step,
    )
    with material.place.course(task) as course:
        expected = _prepare(material, course, what, say) if material.place.keeps_pixels else 0.0
        found = _trained(material, course, best, what, folder, say, expected)
    return best.after(Step(what, None, False, found)) if isinstance(found, str) else found


def _prepare(material: Material, course: Course, what: str, say: _Speaker) -> float:
    """Compute what the part reads, and say how long everything may take; how many seconds an epoch may."""
    views = [MIDDLE] if course.inputs.views > BATCH else range(course.inputs.views)
    rest = material.rest
    wanted = course.inputs.missing([(sha256, number) for number in views for sha256 in rest.digests])
    first, others = wanted[: estimate.TRIED], wanted[estimate.TRIED :]
    with Progress(len(wanted), shown=not material.request.quiet) as progress:
        rates = estimate.measure(course, rest.digests, first, progress.advance)
        say(estimate.describe(what, rates, len(others), len(rest.nsfw), len(material.parts.folds)))
        course.inputs.prepare(others, progress.advance)
    return estimate.epoch_seconds(rates, len(rest.nsfw), len(material.parts.folds))


def _trained(
    material: Material, course: Course, best: Tuned, what: str, folder: Path, say: _Speaker, expected: float
) -> Tuned | str:
    request, rest = material.request, material.rest
    deadline = None if request.time_limit is None else material.started + request.time_limit
    by_name = request.train == what
    asked = Asked(request.max_fpr, request.confidence, deadline, 1 if by_name else 0, expected)
    log = EpochLog(what, request.max_fpr, say, material.board)
    start = _start(material, course.part, best.strength)
    with say.bar(_most(rest, len(material.parts.folds))):
        deep = train_deep(course, rest, material.parts.folds, start, folder, asked, log, material.place)
    if isinstance(deep, str):
        return deep
    slope, offset = fit_line(deep.held_out, rest.nsfw, material.weights)
    calibrated = slope * deep.held_out + offset
    loss = log_loss(calibrated, rest.nsfw, material.weights)
    helps = bool(deep.best) and _helps(best.calibrated, calibrated, material)
    step = Step(what, loss, helps or by_name, "" if helps else "it does not help on held-out folds")
    if not step.used or not deep.blobs:
        return best.after(replace(step, used=False))
    return _finished(material, course, best, DeepTuned(what, deep, SETTINGS), (slope, offset), step)


def _finished(
    material: Material, course: Course, best: Tuned, deep: DeepTuned, line: tuple[float, float], step: Step
) -> Tuned:
    """The trained part with temperature and prior in its head, and its scores of the test pictures."""
    from scipy.special import expit

    slope, offset = line
    shift = prior_to_add(material.rest.nsfw, material.weights, material.request.prevalence)
    weights, bias = (each.astype(np.float64) for each in deep.found.blobs[material.head.layer])
    trained = Head(material.head.layer, material.head.features, weights.reshape(2, -1), bias.reshape(-1))
    head = rounded(trained.with_difference(slope * trained.direction, slope * trained.offset + offset + shift))
    blobs = {**deep.found.blobs, head.layer: head.blobs()}
    course.net.set_blobs(blobs)
    course.inputs.prepare([(sha256, MIDDLE) for sha256 in material.tested], lambda: None)
    calibrated = slope * deep.found.held_out + offset
    return replace(
        best.after(step),
        head=head,
        blobs=blobs,
        deep=deep,
        temperature=1 / slope if slope > 0 else float("inf"),
        test_scores=expit(part_logits(course, material.tested)),
        calibrated=calibrated,
        held_out=expit(calibrated + shift),
    )


@contextmanager
def trained_score(material: Material, tuned: Tuned) -> Iterator[Trained]:
    """What training computed, for the check of the written files."""
    if tuned.deep is None:
        yield head_score(material.source, tuned.head)
        return
    part = find_part(material.net, tuned.deep.what)
    with TorchNet(part, material.device) as net:
        net.set_blobs(tuned.blobs)
        yield part_score(material.source, part, net)


def _helps(old: Floats, new: Floats, material: Material) -> bool:
    """Whether the log loss on held-out folds falls by more than its standard error."""
    nsfw = material.rest.nsfw
    signs = np.where(nsfw, -1.0, 1.0)
    gain = np.logaddexp(0, signs * old) - np.logaddexp(0, signs * new)
    share = material.weights / material.weights.sum()
    mean = share @ gain
    error = np.sqrt(share**2 @ (gain - mean) ** 2 * len(gain) / (len(gain) - 1))
    return bool(mean > error)


def _start(material: Material, part: Part, strength: float) -> Callable[[Ints], Blobs]:
    """The source's blobs, with a head that was learnt from some of the pictures."""
    features, nsfw = material.data.features[material.parts.rest], material.rest.nsfw
    source = source_logits(material.head, features)
    strengths = STRENGTHS[: STRENGTHS.index(strength) + 1]
    blobs = {layer.name: layer.blobs for layer in part.layers if layer.name in part.trained}

    def start(at: Ints) -> Blobs:
        with one_thread():
            fit = fit_path(features[at], source[at], nsfw[at], strengths)[-1]
        return {**blobs, material.head.layer: fit.head(material.head).blobs()}

    return start


def _plan(material: Material, part: Part, folder: Path) -> int:
    """How many views are kept. What an earlier run computed in `folder` is removed if it learnt something else."""
    rest = material.rest
    said = {
        "format": FORMAT,
        "model": material.source.digest,
        "seed": material.request.seed,
        "settings": asdict(SETTINGS),
        "pictures": [f"{sha256},{int(nsfw)}" for sha256, nsfw in zip(rest.digests, rest.nsfw)],
        "folds": [held.tolist() for _, held in material.parts.folds],
        "device": material.device,
    }
    path = folder / "plan.json"
    before: dict[str, Any] = {}
    with suppress(FileNotFoundError, ValueError):
        before = json.loads(path.read_text(encoding="utf-8"))
        if {**before, "views": None} == {**said, "views": None}:
            return int(before["views"])
    for old in folder.glob("*.npz"):
        old.unlink()
    if before.get("seed") != said["seed"]:  # of which other views of the same pictures are drawn
        (folder / ACTIVATIONS).unlink(missing_ok=True)
    views = views_that_fit(material.net, part, len(rest.nsfw), len(material.tested), str(folder))
    write_whole(path, json.dumps({**said, "views": views}))
    return views


def _most(rest: Pictures, folds: int) -> int:
    """Pictures that are learnt from, each time counted, if all epochs are used."""
    return MOST_EPOCHS * folds * len(rest.nsfw)


class _Speaker:
    """Lines on stderr, and the bar that they must not break."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._progress = Progress(shown=False)

    def __call__(self, line: str) -> None:
        """Say a line."""
        if not self._quiet:
            self._progress.say(line)

    def bar(self, total: int) -> Progress:
        """A bar of pictures."""
        self._progress = Progress(total, shown=not self._quiet)
        return self._progress

    def step(self) -> None:
        """A batch is done."""
        self._progress.advance(count=BATCH)
