"""Rows out: as text, JSON lines, CSV or Parquet, to stdout or into a file.

Each call of `Writer.write` hands whole rows to the system at once, so a kill leaves whole rows and at most one torn at
the end, which `open_nsfw.rows.resume` drops. Only the standard library is imported here, and as little of it as text needs:
one picture's score must not wait for the rest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from open_nsfw.errors import OutputError, UsageError
from open_nsfw.rows.files import JOURNAL, RowFile, Stdout, cannot_write
from open_nsfw.rows.lines import csv_header, csv_line, json_line, text_line
from open_nsfw.rows.options import FORMATS, RESUMABLE, OutputOptions
from open_nsfw.rows.row import Row
from open_nsfw.text import printable

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from open_nsfw.rows.finished import Finished, Skip


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
        """Whether the file has, at least once, the rows of a picture with these names from an earlier run."""
        return self.finished is not None and self.finished.is_done(path, member)

    def skip(self) -> Skip | None:
        """For one pass over the sources: tells of each picture, in their order, whether the file has its rows from an
        earlier run; None unless resumed."""
        return None if self.finished is None else self.finished.skip()

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
        self._rows = sink
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
        self._rows.check()
        try:
            parquet_rows.write(self._path, read_rows(journal, "jsonl"))
            self._rows.remove()
        except OSError as error:
            name, kept = printable(self._path), printable(journal)
            raise OutputError(f"{cannot_write(name, error)}; its rows are safe in {kept}, --resume goes on") from error

    def abandon(self) -> None:
        self._open = False
        super().abandon()


def open_writer(options: OutputOptions) -> Writer:
    """The writer that `options` ask for, with what an earlier run left already taken up.

    Raises UsageError if the request makes no sense or would lose an existing file, SetupError if Parquet's library is
    not there, OutputError if the file cannot be written.
    """
    _check(options)
    if options.path in (None, "-"):
        return _begin(options, Stdout(), None)
    path = _real_path(options.path or "")
    if options.format == "parquet":
        return _ParquetWriter(*_open_journal(path, options), anew=options.overwrite)
    return _begin(options, *_open_file(path, options))


def _real_path(path: str) -> str:
    """Where links lead, so that a new file does not take the place of one; `/dev/stdout` may lead to what has no name."""
    try:
        real = os.path.realpath(path)
    except OSError as error:  # a relative name, and the working folder is gone
        raise cannot_write(printable(path), error) from error
    return real if os.path.exists(real) or not os.path.exists(path) else path


def _check(options: OutputOptions) -> None:
    if options.format not in FORMATS:
        raise UsageError(f"--format {options.format}: there is no such format; there are {', '.join(FORMATS)}")
    if options.resume and options.overwrite:
        raise UsageError("--resume and --overwrite cannot be combined")
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
        from open_nsfw.rows.resume import resume_file

        return resume_file(file, options.format, options)
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
