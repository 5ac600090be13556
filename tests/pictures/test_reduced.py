"""JPEG decoded at reduced size."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from open_nsfw.errors import InputError
from open_nsfw.pictures import reduced as quick
from open_nsfw.pictures.decode import decode, round_trip
from open_nsfw.pictures.pixels import as_array
from open_nsfw.pictures.reduced import quick_picture, quick_round_trip
from tests.tools.helpers import DATA


def photo(width: int, height: int, **options: object) -> bytes:
    """A smooth picture with some detail as a JPEG of that size."""
    with Image.open(DATA / "pushed" / "0.500-rocket.jpg") as image:
        buffer = io.BytesIO()
        image.resize((width, height), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90, **options)
    return buffer.getvalue()


def differences(data: bytes, edge: int = 0) -> np.ndarray:
    """The quick pixels less the middle of the exact ones, without the outermost `edge` pixels: (224 - 2 edge, ..., 3)."""
    quickly = np.asarray(as_array(quick_round_trip(data, 224)), np.float64)
    exactly = np.asarray(round_trip(decode(data)), np.float64)
    assert quickly.shape == (224, 224, 3) and exactly.shape == (256, 256, 3)
    found: np.ndarray = quickly - exactly[16:240, 16:240]
    return found[edge : 224 - edge, edge : 224 - edge]


def difference(data: bytes) -> float:
    """Root mean square, in grey levels."""
    return float(np.sqrt((differences(data) ** 2).mean()))


@pytest.mark.parametrize("size", [(720, 720), (2000, 1500), (1501, 3000), (797, 1021), (3073, 3081)])
def test_reduced_pictures_are_near(size: tuple[int, int]) -> None:
    """Also where the size is no multiple of the reduction. Without the exact box of the last pixel the odd sizes are
    off by several levels."""
    assert 0 < difference(photo(*size)) < 2


@pytest.mark.parametrize("size", [(700, 719), (2000, 719), (300, 300), (1, 1), (3000, 2)])
def test_pictures_too_small_to_be_reduced(size: tuple[int, int]) -> None:
    """Bit-equal to the exact decode but for the outermost pixels, whose colour JPEG takes from its neighbours' too."""
    picture = quick_round_trip(photo(*size), 224)
    assert (picture.exact, picture.reduced) == (False, False)
    assert not differences(photo(*size), edge=1).any()
    assert np.abs(differences(photo(*size))).max() < 12


def test_tall_pictures_too_small_to_be_reduced() -> None:
    """Nearly so: releases of Pillow differ in whether they squeeze these across or down first."""
    assert not quick_round_trip(photo(719, 2000), 224).reduced
    assert difference(photo(719, 2000)) < 1.5


@pytest.mark.parametrize(
    ("side", "made"), [(224, 224), (193, 224), (192, 192), (225, 256), (227, 256), (256, 256), (1, 32)]
)
def test_as_much_as_the_net_reads(side: int, made: int) -> None:
    """The middle, cut where JPEG's blocks of 16 pixels meet."""
    assert quick_round_trip(photo(1000, 800), side).side == made


@pytest.mark.parametrize("name", ["rgb.png", "rgba.tif", "lossy.webp", "still.gif"])
def test_other_formats_are_decoded_exactly(name: str) -> None:
    """What is no JPEG gives the exact recipe's pixels."""
    data = (DATA / "pictures" / name).read_bytes()
    picture = quick_round_trip(data, 224)
    assert picture.pixels == round_trip(decode(data)).tobytes()
    assert (picture.exact, picture.reduced) == (True, False)


def test_large_jpegs_of_other_modes_are_reduced() -> None:
    """Grey and CMYK, progressive too."""
    with Image.open(io.BytesIO(photo(1600, 1600))) as image:
        for mode in ("L", "CMYK"):
            buffer = io.BytesIO()
            image.convert(mode).save(buffer, "JPEG", quality=92, progressive=True)
            assert 0 < difference(buffer.getvalue()) < 2


def test_the_decoder_does_reduce() -> None:
    """The point of it: the pixels that come out of the decoder are fewer, and both sides stay large enough."""
    data = photo(2000, 1600)
    with Image.open(io.BytesIO(data)) as image:
        assert quick_picture(image, len(data), 224).reduced
        assert image.size == (500, 400)
        assert min(image.size) >= quick.REDUCED_SIDE
    data = photo(4000, 3000)
    with Image.open(io.BytesIO(data)) as image:
        assert quick_picture(image, len(data), 224).reduced
        assert image.size == (500, 375)  # an eighth


def test_pictures_made_of_dots_are_not_reduced() -> None:
    """Their high frequencies carry the picture; what tells them is how many bits a pixel takes, which stands in no way of
    a photo with as many pixels."""
    with Image.open(io.BytesIO(photo(960, 720))) as image:
        buffer = io.BytesIO()
        image.convert("1").convert("L").save(buffer, "JPEG", quality=85)
    data = buffer.getvalue()
    bits = 8 * len(data) / (960 * 720)
    assert bits > 1.5 * quick.REDUCED_BITS
    assert not quick_round_trip(data, 224).reduced
    assert not differences(data, edge=1).any()
    assert quick_round_trip(photo(960, 720), 224).reduced


def test_the_limit_of_bits_itself() -> None:
    """Just as many are reduced, one byte more is not."""
    data = photo(960, 720)
    most = int(quick.REDUCED_BITS * 960 * 720 / 8)
    assert quick_round_trip(data + bytes(most - len(data)), 224).reduced
    assert not quick_round_trip(data + bytes(most + 1 - len(data)), 224).reduced


def test_broken_pictures_are_told_as_ever() -> None:
    """The codes are the exact decode's."""
    data = photo(1600, 1600)
    for broken, code in ((data[: len(data) // 2], "truncated"), (b"", "empty"), (b"nothing", "not-a-picture")):
        with pytest.raises(InputError) as error:
            quick_round_trip(broken, 224)
        assert error.value.code == code
