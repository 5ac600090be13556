"""Scores in a DataFrame are those of the command, and cost no row another one."""

from __future__ import annotations

import os
import shutil
import tarfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from open_nsfw.calibration.policy import Policy
from open_nsfw.errors import ModelError, UsageError
from open_nsfw.pictures.extraction import Extraction
from open_nsfw.pictures.formats import Limits
from open_nsfw.scan.bulk import scan_rows
from open_nsfw.scoring.load import load_models
from open_nsfw.scoring.options import LoadOptions
from open_nsfw.sources.item import SourceOptions
from tests.tools.helpers import DATA, small_net, write_model
from tests.tools.planted_decoders import KINDS
from tests.tools.processes import marked, wait_until

pytest.importorskip("pyspark", reason="pyspark is not installed in this interpreter")

from open_nsfw.cluster import ScoreOptions, features, score
from open_nsfw.cluster.model_archive import _shipped

pytestmark = pytest.mark.spark

CLOSE = 1e-6
GOOD = sorted((DATA / "pushed").glob("*.jpg"))[:6]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good ones, and some that have no score."""
    folder = tmp_path_factory.mktemp("pictures")
    for path in [*GOOD, DATA / "pictures" / "animated.gif", DATA / "pictures" / "cmyk.tif"]:
        shutil.copy(path, folder)
    (folder / "cut.jpg").write_bytes(GOOD[0].read_bytes()[:900])
    (folder / "text.jpg").write_text("no picture\n")
    return folder


def binary_files(spark: Any, folder: Path) -> Any:
    """A folder as Spark reads it."""
    return spark.read.format("binaryFile").load(str(folder))


def by_name(rows: list[Any]) -> dict[str, Any]:
    """Rows by the name of their file."""
    return {os.path.basename(row["path"]): row for row in rows}


def test_rows_are_those_of_the_command(spark: Any, pictures: Path) -> None:
    """A row for each, errors and all columns the same, and what the files have beside passes through."""
    found = by_name(score(binary_files(spark, pictures)).collect())
    expected = {os.path.basename(row.path): row for row in scan_rows(pictures)}
    assert found.keys() == expected.keys()
    for name, row in expected.items():
        for column in (
            "kind",
            "error",
            "width",
            "height",
            "format",
            "bytes",
            "exact",
            "engine",
            "model",
            "frame_choice",
        ):
            assert found[name][column] == getattr(row, column), (name, column)
        assert found[name]["length"] == row.bytes
        if row.score is not None:
            assert found[name]["score"] == pytest.approx(row.score, abs=CLOSE)
    assert sum(row["score"] is None for row in found.values()) == 2


def test_paths_in_a_table(spark: Any, pictures: Path) -> None:
    """Other columns stay beside the right row, whatever it is; a folder, an address and nothing are told as what they are."""
    paths = [
        str(GOOD[0]),
        str(pictures / "cut.jpg"),
        None,
        str(pictures),
        "/absent.jpg",
        "s3a://bucket/a.jpg",
        str(GOOD[1]),
    ]
    frame = spark.createDataFrame(list(enumerate(paths)), "number int, picture string").repartition(3)
    rows = sorted(score(frame, "picture").collect(), key=lambda row: row["number"])
    assert [row["picture"] for row in rows] == paths
    codes = [None if row["error"] is None else row["error"].partition(":")[0] for row in rows]
    assert codes == [None, "truncated", "empty", "is-a-directory", "not-found", "unreadable", None]
    for index in (0, 6):
        assert rows[index]["score"] == pytest.approx(float(os.path.basename(paths[index] or "")[:5]), abs=0.002)


def test_an_archive_in_a_table_gives_its_members(spark: Any, tmp_path: Path) -> None:
    """Each with what passes through of the archive's row."""
    with tarfile.open(tmp_path / "shard.tar", "w") as shard:
        for path in GOOD[:2]:
            shard.add(path, path.name)
        shard.add(DATA / "SOURCES.csv", "000.json")
    frame = spark.createDataFrame([(str(tmp_path / "shard.tar"), 7)], "path string, shard int")
    rows = score(frame).collect()
    assert [(row["member"], row["shard"]) for row in rows] == [(path.name, 7) for path in GOOD[:2]]


def test_bytes_in_a_field(spark: Any) -> None:
    """As Hugging Face's data sets have them; the other fields stay, the bytes do not."""
    from pyspark.sql import functions

    frame = spark.createDataFrame([(GOOD[0].read_bytes(), "a.jpg", "cat")], "bytes binary, path string, label string")
    frame = frame.select(functions.struct("bytes", "path").alias("image"), "label")
    (row,) = score(frame, "image.bytes").collect()
    assert row["image"].asDict() == {"path": "a.jpg"} and row["label"] == "cat"
    assert row["score"] == pytest.approx(0.05, abs=0.002)


def test_a_file_over_the_limit_is_a_row(spark: Any, pictures: Path) -> None:
    """And not the end of the job; its bytes never come to Python."""
    sources = SourceOptions(limits=Limits(max_bytes=5_000))
    options = ScoreOptions(extraction=Extraction(sources.limits), sources=sources)
    found = by_name(score(binary_files(spark, pictures), options=options).collect())
    over = {path.name for path in pictures.iterdir() if path.stat().st_size > 5_000}
    errors = {row["error"] for name, row in found.items() if name in over}
    assert errors == {"too-many-bytes: more than the limit of 5,000 bytes (--max-bytes)"}
    assert len(found) == len(list(pictures.iterdir()))


def test_policy_and_fast_mode(spark: Any) -> None:
    """The verdicts of the policy, and the quick scores that the one machine gives."""
    policy = Policy((0.2, 0.8), model=load_models(LoadOptions()).exact.engine.model_hash)
    options = ScoreOptions(load=LoadOptions(fast=True), policy=policy)
    frame = spark.createDataFrame([(str(path),) for path in sorted((DATA / "pushed").glob("*.jpg"))], "path string")
    found = {row["path"]: row for row in score(frame, options=options).collect()}
    models = load_models(LoadOptions(engine="onnxruntime", threads=1, fast=True, thresholds=(0.2, 0.8)))
    for row in scan_rows(list(found), models):
        assert row.score is not None
        mine = found[row.path]
        assert (mine["exact"], mine["engine"]) == (row.exact, row.engine)
        assert mine["score"] == pytest.approx(row.score, abs=1e-4 if not row.exact else CLOSE)
        assert mine["verdict"] == policy.verdict(row.score)


def test_a_policy_of_another_model(spark: Any) -> None:
    """Is refused as by the command."""
    with pytest.raises(UsageError, match="was made for the model 0123456789ab, this is"):
        score(binary_files(spark, DATA), options=ScoreOptions(policy=Policy((0.5,), ("a", "b"), model="0123456789ab")))


def test_columns_that_clash(spark: Any, pictures: Path) -> None:
    """Are named, with the way out, which works."""
    from pyspark.sql import functions

    frame = binary_files(spark, pictures).withColumn("score", functions.lit(1)).withColumn("width", functions.lit(2))
    with pytest.raises(
        UsageError, match=r"^the input has the columns score, width, which the result has, too; give its"
    ):
        score(frame)
    found = score(frame, options=ScoreOptions(prefix="nsfw_")).filter("path like '%cut.jpg'").collect()
    assert [(row["score"], row["width"], row["nsfw_error"].partition(":")[0]) for row in found] == [(1, 2, "truncated")]


@pytest.mark.parametrize(
    "schema, message",
    [
        ("a int", "which column has the pictures? There are a"),
        ("a binary, b binary", "which column has the pictures? There are a, b"),
    ],
)
def test_no_column_of_pictures(spark: Any, schema: str, message: str) -> None:
    """One line, before anything runs."""
    with pytest.raises(UsageError) as raised:
        score(spark.createDataFrame([], schema))
    assert str(raised.value) == message


def test_a_column_of_another_type(spark: Any) -> None:
    """Or of another name."""
    with pytest.raises(
        UsageError, match=r"^the column a is of type int; pictures \(binary\) or paths \(string\) are needed$"
    ):
        score(spark.createDataFrame([], "a int"), "a")
    with pytest.raises(UsageError, match=r"^there is no column b; there are a$"):
        score(spark.createDataFrame([], "a int"), "b")


def test_a_decoder_that_misbehaves_costs_its_row(spark: Any, planted: dict[str, Path]) -> None:
    """A crash, a hang, all of the memory: in one task, good pictures between them."""
    names = ["crash", "hang", "eat", "raise", "exit"]
    paths = [str(path) for name, good in zip(names, GOOD) for path in (planted[name], good)]
    frame = spark.createDataFrame([(path,) for path in paths], "path string").coalesce(1)
    options = ScoreOptions(extraction=Extraction(max_memory=900_000_000), max_seconds=2)
    rows = score(frame, options=options).collect()
    assert [row["path"] for row in rows] == paths
    assert [row["error"] for row in rows[0::2]] == [KINDS[name].error for name in names]
    assert [row["error"] for row in rows[1::2]] == [None] * len(names)


def test_no_decoder_outlives_a_killed_task(spark: Any, planted: dict[str, Path], mark: Path) -> None:
    """The job is cancelled while a decoder hangs, deaf to signals."""
    frame = spark.createDataFrame([(str(planted["hang-deaf"]),)], "path string")
    context = spark.sparkContext

    def decoders() -> list[int]:
        return [pid for pid in marked(mark) if b"decode_worker" in _command_line(pid)]

    def job() -> None:
        context.setJobGroup("doomed", "a job to be cancelled", interruptOnCancel=True)
        with pytest.raises(Exception, match="cancelled"):
            score(frame).collect()

    assert decoders() == []
    thread = threading.Thread(target=job)
    thread.start()
    wait_until(lambda: len(decoders()) > 0, "a decoder at work")
    context.cancelJobGroup("doomed")
    thread.join()
    wait_until(lambda: decoders() == [], "the end of the decoders")


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_the_model_is_converted_on_the_driver_alone(spark: Any) -> None:
    """What the executors have unpacked is what they were given: nothing was converted there."""
    from pyspark import SparkFiles

    score(
        spark.createDataFrame([(str(GOOD[0]),)], "path string"), options=ScoreOptions(load=LoadOptions(fast=True))
    ).collect()
    names = {
        name for (application, _), (name, _) in _shipped.items() if application == spark.sparkContext.applicationId
    }
    for name in names:
        kept = [path.name for path in Path(SparkFiles.get(name), "cache").glob("*.onnx")]
        assert len(kept) == len({path[:32] + str("int8" in path) + str("ort" in path) for path in kept})
        assert all(time.time() - os.stat(Path(SparkFiles.get(name), "cache", path)).st_ctime < 3600 for path in kept)


def test_an_error_of_the_model_is_one_line(spark: Any, tmp_path: Path) -> None:
    """Told by the driver, before a task runs."""
    _, model_def, _, weights = write_model(tmp_path, small_net(top="other"))
    options = ScoreOptions(load=LoadOptions(model_def, weights))
    with pytest.raises(ModelError, match='the net makes no blob "prob"'):
        score(spark.createDataFrame([("a",)], "path string"), options=options)


def test_features(spark: Any, pictures: Path) -> None:
    """Those of one machine, bit for bit; null where there is an error; labels pass through."""
    from pyspark.sql import functions

    from open_nsfw.scan.options import PipelineOptions
    from open_nsfw.scan.pipeline import Pipeline
    from open_nsfw.scoring.blobs import BlobClassifier, BlobScore
    from open_nsfw.scoring.model_files import find_model_files
    from open_nsfw.scoring.scorer import Models
    from open_nsfw.sources.walk import Sources

    frame = binary_files(spark, pictures).withColumn("label", functions.lit("cat"))
    found = by_name(features(frame, blobs=["pool", "prob"]).collect())
    with Pipeline(PipelineOptions(1)) as pipeline:
        pipeline.start(Sources([str(pictures)]))
        pipeline.use(Models(BlobClassifier(find_model_files(), ["pool", "prob"])))
        expected = {os.path.basename(row.path): row for rows in pipeline.rows() for row in rows}
    assert found.keys() == expected.keys()
    for name, row in expected.items():
        mine = found[name]
        assert (mine["error"], mine["label"]) == (row.error, "cat")
        if isinstance(row.score, BlobScore):
            assert mine["pool"] == row.score.blobs["pool"].reshape(-1).tolist()
            assert mine["prob"] == row.score.blobs["prob"].reshape(-1).tolist()
        else:
            assert mine["pool"] is None and mine["prob"] is None


def test_spark_connect() -> None:
    """Has no way to ship the model: one line."""

    class Frame:
        sparkSession = object()

    with pytest.raises(UsageError, match="^a SparkSession with a SparkContext is needed, not one of Spark Connect$"):
        score(Frame())


def test_a_film_is_one_row(spark: Any) -> None:
    """That sums up its frames."""
    pytest.importorskip("av", reason="PyAV is not installed in this interpreter")
    from tests.tools.films import film

    content = film()
    (row,) = score(spark.createDataFrame([(bytearray(content),)], "video binary")).collect()
    assert (row["kind"], row["bytes"]) == ("summary", len(content))
    assert row["frames"] > 2 and row["score"] == row["max"]
