"""The folder of a job's result: Parquet files, each put there whole when its task is done, and what a later run goes on with.

    part-....parquet     the rows of a task
    _open_nsfw.json      what this folder holds: what was asked for, and of which model
    _SUCCESS             the job has come to its end

Spark passes over names that begin with `_`. A row that no longer counts is taken out before a run goes on: the rows beside it
in its file are written anew into `_kept`, and `_done`, with the names of the old files, says that this is whole. From there on
a run that was killed is finished by the next one, whatever it had done of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from open_nsfw.cluster.entries import ENTRY
from open_nsfw.cluster.folder import Folder, as_pattern, quoted
from open_nsfw.cluster.session import told
from open_nsfw.errors import UsageError
from open_nsfw.scoring.model_files import ModelFiles

MARK, DONE = "_open_nsfw.json", "_SUCCESS"
KEPT, KEPT_DONE = "_kept", "_done"
_OF_FOLDERS = ("no-match", "no-pictures", "unreadable")  # errors of what was to be looked into
# Each file has its name as soon as its task is done, and not only when all are.
COMMIT = {"mapreduce.fileoutputcommitter.algorithm.version": "2"}


@dataclass(frozen=True)
class Going:
    """How a folder that has rows already is met."""

    resume: bool = False
    retry_failed: bool = False
    overwrite: bool = False


def prepare(folder: Folder, asked: dict[str, Any], files: ModelFiles, how: Going) -> None:
    """Make the folder ready for a run that is `asked` for. Raises UsageError for one that holds something else."""
    mark = json.dumps({"open_nsfw": {**asked, "model": files.short_hash}}, sort_keys=True)
    names = folder.names()
    if names and MARK not in names:
        raise UsageError(f"{folder.path}: is not empty, and no run has begun there; name another --output")
    if MARK in names and not (how.resume or how.overwrite):
        state = "a finished run" if DONE in names else "a run that did not end"
        raise UsageError(f"{folder.path}: has {state}; --resume goes on with it, --overwrite begins anew")
    if MARK in names and not how.overwrite:
        _check_mark(folder, mark)
        folder.remove("_temporary")  # what tasks had that were under way
        finish_keeping(folder)
        return
    folder.remove(DONE)
    for name in names:
        if name != MARK:  # which says until the end whose folder this is
            folder.remove(name)
    folder.make()
    folder.write(MARK, mark + "\n")


def _check_mark(folder: Folder, mark: str) -> None:
    try:
        before, now = json.loads(folder.read(MARK))["open_nsfw"], json.loads(mark)["open_nsfw"]
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{folder.path_of(MARK)}: is damaged; --overwrite begins anew") from None
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            raise UsageError(
                f"{folder.path}: was begun with {name} {_shown(before.get(name))}, this run has {_shown(now.get(name))}; "
                "go on as it was begun, or begin anew with --overwrite"
            )


def _shown(value: Any) -> str:
    return json.dumps(value)


def has_rows(folder: Folder) -> bool:
    """Whether a task has left rows."""
    return any(name.startswith("part-") for name in folder.names())


def rows(spark: Any, folder: Folder) -> Any:
    """All rows, as a DataFrame."""
    return spark.read.parquet(as_pattern(folder.path))


def missing(frame: Any, done: Any, prefix: str) -> Any:
    """The entries of which `done` has no row: by path, time of change, size, and the columns that pass through. An entry that
    is there several times is missing as often as it has more of them than `done` has rows."""
    functions, window = import_module("pyspark.sql.functions"), import_module("pyspark.sql.window").Window
    passing = [name for name in frame.columns if name != ENTRY and name in done.columns]
    known = _known(done, prefix, passing)
    own = [f"{ENTRY}.path", f"{ENTRY}.modified", f"{ENTRY}.size", "_passing"]
    number = functions.row_number().over(window.partitionBy(*own).orderBy(functions.lit(0)))
    frame = frame.withColumn("_passing", _as_text(passing)).withColumn("_number", number)
    left = frame.join(
        known, on=_same(known, functions) & (functions.col("_number") <= known["_count"]), how="left_anti"
    )
    return left.drop("_passing", "_number")


def _known(done: Any, prefix: str, passing: list[str]) -> Any:
    """Which files rows are about, and how many entries each stands for: one has a row for each frame or member. A member of an
    archive does not say how large that is."""
    functions = import_module("pyspark.sql.functions")
    member, size = functions.col(f"{prefix}member"), functions.col(f"{prefix}bytes")
    found = done.select(
        functions.col(f"{prefix}path").alias("_path"),
        functions.col(f"{prefix}modified").alias("_modified"),
        functions.when(member.isNull(), size).alias("_size"),
        _as_text(passing).alias("_passed"),
        _as_text([f"{prefix}{name}" for name in ("member", "kind", "track", "frame")]).alias("_part"),
    )
    entry = ("_path", "_modified", "_size", "_passed")
    return found.groupBy(*entry, "_part").count().groupBy(*entry).agg(functions.min("count").alias("_count"))


def _as_text(names: list[str]) -> Any:
    """Columns as one that can be compared, whatever their types."""
    functions = import_module("pyspark.sql.functions")
    return functions.to_json(functions.struct(*map(quoted, names))) if names else functions.lit("")


def _same(known: Any, functions: Any) -> Any:
    entry = functions.col
    return (
        (entry(f"{ENTRY}.path") == known["_path"])
        & entry(f"{ENTRY}.modified").eqNullSafe(known["_modified"])
        & (known["_size"].isNull() | entry(f"{ENTRY}.size").isNull() | (entry(f"{ENTRY}.size") == known["_size"]))
        & (entry("_passing") == known["_passed"])
    )


def take_out(spark: Any, folder: Folder, frame: Any, prefix: str, failed: bool) -> None:
    """Take out the rows of files that have changed since, errors of folders whose files are there now and, if `failed`, all
    rows with an error: they are to be made again."""
    functions = import_module("pyspark.sql.functions")
    with told():
        found = rows(spark, folder).withColumn("_file", functions.col("_metadata.file_name"))
        now = frame.select(f"{ENTRY}.path", f"{ENTRY}.modified", f"{ENTRY}.size").toDF("_path", "_modified", "_size")
        same_path = found[f"{prefix}path"] == now["_path"]
        size = functions.when(found[f"{prefix}member"].isNull(), found[f"{prefix}bytes"])
        same = found[f"{prefix}modified"].eqNullSafe(now["_modified"]) & (
            size.isNull() | now["_size"].isNull() | (size == now["_size"])
        )
        known = found.join(now, same_path, "left_semi")
        stale = known.join(now, same_path & same, "left_anti").select(f"{prefix}path", "_file")
        gone = _looked_into(found, prefix, functions).join(now, same_path, "left_anti")
        stale = stale.union(gone.select(f"{prefix}path", "_file"))
        if failed:
            broken = found.filter(functions.col(f"{prefix}error").isNotNull())
            stale = stale.union(broken.select(f"{prefix}path", "_file"))
        stale = stale.distinct().persist()
        names = [row["_file"] for row in stale.select("_file").distinct().collect()]
        if names:
            paths = stale.select(functions.col(f"{prefix}path").alias("_stale")).distinct()
            kept = spark.read.parquet(*(as_pattern(folder.path_of(name)) for name in names)).join(
                paths, functions.col(f"{prefix}path") == paths["_stale"], "left_anti"
            )
            folder.remove(KEPT)
            kept.write.parquet(folder.path_of(KEPT))
            folder.write(KEPT_DONE, json.dumps(names))
        stale.unpersist()
    finish_keeping(folder)


def _looked_into(found: Any, prefix: str, functions: Any) -> Any:
    """Rows that say why nothing came of a folder or a pattern: where it is no entry any more, its files are."""
    code = functions.substring_index(functions.col(f"{prefix}error"), ":", 1)
    nothing_known = functions.col(f"{prefix}member").isNull() & functions.col(f"{prefix}modified").isNull()
    return found.filter(nothing_known & code.isin(*_OF_FOLDERS))


def finish_keeping(folder: Folder) -> None:
    """Put what was kept of files in their place; half of it, that a killed run left, is removed."""
    if folder.has(KEPT_DONE):
        for name in json.loads(folder.read(KEPT_DONE)):
            folder.remove(name)
        with told():
            kept = Folder(folder.spark, folder.path_of(KEPT)).names()
        for name in kept:
            if name.startswith("part-"):
                folder.move(f"{KEPT}/{name}", name)
        folder.remove(KEPT_DONE)
    folder.remove(KEPT)


def write(frame: Any, folder: Folder) -> None:
    """Compute the rows and put them into the folder, those of a task when it is done."""
    with told():
        folder.remove(DONE)
        writer = frame.write.mode("append")
        for name, value in COMMIT.items():
            writer = writer.option(name, value)
        writer.parquet(folder.path)


def finish(folder: Folder) -> None:
    """Say that nothing is missing."""
    folder.write(DONE, "")
