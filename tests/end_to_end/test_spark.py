"""`open-nsfw spark` on a standalone cluster: a master and two workers as processes of their own. Executors are killed in the
middle, and every row is compared with that of an undisturbed run on one machine."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from open_nsfw.__main__ import main as open_nsfw
from open_nsfw.nets.caffemodel import read_caffemodel
from tests.tools.helpers import DATA, ROOT
from tests.tools.make_shapes_folder import make
from tests.tools.processes import children, wait_until
from tests.tools.spark_cluster import Cluster, cluster, python_workers
from tests.tools.spark_rows import assert_same, by_command, written

pytest.importorskip("pyspark", reason="pyspark is not installed in this interpreter")

pytestmark = pytest.mark.spark

COUNT = 64
SECONDS = 300
PUSHED = sorted((DATA / "pushed").glob("*.jpg"))


@pytest.fixture(name="standalone", scope="module")
def _standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture(name="photos", scope="module")
def _photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures that differ, and some that have no score."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(COUNT):
        shutil.copy(PUSHED[number % len(PUSHED)], folder / f"{number:03d}.jpg")
    (folder / "020.jpg").write_bytes(PUSHED[0].read_bytes()[:700])
    (folder / "030.jpg").write_bytes(b"")
    return folder


def start(*arguments: str, mark: Path | None = None) -> subprocess.Popen[str]:
    """`open-nsfw spark ARGUMENTS` in a process of its own; `mark`: see tests/tools/processes.py."""
    line = [sys.executable, "-m", "open_nsfw", "spark", *arguments]
    environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "OPEN_NSFW_MARK": str(mark)}
    return subprocess.Popen(line, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit status, what it printed, and what it said on stderr but for Spark's first words."""
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out, err


def parts(folder: Path) -> list[Path]:
    """The files of tasks that are done."""
    return list(folder.glob("part-*.parquet")) if folder.exists() else []


def test_score_while_an_executor_is_killed(standalone: Cluster, photos: Path, tmp_path: Path) -> None:
    """Its tasks are done again elsewhere; no row is lost or doubled, and no decoder is left."""
    target = tmp_path / "scores"
    process = start("score", str(photos), "--output", str(target), "--master", standalone.url)
    wait_until(lambda: len(parts(target)) > 0 or process.poll() is not None, "a task that is done", SECONDS)
    standalone.kill_an_executor()
    status, out, err = ended(process)
    assert status == 1, err
    assert out.startswith(f"{COUNT - 2} scored (") and "2 failed (1 empty, 1 truncated)" in out
    assert_same(written(target), by_command(tmp_path, str(photos)))
    wait_until(lambda: standalone.decoders() == [], "the end of the decoders")


def test_score_goes_on_after_the_driver_was_killed(standalone: Cluster, photos: Path, tmp_path: Path) -> None:
    """What was there is not scored again."""
    target = tmp_path / "scores"
    arguments = ["score", str(photos), "--output", str(target), "--master", standalone.url]
    process = start(*arguments)
    wait_until(lambda: len(parts(target)) > 1 or process.poll() is not None, "two tasks that are done", SECONDS)
    process.send_signal(signal.SIGKILL)
    ended(process)
    wait_until(lambda: standalone.executors() == [], "the end of the executors")
    before = {path.name: path.stat().st_mtime_ns for path in parts(target)}
    assert 0 < len(written(target)) < COUNT
    status, _, err = ended(start(*arguments, "--resume"))
    assert status == 1, err
    assert before.items() <= {path.name: path.stat().st_mtime_ns for path in parts(target)}.items()
    assert_same(written(target), by_command(tmp_path, str(photos)))


def test_a_task_that_fails_is_done_again_on_one_machine(photos: Path, tmp_path: Path) -> None:
    """`local[2,4]` tries four times: a Python worker that is killed costs its task a second attempt, and no row."""
    target = tmp_path / "scores"
    process = start("score", str(photos), "--output", str(target), "--master", "local[2,4]", mark=tmp_path)
    wait_until(lambda: len(parts(target)) > 0 or process.poll() is not None, "a task that is done", SECONDS)
    killed: list[int] = []

    def kill_one_at_work() -> bool:
        """With a decoder beside it: the others have no task, and would be missed by nobody."""
        for pid in python_workers(tmp_path):
            if not killed and children(pid):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
        return bool(killed) or process.poll() is not None

    wait_until(kill_one_at_work, "a Python worker at work", SECONDS)
    assert killed
    status, out, err = ended(process)
    assert status == 1, err
    assert out.startswith(f"{COUNT - 2} scored (") and "2 failed (1 empty, 1 truncated)" in out
    assert_same(written(target), by_command(tmp_path, str(photos)))


def test_features_while_an_executor_is_killed(standalone: Cluster, photos: Path, tmp_path: Path) -> None:
    """Every array is that of one machine, bit for bit."""
    target, alone = tmp_path / "blobs", tmp_path / "alone.parquet"
    options = ["--blobs", "pool,prob", "--quiet"]
    process = start("features", str(photos), "--output", str(target), "--master", standalone.url, *options)
    wait_until(lambda: len(parts(target)) > 0 or process.poll() is not None, "a task that is done", SECONDS)
    standalone.kill_an_executor()
    status, out, err = ended(process)
    assert (status, out) == (1, ""), err
    assert open_nsfw(["features", str(photos), "--output", str(alone), *options]) == 1
    parquet = importlib.import_module("pyarrow.parquet")
    found = sorted((row for path in parts(target) for row in parquet.read_table(path).to_pylist()), key=_path)
    assert found == sorted(parquet.read_table(alone).to_pylist(), key=_path)


def _path(row: dict[str, Any]) -> str:
    return str(row["path"])


def test_fine_tune_while_an_executor_is_killed(standalone: Cluster, tmp_path: Path) -> None:
    """The head is that of one machine; so is what was measured."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed in this interpreter")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed in this interpreter")
    labelled = tmp_path / "labelled"
    make(labelled, 100, side=128)
    options = [
        str(labelled),
        "--train",
        "head",
        "--resamples",
        "20",
        "--max-fpr",
        "0.1",
        "--no-thumbnails",
        "--keep-anyway",
    ]
    process = start("fine-tune", *options, "--output", str(tmp_path / "two"), "--master", standalone.url)
    extracted = tmp_path / "two" / "work" / "extracted"
    wait_until(lambda: len(parts(extracted)) > 0 or process.poll() is not None, "a task that is done", SECONDS)
    standalone.kill_an_executor()
    one = subprocess.run(
        [sys.executable, "-m", "open_nsfw", "fine-tune", *options, "--output", str(tmp_path / "one"), "--quiet"],
        cwd=ROOT,
        timeout=SECONDS,
        check=False,
    )
    status, out, err = ended(process)
    assert (status, one.returncode) == (0, 0), err
    assert "written to" in out
    weights = [read_caffemodel(tmp_path / name / "tuned.caffemodel") for name in ("one", "two")]
    assert weights[0].keys() == weights[1].keys()
    for name, blobs in weights[0].items():
        for blob, other in zip(blobs, weights[1][name]):
            np.testing.assert_allclose(other, blob, rtol=0, atol=1e-6, err_msg=name)
    numbers = [json.loads((tmp_path / name / "training.json").read_text()) for name in ("one", "two")]
    for name in ("labels", "split", "fit", "measures", "decisions"):
        assert numbers[0][name] == numbers[1][name], name


def test_training_goes_on_after_an_executor_was_killed(standalone: Cluster, tmp_path: Path) -> None:
    """By itself, from the epoch before: the weights are those of one process that nobody disturbed."""
    pytest.importorskip("torch", reason="torch is not installed in this interpreter")
    line = [sys.executable, "-m", "tests.tools.train_on_cluster", str(tmp_path)]
    subprocess.run(line, cwd=ROOT, timeout=SECONDS, check=True)
    state = tmp_path / "state-cluster.npz"
    with subprocess.Popen([*line, "--master", standalone.url], cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: state.exists() or process.poll() is not None, "the first epoch", SECONDS)
        standalone.kill_an_executor()
        _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    with np.load(state) as found, np.load(tmp_path / "state-here.npz") as expected:
        assert len(found["losses"]) == 3
        for name in expected.files:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=2e-6, err_msg=name)


def test_nothing_but_sound(tmp_path: Path) -> None:
    """Has no rows; that does not look like a job that is done."""
    films = pytest.importorskip("tests.tools.films", reason="PyAV is not installed")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "song").write_bytes(films.sound())
    process = start("score", str(tmp_path / "folder"), "--output", str(tmp_path / "scores"), "--master", "local[1]")
    status, out, err = ended(process)
    assert status == 1 and out.startswith("0 scored (")
    assert err.splitlines()[-1] == "open-nsfw spark score: no-pictures: there is no picture in the inputs"


def test_ctrl_c(photos: Path, tmp_path: Path) -> None:
    """Ends the job with the status that shells know."""
    target = tmp_path / "scores"
    process = start("score", str(photos), "--output", str(target), "--master", "local[2]")
    wait_until(lambda: len(parts(target)) > 0 or process.poll() is not None, "a task that is done", SECONDS)
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == 130


def test_spark_submit(standalone: Cluster, photos: Path, tmp_path: Path) -> None:
    """Master and properties are spark-submit's."""
    import pyspark

    line = ["bash", os.path.join(os.path.dirname(pyspark.__file__), "bin", "spark-submit"), "--master", standalone.url]
    line += ["--name", "nightly", str(ROOT / "open_nsfw" / "__main__.py"), "spark", "score", str(photos / "001.jpg")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": sys.executable}
    environment |= {"SPARK_LOCAL_IP": "127.0.0.1"}
    line += ["--output", str(tmp_path / "scores")]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 scored (")


GPU = """#!/bin/sh
echo '{"name": "gpu", "addresses": ["3", "5"]}'
"""
DEVICES = """
import sys, time
from open_nsfw.cluster.session import SessionOptions, session
from open_nsfw.cluster.work import task_gpu

def device(_):
    time.sleep(1)  # so that two tasks run side by side
    return task_gpu()

conf = tuple(tuple(word.split("=")) for word in sys.argv[2:])
with session(SessionOptions("devices", sys.argv[1], conf, quiet=True)) as spark:
    print(sorted(set(spark.sparkContext.parallelize(range(4), 4).map(device).collect())))
"""


def test_each_task_gets_its_gpu(tmp_path: Path) -> None:
    """spark.task.resource.gpu.amount: the devices that the workers have, one a task; ONNX Runtime without CUDA says so."""
    script = tmp_path / "devices.sh"
    script.write_text(GPU)
    script.chmod(0o755)
    conf = ["spark.worker.resource.gpu.amount 2", f"spark.worker.resource.gpu.discoveryScript {script}"]
    with cluster(tmp_path / "cluster", workers=1, cores=2, conf=conf) as one:
        properties = ["spark.executor.resource.gpu.amount=2", "spark.task.resource.gpu.amount=1"]
        options = [word for each in properties for word in ("--conf", each)]
        line = [sys.executable, "-c", DEVICES, one.url, *properties]
        environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"}
        printed = subprocess.run(line, cwd=ROOT, env=environment, stdout=subprocess.PIPE, timeout=SECONDS, check=True)
        process = start("score", str(PUSHED[0]), "--output", str(tmp_path / "scores"), "--master", one.url, *options)
        status, out, err = ended(process)
    assert printed.stdout == b"[3, 5]\n"
    assert (status, out) == (2, "")
    line = err.splitlines()[-1]
    assert line.startswith(
        "open-nsfw spark score: error: --gpu: this ONNX Runtime has no CUDA; put the GPU build in its place:"
    )


def test_without_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One line that says how to get it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert open_nsfw(["spark", "score", str(PUSHED[0]), "--output", str(tmp_path / "scores")]) == 2
    assert capsys.readouterr().err == (
        "open-nsfw spark score: error: Spark runs on Java, and there is no java on PATH: install Java 17 or newer, as by "
        "`apt-get install default-jre-headless`, or name its folder in JAVA_HOME\n"
    )


def test_java_that_is_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its version stands in the line."""
    (tmp_path / "bin").mkdir()
    java = tmp_path / "bin" / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_392\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert open_nsfw(["spark", "score", str(PUSHED[0]), "--output", str(tmp_path / "scores")]) == 2
    assert f"error: {java} is Java 8: install Java 17 or newer" in capsys.readouterr().err
