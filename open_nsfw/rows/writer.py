"""Rows out: one for each picture or frame, as text, JSON lines, CSV or Parquet, to stdout or into a file.

`Row` is the one place that says what a row holds: every format, the reader behind --resume and the table in docs
follow it. A new field is a new line there.

How names survive, which are any bytes at all on Unix and reach Python through `os.fsdecode`:

    jsonl    ASCII only; a byte that is not UTF-8 is a lone surrogate, as in Python: "caf\\udce9.jpg"
    csv      the name's own bytes, quoted as RFC 4180 has it; null is an empty cell, an empty string is ""
    parquet  a name that is not UTF-8, or begins with `bytes:`, is spelled so and percent-encoded: bytes:caf%E9.jpg
    text     a name with control characters or bytes that are not UTF-8 is spelled as shells read it: $'caf\\xe9.jpg'

Each call of `Writer.write` hands whole rows to the system at once, so a kill leaves whole rows and at most one torn at
the end, which `open_nsfw.rows.resume` drops. Only the standard library is imported here, and as little of it as text needs:
one picture's score must not wait for the rest.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from open_nsfw.errors import OutputError, UsageError
from open_nsfw.rows.files import RowFile, Stdout, cannot_write

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from open_nsfw.rows.resume import Finished

FORMATS = ("text", "jsonl", "csv", "parquet")
RESUMABLE = ("jsonl", "csv", "parquet")
JOURNAL = ".journal"  # what Parquet's rows are kept in until the end: FILE.journal, JSON lines

# What would break a line, steer a terminal, or reorder what it shows: C0, DEL and C1, line and paragraph separators,
# the bidirectional controls of Unicode's UAX #9; and surrogates, which stand for bytes that are not UTF-8.
# Compiling this takes milliseconds, so it is left to the first name that needs it.
_UNPRINTABLE = "[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
_CSV_QUOTED = frozenset(',"\r\n')  # RFC 4180, section 2, rule 6


def _means(meaning: str) -> dict[str, str]:
    return {"means": meaning}


@dataclass(frozen=True)
class Row:
    """What is known about one picture, one frame, or (`kind` "summary") all frames of one file.

    Floats that are not finite are written as null; a score that is not gets the error `not-finite`.
    """

    path: str = field(metadata=_means("the file, as it was named or found; `-` is stdin"))
    member: str | None = field(default=None, metadata=_means("the name inside the archive `path`"))
    kind: str = field(
        default="picture", metadata=_means("`picture`, `frame` of a video or animation, or its `summary`")
    )
    frame: int | None = field(default=None, metadata=_means("the number of the frame or page, from 0"))
    seconds: float | None = field(default=None, metadata=_means("when the frame is shown, from the start of the video"))
    score: float | None = field(
        default=None, metadata=_means("the probability of NSFW, 0 to 1; the highest of a summary; null if it failed")
    )
    exact: bool | None = field(
        default=None,
        metadata=_means("whether the score is the exact one; false with `--fast`, `--precision bfloat16` and `int8`"),
    )
    verdict: str | None = field(default=None, metadata=_means("the score's band in the policy, with `--policy`"))
    error: str | None = field(
        default=None, metadata=_means("why there is no score: a stable code, a colon, a sentence")
    )
    width: int | None = field(default=None, metadata=_means("pixels, of the picture as encoded"))
    height: int | None = field(default=None, metadata=_means("pixels, of the picture as encoded"))
    format: str | None = field(default=None, metadata=_means("`JPEG`, `PNG`, ..., by content"))
    bytes: int | None = field(
        default=None, metadata=_means("size of the file, encoded; inside an archive, of the member")
    )
    modified: float | None = field(
        default=None, metadata=_means("when the file (the archive) was last changed, in seconds since 1970")
    )
    sha256: str | None = field(default=None, metadata=_means("of the encoded bytes, in hexadecimal, with `--hash`"))
    frames: int | None = field(default=None, metadata=_means("of a summary: how many frames have a score"))
    max: float | None = field(default=None, metadata=_means("of a summary: the highest score"))
    mean: float | None = field(default=None, metadata=_means("of a summary: the mean of the scores"))
    above: int | None = field(default=None, metadata=_means("of a summary: how many frames reach the threshold"))
    engine: str = field(default="", metadata=_means("what computed the score: `caffe`, `onnxruntime`, ..."))
    model: str = field(default="", metadata=_means("a short hash of prototxt and weights"))


class Field(NamedTuple):
    """One column: `type` is "str", "int", "float" or "bool"."""

    name: str
    type: str
    nullable: bool
    means: str


def _fields_of_row() -> tuple[Field, ...]:
    parts = ((one, str(one.type).partition(" | ")) for one in fields(Row))
    return tuple(Field(one.name, part[0], part[2] == "None", one.metadata["means"]) for one, part in parts)


FIELDS = _fields_of_row()
_CASTS: dict[str, Callable[[Any], Any]] = {"str": str, "int": int, "float": float, "bool": bool}
_COLUMNS = tuple((one.name, _CASTS[one.type]) for one in FIELDS)


def field_table() -> str:
    """The columns as a Markdown table, for docs/command.md."""
    words = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
    lines = ["| Field | Type | What it means |", "|---|---|---|"]
    for one in FIELDS:
        lines.append(f"| `{one.name}` | {words[one.type]}{' or null' if one.nullable else ''} | {one.means} |")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class OutputOptions:
    """Where rows go and as what."""

    format: str = "text"
    """One of `FORMATS`."""
    path: str | None = None
    """The file of --output; None or `-` is stdout."""
    single: bool = False
    """One plain picture was asked for: the text line is the score alone, as Yahoo's script printed it."""
    resume: bool = False
    """Go on after the rows that `path` has."""
    overwrite: bool = False
    """Start anew though `path` has rows."""
    retry_failed: bool = False
    """With `resume`: rows with an error are dropped and their pictures scored again."""
    model: str | None = None
    """With `resume`: the model's hash; a file with another model's scores is refused."""
    keeps_inexact: Callable[[float, str], bool] = lambda score, engine: False
    """With `resume`: whether a score that is not exact, of this engine, may stay; its picture is scored again if not."""


# --- a row as values, and as bytes ---


def cells(row: Row) -> dict[str, Any]:
    """The values by field, in the order of `FIELDS`, as plain str, int, float, bool or None; no NaN, no infinity."""
    values: dict[str, Any] = {}
    for name, cast in _COLUMNS:
        value = getattr(row, name)
        if value is not None:
            value = cast(value)
            if cast is float and not math.isfinite(value):
                value = None
        values[name] = value
    if values["score"] is None and row.score is not None and row.error is None:
        values["error"] = f"not-finite: the network's answer is no probability but {row.score}"
    return values


def encode_name(text: str) -> bytes:
    """The bytes that `os.fsdecode` made `text` from, where names are UTF-8."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # surrogates that stand for no byte, as Windows has them in names
        return text.encode("utf-8", "surrogatepass")


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
    return str(value).lower() if isinstance(value, bool) else repr(value)


def label(row: Row) -> str:
    """The name for people, on one line: `photos/a.jpg`, `upload.zip!a.jpg`, `loop.gif #12`, `clip.mp4 #84 @3.5s`."""
    name = printable(row.path if row.member is None else f"{row.path}!{row.member}")
    frame = "" if row.frame is None else f" #{row.frame}"
    return name + frame + ("" if row.seconds is None else f" @{row.seconds:.12g}s")


def printable(name: str) -> str:
    """`name` itself, or if anything in it is not to be printed, spelled as bash and zsh read it: `$'a\\x0ab'`."""
    plain = name.isprintable() or not re.search(_UNPRINTABLE, name)  # Python's word is stricter: no joined emoji
    if plain and not name.startswith("$'"):
        return name
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + re.sub(_UNPRINTABLE, _hexadecimal, escaped) + "'"


def _hexadecimal(match: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in encode_name(match.group()))


def text_line(row: Row, single: bool = False) -> bytes:
    """The line for people; nothing for a row without a score, whose error the command prints on stderr."""
    if row.score is None or not math.isfinite(row.score):
        return b""
    line = f"NSFW score: {row.score:.12g}" + (f" ({row.verdict})" if row.verdict else "")
    if not single or row.member is not None or row.kind != "picture":
        line += f" {label(row)}{_summary(row)}"
    return line.encode("utf-8") + b"\n"


def _summary(row: Row) -> str:
    if row.kind != "summary":
        return ""
    mean = "" if row.mean is None else f", mean {row.mean:.12g}"
    above = "" if row.above is None else f", {row.above} at or over the threshold"
    return f" (highest of {row.frames} frames{mean}{above})"


# --- writers ---


class Writer:
    """Takes rows; a context manager. `finished` is what an earlier run left in the file, None unless resumed.

    Until there are rows, or an end without any, the file stays as it was: what is wrong with the model is found only
    then, and must not cost the rows that `anew` is to replace.
    """

    def __init__(
        self,
        encode: Callable[[Row], bytes],
        sink: Stdout | RowFile,
        finished: Finished | None = None,
        head: bytes = b"",
        anew: bool = False,
    ) -> None:
        """`head` comes before the rows of an empty file; `anew`: nothing of the file's content is to stay."""
        self._encode = encode
        self._sink = sink
        self.finished = finished
        self._head = head
        self._anew = anew
        self._begun = False

    def write(self, rows: Iterable[Row]) -> None:
        """Hands the rows to the system, whole. Raises OutputError when the disk is full or the pipe closed."""
        self._begin()
        lines = [line for line in map(self._encode, rows) if line]
        if lines:
            self._sink.put(lines)

    def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        if isinstance(self._sink, RowFile):
            if self._anew:
                self._sink.cut(0)
            if self._sink.size():
                return
        if self._head:
            self._sink.put([self._head])

    def is_done(self, path: str, member: str | None = None) -> bool:
        """Whether the file has this picture's rows from an earlier run: fit to be the `skip` of `sources.Sources`."""
        return self.finished is not None and self.finished.is_done(path, member)

    def close(self) -> None:
        """Ends the file. May be called twice. Raises OutputError if the last rows did not reach the disk."""
        try:
            self._begin()
        finally:
            self._sink.close()

    def abandon(self) -> None:
        """Ends after an error: what was written stays, nothing more is made of it."""
        if not self._begun and isinstance(self._sink, RowFile):
            self._sink.remove_if_new()
        self._sink.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        try:
            self.abandon()
        except OutputError:
            pass  # the first error is the one to tell


class _ParquetWriter(Writer):
    """Parquet has its index at the end, so rows wait in a journal that a kill cannot hurt."""

    def __init__(self, sink: RowFile, path: str, finished: Finished | None, anew: bool) -> None:
        super().__init__(json_line, sink, finished, anew=anew)
        self._path = path
        self._open = True

    def close(self) -> None:
        """Makes FILE of the journal, in one step, and removes the journal."""
        if not self._open:
            return
        self._open = False
        try:
            self._begin()
            self._journal_to_parquet()
        finally:
            self._sink.close()

    def _journal_to_parquet(self) -> None:
        from open_nsfw.rows import parquet as parquet_rows
        from open_nsfw.rows.reader import read_rows

        journal = self._path + JOURNAL
        try:
            parquet_rows.write(self._path, read_rows(journal, "jsonl"))
            os.unlink(journal)  # while it is locked: nobody else begins to append to it
        except OSError as error:
            name, kept = printable(self._path), printable(journal)
            raise OutputError(f"{cannot_write(name, error)}; its rows are safe in {kept}, --resume goes on") from error

    def abandon(self) -> None:
        self._open = False
        super().abandon()


# --- opening ---


def open_writer(options: OutputOptions) -> Writer:
    """The writer that `options` ask for, with what an earlier run left already taken up.

    Raises UsageError if the request makes no sense or would lose an existing file, SetupError if Parquet's library is
    not there, OutputError if the file cannot be written.
    """
    _check(options)
    if options.path in (None, "-"):
        return _begin(options, Stdout(), None)
    path = os.path.realpath(options.path or "")
    if options.format == "parquet":
        return _ParquetWriter(*_open_journal(path, options), anew=options.overwrite)
    return _begin(options, *_open_file(path, options))


def _check(options: OutputOptions) -> None:
    if options.format not in FORMATS:
        raise UsageError(f"--format {options.format}: there is no such format; there are {', '.join(FORMATS)}")
    if options.resume and options.overwrite:
        raise UsageError("--resume and --overwrite exclude each other")
    if options.resume and options.format not in RESUMABLE:
        raise UsageError(
            f"--resume cannot go on with --format {options.format}, which holds too little; "
            f"it can with {', '.join(RESUMABLE)}"
        )
    if options.path in (None, "-"):
        if options.resume:
            raise UsageError("--resume needs the file to go on with: --output FILE")
        if options.format == "parquet":
            raise UsageError("--format parquet needs a file to write: --output FILE")


def _begin(options: OutputOptions, sink: Stdout | RowFile, finished: Finished | None) -> Writer:
    encoders = {"jsonl": json_line, "csv": csv_line}
    encode = encoders.get(options.format, lambda row: text_line(row, options.single))
    head = csv_header() if options.format == "csv" else b""
    return Writer(encode, sink, finished, head, anew=options.overwrite and isinstance(sink, RowFile) and sink.regular)


def _open_file(path: str, options: OutputOptions) -> tuple[RowFile, Finished | None]:
    """`path` is FILE, or FILE.journal for Parquet."""
    file = RowFile(path, printable(path))
    try:
        return file, _prepare(file, options)
    except BaseException:
        file.remove_if_new()
        file.close()
        raise


def _prepare(file: RowFile, options: OutputOptions) -> Finished | None:
    if not file.regular:
        if options.resume:
            raise _no_plain_file(file.name)
    elif options.resume:
        from open_nsfw.rows.resume import take_up

        return take_up(file, options.format, options)
    elif file.size() and not options.overwrite:
        raise _exists(file.name)
    return None


def _open_journal(path: str, options: OutputOptions) -> tuple[RowFile, str, Finished | None]:
    from open_nsfw.rows.parquet import check_installed

    check_installed()
    if os.path.exists(path):
        if not os.path.isfile(path):
            raise _no_plain_file(printable(path))
        if os.path.getsize(path) and not (options.resume or options.overwrite):
            raise _exists(printable(path))
    file, finished = _open_file(path + JOURNAL, options)
    return file, path, finished


def _no_plain_file(name: str) -> UsageError:
    return UsageError(f"{name}: is no plain file, as --resume and --format parquet need it")


def _exists(name: str) -> UsageError:
    return UsageError(f"{name}: exists already; --resume goes on with it, --overwrite starts anew")
