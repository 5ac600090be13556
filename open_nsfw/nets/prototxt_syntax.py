"""What Caffe's reader of the text format refuses and protobuf's Python part takes: some numbers, and escapes in strings."""

from __future__ import annotations

import re

from open_nsfw.errors import ModelError
from open_nsfw.nets.net import cut

# A string, a comment, or a number as protobuf's Python part sees one; the group holds the number. A string without an end
# counts to the end of its line: were it no match, the search would begin anew at each quote that it holds.
_PIECES = re.compile(
    r""""(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?|\#[^\n]*|(?<![\w.+-])((?:[0-9+-]|\.[0-9])[\w.+-]*)""", re.ASCII
)
# A number as protobuf's C++ part sees one. A minus may stand apart from it.
_NUMBER = re.compile(
    r"-?(?:0x[0-9a-f]+|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?f?|inf|infinity|nan)?", re.IGNORECASE
)
# A backslash in a string and what follows it; the group, where not both Caffe and protobuf's Python part know it.
_ESCAPE = re.compile(r"""\\(?:[abfnrtvx\\'"]|[0-7]{1,2}(?![0-7])|[0-3][0-7]{2}|u(?!005[cC])|U(?!0000005[cC])|(.))""")


def check_syntax(text: str) -> None:
    """Raises ModelError, which names the line, for a prototxt with a number or an escape that Caffe does not know."""
    for piece in _PIECES.finditer(text):
        problem = _problem(piece[0], piece[1])
        if problem:
            line = text.count("\n", 0, piece.start()) + 1
            raise ModelError(f"not a readable prototxt: line {line}: {problem}")


def _problem(piece: str, number: str | None) -> str:
    """What is wrong with a piece of text, or nothing. Of an escape that it does not know, protobuf's Python part would
    warn, which may be an error for whoever calls us."""
    if number is not None:
        return "" if _NUMBER.fullmatch(number) else f"Caffe does not read {cut(number)} as a number"
    if piece[0] in "\"'" and "\\" in piece:
        for escape in _ESCAPE.finditer(piece):
            if escape[1]:
                return f"a string has the unknown escape {escape[0]}"
    return ""
