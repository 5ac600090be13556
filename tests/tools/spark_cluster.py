"""A Spark standalone cluster on this machine: a master and workers as processes of their own, on loopback."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.tools.processes import marked, wait_until

EXECUTOR = b"CoarseGrainedExecutorBackend"  # in the command line of each executor's JVM
PYTHON_DAEMON = b"pyspark.daemon"


@dataclass(frozen=True)
class Cluster:
    """One that is up."""

    url: str
    mark: Path
    """In the environment of all its processes (tests/tools/processes.py)."""

    def executors(self) -> list[int]:
        """The JVMs that run tasks."""
        return [pid for pid in marked(self.mark) if EXECUTOR in command_line(pid)]

    def decoders(self) -> list[int]:
        """The processes that decode."""
        return [pid for pid in marked(self.mark) if b"decode_worker" in command_line(pid)]

    def kill_an_executor(self) -> None:
        """With SIGKILL, as a machine that is lost takes it along."""
        os.kill(self.executors()[0], signal.SIGKILL)


def python_workers(mark: Path) -> list[int]:
    """The Python processes that work for tasks: Spark's daemon forks them, so they have its command line."""
    daemons = [pid for pid in marked(mark) if PYTHON_DAEMON in command_line(pid)]
    return [pid for pid in daemons if parent(pid) in daemons]


def parent(pid: int) -> int:
    """Of a process; 0 of one that is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def command_line(pid: int) -> bytes:
    """Of a process; nothing of one that is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@contextmanager
def cluster(folder: Path, workers: int = 2, cores: int = 1, conf: Sequence[str] = ()) -> Iterator[Cluster]:
    """`workers` of so many cores and 1 GB each; `conf` are lines of Spark's properties for them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spark.conf").write_text("".join(f"{line}\n" for line in conf))
    port = _free_port()
    url = f"spark://127.0.0.1:{port}"
    started: list[subprocess.Popen[bytes]] = []
    try:
        started.append(_start(folder, "master", "--port", str(port)))
        _wait_for(folder / "master.log", "Starting Spark master at", started)
        for number in range(workers):
            options = ["--cores", str(cores), "--memory", "1g", "--work-dir", str(folder / f"work{number}"), url]
            started.append(_start(folder, f"worker{number}", *options))
        for number in range(workers):
            _wait_for(folder / f"worker{number}.log", "Successfully registered with master", started)
        yield Cluster(url, folder)
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait()
        for pid in marked(folder):
            os.kill(pid, signal.SIGKILL)


def _start(folder: Path, name: str, *options: str) -> subprocess.Popen[bytes]:
    kind = "master.Master" if name == "master" else "worker.Worker"
    spec = find_spec("pyspark")
    assert spec is not None and spec.origin is not None
    home = Path(spec.origin).parent
    environment = {
        **os.environ,
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_CONF_DIR": str(folder),
        "OPEN_NSFW_MARK": str(folder),
        "PYSPARK_PYTHON": sys.executable,
    }
    line = ["bash", str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{kind}", "--host", "127.0.0.1"]
    line += ["--webui-port", "0", "--properties-file", str(folder / "spark.conf"), *options]
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(line, env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=folder)


def _wait_for(log: Path, text: str, started: list[subprocess.Popen[bytes]]) -> None:
    def is_there() -> bool:
        said = log.read_text(errors="replace")
        if any(process.poll() is not None for process in started):
            pytest.fail(f"the cluster does not start:\n{said}")
        return re.search(text, said) is not None

    wait_until(is_there, f"'{text}' in {log.name}", seconds=120)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
