"""Kill and compare: runs that are killed at any moment and go on leave what one run that nobody killed leaves.

For a longer hunt: FUZZ=20 python -m pytest tests/end_to_end/test_kills.py
"""

from __future__ import annotations

import hashlib
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from open_nsfw.rows import parquet as parquet_rows
from tests.tools.archive_samples import make_zip
from tests.tools.helpers import DATA, OTHER_PICTURE, PICTURE, SCRIPT, SECONDS, examples, small_net, write_model

pytestmark = pytest.mark.once

ANIMATION = DATA / "pictures" / "animated.gif"
PICTURES = 60
KILLS = 5


def make_sources(folder: Path) -> None:
    """Pictures, an animation, an archive with several members of one name, a damaged file, a link."""
    folder.mkdir()
    for number in range(PICTURES):
        shutil.copy(PICTURE if number % 3 else ANIMATION, folder / f"{number:03d}{'.jpg' if number % 3 else '.gif'}")
    (folder / "damaged.jpg").write_bytes(PICTURE.read_bytes()[:400])
    (folder / "link.jpg").symlink_to("001.jpg")
    members = [("same.jpg" if number % 2 else f"{number}.jpg", number) for number in range(20)]
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = make_zip([(name, (PICTURE, OTHER_PICTURE)[number % 2].read_bytes()) for name, number in members])
    (folder / "x.zip").write_bytes(data)


def tree(folder: Path) -> dict[str, str]:
    """Name -> hash of the content of all files below a folder, hidden ones too."""
    files = sorted(path for path in folder.rglob("*") if path.is_symlink() or path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()[:8] for path in files}


@pytest.mark.parametrize(
    "form",
    [
        "jsonl",
        "csv",
        pytest.param(
            "parquet", marks=pytest.mark.skipif(not parquet_rows.find_spec("pyarrow"), reason="no pyarrow here")
        ),
    ],
)
@pytest.mark.parametrize("option", ["--copy-above", "--move-above"])
def test_killed_runs_that_go_on(option: str, form: str, tmp_path: Path) -> None:
    from open_nsfw.rows.reader import read_rows

    model = write_model(tmp_path, small_net())
    left = {}
    chance = random.Random(f"{option} {form}")
    for name, kills in (("whole", 0), ("killed", examples(KILLS))):
        folder = tmp_path / name
        folder.mkdir()
        make_sources(folder / "in")
        arguments = ["in", "--frames", "all", "--format", form, "--output", "rows", "--resume", option, "0.4", "out"]
        line = [sys.executable, str(SCRIPT), "--engine", "onnxruntime", *model, "--quiet", *arguments]
        for _ in range(kills):
            with subprocess.Popen(line, cwd=folder, stderr=subprocess.DEVNULL) as process:
                time.sleep(chance.uniform(0.2, 1.5))
                process.send_signal(signal.SIGKILL)
                process.wait(SECONDS)
        status = subprocess.run(line, cwd=folder, timeout=SECONDS, check=False).returncode
        rows = sorted(
            (row.path, row.member or "", row.frame or 0, row.kind, str(row.error))
            for row in read_rows(str(folder / "rows"), form)
        )
        left[name] = {"status": status, "rows": rows, "in": tree(folder / "in"), "out": tree(folder / "out")}
    for what, expected in left["whole"].items():
        assert left["killed"][what] == expected
    assert left["whole"]["status"] == 1
