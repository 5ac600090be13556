"""`open-nsfw completion SHELL`: a script by which a shell completes the options of both commands.

The script is made once and names all options, so completing starts no Python and the commands know nothing about it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from importlib import import_module

from open_nsfw.cli import classify_options
from open_nsfw.cli.options import add_debug_option
from open_nsfw.cli.parsing import OneLineParser
from open_nsfw.cli.process import guarded, print_text
from open_nsfw.cli.status import Status
from open_nsfw.cli.verbs import PROGRAM as OPEN_NSFW
from open_nsfw.cli.verbs import VERBS
from open_nsfw.errors import SetupError
from open_nsfw.installing import install_command

PROGRAM = f"{OPEN_NSFW} completion"
SHELLS = ("bash", "zsh")
# What stands for a file and for a folder in the help of the commands.
FILES = (
    "ADDRESS",
    "CAFFEMODEL",
    "FILE",
    "FILE.svg",
    "IMAGES",
    "INPUT",
    "LABELS",
    "PATH",
    "POLICY",
    "PROTOTXT",
    "SCORES",
    "STORE",
)
FOLDERS = ("DIR", "FOLDER")
EXAMPLE = f"""\
examples:
  {PROGRAM} bash > completion.bash && . ./completion.bash
  {PROGRAM} zsh > completion.zsh

For every new terminal, put `. FILE` into ~/.bashrc, or `eval "$(cat FILE)"` below `compinit` into ~/.zshrc; FILE is the
script with its whole path. Make it again after an update.

exit status: 0 done, 2 the command is at fault, or shtab is not installed"""


def main(argv: Sequence[str]) -> int:
    """Run `open-nsfw completion` with these arguments; gives the exit status, 0 or 2."""
    return guarded(PROGRAM, argv, lambda: _run(parser().parse_args(argv).shell))


def parser() -> OneLineParser:
    """The verb's options."""
    result = OneLineParser(
        prog=PROGRAM,
        description="Print a script that lets a shell complete the options of both commands.",
        epilog=EXAMPLE,
    )
    result.add_argument("shell", metavar="SHELL", choices=SHELLS, help=" or ".join(SHELLS))
    add_debug_option(result)
    return result


def _run(shell: str) -> int:
    try:
        import shtab
    except ImportError:
        raise SetupError(f"shtab is not installed: {install_command('completion')}") from None
    for command in (classify_options.parser(), _verbs()):
        for action in _actions(command):
            name = action.metavar[-1] if isinstance(action.metavar, tuple) else action.metavar
            if name in FILES + FOLDERS:
                action.complete = shtab.FILE if name in FILES else shtab.DIRECTORY  # type: ignore[attr-defined]
        print_text(shtab.complete(command, shell) + "\n")
    return Status.DONE


def _verbs() -> OneLineParser:
    """All verbs under one parser, which the command itself never makes: each is imported when it is used."""
    result = OneLineParser(prog=OPEN_NSFW)
    verbs = result.add_subparsers()
    for name, verb in VERBS.items():
        module = import_module(f"open_nsfw.cli.{verb.module}")
        added = verbs.add_parser(name, parents=[module.parser()], add_help=False, help=verb.help)
        own = getattr(module, "ACTION_PARSERS", {})  # of a verb that also does something without any
        if own:
            actions = added.add_subparsers()
            for action, make in own.items():
                of_action = make()  # shtab passes over what has no help
                actions.add_parser(action, parents=[of_action], add_help=False, help=of_action.description)
    return result


def _actions(command: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """All arguments of a command and of what is below it."""
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            for choice in action.choices.values():
                yield from _actions(choice)
        else:
            yield action
