"""What can go wrong, as exceptions.

OpenNsfwError           everything raised on purpose; its text is one line that says what, where, what to do
├── InputError          one picture cannot be scored; the others still can     (the command's exit status 1)
├── UsageError          the request makes no sense                             (exit status 2)
├── OutputError         the rows cannot be written: a full disk, a closed pipe (exit status 2)
└── SetupError          nothing can be scored                                  (exit status 2)
    ├── ModelError      prototxt or weights: missing, unreadable, not fitting each other
    │   └── UnsupportedLayerError   a layer that only real Caffe can compute
    └── EngineError     the engine, its library or its GPU is not there
"""

from __future__ import annotations

# code of an InputError: what it means, and what to do. The codes are stable; rows begin their `error` with one.
ERROR_CODES = {
    "archive-bomb": (
        "an archive unpacks to far more than it is, or its members overlap; the rest of it is not read",
        "raise `--max-archive-bytes` or `--max-archive-ratio` if you trust the archive",
    ),
    "damaged-archive": ("an archive is damaged or cut off", "fetch or pack it again"),
    "damaged-in-part": (
        "some of a video cannot be decoded; all the rest of it has its scores",
        "look at the file with care, or fetch it again",
    ),
    "decoder-crashed": (
        "the picture ended the process that decoded it, which may be meant as an attack",
        "look at the file with care; nothing else is affected",
    ),
    "empty": ("the file has no bytes", "fetch it again"),
    "encrypted": ("a member of an archive is encrypted", "unpack the archive with its password first"),
    "is-a-directory": ("the library was given a folder in place of a picture", "use the command, which walks folders"),
    "missing-decoder": (
        "Pillow lacks the decoder of this format",
        "install it with the command that the message names",
    ),
    "missing-library": (
        "the library that reads this is not installed",
        "install it with the command that the message names",
    ),
    "nested-archive": ("an archive is inside an archive", "unpack the outer one first"),
    "no-match": ("no file has this name, and none matches it as a pattern", "check the pattern, and quote it"),
    "no-pictures": ("a folder, archive or video has no picture in it", "check that it is the right one"),
    "no-score": (
        "a line of a table of labels has neither a score nor an error",
        "score its picture, or take the line out",
    ),
    "not-a-picture": (
        "the content is in no format that is read, whatever the name says",
        "convert it to a format that the message names",
    ),
    "not-finite": ("the network's answer is no probability", "check the weights and the net's last layer"),
    "not-found": ("there is no file of this name", "check the name"),
    "out-of-memory": ("decoding takes more memory than one picture may use", "raise `--max-memory`"),
    "same-content": ("another picture has the same content, so it does not count twice", "nothing"),
    "sparse-member": ("a member of a tar archive is stored as a sparse file", "pack it without `--sparse`"),
    "timeout": ("decoding takes longer than one picture may take", "raise `--max-seconds`"),
    "too-many-bytes": (
        "the file is larger than a picture, or a video that is no file of its own, may be",
        "raise `--max-bytes`",
    ),
    "too-many-frames": ("the file has more frames than are scored of one", "raise `--max-frames`, or use `--frames`"),
    "too-many-pixels": ("the picture has more pixels than one may have", "raise `--max-pixels`"),
    "truncated": ("the file ends too early", "fetch it again"),
    "undecodable": ("the file is damaged", "fetch it again, or open it in a picture editor and save it"),
    "unreadable": ("the system does not let the file be read, or reading failed", "check its permissions and the disk"),
    "unsupported": (
        "the file is whole, and of a kind that its decoder does not read",
        "convert it to another kind",
    ),
    "unsupported-compression": (
        "an archive, or a member of a zip archive, is compressed in a rare way",
        "pack it as the message says",
    ),
}


class OpenNsfwError(Exception):
    """Base of all errors raised on purpose; `str()` is a single line for the user, whatever a file's name or content
    put into it: what is not printable is escaped as in Python's `repr`."""

    def __str__(self) -> str:
        text = super().__str__()
        return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


class InputError(OpenNsfwError):
    """One picture cannot be scored.

    `code` is a stable word for programs, one of `ERROR_CODES` (`not-found`, `truncated`, ...); `reason` is the sentence for
    people; `path` is the file, where the picture was given by its name. `str()` is the file and the reason.
    """

    def __init__(self, code: str, reason: str, path: str | None = None) -> None:
        if code not in ERROR_CODES:
            raise ValueError(f"'{code}' is not in ERROR_CODES")
        super().__init__(reason if path is None else f"{path}: {reason}")
        self.code, self.reason, self.path = code, reason, path

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str, str | None]]:
        return type(self), (self.code, self.reason, self.path)


class UsageError(OpenNsfwError):
    """The request makes no sense: options that exclude each other, values out of range."""


class OutputError(OpenNsfwError):
    """The rows cannot be written: a full disk, a closed pipe, another run has the file. Those before are whole."""


class SetupError(OpenNsfwError):
    """Nothing can be scored: the model or the engine is at fault, not a picture."""


class ModelError(SetupError):
    """A prototxt or caffemodel is missing, unreadable, does not fit the other, or gives no score."""


class UnsupportedLayerError(ModelError):
    """The net has a layer, or an option of a layer, that this package does not compute; real Caffe may."""


class EngineError(SetupError):
    """The engine asked for, its library or its GPU is not there."""
