"""Write the tables of docs/ that come from the code: the columns of a row, and the options of the command.

    python -m tests.tools.make_docs_tables

What stands between `<!-- NAME -->` and `<!-- /NAME -->` is replaced. A test fails where a page and the code differ.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from open_nsfw.cli.classify_options import parser
from open_nsfw.rows.row import field_table

COMMAND = Path(__file__).resolve().parents[2] / "docs" / "command.md"


def option_table() -> str:
    """All options of the command, by group."""
    lines = ["| Option | What it does |", "|---|---|"]
    for group in parser()._action_groups:
        for action in group._group_actions:
            if action.help is not argparse.SUPPRESS:
                lines.append(f"| {_spelling(action)} | {' '.join((action.help or '').split()).replace('%%', '%')} |")
    return "\n".join(lines) + "\n"


def _spelling(action: argparse.Action) -> str:
    names = ", ".join(f"`{name}`" for name in action.option_strings) or f"`{action.metavar}`"
    if action.choices:
        return f"{names} `{'`, `'.join(map(str, action.choices))}`"
    metavar = " ".join(action.metavar) if isinstance(action.metavar, tuple) else action.metavar
    if not action.option_strings or metavar is None:
        return names
    return f"{names} `{f'[{metavar}]' if action.nargs == '?' else metavar}`"


def with_tables(text: str) -> str:
    """The page's text with its tables as the code has them."""
    for name, table in (("rows", field_table()), ("options", option_table())):
        pattern = re.compile(f"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text, count = pattern.subn(lambda match: match[1] + table + match[2], text)  # noqa: B023
        if count != 1:
            raise SystemExit(f"docs/command.md has no place for the table of {name}")
    return text


if __name__ == "__main__":
    COMMAND.write_text(with_tables(COMMAND.read_text(encoding="utf-8")), encoding="utf-8")
