"""`open-nsfw VERB ...`: the tools around the score. Scoring itself is `classify_nsfw`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from open_nsfw.cli.process import begin, guarded, log_to_stderr, print_text
from open_nsfw.cli.status import Status
from open_nsfw.cli.verbs import PROGRAM, VERBS
from open_nsfw.errors import UsageError
from open_nsfw.version import __version__

SCORING = "classify_nsfw"


def help_text() -> str:
    """What `open-nsfw --help` prints: a line for each verb."""
    width = max(map(len, VERBS))
    verbs = "".join(f"  {name:{width}}  {verb.help}\n" for name, verb in VERBS.items())
    return (
        f"usage: {PROGRAM} VERB ...\n\nTools around the score; `{SCORING}` is the command that scores.\n\n"
        f"verbs:\n{verbs}\n`{PROGRAM} VERB --help` explains a verb, with examples; `{PROGRAM} --version` prints the version.\n"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; gives the exit status."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    name = arguments[0] if arguments else ""
    program = f"{PROGRAM} {name}" if name in VERBS else PROGRAM
    return guarded(program, arguments, lambda: _run(name, arguments[1:]))


def _run(name: str, arguments: list[str]) -> int:
    if name == "help" and arguments[:1] and arguments[0] in VERBS:
        return _run(arguments[0], [*arguments[1:], "--help"])
    if name in ("-h", "--help", "help"):
        print_text(help_text())
    elif name == "--version":
        print_text(f"{PROGRAM} {__version__}\n")
    elif name not in VERBS:
        raise UsageError(_no_verb(name))
    else:
        from importlib import import_module

        from open_nsfw.address_space import check_address_space

        check_address_space()
        log_to_stderr(f"{PROGRAM} {name}")
        status: int = import_module(f"open_nsfw.cli.{VERBS[name].module}").main(arguments)
        return status
    return Status.DONE


def _no_verb(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, VERBS, 1)
    if near:
        return f"there is no verb '{name}'; did you mean {near[0]}?"
    verbs = f"{', '.join(VERBS)}; `{SCORING}` is the command that scores"
    return f"there is no verb '{name}'; choose from {verbs}" if name else f"a verb is missing: {verbs}"


def command() -> int:
    """The process."""
    begin()
    return main()


if __name__ == "__main__":
    sys.exit(command())
