"""What the values of options may be, and what is said about others."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import pytest

from open_nsfw.cli import parsing
from open_nsfw.errors import UsageError

MIB, GIB = 1024**2, 1024**3
NO_BYTES = "a number of bytes is needed, as 1073741824, 1GiB or 1.5GB, not '{}'"
NO_SCORE = "a score from 0 to 1 is needed, not '{}'"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("1073741824", GIB), ("1", 1), ("10B", 10), ("10 b", 10), ("999999999999999999", 999_999_999_999_999_999)),
        *(("1GB", 10**9), ("1.5GB", 1_500_000_000), ("1 GB", 10**9), ("2kB", 2000), ("2KB", 2000), ("1tb", 10**12)),
        *(("1GiB", GIB), ("512MiB", 512 * MIB), ("0.5GiB", GIB // 2), (".5gib", GIB // 2), ("1Gi", GIB)),
        *(("1G", GIB), ("512m", 512 * MIB), ("3K", 3072)),
    ],
)
def test_bytes(text: str, value: int) -> None:
    """kB, MB, GB and TB are powers of 1000, everything else powers of 1024."""
    assert parsing.byte_count(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-1",
        "1.5",
        "0GB",
        "0.0001kB",
        "1e9",
        "1iB",
        "GB",
        "1XB",
        "1GBs",
        "1,5GB",
        "nan",
        "inf",
        "٣",
        "1" * 5000,
    ],
)
def test_what_is_no_number_of_bytes(text: str) -> None:
    """Also letters of other scripts, and numbers too long for Python."""
    assert refusal(parsing.byte_count, text) == NO_BYTES.format(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("0", 0.0), ("1", 1.0), ("0.8", 0.8), ("8e-1", 0.8)),
        *(("80%", 0.8), ("0%", 0.0), ("100%", 1.0), ("12.5%", 0.125)),
    ],
)
def test_scores(text: str, value: float) -> None:
    """Also in per cent."""
    assert parsing.score(text) == value


@pytest.mark.parametrize(
    "text", ["", "%", "80", "101%", "-1%", "1.1", "-0.1", "nan", "nan%", "0,8", "80 per cent", "80%%"]
)
def test_what_is_no_score(text: str) -> None:
    assert refusal(parsing.score, text) == NO_SCORE.format(text)


@pytest.mark.parametrize("text", ["0", "1", "0%", "100%", "nan", "x", "5"])
def test_a_share_lies_between_0_and_1(text: str) -> None:
    """Neither nothing nor all."""
    assert parsing.share("5%") == 0.05
    assert refusal(parsing.share, text) == f"a number between 0 and 1 is needed, not '{text}'"


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (parsing.count, "0", "a whole number above 0 is needed, not '0'"),
        (parsing.count, "9" * 5000, f"a whole number above 0 is needed, not '{'9' * 5000}'"),
        (parsing.count, "²", "a whole number above 0 is needed, not '²'"),
        (parsing.whole, "-1", "a whole number is needed, 0 or above, not '-1'"),
        (parsing.gpu_number, "1.5", "the number of a GPU is needed, 0 or above, not '1.5'"),
        (parsing.jobs, "1025", "at most 1024 jobs, not '1025'"),
        (parsing.memory, "100MiB", "a decoder needs at least 256MiB, not '100MiB'"),
        (parsing.positive, "inf", "a number above 0 is needed, not 'inf'"),
        (parsing.positive, "x", "a number above 0 is needed, not 'x'"),
        (parsing.file, "", "the name of a file is needed, not ''"),
    ],
)
def test_refusals(kind: Callable[[str], Any], text: str, message: str) -> None:
    assert refusal(kind, text) == message


def refusal(kind: Callable[[str], Any], text: str) -> str:
    """What is said about a value."""
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        kind(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--form csv", "there is no option --form; did you mean --format?"),
        ("--formta csv", "there is no option --formta; did you mean --format?"),
        ("--nonesuch", "there is no option --nonesuch; see command --help"),
        ("a b", "'b' is one argument too many; see command --help"),
        ("--format", "--format: a value is missing; write --format text|csv"),
        ("--format xml", "--format: there is no 'xml'; choose from text, csv"),
        ("--number x", "--number: a whole number is needed, not 'x'"),
        ("--quiet=1", "--quiet: it takes no value, not '1'"),
    ],
)
def test_errors_of_a_command_line(line: str, message: str) -> None:
    """One line that says what to write. Options cannot be shortened."""
    parser = parsing.OneLineParser(prog="command")
    parser.add_argument("input", nargs="?")
    parser.add_argument("--format", choices=["text", "csv"])
    parser.add_argument("--number", type=int)
    parser.add_argument("--quiet", action="store_true")
    with pytest.raises(UsageError) as caught:
        parser.parse_args(line.split())
    assert str(caught.value).replace("int value: ", "") == message
