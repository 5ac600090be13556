"""What training goes on from."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from open_nsfw.errors import OutputError, UsageError
from open_nsfw.training import checkpoint


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    """To the last bit; numbers, too."""
    path = tmp_path / "state.npz"
    assert checkpoint.load(path) is None
    values = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    checkpoint.save(path, {"weights/0/fc": values, "loss": np.array(0.1)})
    found = checkpoint.load(path)
    assert found is not None
    assert found["weights/0/fc"].tobytes() == values.tobytes()
    assert float(found["loss"]) == 0.1


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
def test_cut_short(kept: float, tmp_path: Path) -> None:
    """One line that names it."""
    path = tmp_path / "state.npz"
    checkpoint.save(path, {"weights": np.zeros(1000)})
    data = path.read_bytes()
    path.write_bytes(data[: int(kept if kept >= 1 else kept * len(data))])
    with pytest.raises(UsageError) as caught:
        checkpoint.load(path)
    assert str(caught.value).startswith(f"{path}: is damaged (")
    assert str(caught.value).endswith("); --overwrite begins anew")


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says so."""
    path = tmp_path / "state.npz"
    checkpoint.save(path, {"step": np.array(1)})

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("open_nsfw.files.os.fsync", full)
    with pytest.raises(OutputError) as caught:
        checkpoint.save(path, {"step": np.array(2)})
    assert str(caught.value) == f"{path}: cannot be written: No space left on device"
    found = checkpoint.load(path)
    assert found is not None and int(found["step"]) == 1
    assert os.listdir(tmp_path) == ["state.npz"]
