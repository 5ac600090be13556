"""A job from INPUT... to its folder: inputs -> entries -> what is missing of them -> rows, and what came of it all."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from typing import Any

from open_nsfw.cluster import output
from open_nsfw.cluster.dataframes import compute, mapped, model_of, ship_model
from open_nsfw.cluster.folder import Folder
from open_nsfw.cluster.inputs import TABLE, Inputs, packed, read, spread
from open_nsfw.cluster.options import ScoreOptions
from open_nsfw.cluster.output import Going
from open_nsfw.cluster.session import SessionOptions, session, told
from open_nsfw.cluster.work import measurer
from open_nsfw.errors import UsageError
from open_nsfw.scoring.fast import THRESHOLDS


@dataclass(frozen=True)
class JobRequest:
    """What a job is asked for."""

    inputs: tuple[str, ...]
    output: str
    """The folder, in any file system that Spark knows."""
    column: str | None = None
    """The column of pictures or paths: the inputs are tables then."""
    options: ScoreOptions = ScoreOptions()
    going: Going = Going()
    session: SessionOptions = SessionOptions()


@dataclass(frozen=True)
class Outcome:
    """What the folder has at the end; rows that sum up a film or an animation do not count beside its frames."""

    scored: int
    bands: tuple[tuple[str, int], ...]
    """(the name of the band, how many scores are in it)"""
    errors: tuple[tuple[str, int], ...]
    """(code, how many rows have it)"""
    files: int
    passed_over: int

    @property
    def failed(self) -> int:
        """How many pictures have no score."""
        return sum(count for _, count in self.errors)


def run(request: JobRequest) -> Outcome:
    """Do the job. Raises UsageError, SetupError."""
    with session(request.session) as spark:
        return run_in(spark, request)


def run_in(spark: Any, request: JobRequest) -> Outcome:
    """Do the job in a session that is there."""
    options, name = request.options, request.session.name
    files, _ = model_of(options)
    with told():
        ship_model(spark, options)  # what is wrong with the model costs no rows that are to be replaced
    folder = Folder(spark, request.output)
    output.prepare(folder, _asked(request), files, request.going)
    context = spark.sparkContext
    with told():
        context.setJobDescription(f"{name}: list the inputs")
        inputs = read(spark, request.inputs, request.column, options, folder)
        frame = inputs.frame
        if request.going.resume and output.has_rows(folder):
            frame = _left(spark, folder, request, inputs)
            inputs = replace(inputs, amount=None)
        if request.going.resume and output.has_rows(folder) and frame.isEmpty():
            output.finish(folder)
        else:
            _score(frame, folder, request, inputs)
        context.setJobDescription(f"{name}: count the rows")
        outcome = _outcome(spark, folder, options, inputs)
        folder.remove(TABLE)
    return outcome


def _score(frame: Any, folder: Folder, request: JobRequest, inputs: Inputs) -> None:
    context = frame.sparkSession.sparkContext
    if request.column is not None:
        frame = spread(frame, context.defaultParallelism)
    elif not inputs.is_table:
        frame = packed(frame, context.defaultParallelism, inputs.amount)
    result = compute(frame, request.options, inputs.one_row)
    context.setJobDescription(f"{request.session.name}: {', '.join(request.inputs[:3])} -> {request.output}")
    output.write(result, folder)


def _left(spark: Any, folder: Folder, request: JobRequest, inputs: Inputs) -> Any:
    """The entries that have no row yet; rows that no longer count are taken out."""
    prefix = request.options.prefix
    spark.sparkContext.setJobDescription(f"{request.session.name}: find what is missing")
    if not inputs.has_paths:
        raise UsageError("--resume goes by the path of a picture, and the table has no column path")
    frame = mapped(inputs.frame, measurer(os.getcwd()), inputs.frame.schema) if inputs.is_table else inputs.frame
    output.take_out(spark, folder, frame, prefix, request.going.retry_failed)
    if not output.has_rows(folder):
        return frame
    return output.missing(frame, output.rows(spark, folder), prefix)


def _asked(request: JobRequest) -> dict[str, Any]:
    """What rows of one folder must have in common, as JSON has it."""
    options = request.options
    thresholds = options.settled_load().thresholds
    return {
        "column": request.column,
        "fast": options.load.fast,
        "thresholds": list(thresholds) if options.load.fast or options.policy is not None else None,
        "bands": None if options.policy is None else list(options.policy.bands),
        "frames": asdict(options.extraction.frames),
        "hash": options.extraction.hash,
        "prefix": options.prefix,
        "blobs": list(options.blobs),
        "pixels": options.with_pixels,
    }


def _outcome(spark: Any, folder: Folder, options: ScoreOptions, inputs: Inputs) -> Outcome:
    """Count the rows of the folder."""
    functions = import_module("pyspark.sql.functions")
    prefix = options.prefix
    error, rows = functions.col(f"{prefix}error"), output.rows(spark, folder)
    names: tuple[str, ...] = ("",)
    band = functions.lit(0)
    if not inputs.one_row:
        rows = rows.filter(functions.col(f"{prefix}kind") != "summary")
    if not options.blobs:
        thresholds, names = _bands(options)
        band = sum((functions.col(f"{prefix}score") >= each).cast("int") for each in thresholds)
    code = functions.substring_index(error, ":", 1).alias("code")
    counts = rows.groupBy(code, functions.when(error.isNull(), band).alias("band")).count().collect()
    return Outcome(
        scored=sum(row["count"] for row in counts if row["code"] is None),
        bands=tuple((name, sum(row["count"] for row in counts if row["band"] == at)) for at, name in enumerate(names)),
        errors=tuple(sorted((row["code"], row["count"]) for row in counts if row["code"] is not None)),
        files=sum(name.startswith("part-") for name in folder.names()),
        passed_over=inputs.passed_over,
    )


def _bands(options: ScoreOptions) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """The thresholds that scores are counted by, and the names of what lies between them."""
    if options.policy is not None:
        return options.policy.thresholds, options.policy.bands
    thresholds = options.thresholds or THRESHOLDS
    between = [f"from {low:g} to {high:g}" for low, high in zip(thresholds, thresholds[1:])]
    if len(between) == 1:
        between = ["in the middle"]
    return thresholds, (f"below {thresholds[0]:g}", *between, f"at {thresholds[-1]:g} or above")
