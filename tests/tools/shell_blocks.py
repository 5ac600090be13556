"""The commands that a Markdown page shows, and what they print when they are run one after another in one shell.

A page's fenced blocks are read by their language: `sh` (each line is a command), `console` (a line after `$ ` is a command,
the lines below it what it prints) and `python` (the block is a script). `exit status N` in a command's comment says how
it ends, if not with 0. What stands in a comment before a block says more:

    <!-- exit status N -->       of the last command in a `console` block
    <!-- not run: REASON -->     the block is left out
    <!-- varies: REASON -->      of what the block shows, each line is compared up to its first digit only
    <!-- varies, exit status N: REASON -->

A line `...` in what a block shows stands for any lines.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

NOTE = r"(?:^<!-- (not run|varies(?:, exit status \d+)?|exit status \d+)(?:: ([^>]+))? -->\n)?"
BLOCK = re.compile(NOTE + r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?")
VARYING = re.compile(r"[\d.,]+ pictures/s|\d{4}-\d\d-\d\d|\d+\.\d+ s\b")
CLOSE = 1e-5  # what scores of two processors and engines may differ by


@dataclass(frozen=True)
class Command:
    """One command of a page."""

    line: str
    shown: str | None = None
    """What the page says it prints, stdout and stderr together; None where it says nothing."""
    status: int = 0
    varies: bool = False
    """Whether what it prints is another text on another machine, but for the beginnings of the lines."""


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    status: int
    output: str


def commands(page: str) -> list[Command]:
    """The commands of a page's text, in order, without those that it says are not run."""
    found: list[Command] = []
    for note, _, language, body in BLOCK.findall(page):
        if note == "not run":
            continue
        if language == "sh":
            found += [Command(line, status=_status(line)) for line in body.replace("\\\n", "").splitlines() if line]
        elif language == "console":
            found += _shown(body, note)
        elif language == "python":
            found.append(Command(f"python -c {shlex.quote(body)}"))
    return found


def left_out(page: str) -> list[str]:
    """The reasons for what is not run."""
    return [reason for note, reason, _, _ in BLOCK.findall(page) if note == "not run"]


def _status(text: str) -> int:
    found = re.search(r"(?:#|^).*exit status (\d+)", text)
    return int(found[1]) if found else 0


def _shown(body: str, note: str) -> list[Command]:
    parts = re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]
    pairs = [part.partition("\n")[::2] for part in parts]
    last = len(pairs) - 1
    statuses = [0] * last + [_status(note)]
    return [Command(line, shown, status, note.startswith("varies")) for (line, shown), status in zip(pairs, statuses)]


def run(wanted: list[Command], folder: Path, environment: dict[str, str], scratch: Path) -> list[Outcome]:
    """Run the commands in one bash, as somebody would who pastes them into a terminal. A command that ends the shell
    leaves those after it without an outcome."""
    scratch.mkdir(parents=True)
    script = "".join(
        f"{{ {command.line}\n}} >{scratch}/{at}.out 2>&1 </dev/null; echo $? >{scratch}/{at}.status\n"
        for at, command in enumerate(wanted)
    )
    subprocess.run(["bash", "-c", script], cwd=folder, env=environment, timeout=1800, check=False)
    outcomes = []
    for at in range(len(wanted)):
        status = scratch / f"{at}.status"
        if not status.exists():
            break
        outcomes.append(Outcome(int(status.read_text()), (scratch / f"{at}.out").read_text(errors="replace")))
    return outcomes


def differences(command: Command, outcome: Outcome) -> list[str]:
    """What is not as the page says, each as a line; nothing if all is."""
    found = []
    if outcome.status != command.status:
        found.append(f"exit status {outcome.status}, not {command.status}, of: {command.line}\n{outcome.output}")
    if command.shown is not None and not same(command.shown, outcome.output, command.varies):
        found.append(f"shown for: {command.line}\n{command.shown}\nbut printed:\n{outcome.output}")
    return found


def same(shown: str, printed: str, varies: bool = False) -> bool:
    """Whether two texts are the same but for speeds, dates and the last digits of numbers."""
    return _lines_same(shown.strip("\n").split("\n"), printed.strip("\n").split("\n"), varies)


def _lines_same(shown: list[str], printed: list[str], varies: bool) -> bool:
    if not shown:
        return not printed
    if shown[0] == "...":
        return any(_lines_same(shown[1:], printed[at:], varies) for at in range(len(printed) + 1))
    return bool(printed) and _line_same(shown[0], printed[0], varies) and _lines_same(shown[1:], printed[1:], varies)


def _line_same(shown: str, printed: str, varies: bool) -> bool:
    if varies:
        return re.split(r"\d", shown)[0] == re.split(r"\d", printed)[0]
    left, right = (VARYING.sub("VARIES", text) for text in (shown, printed))
    if NUMBER.sub("N", left) != NUMBER.sub("N", right):
        return False
    numbers = zip(NUMBER.findall(left), NUMBER.findall(right))
    return all(a == b or abs(_value(a) - _value(b)) <= CLOSE for a, b in numbers)


def _value(number: str) -> float:
    return float(number.replace(",", ""))


def with_outputs(page: str, wanted: list[Command], outcomes: list[Outcome]) -> str:
    """The page's text with what its commands printed in place of what it shows; where lines are left out it stays."""
    for command, outcome in zip(wanted, outcomes):
        if command.shown is not None and "..." not in command.shown.splitlines():
            page = page.replace(f"$ {command.line}\n{command.shown}", f"$ {command.line}\n{outcome.output}")
    return page
