"""A policy that calibrate wrote is told from one that somebody changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from open_nsfw.calibration.policy import Policy
from open_nsfw.calibration.policy_file import check_replaceable, checksum_of, write_policy
from open_nsfw.errors import UsageError

POLICY = Policy((0.2, 0.8), model="m", rates={"thresholds": [{"threshold": 0.2}]}, prevalence=0.1)
WAY_OUT = "so it is left as it is; choose another --output, or --overwrite it"


def test_what_calibrate_wrote_may_be_replaced(tmp_path: Path) -> None:
    """Also laid out anew, and where there is nothing."""
    path = tmp_path / "policy.json"
    check_replaceable(str(path))
    write_policy(POLICY, str(path))
    assert Policy.read(path) == POLICY
    assert Policy.read(path).checksum == checksum_of(POLICY)
    check_replaceable(str(path))
    path.write_text(json.dumps(json.loads(path.read_text()), indent=8, sort_keys=True))
    check_replaceable(str(path))


@pytest.mark.parametrize("name", [each for each in json.loads(POLICY.to_json()) if each != "open_nsfw_policy"])
def test_any_change_is_seen(name: str, tmp_path: Path) -> None:
    """Of every field, and one left out."""
    path = tmp_path / "policy.json"
    write_policy(POLICY, str(path))
    values = json.loads(path.read_text())
    changes = {
        "thresholds": [0.2, 0.81],
        "bands": ["allow", "look", "block"],
        **{"confidence": 0.9, "prevalence": 0.2, "promises": [1], "sample": {"a": 1}, "rates": {}, "scores": {"a": 1}},
    }
    path.write_text(json.dumps({**values, name: changes.get(name, "other")}))
    with pytest.raises(UsageError) as caught:
        check_replaceable(str(path))
    assert str(caught.value) == f"{path}: it was changed since calibrate wrote it, {WAY_OUT}"


@pytest.mark.parametrize("content", ['{"open_nsfw_policy": 1, "thresholds": [0.5], "bands": ["a", "b"]}', "notes", ""])
def test_what_somebody_else_wrote_is_kept(content: str, tmp_path: Path) -> None:
    """A policy without a checksum, or no policy at all."""
    path = tmp_path / "policy.json"
    path.write_text(content)
    with pytest.raises(UsageError) as caught:
        check_replaceable(str(path))
    why = (
        "it was changed since calibrate wrote it" if content.startswith("{") else "it is no policy that calibrate wrote"
    )
    assert str(caught.value) == f"{path}: {why}, {WAY_OUT}"


def test_a_folder_or_a_broken_link_in_its_place_is_kept(tmp_path: Path) -> None:
    """Nothing is followed or removed."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to("nowhere")
    for name in ("a", "b"):
        with pytest.raises(UsageError, match="it is no policy that calibrate wrote"):
            check_replaceable(str(tmp_path / name))
