"""Write what docs/ takes from the code: rows, error codes, options, environment variables, and docs/row.schema.json.

    python -m tests.tools.make_docs_tables

What stands between `<!-- NAME -->` and `<!-- /NAME -->` in a page is replaced by the table of that name. A test fails
where a page and the code differ.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from open_nsfw import __main__ as open_nsfw
from open_nsfw.cli.classify_options import parser
from open_nsfw.errors import ERROR_CODES
from open_nsfw.rows import parquet
from open_nsfw.rows.row import FIELDS
from open_nsfw.service.row_schema import JSON_TYPES, row_schema

DOCS = Path(__file__).resolve().parents[2] / "docs"
PACKAGE = DOCS.parent / "open_nsfw"
PAGES = tuple(sorted(DOCS.glob("*.md")))
ROW_SCHEMA = DOCS / "row.schema.json"

_SENTENCE_END = re.compile(r"(?<!\.)\.(?: |$)")  # but not the three dots of `INPUT...`

# What the package and its build read from the environment. A test compares the names with those in the source.
ENVIRONMENT = {
    "OPEN_NSFW_CACHE": "the folder where converted models are kept (default: `open_nsfw` in the user's cache folder)",
    "XDG_CACHE_HOME": "the user's cache folder on Linux (default `~/.cache`); macOS has `~/Library/Caches`",
    "LOCALAPPDATA": "the user's cache folder on Windows",
    "OPEN_NSFW_MODEL_DIR": "a folder with the packaged model's files, looked into where package and checkout lack them",
    "OPEN_NSFW_WEIGHTS": "when building: a copy of the weights, which are downloaded otherwise",
    "OPEN_NSFW_SOURCE_URL": "when building for a package index: where the source can be read; links of README lead there",
    "OPEN_NSFW_IMAGE_BUILD": "set in the images: the command that built this one, named where a library is not in it",
    "OPEN_NSFW_IMAGE_EXTRAS": "set in the images: the extras that are in this one",
    "JAVA_HOME": "of Spark: the folder of the Java that it runs on",
    "PYSPARK_PYTHON": "of Spark: the interpreter on executors; the driver's own unless it is set",
    "GLOO_SOCKET_IFNAME": "of training on a cluster: the network interface; that of the machine's address unless it is set",
    "SPARK_LOCAL_IP": "of Spark: the address that it listens on; 127.0.0.1 on one machine unless it is set",
    "GLOG_minloglevel": "how much pycaffe logs; 2 (errors only) unless it is set",
    "OPENBLAS_NUM_THREADS": "threads of NumPy's matrix products, which score nothing: 1 unless it is set or pycaffe is there",
    "ORT_DISABLE_TELEMETRY": "set to 1 before ONNX Runtime is loaded, so that it reports to nobody",
    "CUBLAS_WORKSPACE_CONFIG": "with `fine-tune --gpu`: `:4096:8` unless it is set, so that the same run has the same result",
}


def rows_table() -> str:
    """The columns of a row, with their types in JSON and in Parquet."""
    types = {one.name: re.sub(r"<\w+: ", "<", str(one.type)) for one in parquet.schema()}
    lines = ["| Field | Type | In Parquet | What it means |", "|---|---|---|---|"]
    for one in FIELDS:
        null = " or null" if one.nullable else ""
        lines.append(f"| `{one.name}` | {JSON_TYPES[one.type]}{null} | {types[one.name]} | {one.means} |")
    return "\n".join(lines) + "\n"


def codes_table() -> str:
    """The codes that an `error` begins with."""
    lines = ["| Code | What it means | What to do |", "|---|---|---|"]
    return (
        "\n".join(lines + [f"| `{code}` | {means} | {to_do} |" for code, (means, to_do) in ERROR_CODES.items()]) + "\n"
    )


def environment_table() -> str:
    """The variables of the environment."""
    lines = ["| Variable | What it does |", "|---|---|"]
    return "\n".join(lines + [f"| `{name}` | {means} |" for name, means in ENVIRONMENT.items()]) + "\n"


def row_schema_text() -> str:
    """A row as JSON Schema, as text."""
    return json.dumps(row_schema(), indent=2) + "\n"


def option_table(of: argparse.ArgumentParser) -> str:
    """All arguments and options of a command, by group."""
    lines = ["| Option | What it does |", "|---|---|"]
    for group in of._action_groups:
        for action in group._group_actions:
            if action.help is not argparse.SUPPRESS:
                lines.append(f"| {_spelling(action)} | {_sentence(action, of.prog)} |")
    return "\n".join(lines) + "\n"


def _sentence(action: argparse.Action, program: str) -> str:
    values = {**vars(action), "prog": program}
    return " ".join((action.help or "").split()) % values if action.help else ""


def _spelling(action: argparse.Action) -> str:
    names = ", ".join(f"`{name}`" for name in action.option_strings) or f"`{action.metavar or action.dest}`"
    if action.choices:
        return f"{names} `{'`, `'.join(map(str, action.choices))}`"
    metavar = " ".join(action.metavar) if isinstance(action.metavar, tuple) else action.metavar
    if not action.option_strings or metavar is None:
        return names
    return f"{names} `{f'[{metavar}]' if action.nargs == '?' else metavar}`"


def verb_parser(verb: str, *actions: str) -> argparse.ArgumentParser:
    """The parser of `open-nsfw VERB` or of `open-nsfw VERB ACTION`."""
    module = import_module(f"open_nsfw.cli.{open_nsfw.VERBS[verb].module}")
    own = getattr(module, "ACTION_PARSERS", {})  # of a verb that also does something without any
    found: argparse.ArgumentParser = own[actions[0]]() if actions and actions[0] in own else module.parser()
    for action in actions if not own else ():
        (choices,) = (one.choices for one in found._actions if isinstance(one, argparse._SubParsersAction))
        found = choices[action]
    return found


def modules_table(room: str) -> str:
    """The modules of a room (empty: the ground), each with the first sentence of its docstring."""
    lines = ["| Module | What it is |", "|---|---|"]
    for path in sorted((PACKAGE / room).glob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        if text is not None:
            first = " ".join(text.split("\n\n")[0].split())
            lines.append(f"| `{path.stem}` | {_SENTENCE_END.split(first)[0]} |")
    return "\n".join(lines) + "\n"


def rooms() -> list[str]:
    """The folders of the package that hold modules."""
    return sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


def _tables() -> dict[str, Callable[[], str]]:
    tables = {"rows": rows_table, "codes": codes_table, "environment": environment_table}
    tables["modules of open_nsfw"] = lambda: modules_table("")
    for room in rooms():
        tables[f"modules of open_nsfw/{room}"] = lambda room=room: modules_table(room)
    tables["options of classify_nsfw"] = lambda: option_table(parser())
    for words in verb_commands():
        tables[f"options of open-nsfw {' '.join(words)}"] = lambda words=words: option_table(verb_parser(*words))
    return tables


def verb_commands() -> Iterator[tuple[str, ...]]:
    """What follows `open-nsfw`: each verb alone, or with each of its actions; both of a verb that does something without."""
    for verb in open_nsfw.VERBS:
        own = getattr(import_module(f"open_nsfw.cli.{open_nsfw.VERBS[verb].module}"), "ACTION_PARSERS", {})
        yield from ((verb, action) for action in own)
        actions = [one.choices for one in verb_parser(verb)._actions if isinstance(one, argparse._SubParsersAction)]
        yield from ((verb, action) for action in actions[0]) if actions else [(verb,)]


_PLACE = re.compile(
    r"(<!-- ((?:rows|codes|environment|(?:options|modules) of [\w/ -]+?)) -->\n).*?(<!-- /\2 -->)", re.DOTALL
)


def with_tables(text: str) -> str:
    """A page's text with its tables as the code has them."""
    tables = _tables()
    return _PLACE.sub(lambda match: match[1] + tables[match[2]]() + match[3], text)


def places() -> dict[str, list[str]]:
    """For each table, the pages that have a place for it."""
    found: dict[str, list[str]] = {name: [] for name in _tables()}
    for page in PAGES:
        for match in _PLACE.finditer(page.read_text(encoding="utf-8")):
            found[match[2]].append(page.name)
    return found


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")
    ROW_SCHEMA.write_text(row_schema_text(), encoding="utf-8")
