"""Jobs from INPUT... to a folder: the rows of the command, and what a second run does with those of a first."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from open_nsfw.errors import UsageError
from open_nsfw.rows.parquet import read
from tests.tools.helpers import DATA
from tests.tools.spark_rows import assert_same, by_command, written

pytest.importorskip("pyspark", reason="pyspark is not installed in this interpreter")

from open_nsfw.cluster import output
from open_nsfw.cluster.folder import Folder
from open_nsfw.cluster.options import ScoreOptions
from open_nsfw.cluster.output import Going
from open_nsfw.cluster.run import JobRequest, run_in

pytestmark = pytest.mark.spark

PUSHED = sorted((DATA / "pushed").glob("*.jpg"))
RESUME = Going(resume=True)


@pytest.fixture(name="photos")
def _photos(tmp_path: Path) -> Path:
    """A folder with all that a folder may have."""
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    for path in PUSHED[:4]:
        shutil.copy(path, folder)
    shutil.copy(DATA / "pictures" / "animated.gif", folder / "deeper" / "no-ending")
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.write(PUSHED[5], "in zip.jpg")
        archive.writestr("broken.png", b"\x89PNG\r\n\x1a\n")
        archive.writestr("notes.txt", "no picture")
    (folder / os.fsdecode(b"caf\xe9.jpg")).write_bytes(PUSHED[6].read_bytes())
    (folder / "empty.png").write_bytes(b"")
    (folder / "notes.txt").write_text("passed over\n")
    (folder / "gone.jpg").symlink_to("nowhere")
    return folder


def job(inputs: Any, target: Path, going: Going | None = None, **others: Any) -> JobRequest:
    """A request."""
    return JobRequest((str(inputs),), str(target), going=going or Going(), **others)


def files(folder: Path) -> dict[str, int]:
    """The files of rows, by name, and when they were written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("part-*")}


def test_rows_are_those_of_the_command(spark: Any, photos: Path, tmp_path: Path) -> None:
    """Of folders, archives, names that are no UTF-8, links to nowhere and a name that nothing has: every column."""
    target = tmp_path / "scores"
    request = JobRequest((str(photos), "/absent/*.jpg"), str(target))
    outcome = run_in(spark, request)
    expected = by_command(tmp_path, str(photos), "/absent/*.jpg")
    assert_same(written(target), expected)
    assert (outcome.scored, outcome.failed) == (7, 4)
    assert outcome.errors == (("empty", 1), ("no-match", 1), ("not-found", 1), ("undecodable", 1))
    assert outcome.passed_over == 1
    assert outcome.files == len(files(target))
    assert {path.name for path in target.iterdir() if path.name.startswith("_")} == {"_SUCCESS", "_open_nsfw.json"}


def test_relative_paths_stay_relative(
    spark: Any, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the rows; executors find the files all the same."""
    monkeypatch.chdir(tmp_path)
    run_in(spark, job("photos", tmp_path / "scores"))
    expected = by_command(tmp_path, str(photos))
    start = len(str(tmp_path)) + 1
    assert_same(written(tmp_path / "scores"), [{**row, "path": row["path"][start:]} for row in expected])


def test_what_only_spark_can_read(spark: Any, photos: Path, tmp_path: Path) -> None:
    """As folders in HDFS are: the same rows, but for what Spark itself passes over (empty files, links to nowhere)."""
    (photos / os.fsdecode(b"caf\xe9.jpg")).unlink()  # Hadoop's names are UTF-8
    (photos / "empty.png").unlink()
    (photos / "gone.jpg").unlink()
    shutil.copytree(photos, spark.remote / "photos")
    run_in(spark, job("viewfs://tests/data/photos", tmp_path / "scores"))
    found, expected = written(tmp_path / "scores"), by_command(tmp_path, str(photos))
    for row in found:
        assert row["path"].startswith("viewfs://tests/data/photos/")
        row["path"] = str(photos) + row["path"][len("viewfs://tests/data/photos") :]
    for row in [*found, *expected]:
        row["modified"] = int(row["modified"])
    assert_same(found, expected)


def test_output_where_only_spark_can_write(spark: Any, photos: Path) -> None:
    """A first run and a second."""
    request = JobRequest((str(photos),), "viewfs://tests/data/results")
    assert run_in(spark, request).scored == 7
    before = files(spark.remote / "results")
    outcome = run_in(spark, JobRequest((str(photos),), "viewfs://tests/data/results", going=RESUME))
    assert outcome.scored == 7
    assert before.items() <= files(spark.remote / "results").items()


def test_a_second_run_scores_what_is_missing(spark: Any, photos: Path, tmp_path: Path) -> None:
    """And nothing twice: what the first one left stays as it is, to the byte."""
    target = tmp_path / "scores"
    run_in(spark, job(photos, target))
    expected = written(target)
    lost = sorted(target.glob("part-*.parquet"))[:2]
    for path in lost:
        path.unlink()
    (target / "_SUCCESS").unlink()
    (target / "_temporary" / "0").mkdir(parents=True)  # as a killed run leaves it
    before = files(target)
    run_in(spark, job(photos, target, RESUME))
    assert_same(written(target), expected)
    assert before.items() <= files(target).items()
    assert not (target / "_temporary").exists()
    after = files(target)
    run_in(spark, job(photos, target, RESUME))
    assert files(target) == after
    assert (target / "_SUCCESS").exists()


def test_what_has_changed_is_scored_again(spark: Any, photos: Path, tmp_path: Path) -> None:
    """Once; and with retry_failed what failed."""
    target = tmp_path / "scores"
    run_in(spark, job(photos, target))
    shutil.copy(PUSHED[8], photos / PUSHED[0].name)
    (photos / "empty.png").unlink()
    (photos / "new.png").write_bytes((DATA / "pictures" / "rgb.png").read_bytes())
    run_in(spark, job(photos, target, RESUME))
    rows = written(target)
    assert [row["error"] for row in rows if row["path"].endswith("empty.png")] == ["empty: the file is empty"]
    run_in(spark, job(photos, target, Going(resume=True, retry_failed=True)))
    found = [row for row in written(target) if not row["path"].endswith("empty.png")]
    assert_same(found, by_command(tmp_path, str(photos)))


def test_a_folder_loses_its_error_when_pictures_come(spark: Any, tmp_path: Path) -> None:
    """As one that had none, and a pattern that nothing matched; until then it keeps it."""
    inputs, target = (str(tmp_path / "photos"), str(tmp_path / "late" / "*.jpg")), str(tmp_path / "scores")
    (tmp_path / "photos").mkdir()
    for _ in range(2):
        outcome = run_in(spark, JobRequest(inputs, target, going=RESUME))
        assert outcome.errors == (("no-match", 1), ("no-pictures", 1))
    (tmp_path / "late").mkdir()
    for folder in ("photos", "late"):
        shutil.copy(PUSHED[0], tmp_path / folder / "a.jpg")
    outcome = run_in(spark, JobRequest(inputs, target, going=RESUME))
    assert (outcome.scored, outcome.errors) == (2, ())
    assert_same(written(Path(target)), by_command(tmp_path, *inputs))


@pytest.mark.parametrize("moment", ["before", "after", "half"])
def test_a_kill_while_rows_are_taken_out(spark: Any, photos: Path, tmp_path: Path, moment: str) -> None:
    """The next run finishes it, or begins it anew."""
    target = tmp_path / "scores"
    run_in(spark, job(photos, target))
    first, second = sorted(target.glob("part-*.parquet"))[:2]
    kept = target / "_kept"
    kept.mkdir()
    for path in (first, second):
        shutil.copy(path, kept / path.name.replace("part-", "part-9"))
    if moment != "before":
        (target / "_done").write_text(json.dumps([first.name, second.name]))
    if moment == "half":
        first.unlink()
        (kept / first.name.replace("part-", "part-9")).rename(target / first.name.replace("part-", "part-9"))
    run_in(spark, job(photos, target, RESUME))
    assert_same(written(target), by_command(tmp_path, str(photos)))
    assert not kept.exists() and not (target / "_done").exists()


def test_tables(spark: Any, tmp_path: Path) -> None:
    """Parquet with a column of bytes: a row each, other columns beside them; a second run goes by the path."""
    frame = spark.createDataFrame(
        [(path.name, bytearray(path.read_bytes()), path.name[:5]) for path in PUSHED],
        "path string, picture binary, label string",
    )
    frame.write.parquet(str(tmp_path / "table"))
    target = tmp_path / "scores"
    request = job(tmp_path / "table", target, column="picture")
    assert run_in(spark, request).scored == len(PUSHED)
    rows = spark.read.parquet(str(target)).collect()
    assert sorted(row["path"] for row in rows) == [path.name for path in PUSHED]
    assert all(row["score"] == pytest.approx(float(row["label"]), abs=0.002) for row in rows)
    assert "picture" not in rows[0].asDict()
    before = files(target)
    assert run_in(spark, job(tmp_path / "table", target, RESUME, column="picture")).scored == len(PUSHED)
    assert before.items() <= files(target).items()


def test_tables_of_paths(spark: Any, tmp_path: Path) -> None:
    """CSV; a second run looks at the files."""
    for path in PUSHED[:4]:
        shutil.copy(path, tmp_path)
    names = [str(tmp_path / path.name) for path in PUSHED[:4]]
    (tmp_path / "list.csv").write_text("file,label\n" + "".join(f"{name},x\n" for name in names))
    target = tmp_path / "scores"
    assert run_in(spark, job(tmp_path / "list.csv", target, column="file")).scored == 4
    shutil.copy(PUSHED[9], names[0])
    assert run_in(spark, job(tmp_path / "list.csv", target, RESUME, column="file")).scored == 4
    rows = {row["file"]: row for row in spark.read.parquet(str(target)).collect()}
    assert rows[names[0]]["score"] == pytest.approx(float(PUSHED[9].name[:5]), abs=0.002)
    assert {row["label"] for row in rows.values()} == {"x"}


def test_a_path_that_a_table_has_twice(spark: Any, tmp_path: Path) -> None:
    """Two people have posted one picture, one of them twice; a kill has lost some of the rows. A second run makes those, and no
    others."""
    for path in PUSHED[:2]:
        shutil.copy(path, tmp_path)
    one, two = (str(tmp_path / path.name) for path in PUSHED[:2])
    rows = [(one, "ann", {"a": 1}), (one, "bob", {"a": 1}), (one, "bob", {"a": 1}), (two, "ann", {}), (None, "cat", {})]
    rows += [(None, "cat", {}), (str(tmp_path / "gone.jpg"), "dan", {})]
    table, target = str(tmp_path / "table"), tmp_path / "scores"
    spark.createDataFrame(rows, "file string, `us.``er` string, more map<string,int>").repartition(7).write.parquet(
        table
    )

    def found() -> list[tuple[str, str]]:
        return sorted((row["file"] or "", row["us.`er"]) for row in spark.read.parquet(str(target)).collect())

    run_in(spark, job(table, target, column="file"))
    expected = sorted((path or "", user) for path, user, _ in rows)
    assert found() == expected
    for lost in sorted(target.glob("part-*.parquet"))[::2]:
        lost.unlink()
        before = files(target)
        run_in(spark, job(table, target, RESUME, column="file"))
        assert found() == expected
        assert before.items() <= files(target).items()


def test_pictures_that_have_one_name(spark: Any, tmp_path: Path) -> None:
    """In a table: each has a row, and a second run makes none of them again."""
    rows = [("a.jpg", bytearray(path.read_bytes())) for path in PUSHED[:3]]
    table, target = str(tmp_path / "table"), tmp_path / "scores"
    spark.createDataFrame(rows, "path string, `the.picture` binary").write.parquet(table)
    run_in(spark, job(table, target, column="the.picture"))
    before = files(target)
    run_in(spark, job(table, target, RESUME, column="the.picture"))
    assert files(target) == before
    assert sorted(round(row["score"], 2) for row in written(target)) == [0.05, 0.1, 0.19]


def test_csv_as_spreadsheets_write_it(spark: Any, tmp_path: Path) -> None:
    """Quotes in quotes, commas and line breaks: a row each, and every cell as it was."""
    import csv

    cells = ['a "quoted" word, and a comma', "two\nlines", "back\\slash", "plain"]
    for path in PUSHED[:4]:
        shutil.copy(path, tmp_path)
    with open(tmp_path / "list.csv", "w", newline="") as file:
        csv.writer(file).writerows(
            [("caption", "file"), *((cell, tmp_path / path.name) for cell, path in zip(cells, PUSHED))]
        )
    run_in(spark, job(tmp_path / "list.csv", tmp_path / "scores", column="file"))
    rows = spark.read.parquet(str(tmp_path / "scores")).collect()
    assert sorted(row["caption"] for row in rows) == sorted(cells)
    assert all(row["error"] is None for row in rows)


def test_a_table_in_one_piece_is_work_for_all_cores(spark: Any, tmp_path: Path) -> None:
    """As one Parquet file of few bytes is."""
    rows = [(str(path),) for path in PUSHED * 4]
    table, target = str(tmp_path / "table"), tmp_path / "scores"
    spark.createDataFrame(rows, "file string").coalesce(1).write.parquet(table)
    run_in(spark, job(table, target, column="file"))
    sizes = [spark.read.parquet(str(path)).count() for path in target.glob("part-*")]
    assert sum(sizes) == len(rows)
    assert len(sizes) == 8 and max(sizes) <= len(rows) // 4


def test_a_folder_of_any_name(spark: Any, photos: Path, tmp_path: Path) -> None:
    """Spaces, and what stands for other names in patterns: what has changed is taken out of its files."""
    target = tmp_path / "my scores [1] {a,b}"
    run_in(spark, job(photos, target))
    shutil.copy(PUSHED[8], photos / PUSHED[0].name)
    run_in(spark, job(photos, target, RESUME))
    assert_same(written(target), by_command(tmp_path, str(photos)))


def test_a_kill_while_a_folder_is_emptied(spark: Any, photos: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """It stays a folder of ours until the end."""
    target = tmp_path / "scores"
    run_in(spark, job(photos, target))
    removed: list[str] = []
    remove = Folder.remove

    def three(folder: Folder, name: str) -> None:
        if folder.has(name):
            removed.append(name)
        if len(removed) > 3:
            raise KeyboardInterrupt
        remove(folder, name)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "remove", three)
        with pytest.raises(KeyboardInterrupt):
            run_in(spark, job(photos, target, Going(overwrite=True)))
    run_in(spark, job(photos, target, Going(overwrite=True)))
    assert_same(written(target), by_command(tmp_path, str(photos)))


def test_what_is_in_the_way(spark: Any, photos: Path, tmp_path: Path) -> None:
    """One line each, and nothing is touched."""
    target = tmp_path / "scores"
    run_in(spark, job(photos, target))
    before = files(target)
    other = ScoreOptions(prefix="x_")
    for request, message in (
        (job(photos, target), "has a finished run; --resume goes on with it, --overwrite begins anew"),
        (
            job(photos, target, RESUME, options=other),
            'was begun with prefix "", this run has "x_"; go on as it was begun, or',
        ),
        (job(photos, photos), "is not empty, and no run has begun there; name another --output"),
        (job("-", tmp_path / "new"), "only the process that was started with it can read it; name files or folders"),
        (job("a.parquet", tmp_path / "new2"), "is a table; name its column of pictures or paths with --column"),
    ):
        with pytest.raises(UsageError) as raised:
            run_in(spark, request)
        assert message in str(raised.value)
    assert files(target) == before
    run_in(spark, job(photos, target, Going(overwrite=True)))
    assert not before.keys() & files(target).keys()


def test_the_mark_is_read_with_care(spark: Any, tmp_path: Path) -> None:
    """A damaged one is told."""
    folder = Folder(spark, str(tmp_path))
    folder.write(output.MARK, "{")
    with pytest.raises(UsageError, match="_open_nsfw.json: is damaged; --overwrite begins anew"):
        output._check_mark(folder, "{}")


def test_small_files_are_packed_and_jobs_have_names(spark: Any, tmp_path: Path) -> None:
    """Four tasks a core, whatever their number, and each job says what it does."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(100):
        shutil.copy(PUSHED[number % len(PUSHED)], folder / f"{number}.jpg")
    outcome = run_in(spark, job(folder, tmp_path / "scores"))
    assert (outcome.scored, outcome.files) == (100, 8)
    sizes = [len(list(read(str(path)))) for path in (tmp_path / "scores").glob("part-*")]
    assert max(sizes) - min(sizes) <= 1
    jobs = spark.sparkContext._jsc.sc().statusStore().jobsList(None)
    descriptions = [jobs.apply(index).description() for index in range(jobs.size())]
    names = {each.get() for each in descriptions if each.isDefined()}
    assert f"open-nsfw: {folder} -> {tmp_path / 'scores'}" in names
