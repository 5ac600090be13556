"""Where a part of a net is trained: on this machine, unless a subclass knows of others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from open_nsfw.nets.net import Net
from open_nsfw.nets.training import SolverSettings
from open_nsfw.scoring.model_files import ModelFiles
from open_nsfw.training.feature_file import FeatureFile
from open_nsfw.training.features import PIXELS, PIXELS_KIND
from open_nsfw.training.inputs import Inputs
from open_nsfw.training.stages import Part
from open_nsfw.training.torch_net import TorchNet
from open_nsfw.training.trainer import Blobs, Course, Pictures, Trainer


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be trained."""

    source: ModelFiles
    net: Net
    part: Part
    what: str
    """The name of the part, one of `stages.DEEP`."""
    settings: SolverSettings
    seed: int
    views: int
    """That are kept of each picture."""
    device: str
    """torch's name of what computes."""
    jobs: int
    """Threads that compute."""
    work: Path
    """The folder with the pixels of the pictures."""
    folder: Path
    """The folder of this part, where everything is kept."""
    watch: Callable[[], None]
    """Called after every step."""


ACTIVATIONS = "activations.f32"  # in the folder of a part


class Place:
    """This machine."""

    keeps_pixels = True
    """Whether the pixels of the pictures are wanted here, and activations are computed here."""

    @contextmanager
    def course(self, task: Task) -> Iterator[Course]:
        """What trainers train with. Raises SetupError without torch, ModelError, OutputError."""
        path = str(task.folder / ACTIVATIONS)
        with FeatureFile(str(task.work / PIXELS), PIXELS_KIND) as pixels:
            with (
                Inputs(task.source, task.net, task.part, pixels, task.seed, task.jobs, path, task.views) as inputs,
                TorchNet(task.part, task.device, task.jobs) as net,
            ):
                yield Course(task.part, net, inputs, task.settings, task.seed, task.watch)

    def trainer(
        self, course: Course, learnt: Pictures, held_out: Pictures | None, number: int, path: Path, start: Blobs
    ) -> Trainer:
        """A trainer for this place; the arguments are those of `Trainer`."""
        return Trainer(course, learnt, held_out, number, path, start)
