"""A row as bytes: a line of JSON, of CSV, or of text for people.

How names survive, which are any bytes at all on Unix and reach Python through `os.fsdecode`:

    jsonl    ASCII only; a byte that is not UTF-8 is a lone surrogate, as in Python: "caf\\udce9.jpg"
    csv      the name's own bytes, quoted as RFC 4180 has it; null is an empty cell, an empty string is ""; cells as in JSON
    parquet  a name that is not UTF-8, or begins with `bytes:`, is spelled so and percent-encoded: bytes:caf%E9.jpg
    text     a name with control characters or bytes that are not UTF-8 is spelled as shells read it: $'caf\\xe9.jpg'
"""

from __future__ import annotations

import math
from typing import Any

from open_nsfw.rows.row import FIELDS, Row, cells, label
from open_nsfw.text import encode_name

_CSV_QUOTED = frozenset(',"\r\n')  # RFC 4180, section 2, rule 6


def json_line(row: Row) -> bytes:
    """The row as one line of JSON: ASCII, all fields, fixed order."""
    import json

    return json.dumps(cells(row), allow_nan=False).encode("ascii") + b"\n"


def csv_header() -> bytes:
    """The first line of a CSV file."""
    return ",".join(one.name for one in FIELDS).encode("ascii") + b"\r\n"


def csv_line(row: Row) -> bytes:
    """The row as one record of RFC 4180."""
    return encode_name(",".join(map(_csv_cell, cells(row).values()))) + b"\r\n"


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"' if not (value and _CSV_QUOTED.isdisjoint(value)) else value
    if isinstance(value, list):  # as JSON has it, which has commas
        return f'"{value}"'
    return str(value).lower() if isinstance(value, bool) else repr(value)


def text_line(row: Row, single: bool = False) -> bytes:
    """The line for people; nothing for a row without a score, whose error the command prints on stderr."""
    if row.score is None or not math.isfinite(row.score):
        return b""
    line = f"NSFW score: {row.score:.12g}" + (f" ({row.verdict})" if row.verdict else "")
    if not single or row.member is not None or row.kind != "picture":
        line += f" {label(row)}{_remark(row)}"
    return line.encode("utf-8") + b"\n"


def _remark(row: Row) -> str:
    """What stands behind the name."""
    if row.kind == "segment":
        end = f" to #{row.last_frame}" + ("" if row.until is None else f" @{row.until:.12g}s")
        return f"{end} (highest of {row.frames} frames, mean {row.mean:.12g})"
    return _summary(row) if row.kind == "summary" else _in_brackets(_part(row))


def _part(row: Row) -> str:
    """What a part is and where it is: "cell at 10,20, 200 x 150 pixels"; nothing of a part that failed, or of a whole."""
    if row.left is None or row.top is None or row.right is None or row.bottom is None:
        return ""
    return f"{row.found_as} at {row.left},{row.top}, {row.right - row.left} x {row.bottom - row.top} pixels"


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""


def _summary(row: Row) -> str:
    above = "" if row.above is None else f", {row.above} at or over the threshold"
    if row.stop_above is not None:
        seconds = "" if row.seconds is None else f" @{row.seconds:.12g}s"
        above += f", stopped at #{row.frame}{seconds} by --stop-above {row.stop_above:g}"
    if row.views is None:
        mean = "" if row.mean is None else f", mean {row.mean:.12g}"
        return f" (highest of {row.frames} frames{mean}{above})"
    frame = "" if row.frame is None else f"frame {row.frame}"
    part = _part(row) or ("" if frame else "the whole")
    where = ", ".join(filter(None, (frame, part)))
    return f" (highest of {(row.frames or 0) + (row.parts or 0)}: {where}{above})"
