"""Any text as one printable line, any name as the bytes it stands for, and numbers that people write. Standard library only:
on the way of every run."""

from __future__ import annotations

import math
import re

# What would break a line, steer a terminal, or reorder what it shows: C0, DEL and C1, line and paragraph separators,
# the bidirectional controls of Unicode's UAX #9; and surrogates, which stand for bytes that are not UTF-8.
# Compiling this takes milliseconds, so it is left to the first name that needs it.
_UNPRINTABLE = "[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"


def encode_name(text: str) -> bytes:
    """The bytes that `os.fsdecode` made `text` from, where names are UTF-8."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # surrogates that stand for no byte, as Windows has them in names
        return text.encode("utf-8", "surrogatepass")


def printable(name: str) -> str:
    """`name` itself, or if anything in it is not to be printed, spelled as bash and zsh read it: `$'a\\x0ab'`."""
    plain = name.isprintable() or not re.search(_UNPRINTABLE, name)  # Python's word is stricter: no joined emoji
    if plain and not name.startswith("$'"):
        return name
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + re.sub(_UNPRINTABLE, _hexadecimal, escaped) + "'"


def _hexadecimal(match: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in encode_name(match.group()))


def brief(text: str, longest: int = 300, longest_word: int = 80) -> str:
    """What a library says, on one line of at most `longest` letters: it may quote names of any length."""
    words = (word if len(word) <= longest_word else f"{word[: longest_word - 3]}..." for word in text.split())
    line = " ".join(words)
    return line if len(line) <= longest else f"{line[: longest - 3]}..."


MOST_DIGITS = 18  # of a whole number: Python takes long for thousands, and refuses more; SQLite counts in 63 bits


def whole(text: str) -> int | None:
    """A whole number, 0 or above, of at most `MOST_DIGITS` digits; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else None


def number(text: str) -> float:
    """A number in decimal notation; NaN for anything else, also for `0_1` and digits that are not ASCII, which Python reads."""
    try:
        return float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        return math.nan


def number_or_percentage(text: str) -> float:
    """A number, or a percentage (`80%`) as what it is of 1; NaN for anything else."""
    return number(text[:-1]) / 100 if text.endswith("%") else number(text)
