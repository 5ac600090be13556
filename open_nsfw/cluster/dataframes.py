"""Pictures of a DataFrame -> scores or blobs, in a DataFrame: for notebooks and jobs that have a SparkSession.

score(df)       a column of pictures or paths -> the rows of classify_nsfw
features(df)    ... -> blobs of the net
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

from open_nsfw.cluster.entries import ENTRY
from open_nsfw.cluster.inputs import table_entries
from open_nsfw.cluster.model_archive import ship
from open_nsfw.cluster.options import ScoreOptions, Work, check
from open_nsfw.cluster.results import columns
from open_nsfw.cluster.session import check_spark, set_defaults, slots
from open_nsfw.cluster.work import mapper
from open_nsfw.errors import UsageError
from open_nsfw.scoring.model_files import ModelFiles, find_model_files
from open_nsfw.scoring.options import LoadOptions


def score(df: Any, column: str | None = None, options: ScoreOptions = ScoreOptions()) -> Any:
    """A DataFrame with a row for each row of `df`: its columns, and those of `classify_nsfw --format parquet`.

    `column` has encoded pictures (binary) or paths that the executors can open (string); None: `content`, the only binary
    column, or `path`. A picture without a score has its `error`. Of a film or an animation the row sums up its frames; the path
    of an archive gives a row for each picture in it. Nothing is computed before Spark is asked for the result.

    Raises UsageError for a column that cannot be used, or whose name the result has, too; SetupError for a model that cannot
    be used, or a library that is missing.
    """
    check_spark()
    set_defaults(_classic(df))
    return compute(table_entries(df, column, options), options, one_row=True)


def features(
    df: Any, column: str | None = None, blobs: Sequence[str] = ("pool",), options: ScoreOptions = ScoreOptions()
) -> Any:
    """A DataFrame with a row for each row of `df`: its columns, those of `open-nsfw features`, and an array of float32 for
    each of `blobs`, by the names that the prototxt gives them; null where there is an `error`.

    `column` and errors as of `score`. Of a film or an animation it is the frame with the highest score.
    """
    return score(df, column, replace(options, blobs=tuple(blobs)))


def compute(frame: Any, options: ScoreOptions, one_row: bool) -> Any:
    """Entries -> a DataFrame with the columns that pass through and those of the result. Raises UsageError, SetupError."""
    spark = _classic(frame)
    files, load = model_of(options)
    archive, shapes = ship_model(spark, options)
    work = Work(
        archive=archive,
        digest=files.digest,
        load=replace(load, model_def=None, pretrained_model=None, ranges=None),
        pipeline=options.pipeline(),
        slots=slots(spark),
        sources=options.sources,
        folder=os.getcwd(),
        prefix=options.prefix,
        shapes=tuple(shapes.items()),
        with_scores=options.with_scores,
        with_pixels=options.with_pixels,
        one_row=one_row,
    )
    return mapped(frame, mapper(work), _schema(frame, work))


def mapped(frame: Any, function: Callable[[Iterator[Any]], Iterator[Any]], schema: Any) -> Any:
    """What mapInArrow gives, of columns with any names: it looks them up without quotes, and so finds none with a dot or a
    backtick. `function` gets, and gives, the columns that pass through as `_0`, `_1`, ..., by their place in `frame`."""
    types = import_module("pyspark.sql.types")
    numbered = {name: name if name == ENTRY else f"_{at}" for at, name in enumerate(frame.columns)}
    made = [types.StructField(numbered.get(one.name, one.name), one.dataType, one.nullable) for one in schema]
    return frame.toDF(*numbered.values()).mapInArrow(function, types.StructType(made)).toDF(*schema.names)


def model_of(options: ScoreOptions) -> tuple[ModelFiles, LoadOptions]:
    """The model's files, and what an executor loads of them. Raises UsageError for options that do not go together, or a
    policy of another model; ModelError."""
    check(options)
    load = options.settled_load()
    files = find_model_files(load.model_def, load.pretrained_model)
    if options.policy is not None and not options.any_model:
        options.policy.check_model(files.short_hash)
    return files, load


def ship_model(spark: Any, options: ScoreOptions) -> tuple[str, dict[str, Any]]:
    """The name of the archive in which executors find the model, and the shapes of its blobs. Raises SetupError."""
    files, load = model_of(options)
    return ship(spark, files, load, options.blobs)


def _classic(frame: Any) -> Any:
    """The SparkSession of a DataFrame. Raises UsageError for one of Spark Connect, which cannot ship the model."""
    spark = frame.sparkSession
    if not hasattr(spark, "sparkContext"):
        raise UsageError("a SparkSession with a SparkContext is needed, not one of Spark Connect")
    return spark


def _schema(frame: Any, work: Work) -> Any:
    """The result's columns for Spark, a StructType."""
    types = import_module("pyspark.sql.types")
    found = import_module("pyspark.sql.pandas.types").from_arrow_schema(columns(work))
    passing = [one for one in frame.schema if one.name != ENTRY]
    clash = sorted({one.name.lower() for one in passing} & {one.name.lower() for one in found})
    if clash:
        raise UsageError(
            f"the input has the column{'s' if len(clash) > 1 else ''} {', '.join(clash)}, which the result has, too; give its "
            "columns a prefix (prefix of ScoreOptions, --prefix)"
        )
    return types.StructType([*passing, *found])
