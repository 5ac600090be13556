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


class OpenNsfwError(Exception):
    """Base of all errors raised on purpose; `str()` is a single line for the user, whatever a file's name or content
    put into it: what is not printable is escaped as in Python's `repr`."""

    def __str__(self) -> str:
        text = super().__str__()
        return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


class InputError(OpenNsfwError):
    """One picture cannot be scored.

    `code` is a stable word for programs (`not-found`, `truncated`, `too-large`, ...); the message is for people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str]]:
        return type(self), (self.code, str(self))


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
