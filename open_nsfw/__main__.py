"""`open-nsfw VERB ...`: the workbench around the score. Scoring itself is `classify_nsfw`."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # as in classify_nsfw.py
import sys

from open_nsfw.version import __version__

TYPE_CHECKING = False  # as in __init__.py
if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "open-nsfw"
BAD_USAGE = 2  # exit status


class Verb:
    """`main(argv)` of `open_nsfw.<module>` does the work; it is imported when the verb is used."""

    def __init__(self, module: str, help: str) -> None:
        self.module, self.help = module, help


VERBS = {
    "build-net": Verb("cli.build_net", "write a net as Caffe prototxt, also for training, and print what it costs"),
    "cache": Verb("cli.cache", "list or remove the converted models that are kept for later runs"),
    "calibrate": Verb("cli.calibrate", "choose thresholds on labelled pictures: a report and a policy"),
    "net-cost": Verb("cli.net_cost", "tell what a Caffe net costs, layer by layer, and draw it"),
    "policy": Verb("cli.policy", "check: do today's scores still lie as those the policy was chosen on?"),
    "quantize-ranges": Verb("cli.quantize_ranges", "measure what the fast mode must know about a network of your own"),
    "verify": Verb("cli.verify", "compare a way of scoring with the exact one, on your own pictures"),
}


def help_text() -> str:
    """What `open-nsfw --help` prints: a line for each verb."""
    width = max(map(len, VERBS))
    verbs = "".join(f"  {name:{width}}  {verb.help}\n" for name, verb in VERBS.items())
    return (
        f"usage: {PROGRAM} VERB ...\n\nThe workbench around the score; `classify_nsfw` is the command that scores.\n\n"
        f"verbs:\n{verbs}\n`{PROGRAM} VERB --help` tells about one; `{PROGRAM} --version` prints the version.\n"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; gives the exit status."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if arguments and arguments[0] in ("-h", "--help", "help"):
        print(help_text(), end="")
        return 0
    if arguments == ["--version"]:
        print(f"{PROGRAM} {__version__}")
        return 0
    if not arguments or arguments[0] not in VERBS:
        what = f"there is no verb '{arguments[0]}'" if arguments else "a verb is needed"
        print(f"{PROGRAM}: error: {what}; there are {', '.join(VERBS)}", file=sys.stderr)
        return BAD_USAGE
    return _run(arguments[0], arguments[1:])


def _run(verb: str, arguments: list[str]) -> int:
    """Import a verb and run it; its exit status. Libraries that it needs may be missing or find no memory."""
    from importlib import import_module

    from open_nsfw.address_space import check_address_space, hint
    from open_nsfw.errors import OpenNsfwError

    try:
        check_address_space()
        run = import_module(f"open_nsfw.{VERBS[verb].module}").main
    except OpenNsfwError as error:
        problem = str(error)
    except ImportError as error:
        from open_nsfw.installing import broken_library

        problem = broken_library(error) + hint()
    except MemoryError:
        problem = "there is not enough memory" + hint()
    else:
        status: int = run(arguments)
        return status
    print(f"{PROGRAM} {verb}: error: {problem}", file=sys.stderr)
    return BAD_USAGE


def command() -> int:
    """The process: `main`, and Ctrl-C ends it without a word, as in classify_nsfw.py."""
    if sys.stderr is None:  # closed, as by `2>&-`
        import os

        sys.stderr = open(os.devnull, "w", encoding="utf-8")
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it was started to ignore Ctrl-C
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    return main()


if __name__ == "__main__":
    sys.exit(command())
