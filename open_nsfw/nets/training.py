"""A net in the form that Caffe trains: train_val.prototxt with its data, losses and learning rates, and solver.prototxt.

The settings are those that Yahoo's deploy.prototxt and article tell of: biases learn twice as fast as weights and without
decay, the head five times as fast as the rest, batch norm is left to Caffe; pictures are mirrored and cropped at random
out of 256 x 256, and lose ImageNet's mean colour.
"""

from __future__ import annotations

from dataclasses import dataclass

from open_nsfw.errors import UsageError
from open_nsfw.nets.build import ANetToBuild
from open_nsfw.nets.stack import LayerText

DATA_KINDS = ("lmdb", "image-list")
MEAN_BGR = (104, 117, 123)  # what Yahoo's recipe takes away from every pixel
PICTURE_SIDE = 256  # pixels a side of the pictures that are cropped from
SOLVER, TRAIN_VAL, DEPLOY = "solver.prototxt", "train_val.prototxt", "deploy.prototxt"


@dataclass(frozen=True)
class TrainingOptions:
    """What a net is trained on, and what of it."""

    data: str = "lmdb"
    """One of `DATA_KINDS`: databases of Datum messages, as Caffe's convert_imageset writes them, or text files with a
    path and a label a line."""
    train_source: str = ""
    """The database or list to learn from; empty: train_lmdb or train.txt."""
    test_source: str = ""
    """The database or list that is only scored; empty: test_lmdb or test.txt."""
    batch_size: int = 32
    """Pictures a step."""
    freeze: tuple[str, ...] = ()
    """Stages whose weights and batch norm statistics stay as they are: stem, stage0, ... (`stages` names them)."""
    freeze_batch_norm: bool = False
    """Whether the batch norm statistics of all stages stay as they are: for small batches, whose statistics would be
    noise, and for a Caffe that has none of its own in training (the pycaffe of PyPI)."""

    def __post_init__(self) -> None:
        if self.data not in DATA_KINDS:
            raise UsageError(f"the data is {' or '.join(DATA_KINDS)}, not {self.data!r}")
        if self.batch_size < 1:
            raise UsageError(f"a batch has at least 1 picture, not {self.batch_size}")
        for source in (self.train_source, self.test_source):
            if any(letter in source for letter in '"\\\n'):
                raise UsageError(
                    f"the name of a data source must have no quotes, backslashes or line breaks: {source!r}"
                )

    def source(self, phase: str) -> str:
        """Where the pictures of a phase, TRAIN or TEST, come from."""
        given = self.train_source if phase == "TRAIN" else self.test_source
        return given or phase.lower() + ("_lmdb" if self.data == "lmdb" else ".txt")


def stages(net: ANetToBuild) -> list[str]:
    """What can be frozen, from the input to the head."""
    return list(dict.fromkeys(section.stage for section in net.sections()))


def train_val(net: ANetToBuild, options: TrainingOptions) -> str:
    """The net as train_val.prototxt. Raises UsageError for a stage that is not there, or where nothing is left to
    learn."""
    known = stages(net)
    for stage in options.freeze:
        if stage not in known:
            raise UsageError(f"there is no stage {stage!r} to freeze; there are {', '.join(known)}")
    if set(known) <= set(options.freeze):
        raise UsageError("all stages are frozen, so there is nothing to learn; leave the head out")
    parts = [f'# Written for training by `open-nsfw build-net --train`.\nname: "{net.net_name}"\n', "\n# data\n"]
    parts += [data_layer(phase, net.size, options) for phase in ("TRAIN", "TEST")]
    logits = ""
    for section in net.sections():
        frozen = section.stage in options.freeze
        parts.append(f"\n# {section.title}{' (frozen)' if frozen else ''}\n")
        for layer in section.layers:
            if layer.type == "Softmax":
                logits = layer.bottoms[0]
            elif layer.type != "Input":
                stays = frozen or (options.freeze_batch_norm and layer.type == "BatchNorm")
                parts.append(layer.text(training=True, frozen=stays))
    return "".join([*parts, "\n# loss\n", *map(loss_layer, ("loss", "accuracy"), (logits, logits))])


def weight_text(net: ANetToBuild) -> str:
    """The net for inference with the fillers of training in it: what initial weights are made from."""
    layers = (layer for section in net.sections() for layer in section.layers)
    return f'name: "{net.net_name}"\n' + "".join(layer.text(layer.type != "Input") for layer in layers)


def data_layer(phase: str, crop: int, options: TrainingOptions) -> str:
    """The layer that reads the pictures and labels of a phase, TRAIN or TEST, and crops them to `crop` pixels a side."""
    mirror = "mirror: true " if phase == "TRAIN" else ""
    mean = " ".join(f"mean_value: {value}" for value in MEAN_BGR)
    source, size = options.source(phase), options.batch_size
    if options.data == "lmdb":
        kind, own = "Data", f'data_param {{ source: "{source}" batch_size: {size} backend: LMDB }}'
    else:
        shuffle = "shuffle: true " if phase == "TRAIN" else ""
        side = max(PICTURE_SIDE, crop)
        settings = f"{shuffle}new_height: {side} new_width: {side}"
        kind, own = "ImageData", f'image_data_param {{ source: "{source}" batch_size: {size} {settings} }}'
    lines = [
        f'name: "data" type: "{kind}"',
        'top: "data" top: "label"',
        f"include {{ phase: {phase} }}",
        f"transform_param {{ {mirror}crop_size: {crop} {mean} }}",
        own,
    ]
    return "layer {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


def loss_layer(name: str, logits: str) -> str:
    """The layer behind the blob `logits`: `loss`, or `accuracy`, which is there in tests alone."""
    kind, phase = ("SoftmaxWithLoss", "") if name == "loss" else ("Accuracy", "  include { phase: TEST }\n")
    head = LayerText(name, kind, (logits, "label"), name).text()
    return head[:-2] + phase + "}\n"


@dataclass(frozen=True)
class SolverSettings:
    """Caffe's SGD: each step is `momentum` times the last one plus `base_lr * lr_mult` times (gradient + `weight_decay *
    decay_mult` * weight)."""

    base_lr: float = 0.001
    """Learning rate, times each blob's lr_mult."""
    momentum: float = 0.9
    weight_decay: float = 0.0001
    """Times each blob's decay_mult."""
    steps: int = 15000
    """In all."""
    step_size: int | None = 5000
    """After so many steps, again and again, the rate is a tenth; None: it stays."""
    clip_gradients: float | None = None
    """The longest that the gradient of all weights together may be (L2 norm); a longer one is shortened to it."""


def solver(options: TrainingOptions, tested: int | None = None, settings: SolverSettings = SolverSettings()) -> str:
    """solver.prototxt, every field with what it means. Paths are taken from the folder that Caffe is started in.

    `tested`: how many pictures there are to test on, None where nobody knows.
    """
    tests = 100 if tested is None else -(-tested // options.batch_size)
    lines = (
        (f'net: "{TRAIN_VAL}"', "the net, with its data"),
        (
            f"test_iter: {tests}",
            f"batches a test: {options.batch_size * tests:,} pictures; make it cover your test data once",
        ),
        ("test_interval: 500", "steps between two tests"),
        ("test_initialization: true", "a test before the first step, to see where it starts"),
        ('type: "SGD"', "stochastic gradient descent"),
        (
            f"base_lr: {settings.base_lr:g}",
            "learning rate, times each layer's lr_mult; for a net without weights rather 0.05",
        ),
        *_policy(settings),
        (f"momentum: {settings.momentum:g}", "how much of the last step goes on in the next"),
        (f"weight_decay: {settings.weight_decay:g}", "pulls weights towards 0, times each layer's decay_mult"),
        *_clipping(settings),
        (f"max_iter: {settings.steps}", "steps in all"),
        ("display: 50", "steps between two lines in the log"),
        ("snapshot: 1000", "steps between two saved states"),
        ('snapshot_prefix: "snapshot"', "their names: snapshot_iter_1000.caffemodel and .solverstate"),
        ("random_seed: 2016", "mirrors, crops and initial weights are the same in every run"),
        ("solver_mode: CPU", "or GPU"),
    )
    width = max(len(line) for line, _ in lines)
    return "".join(f"{line:{width}}  # {why}\n" if why else f"{line}\n" for line, why in lines)


def _policy(settings: SolverSettings) -> tuple[tuple[str, str], ...]:
    if settings.step_size is None:
        return (('lr_policy: "fixed"', "the rate stays as it is"),)
    return (
        ('lr_policy: "step"', "the rate is multiplied by gamma ..."),
        (f"stepsize: {settings.step_size}", "... after so many steps, again and again"),
        ("gamma: 0.1", ""),
    )


def _clipping(settings: SolverSettings) -> tuple[tuple[str, str], ...]:
    if settings.clip_gradients is None:
        return ()
    return (
        (f"clip_gradients: {settings.clip_gradients:g}", "a gradient of all weights that is longer is shortened to it"),
    )
