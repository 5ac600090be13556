"""Command lines: a parser whose errors are one line, and what the values of options must be.

Standard library only, and little of it: this is on the way of every run.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from typing import Any, NoReturn

from open_nsfw.cli.process import print_text
from open_nsfw.errors import UsageError
from open_nsfw.pictures.extraction import LEAST_MEMORY
from open_nsfw.text import number, number_or_percentage
from open_nsfw.text import whole as whole_number

# How messages of argparse begin.
_UNKNOWN, _CHOICE, _MISSING = "unrecognized arguments: ", "invalid choice: ", "the following arguments are required: "
_WORDS = (  # argparse's and ours
    ("ignored explicit argument", "it takes no value, not"),
    ("with argument", "with"),
    ("not allowed with", "cannot be combined with"),
    ("invalid int value:", "a whole number is needed, not"),
    ("invalid float value:", "a number is needed, not"),
)


class OneLineParser(argparse.ArgumentParser):
    """Raises UsageError with one line that says what is wrong and what to write; argparse itself prints its usage first.

    Descriptions and epilogs are printed as they are, and options cannot be shortened: a script that relies on
    `--for` would break when another option begins like that.
    """

    def __init__(self, **options: Any) -> None:
        """The options are those of argparse.ArgumentParser."""
        rules = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
        super().__init__(**{**rules, **options})

    def error(self, message: str) -> NoReturn:
        raise UsageError(self._helpful(message))

    def _print_message(self, message: str, file: Any = None) -> None:
        """What --help and --version print: a closed stdout or a reader that has gone is no traceback."""
        print_text(message) if file is sys.stdout else super()._print_message(message, file)

    def _helpful(self, message: str) -> str:
        """argparse's message for people."""
        if message.startswith(_UNKNOWN):
            return self._unknown(message[len(_UNKNOWN) :].partition(" ")[0])
        if message.startswith(_MISSING):
            names = message[len(_MISSING) :].replace(", ", " and ")
            return f"{names} {'are' if ' ' in names else 'is'} missing; write {self._shortest()}"
        name, _, problem = message.replace("argument ", "", 1).partition(": ")
        action = next((each for each in self._actions if name in ("/".join(each.option_strings), each.metavar)), None)
        if action is None:
            return message
        if problem.startswith("expected "):
            return f"{name}: a value is missing; write {action.option_strings[0]} {_value(action)}"
        if problem.startswith(_CHOICE):
            given = problem[len(_CHOICE) :].partition(" (choose from ")[0]
            return f"{name}: there is no {given}; choose from {', '.join(action.choices or ())}"
        for theirs, ours in _WORDS:
            problem = problem.replace(theirs, ours)
        return f"{name}: {problem}"

    def _shortest(self) -> str:
        """The shortest command line that has all it needs."""
        words = [" ".join([*action.option_strings[:1], _value(action)]) for action in self._actions if action.required]
        return " ".join([self.prog, *words])

    def _unknown(self, argument: str) -> str:
        if not argument.startswith("-"):
            return f"'{argument}' is one argument too many; see {self.prog} --help"
        if os.path.lexists(argument):
            return f"there is no option {argument}; the file of that name must come after `--`"
        from difflib import get_close_matches

        option = argument.partition("=")[0]
        known = [name for action in self._actions for name in action.option_strings]
        near = [name for name in known if name.startswith(option)] or get_close_matches(option, known, 1, 0.8)
        hint = f"did you mean {near[0]}?" if near else f"see {self.prog} --help"
        return f"there is no option {option}; {hint}"


def _value(action: argparse.Action) -> str:
    """What is to follow the option."""
    if action.choices is not None:
        return "|".join(action.choices)
    return action.metavar if isinstance(action.metavar, str) else " ".join(action.metavar or ())


# --- the values of options: each takes the text and gives the value, or raises argparse.ArgumentTypeError ---

MOST_JOBS = 1024  # each is a thread and a process
LEAST_CACHE = 1024**2  # bytes
MOST_PORT = 65535
LARGEST_SEED = 2**32 - 1  # that scikit-learn takes

_SIZE = re.compile(r"([0-9]{1,18}) ?b?|([0-9]{0,18}\.?[0-9]{1,18}) ?([kmgt])(i?)(b?)", re.IGNORECASE)
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4}


def file(text: str) -> str:
    """The name of a file or folder."""
    if not text:
        raise argparse.ArgumentTypeError("the name of a file is needed, not ''")
    return text


def names(text: str) -> tuple[str, ...]:
    """Names of blobs with commas between."""
    found = tuple(name.strip() for name in text.split(","))
    if not all(found) or len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(f"names of blobs with commas between are needed, each once, not '{text}'")
    return found


def whole(text: str) -> int:
    """0, 1, 2, ..."""
    return _whole(text, 0, "a whole number is needed, 0 or above")


def count(text: str) -> int:
    """1, 2, 3, ..."""
    return _whole(text, 1, "a whole number above 0 is needed")


def seed(text: str) -> int:
    """A seed of random numbers, as NumPy and scikit-learn take it."""
    needed = f"a whole number from 0 to {LARGEST_SEED} is needed"
    if (value := _whole(text, 0, needed)) > LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"{needed}, not '{text}'")
    return value


def port(text: str) -> int:
    """A port; 0 stands for any that is free."""
    if (value := whole(text)) > MOST_PORT:
        raise argparse.ArgumentTypeError(f"a port is needed, 0 to {MOST_PORT}, not '{text}'")
    return value


def gpu_number(text: str) -> int:
    """The number of a device."""
    return _whole(text, 0, "the number of a GPU is needed, 0 or above")


def _whole(text: str, least: int, needed: str) -> int:
    value = whole_number(text)
    if value is None or value < least:
        raise argparse.ArgumentTypeError(f"{needed}, not '{text}'")
    return value


def jobs(text: str) -> int:
    """How many pictures are decoded and scored at a time."""
    if (value := count(text)) > MOST_JOBS:
        raise argparse.ArgumentTypeError(f"at most {MOST_JOBS} jobs, not '{text}'")
    return value


def byte_count(text: str) -> int:
    """Bytes, also as 512MiB or 1.5 GB: kB, MB, GB and TB count in powers of 1000, KiB, MiB, GiB, TiB and a letter alone in
    powers of 1024."""
    match = _SIZE.fullmatch(text)
    value = 0 if match is None else _bytes(*match.groups())
    if value < 1:
        raise argparse.ArgumentTypeError(f"a number of bytes is needed, as 1073741824, 1GiB or 1.5GB, not '{text}'")
    return value


def _bytes(plain: str | None, number: str, letter: str, binary: str, byte: str) -> int:
    if plain is not None:
        return int(plain)
    base = 1000 if byte and not binary else 1024
    scale: int = base ** _POWERS[letter.lower()]
    return math.floor(float(number) * scale)


def size_text(size: int) -> str:
    """Bytes as `byte_count` reads them: 512MiB."""
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= scale and size % scale == 0:
            return f"{size // scale}{unit}"
    return str(size)


def memory(text: str) -> int:
    """Bytes that a decoding process may use."""
    if (value := byte_count(text)) < LEAST_MEMORY:
        raise argparse.ArgumentTypeError(f"a decoder needs at least {LEAST_MEMORY // 1024**2}MiB, not '{text}'")
    return value


def cache_size(text: str) -> int:
    """Bytes of a cache of scores."""
    if (value := byte_count(text)) < LEAST_CACHE:
        raise argparse.ArgumentTypeError(f"a cache needs at least {LEAST_CACHE // 1024**2}MiB, not '{text}'")
    return value


def score(text: str) -> float:
    """A score, 0 to 1, also as 80%."""
    value = number_or_percentage(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"a score from 0 to 1 is needed, not '{text}'")
    return value


def share(text: str) -> float:
    """A share of something, between 0 and 1 and neither, also as 5%."""
    value = number_or_percentage(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"a number between 0 and 1 is needed, not '{text}'")
    return value


def positive(text: str) -> float:
    """A finite number above 0."""
    value = number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"a number above 0 is needed, not '{text}'")
    return value
