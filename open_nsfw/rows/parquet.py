"""Rows as Parquet, through pyarrow, which is imported when a file is made or read.

Parquet's strings are UTF-8 and names are not always: one that is not, or that begins with `bytes:`, is spelled `bytes:`
and percent-encoded, `bytes:caf%E9.jpg`. All other names stand as they are.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from typing import Any

from open_nsfw.errors import SetupError
from open_nsfw.files import written_beside
from open_nsfw.installing import install_command
from open_nsfw.rows.row import FIELDS, Row, cells
from open_nsfw.text import encode_name

ROWS_AT_ONCE = 10_000  # a row group; bounds what is in memory
LARGEST_GROUP = 2**30  # bytes of a row group that is read; one of this command's has some tens of bytes a cell
LONGEST_TEXTS = 2**21  # bytes of all texts of one row, as the reader of the other formats has it
MOST_CELLS = 1024  # values that the cells of one row have; those of nets have 49, and seldom more than 256
BYTES = "bytes:"

# A program: exit status 0 if no column of a Parquet file has more values than its rows can have.
_COUNT_VALUES = """
import sys
sys.path[:] = {paths!r}
import pyarrow.parquet
metadata = pyarrow.parquet.read_metadata(sys.argv[1])
groups = map(metadata.row_group, range(metadata.num_row_groups))
counts = ((group.column(each).num_values, group.num_rows) for group in groups for each in range(group.num_columns))
sys.exit(any(values > {most} * rows for values, rows in counts))
"""


def check_installed() -> None:
    """Raises SetupError, before anything is scored, if the rows could not be written in the end."""
    if find_spec("pyarrow") is None:
        raise SetupError(f"--format parquet needs pyarrow: {install_command('parquet')}")


def spell(text: str | None) -> str | None:
    """`text` for a Parquet string."""
    if text is None or not (text.startswith(BYTES) or re.search("[\ud800-\udfff]", text)):
        return text
    from urllib.parse import quote

    return BYTES + quote(encode_name(text), safe="/ ")


def unspell(text: str | None) -> str | None:
    """What `spell` was given."""
    if text is None or not text.startswith(BYTES):
        return text
    from urllib.parse import unquote_to_bytes

    return unquote_to_bytes(text[len(BYTES) :]).decode("utf-8", "surrogateescape")


def write(path: str, rows: Iterable[Row]) -> None:
    """A Parquet file of `rows`, which appears under its name when it is whole. Raises OSError."""
    with written_beside(path) as file:
        _write_groups(file, rows)


def schema() -> Any:
    """The columns of a row, as a pyarrow.Schema."""
    arrow = import_module("pyarrow")
    types = {"str": arrow.string(), "int": arrow.int64(), "float": arrow.float64(), "bool": arrow.bool_()}
    types["Grid"] = arrow.list_(arrow.list_(arrow.float64()))
    return arrow.schema([arrow.field(one.name, types[one.type], one.nullable) for one in FIELDS])


def _write_groups(file: Any, rows: Iterable[Row]) -> None:
    rows = iter(rows)
    with import_module("pyarrow.parquet").ParquetWriter(file, schema()) as writer:
        while group := list(islice(rows, ROWS_AT_ONCE)):
            writer.write_table(table(group))


def table(rows: Sequence[Row]) -> Any:
    """The rows as a pyarrow.Table with the columns of `schema`."""
    return import_module("pyarrow").Table.from_pylist([_spelled(row) for row in rows], schema=schema())


def _spelled(row: Row) -> dict[str, Any]:
    values = cells(row)
    values.update((one.name, spell(values[one.name])) for one in FIELDS if one.type == "str")
    return values


def read(path: str) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file as dictionaries, names unspelled. Raises ValueError if it has none, OSError."""
    arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    try:
        metadata = parquet.read_metadata(path)
        columns = set(metadata.schema.to_arrow_schema().names)
        if "path" not in columns or not columns <= {one.name for one in FIELDS}:
            raise ValueError("other columns")
        _check_sizes(path, metadata)
        # Texts as dictionaries: a long one that a hostile file repeats is in memory once.
        texts = [one.name for one in FIELDS if one.type == "str" and one.name in columns]
        with parquet.ParquetFile(path, read_dictionary=texts) as file:
            for batch in file.iter_batches(batch_size=ROWS_AT_ONCE // 10, use_threads=False):
                yield from _dictionaries(batch)
    except (arrow.ArrowException, KeyError) as error:  # KeyError: columns inside columns
        raise ValueError(str(error)) from error


def _check_sizes(path: str, metadata: Any) -> None:
    """Raises ValueError for rows that would not fit into memory, OSError."""
    for number in range(metadata.num_row_groups):
        if metadata.row_group(number).total_byte_size > LARGEST_GROUP:
            raise ValueError("a group of rows that is too large")
    # A list of a billion zeros takes a few bytes in the file. How long lists are is told by a part of pyarrow that ends its
    # process where the file is damaged, so that is another one.
    code = _COUNT_VALUES.format(paths=[os.path.abspath(each) for each in sys.path], most=MOST_CELLS)
    if subprocess.run([sys.executable, "-S", "-c", code, path], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        raise ValueError("damaged, or a column with more values than a row can have")


def _dictionaries(batch: Any) -> Iterator[dict[str, Any]]:
    """The rows of a batch, so many at a time that their texts take little memory."""
    compute = import_module("pyarrow.compute")
    dictionaries = [column.dictionary for column in batch.columns if hasattr(column, "dictionary")]
    longest = sum(compute.max(compute.binary_length(texts)).as_py() or 0 for texts in dictionaries)
    if longest > LONGEST_TEXTS:
        raise ValueError("a row that is too long")
    step = max(1, min(len(batch), 8 * LONGEST_TEXTS // (longest + 1)))
    for start in range(0, len(batch), step):
        for found in batch.slice(start, step).to_pylist():
            yield {name: unspell(value) if isinstance(value, str) else value for name, value in found.items()}
