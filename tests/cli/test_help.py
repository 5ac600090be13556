"""The help of every command: examples, exit statuses, and one wording for what several commands have."""

from __future__ import annotations

import argparse
import re
from collections import defaultdict

import pytest

from open_nsfw.cli import classify_options
from open_nsfw.cli.completion import FILES, FOLDERS
from open_nsfw.cli.status import Status
from open_nsfw.cli.verbs import VERBS
from tests.tools.make_docs_tables import verb_commands, verb_parser

PARSERS = [classify_options.parser(), *(verb_parser(*words) for words in verb_commands())]
PARSERS += [verb_parser(verb) for verb in VERBS if verb not in {"".join(words) for words in verb_commands()}]
WIDEST = 120  # columns of a text that is printed as it is
OWN_WORDING = {  # options whose help says more in one command, and why
    "--overwrite": "calibrate",  # scores pictures again, too
    "--precision": "classify_nsfw and verify",  # only OpenVINO has them there
    "--ranges": "verify",  # goes with --precision int8, too
    "--thresholds": "verify",  # has no policy
    "--fast": "verify",  # compares it
    "--no-thumbnails": "timeline",  # shows peaks
    "--group-by": "fine-tune",  # groups by likeness in any case
    "--train": "fine-tune",  # which part; of build-net, the form for training
    "--max-fpr": "fine-tune",  # measures there, too
    "--policy": "review",  # says what people are asked
    "--port": "review",  # another one by default
    **dict.fromkeys(("--max-bytes", "--max-seconds", "--max-frames", "--max-archive-bytes"), "serve"),  # lower defaults
    **dict.fromkeys(
        ("--format", "--output", "--plot", "--seed", "--scores", "--quiet", "--resume"), "each"
    ),  # of its own result
}


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.prog)
def test_examples_and_exit_statuses(parser: argparse.ArgumentParser) -> None:
    """Each command ends its help with them; the statuses are those of the one enum."""
    text = parser.format_help()
    examples = re.findall(r"^examples?:\n((?:  .+\n)+)", text, re.MULTILINE)
    assert len(examples) == 1
    assert any(line.strip().startswith(parser.prog.split()[0] + " ") for line in examples[0].splitlines())
    (statuses,) = re.findall(r"^exit status: (.*)\Z", text, re.MULTILINE | re.DOTALL)
    numbers = [
        int(number)
        for number in re.findall(r"(?:^|, |or )(\d+) (?=[a-z])", " ".join(statuses.split()).partition(". ")[0])
    ]
    assert numbers[:1] == [0] and Status.ERROR in numbers and set(numbers) <= set(Status) and numbers == sorted(numbers)


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.prog)
def test_lines_fit_a_terminal(parser: argparse.ArgumentParser) -> None:
    """Those that are printed as they stand."""
    for text in (parser.description or "", parser.epilog or ""):
        assert [line for line in text.splitlines() if len(line) > WIDEST] == []


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.prog)
def test_every_command_has_debug(parser: argparse.ArgumentParser) -> None:
    """And no option can be shortened."""
    has_actions = any(isinstance(action, argparse._SubParsersAction) for action in parser._actions)
    assert has_actions or "--debug" in parser._option_string_actions
    assert not parser.allow_abbrev


def test_an_option_of_several_commands_has_one_help() -> None:
    """Whoever knows it from one command knows it from the other."""
    helps = defaultdict(set)
    for parser in PARSERS:
        for action in parser._actions:
            for name in action.option_strings:
                helps[name].add((action.help, str(action.metavar), str(action.choices)))
    different = {name for name, found in helps.items() if len(found) > 1}
    assert different <= set(OWN_WORDING)


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.prog)
def test_helps_are_phrases(parser: argparse.ArgumentParser) -> None:
    """That say what the option is or does: lower case, no full stop, and no fragment that only its name completes."""
    for action in parser._actions:
        text = action.help or ""
        assert len(text) > 8 or isinstance(action, argparse._SubParsersAction), action
        assert not text.startswith(("of ", "to ", "that ", "though ", "with these")), text
        assert not text.endswith(".") or text.endswith("..."), text


NAMES_INPUTS = ("INPUT", "IMAGES")  # what is not there has a row or a line of its own


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.prog)
def test_no_file_has_an_empty_name(parser: argparse.ArgumentParser) -> None:
    """As an unset variable of a shell gives it: it would be the working folder, or as if the option were not there."""
    for action in parser._actions:
        if action.metavar in (*FILES, *FOLDERS) and action.metavar not in (*NAMES_INPUTS, "ADDRESS"):
            assert callable(action.type), action
            with pytest.raises(argparse.ArgumentTypeError):
                action.type("")
