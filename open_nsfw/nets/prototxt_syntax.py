"""What Caffe's reader of the text format and protobuf's Python part read differently: numbers, escapes, and letters outside of
strings."""

from __future__ import annotations

import re

from open_nsfw.errors import ModelError
from open_nsfw.nets import schema
from open_nsfw.nets.net import cut

# A string, a comment, a minus apart from its number, a number as protobuf's Python part sees one, or what is not ASCII. A string
# without an end counts to the end of its line: were it no match, the search would begin anew at each quote that it holds.
_PIECES = re.compile(
    r""""(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?|\#[^\n]*"""
    r"""|(?<![\w.+-])(?:(?P<minus>-(?:\s|\#[^\n]*\n)+)(?=[.\w])|(?P<number>(?:[0-9+-]|\.[0-9])[\w.+-]*))"""
    r"""|(?P<foreign>[^\x00-\x7f])""",
    re.ASCII,
)
# A number as protobuf's C++ part sees one: what begins with 0 and a digit is octal, and has no fraction.
_NUMBER = re.compile(
    r"-?(?:0x[0-9a-f]+|0[0-7]+|(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?f?|inf|infinity|nan)?",
    re.IGNORECASE,
)
_OCTAL = re.compile(r"-?0[0-7]+")
_WORD = re.compile(r"\w+", re.ASCII)
NEAR = 200  # letters before a number in which its field is looked for
# A backslash in a string and what follows it; the group, where not both Caffe and protobuf's Python part know it.
_ESCAPE = re.compile(r"""\\(?:[abfnrtvx\\'"]|[0-7]{1,2}(?![0-7])|[0-3][0-7]{2}|u(?!005[cC])|U(?!0000005[cC])|(.))""")


def for_pythons_parser(text: str) -> str:
    """A prototxt as protobuf's Python part reads it to the same end as Caffe: numbers are spelt as both do, all else, and the
    lines that it stands on, stay. Raises ModelError, which names the line, for a number, an escape or a letter outside of
    strings that Caffe does not know."""

    def spelt(piece: re.Match[str]) -> str:
        problem = _problem(piece)
        if problem:
            line = text.count("\n", 0, piece.start()) + 1
            raise ModelError(f"not a readable prototxt: line {line}: {problem}")
        if piece["minus"]:
            return re.sub(r"\S", " ", re.sub(r"#[^\n]*", "", piece[0])) + "-"
        return piece[0].replace("F", "f") if piece["number"] and "x" not in piece[0].lower() else piece[0]

    return _PIECES.sub(spelt, text)


def _problem(piece: re.Match[str]) -> str:
    """What is wrong with a piece of text, or nothing. Of an escape that it does not know, protobuf's Python part would
    warn, which may be an error for whoever calls us."""
    text = piece[0]
    if piece["number"]:
        known = _NUMBER.fullmatch(text) and not (_OCTAL.fullmatch(text) and _is_float(piece))
        return "" if known else f"Caffe does not read {cut(text)} as a number"
    if piece["foreign"]:
        return f"Caffe does not read U+{ord(text):04X} outside of strings and comments"
    if text[0] in "\"'" and "\\" in text:
        for escape in _ESCAPE.finditer(text):
            if escape[1]:
                return f"a string has the unknown escape {escape[0]}"
    return ""


def _is_float(number: re.Match[str]) -> bool:
    """Whether the field of a number takes fractions; it has no octal numbers then."""
    before = number.string[max(number.start() - NEAR, 0) : number.start()]
    listed = before.rfind("[")
    words = _WORD.findall(before[:listed] if listed > before.rfind("]") else before)
    return bool(words) and words[-1] in schema.float_fields()
