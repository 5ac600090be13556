"""Pictures that look alike are found, and others are not taken for alike."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

pytest.importorskip("sklearn", reason="scikit-learn is not installed in this interpreter")

from open_nsfw.calibration import looks
from open_nsfw.calibration.labelled_set import Example
from open_nsfw.pictures.picture import Picture
from tests.tools.helpers import DATA


def look(image: Image.Image) -> str:
    """The look of an image, as the network's recipe squeezes it into a square."""
    square = image.convert("RGB").resize((256, 256), Image.Resampling.BILINEAR)
    return looks.look_of(Picture(square.tobytes(), image.width, image.height, "PNG"))


def different_bits(first: str, second: str) -> int:
    """How many bits of two looks differ."""
    return bin(int(first, 16) ^ int(second, 16)).count("1")


def versions(image: Image.Image) -> list[Image.Image]:
    """Smaller, larger, lighter, darker, flatter, grey, and compressed hard."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=30)
    with Image.open(file) as compressed:
        compressed.load()
    return [
        image.resize((image.width // 2, image.height // 2)),
        image.resize((image.width * 2, image.height * 2)),
        ImageEnhance.Brightness(image).enhance(1.15),
        ImageEnhance.Brightness(image).enhance(0.8),
        ImageEnhance.Contrast(image).enhance(0.8),
        image.convert("L"),
        compressed,
    ]


PUSHED = sorted((DATA / "pushed").glob("*.jpg"))
HELD_BACK = sorted((DATA / "held_back").glob("*.jpg"))


def test_versions_of_a_picture_look_alike() -> None:
    """All of them, whichever picture it is."""
    for path in PUSHED:
        with Image.open(path) as image:
            own = look(image)
            for number, version in enumerate(versions(image.convert("RGB"))):
                assert different_bits(own, look(version)) <= looks.MOST_DIFFERENT, (path.name, number)


def test_pictures_of_different_things_do_not() -> None:
    """Of all held-back pictures, none is linked to one of another original."""
    originals = [path.stem.rsplit("-", 2)[0] for path in HELD_BACK]
    found = looks.linked([_look_of_file(path) for path in HELD_BACK])
    groups: dict[str | None, set[str]] = {}
    for name, original in zip(found, originals):
        groups.setdefault(name, set()).add(original)
    assert [names for names in groups.values() if len(names) > 1] == []


def _look_of_file(path: Path) -> str:
    with Image.open(path) as image:
        return look(image)


def test_pictures_without_anything_in_them_are_alike() -> None:
    """Whatever noise is in them."""
    random = np.random.default_rng(0)
    for base in (0, 128, 255):
        pixels = np.clip(base + random.normal(0, 1, (256, 256, 3)), 0, 255).astype(np.uint8)
        assert looks.look_of(Picture(pixels.tobytes(), 256, 256, "PNG")) == looks.BLANK


def test_what_is_linked_is_one_group() -> None:
    """A chain of small steps, blank ones apart, and what has no look stands alone."""
    first = "00" * 8
    near = "0f" + "00" * 7
    far = "ff" + "00" * 7
    other = "0f" * 8
    found = looks.linked([first, far, None, other, near, looks.BLANK, first, looks.BLANK])
    assert found[0] == found[1] == found[4] == found[6]
    assert len({found[0], found[3], found[5]}) == 3
    assert (found[2], found[5], found[7]) == (None, looks.BLANK, looks.BLANK)
    assert looks.linked([first, far])[0] != looks.linked([first, far])[1]
    assert looks.linked([None, looks.BLANK]) == [None, looks.BLANK]


def test_links_are_found_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are compared at a time."""
    random = np.random.default_rng(0)
    originals = random.integers(0, 256, (50, 8), dtype=np.uint8)
    originals[:, 7] &= 0xFE  # 63 bits
    changed = originals.copy()
    changed[:, 0] ^= 0x81
    every = [row.tobytes().hex() for row in np.concatenate((originals, changed))]
    monkeypatch.setattr(looks, "ROWS_AT_ONCE", 7)
    found = looks.linked(every)
    assert found[:50] == found[50:]
    assert len(set(found)) == 50


def test_looks_are_kept_for_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By content; a file of looks that is none is made anew; a picture that has gone has no look."""
    shutil.copy(PUSHED[0], tmp_path / "a.jpg")
    shutil.copy(PUSHED[0], tmp_path / "b.jpg")
    examples = [Example(0.5, True, str(tmp_path / f"{name}.jpg"), sha256=name * 64) for name in ("a", "b", "c")]
    kept = tmp_path / "x.looks.json"
    kept.write_text('{"a": ["')
    first = looks.names_of_groups([*examples, Example(0.5, True)], str(kept), 2, True)
    assert (first[0], first[2:]) == (first[1], [None, None])
    assert first[0] is not None
    found = json.loads(kept.read_text())
    assert set(found) == {"a" * 64, "b" * 64}
    asked: list[object] = []
    monkeypatch.setattr(looks, "decoded_again", lambda wanted, jobs: asked.extend(wanted) or iter(()))
    assert looks.names_of_groups(examples, str(kept), 2, True) == first[:3]
    assert asked == [(str(tmp_path / "c.jpg"), None)]
    assert looks.beside("photos.scores.jsonl") == "photos.scores.looks.json"
