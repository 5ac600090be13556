"""INPUT... -> a DataFrame of entries: files that the driver lists, files that Spark reads, and tables."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from importlib import import_module
from typing import Any

from open_nsfw.cluster import entries, listing
from open_nsfw.cluster.entries import ENTRY
from open_nsfw.cluster.folder import Folder, as_pattern, quoted
from open_nsfw.cluster.options import ScoreOptions
from open_nsfw.errors import UsageError

# What a task is made of: so many pictures take a core about a minute, and what a lost task costs is scored again.
PICTURES_PER_TASK = 4096
BYTES_PER_TASK = 2**30
LEAST_PER_TASK = 8  # pictures; a task takes some tenths of a second by itself
TASKS_PER_SLOT = 4  # so that no core waits long for another one's last task
TABLE = "_inputs"  # in the folder of the output; Spark passes over names that begin so
PARQUET, CSV, JSON = (".parquet",), (".csv",), (".json", ".jsonl", ".ndjson")


@dataclass(frozen=True)
class Inputs:
    """What there is to score."""

    frame: Any
    """A DataFrame with the column `ENTRY`, and those that pass through."""
    one_row: bool
    """Whether each of its rows is to have one row in the result."""
    is_table: bool
    """Whether its rows lie where Spark found them, and stay in its partitions."""
    has_paths: bool = True
    """Whether it says of every row which file that is about."""
    passed_over: int = 0
    amount: tuple[int, int] | None = None
    """(files, bytes), where that is known without asking Spark."""


def read(spark: Any, names: Sequence[str], column: str | None, options: ScoreOptions, folder: Folder) -> Inputs:
    """The inputs as entries. With `column` they are tables with pictures or paths in this column."""
    if column is not None:
        tables = [read_table(spark, name) for name in names]
        frames = [table_entries(each, column, options) for each in tables]
        has_paths = all("path" in each.columns or _type_of(each, column) == "string" for each in tables)
        frame = reduce(lambda left, right: left.unionByName(right, allowMissingColumns=True), frames)
        return Inputs(frame, one_row=True, is_table=True, has_paths=has_paths)
    for name in names:
        if name.lower().endswith(PARQUET):
            raise UsageError(f"{name}: is a table; name its column of pictures or paths with --column")
    is_default = Folder(spark, ".").path.startswith("file:")
    on_disk = list(listing.on_this_machine(names, is_default))
    mine = [_plain(name) for name, is_mine in zip(names, on_disk) if is_mine]
    theirs = [name for name, is_mine in zip(names, on_disk) if not is_mine]
    found = listing.list_files(mine, options.sources, folder, TABLE)
    functions = import_module("pyspark.sql.functions")
    frame = spark.read.parquet(as_pattern(found.table)).select(functions.struct(*entries.FIELDS).alias(ENTRY))
    if theirs:
        frame = frame.union(_binary_files(spark, theirs, options.sources.limits.max_bytes))
    amount = (found.files, found.size)
    return Inputs(frame, one_row=False, is_table=bool(theirs), passed_over=found.passed_over, amount=amount)


def _plain(name: str) -> str:
    """A path of this machine, without `file:`."""
    return entries.location(name, "") if name.startswith("file:") else name


def read_table(spark: Any, name: str) -> Any:
    """A table, by the path of its files or by its name in Spark's catalog."""
    plain = name.lower().rstrip("/")
    if plain.endswith(CSV):
        written = {"header": "true", "multiLine": "true", "escape": '"'}  # as spreadsheets and Python write it
        return spark.read.options(**written).csv(name)
    if plain.endswith(JSON):
        return spark.read.json(name)
    if plain.endswith(PARQUET) or "/" in name or os.path.exists(name):
        return spark.read.parquet(name)
    return spark.table(name)


def table_entries(frame: Any, column: str | None, options: ScoreOptions) -> Any:
    """A DataFrame's rows with their entry, made of `column`: pictures (binary) or paths (string). The pictures themselves do
    not pass through, nor does a path by the name that it has in the result. Raises UsageError."""
    functions = import_module("pyspark.sql.functions")
    name = column or _default_column(frame)
    kind = _type_of(frame, name)
    values = functions.col(_reference(frame, name))
    if kind == "binary":
        made = _pictures(frame, values, options.sources.limits.max_bytes)
    elif kind == "string":
        made = _paths(values)
    else:
        raise UsageError(f"the column {name} is of type {kind}; pictures (binary) or paths (string) are needed")
    result = frame.withColumn(ENTRY, made)
    taken = "path" if kind == "binary" and dict(frame.dtypes).get("path") == "string" else name
    if kind == "binary":
        result = _without(result, name)
    return result.drop("path") if taken == "path" and not options.prefix else result


def _pictures(frame: Any, values: Any, most: int) -> Any:
    """The entry of a column of pictures; columns of Spark's binaryFile are used for what they say of the file."""
    functions = import_module("pyspark.sql.functions")
    kinds = dict(frame.dtypes)
    path = functions.col("path") if kinds.get("path") == "string" else functions.lit("")
    changed = functions.lit(None)
    if kinds.get("modificationTime") == "timestamp":
        changed = functions.col("modificationTime").cast("double")
    size = functions.octet_length(values)
    return _entry(
        kind=functions.lit(entries.PICTURE),
        path=functions.coalesce(path, functions.lit("")),
        size=size.cast("bigint"),
        modified=changed,
        content=functions.when(size <= most, values),  # a larger one does not leave the JVM
    )


def _paths(values: Any) -> Any:
    functions = import_module("pyspark.sql.functions")
    return _entry(
        kind=functions.when(values.isNull(), entries.FAILED).otherwise(entries.NAMED),
        path=functions.coalesce(values, functions.lit("")),
        error=functions.lit("empty: the column has no path in this row"),
    )


def _entry(**values: Any) -> Any:
    functions = import_module("pyspark.sql.functions")
    given = {"by_content": functions.lit(False), **values}
    fields = [given.get(name, functions.lit(None)).cast(kind).alias(name) for name, kind in entries.FIELDS.items()]
    return functions.struct(*fields)


def _default_column(frame: Any) -> str:
    """The column of pictures: `content`, as binaryFile has it, else the only binary one, else `path`."""
    kinds = dict(frame.dtypes)
    binary = [name for name, kind in kinds.items() if kind == "binary"]
    if "content" in binary:
        return "content"
    if len(binary) == 1:
        return str(binary[0])
    if not binary and kinds.get("path") == "string":
        return "path"
    raise UsageError(f"which column has the pictures? There are {', '.join(kinds)}")


def _type_of(frame: Any, name: str) -> str:
    try:
        return str(dict(frame.select(_reference(frame, name)).dtypes).popitem()[1])
    except import_module("pyspark.errors").AnalysisException:
        raise UsageError(f"there is no column {name}; there are {', '.join(frame.columns)}") from None


def _reference(frame: Any, name: str) -> str:
    """A column as Spark's functions take it: in quotes, or else a field of a column, as `image.bytes`."""
    return quoted(name) if name in frame.columns else name


def _without(frame: Any, name: str) -> Any:
    """The frame without a column, or without a field of one, as `image.bytes`."""
    if name in frame.columns or "." not in name:
        return frame.drop(name)
    outer, _, field = name.partition(".")
    functions = import_module("pyspark.sql.functions")
    if len(dict(frame.select(f"{outer}.*").dtypes)) == 1:
        return frame.drop(outer)
    return frame.withColumn(outer, functions.col(outer).dropFields(field))


def _binary_files(spark: Any, names: Sequence[str], most: int) -> Any:
    """Files as Spark reads them, those over the limit without their content, which Spark then leaves alone."""
    functions = import_module("pyspark.sql.functions")
    files = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(list(names))

    def entry(content: Any) -> Any:
        return _entry(
            kind=functions.lit(entries.FOUND),
            path=functions.col("path"),
            size=functions.col("length"),
            modified=functions.col("modificationTime").cast("double"),
            content=content,
        ).alias(ENTRY)

    small = files.filter(functions.col("length") <= most).select(entry(functions.col("content")))
    large = files.filter(functions.col("length") > most).select(entry(functions.lit(None)))
    return small.union(large)


def packed(frame: Any, slots: int, amount: tuple[int, int] | None) -> Any:
    """Entries that the driver listed, in tasks of a size that is worth a task and is lost without much harm. `amount`: files
    and bytes; None: Spark counts them."""
    files, total = _counted(frame) if amount is None else amount
    tasks = max(
        math.ceil(files / PICTURES_PER_TASK),
        math.ceil(total / BYTES_PER_TASK),
        min(math.ceil(files / LEAST_PER_TASK), TASKS_PER_SLOT * slots),
    )
    tasks = max(1, min(tasks, files))
    if files <= listing.ROWS_AT_ONCE:
        frame = frame.coalesce(1)  # dealt out from one place, every task gets as many
    return frame.repartition(tasks).sortWithinPartitions(f"{ENTRY}.path")


def spread(frame: Any, slots: int) -> Any:
    """The rows of tables, in tasks enough for all cores: one Parquet file of a million rows may be a single task's."""
    tasks = TASKS_PER_SLOT * slots
    return frame if frame.rdd.getNumPartitions() >= tasks else frame.repartition(tasks)


def _counted(frame: Any) -> tuple[int, int]:
    functions = import_module("pyspark.sql.functions")
    size = functions.coalesce(functions.col(f"{ENTRY}.size"), functions.lit(0))
    found = frame.agg(functions.count(functions.lit(1)).alias("files"), functions.sum(size).alias("bytes")).first()
    return found["files"], found["bytes"] or 0
