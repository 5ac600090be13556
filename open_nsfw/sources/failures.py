"""What the operating system says about a file, as errors of rows and as words for messages."""

from __future__ import annotations

from open_nsfw.errors import InputError
from open_nsfw.pictures.formats import missing


def unreadable(error: Exception, what: str = "cannot be read") -> InputError:
    """The error of a file that is not there or that the system does not let be read."""
    if isinstance(error, FileNotFoundError):
        return missing(error.filename or "")
    return InputError("unreadable", f"{what}: {system_reason(error)}")


def system_reason(error: Exception) -> str:
    """What the operating system has to say, without the path that the caller names anyway."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
