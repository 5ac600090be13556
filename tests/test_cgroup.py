"""Limits of control groups: trees as the kernel lays them out, and a real group where this machine lets us make one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from open_nsfw.cgroup import cpu_share, memory_limit
from open_nsfw.cores import available_cores, default_jobs
from open_nsfw.pictures.extraction import Extraction
from tests.tools.helpers import PICTURE, ROOT, SCRIPT

V1_UNLIMITED = "9223372036854771712"


def tree(folder: Path, membership: str, files: dict[str, str]) -> tuple[Path, Path]:
    """(the mounted folder, the membership file) with these contents."""
    mounted = folder / "cgroup"
    mounted.mkdir()
    for name, text in files.items():
        (mounted / name).parent.mkdir(parents=True, exist_ok=True)
        (mounted / name).write_text(text + "\n")
    (folder / "self").write_text(membership)
    return mounted, folder / "self"


@pytest.mark.parametrize(
    ("membership", "files", "share", "memory"),
    [
        # a container that sees its own group as the top
        ("0::/\n", {"cpu.max": "150000 100000", "memory.max": "536870912"}, 1.5, 512 << 20),
        ("0::/\n", {"cpu.max": "max 100000", "memory.max": "max"}, None, None),
        ("0::/\n", {}, None, None),
        # a service: the group below the top has the limit, or one above it
        ("0::/a.slice/b.service\n", {"a.slice/b.service/cpu.max": "50000 100000", "cpu.max": "max 100000"}, 0.5, None),
        ("0::/a.slice/b.service\n", {"a.slice/memory.max": "1000", "a.slice/b.service/memory.max": "3000"}, None, 1000),
        # a container that sees the path of its host, and one outside its view
        ("0::/docker/0123\n", {"cpu.max": "200000 100000", "memory.max": "77"}, 2.0, 77),
        ("0::/../../other\n", {"cpu.max": "200000 100000"}, 2.0, None),
        # v1, with cpu and cpuacct together, and hybrid
        (
            "5:cpu,cpuacct:/x\n4:memory:/x\n",
            {
                **{"cpu/x/cpu.cfs_quota_us": "25000", "cpu/x/cpu.cfs_period_us": "50000"},
                **{"memory/x/memory.limit_in_bytes": "4096", "memory/memory.limit_in_bytes": V1_UNLIMITED},
            },
            0.5,
            4096,
        ),
        (
            "5:cpu:/\n4:memory:/\n0::/\n",
            {
                **{"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
                **{"memory/memory.limit_in_bytes": V1_UNLIMITED, "unified/memory.max": "9999"},
            },
            None,
            9999,
        ),
        # nonsense is no limit
        ("0::/\n", {"cpu.max": "0 0", "memory.max": "-5"}, None, None),
        ("0::/\n", {"cpu.max": "", "memory.max": "many"}, None, None),
        ("nonsense\n\n:::\n", {"cpu.max": "1 1"}, 1.0, None),
    ],
)
def test_limits(
    membership: str, files: dict[str, str], share: float | None, memory: int | None, tmp_path: Path
) -> None:
    mounted, member = tree(tmp_path, membership, files)
    assert (cpu_share(mounted, member), memory_limit(mounted, member)) == (share, memory)


def test_no_control_groups(tmp_path: Path) -> None:
    """Elsewhere than on Linux."""
    assert cpu_share(tmp_path / "none", tmp_path / "none") is None
    assert memory_limit(tmp_path / "none", tmp_path / "none") is None


@pytest.mark.parametrize(("share", "cores"), [(None, 8), (1.5, 2), (0.00001, 1), (64.0, 8)])
def test_cores_follow_the_share(share: float | None, cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounded up, at least one, and no more than the scheduler gives."""
    monkeypatch.setattr("open_nsfw.cores.cpu_share", lambda: share)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)), raising=False)
    assert available_cores() == cores


@contextmanager
def real_group(controller: str, v1_file: str, v1_limit: str, v2_file: str, v2_limit: str) -> Iterator[Path]:
    """A real group of v1 or v2 with one limit; removed at the end."""
    top = Path("/sys/fs/cgroup")
    v1 = (top / controller / v1_file).exists()
    group = (top / controller if v1 else top) / f"open-nsfw-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        (group / (v1_file if v1 else v2_file)).write_text(v1_limit if v1 else v2_limit)
        yield group
    except OSError as error:
        pytest.skip(f"a control group here takes no limit: {error}")
    finally:
        group.rmdir()


@pytest.fixture(name="cpu_group")
def _cpu_group() -> Iterator[Path]:
    """Whose processes may use one processor."""
    with real_group("cpu", "cpu.cfs_quota_us", "100000", "cpu.max", "100000 100000") as group:
        yield group


@pytest.mark.skipif(available_cores() < 2, reason="this process has one core without any limit")
def test_a_real_group_limits_the_cores(cpu_group: Path) -> None:
    """A process that was put into the group uses one core."""
    line = f"echo $$ > '{cpu_group}/cgroup.procs' && exec '{sys.executable}' -c \"$0\""
    code = "from open_nsfw.cores import available_cores; print(available_cores())"
    run = subprocess.run(["sh", "-c", line, code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "1\n", "")


@pytest.mark.parametrize(
    ("memory", "jobs"), [(None, 8), (64 << 30, 8), (128 << 20, 1), (1 << 20, 1), (640 << 20, 2), (1 << 30, 3)]
)
def test_jobs_follow_the_memory(memory: int | None, jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as fit, at least one."""
    monkeypatch.setattr("open_nsfw.cores.cpu_share", lambda: None)
    monkeypatch.setattr("open_nsfw.cores.memory_limit", lambda: memory)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)), raising=False)
    assert default_jobs() == jobs


@pytest.mark.parametrize(
    ("memory", "asked", "share"),
    [(None, 3 << 30, 3 << 30), (1 << 30, 3 << 30, 512 << 20), (100 << 20, 3 << 30, 256 << 20), (1 << 30, 0, 512 << 20)],
)
def test_decoders_share_the_memory(memory: int | None, asked: int, share: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of two may take half of it, but never less than it takes to start."""
    monkeypatch.setattr("open_nsfw.pictures.extraction.memory_limit", lambda: memory)
    assert Extraction(max_memory=asked).shared_by(2).max_memory == share


@pytest.fixture(name="memory_group")
def _memory_group() -> Iterator[Path]:
    """Whose processes may use 700 MiB together."""
    with real_group("memory", "memory.limit_in_bytes", str(700 << 20), "memory.max", str(700 << 20)) as group:
        yield group


def test_a_large_picture_in_a_small_container_costs_its_own_row(memory_group: Path, tmp_path: Path) -> None:
    """Without a share for each decoder, the kernel would kill some process of the run."""
    Image.new("RGB", (13_000, 13_000), (200, 30, 90)).save(tmp_path / "large.png", compress_level=1)  # 507 MB of pixels
    small = tmp_path / "small.jpg"
    shutil.copy(PICTURE, small)
    command = f"'{sys.executable}' '{SCRIPT}' --engine onnxruntime --jobs 2 --format jsonl '{tmp_path}'"
    line = f"echo $$ > '{memory_group}/cgroup.procs' && exec {command}"
    run = subprocess.run(["sh", "-c", line], cwd=ROOT, capture_output=True, text=True, check=False)
    rows = [json.loads(row) for row in run.stdout.splitlines()]
    assert run.returncode == 1, run.stderr
    assert rows[0]["error"].startswith("out-of-memory: ")
    assert rows[1]["score"] == pytest.approx(0.5, abs=0.01)
