"""Encoded bytes -> RGB picture -> 256 x 256 JPEG and back: the part of Yahoo's recipe that Pillow does.

    decode         bytes          -> Pillow image, RGB
    resize_to_jpeg Pillow image   -> bytes of a 256 x 256 JPEG
    round_trip     Pillow image   -> those bytes decoded: Pillow image, RGB, 256 x 256

The JPEG round trip looks like waste and is not: the network's authors scored their pictures through it, and leaving it
out moves scores by more than 0.01.
"""

from __future__ import annotations

import importlib
import io
import struct
import sys

from PIL import Image, UnidentifiedImageError

from open_nsfw.errors import InputError
from open_nsfw.installing import install_command, pip_command
from open_nsfw.pictures.containers import container_of
from open_nsfw.pictures.damage import reasons_known
from open_nsfw.pictures.formats import ALLOWED, FORMATS, SIDE, Limits, guess, sniff, too_many_bytes

JPEG_CHUNK = 1 << 24  # bytes that the decoder gets at once; it is slower where one chunk ends and the next begins
# What Pillow's readers say of whole files that they do not know.
_UNSUPPORTED = (
    *("not supported", "not yet supported", "unsupported", "unrecognized", "unknown pixel mode", "cannot handle"),
    *("unknown data organization", "unknown compression", "not available"),
)
# Bytes that one text or colour profile of a PNG may unpack to, and all texts together. Pillow allows 1 MiB and 64 MiB, but the
# workflows of image generators, XMP and printers' profiles have more.
MOST_TEXT, MOST_TEXTS = 64 * 1024**2, 256 * 1024**2
_TEXT_LIMITS = (
    "MAX_TEXT_CHUNK",
    "MAX_TEXT_MEMORY",
)  # Pillow's names for them, which are in what it says of a larger one
_TIFF_TAGS = range(254, 400)
OUT_OF_MEMORY = "decoding takes more memory than it may (--max-memory)"


def open_image(data: bytes, limits: Limits = Limits()) -> Image.Image:
    """Open an encoded picture without decoding its pixels yet.

    Raises InputError: `empty`, `not-a-picture` (outside the allow-list), `missing-decoder` (its plug-in is not
    installed), `undecodable` (broken header) or `too-many-pixels`.
    """
    if not data:
        raise InputError("empty", "the file is empty")
    if len(data) > limits.max_bytes:
        raise too_many_bytes(limits)
    kind = sniff(data)
    if kind is None:
        other = guess(data) if container_of(data) is None else "; it looks like a video"
        raise InputError("not-a-picture", f"not a picture in a format that is read ({ALLOWED}){other}")
    return open_as(kind, io.BytesIO(data), limits)


def open_as(kind: str, file: io.BytesIO, limits: Limits) -> Image.Image:
    """Open a file as a picture in this format, a key of `FORMATS`, as `open_image` does."""
    _load_plugin(kind)
    try:
        image = _opened(kind, file)
    except UnidentifiedImageError as error:
        if _unsupported(kind, error) is not None:
            raise decoder_error(kind, error) from error
        raise InputError("undecodable", f"a damaged {kind} file: its header cannot be read") from None
    except Exception as error:
        raise decoder_error(kind, error) from error
    check_pixels(image.width, image.height, limits)
    return image


def _opened(kind: str, file: io.BytesIO) -> Image.Image:
    """`Image.open` for one format, without Pillow's own limit on pixels, which is the same for all callers and warns on
    half of it: `check_pixels` follows."""
    factory, accept = Image.OPEN[kind]
    head = file.read(16)
    file.seek(0)
    if accept is not None and accept(head) is not True:
        raise UnidentifiedImageError
    try:
        image = factory(file, "")
    except (SyntaxError, IndexError, TypeError, struct.error) as error:  # how plug-ins say that it is not theirs
        raise UnidentifiedImageError from error
    if kind == "JPEG":
        image.decodermaxblock = JPEG_CHUNK
    return image


def check_pixels(width: int, height: int, limits: Limits) -> None:
    """Raises InputError `too-many-pixels` for a picture over the limit."""
    if width * height > limits.max_pixels:
        raise InputError(
            "too-many-pixels", f"{width} x {height} pixels, more than the limit of {limits.max_pixels:,} (--max-pixels)"
        )


def decode(data: bytes, limits: Limits = Limits()) -> Image.Image:
    """Decode an encoded picture (its first frame) to an RGB Pillow image. Raises InputError as `open_image` and
    `to_rgb` do."""
    with reasons_known(data):
        return to_rgb(open_image(data, limits))


def to_rgb(image: Image.Image) -> Image.Image:
    """Decode the pixels and convert to RGB as Yahoo's script does: alpha is dropped, EXIF rotation ignored.

    Raises InputError: `truncated`, `undecodable`, or `out-of-memory`.
    """
    try:
        image.load()
        return image if image.mode == "RGB" else image.convert("RGB")  # which copies even where nothing is to be done
    except Exception as error:
        raise decoder_error(image.format or "picture", error) from error


def resize_to_jpeg(image: Image.Image) -> bytes:
    """Resize an RGB picture to 256 x 256 (antialiased bilinear, aspect ratio ignored) and encode it as a JPEG file at
    Pillow's default quality, without the metadata that the picture came with."""
    # One pass after the other: Pillow rounds to whole pixel values between them, and releases differ in which they do
    # first. Those that Yahoo's recipe ran on went across first; for tall pictures the order moves scores by up to
    # 0.001.
    across = image.resize((SIDE, image.height), resample=Image.Resampling.BILINEAR)
    return small_jpeg(across.resize((SIDE, SIDE), resample=Image.Resampling.BILINEAR))


def small_jpeg(resized: Image.Image) -> bytes:
    """A picture that was resized, as a JPEG file at Pillow's default quality, without its metadata."""
    resized.info.clear()
    buffer = io.BytesIO()
    resized.save(buffer, format="JPEG")
    return buffer.getvalue()


def decoded_jpeg(data: bytes) -> Image.Image:
    """The picture in a JPEG file that `small_jpeg` made."""
    return Image.open(io.BytesIO(data), formats=["JPEG"])


def round_trip(image: Image.Image) -> Image.Image:
    """An RGB picture after the resize and the JPEG round trip: RGB, 256 x 256."""
    return decoded_jpeg(resize_to_jpeg(image))


def _load_plugin(kind: str) -> None:
    """Import the one Pillow plug-in that reads this format, if it is not there yet, and raise its limits on what goes with
    pictures, which are the whole process's."""
    if kind not in Image.OPEN:
        _import_plugin(kind)
    if kind == "PNG":
        plugin = sys.modules["PIL.PngImagePlugin"]
        for name, most in zip(_TEXT_LIMITS, (MOST_TEXT, MOST_TEXTS)):
            setattr(plugin, name, max(most, getattr(plugin, name)))


def _import_plugin(kind: str) -> None:
    try:
        if kind == "HEIF":
            importlib.import_module("pillow_heif").register_heif_opener()
        else:
            importlib.import_module(f"PIL.{FORMATS[kind]}")
    except ImportError:
        remedy = install_command("heif") if kind == "HEIF" else f"{pip_command()} install --upgrade pillow"
        raise InputError("missing-decoder", f"{kind} pictures need a decoder that is not installed: {remedy}") from None


def decoder_error(kind: str, error: BaseException, where: str = "") -> InputError:
    """What a decoder had to say, as one line; `where` in the file, and a colon, come before its reason."""
    if isinstance(error, MemoryError):
        return InputError("out-of-memory", OUT_OF_MEMORY)
    unsupported = _unsupported(kind, error)
    if unsupported is not None:
        return InputError("unsupported", f"a {kind} file of a kind that is not read: {where}{unsupported}")
    reason = " ".join(str(error).split()) or type(error).__name__
    # A chunk that is too short is no end of the file; a picture of several that is not there is.
    is_cut = ("truncated" in reason.lower() and not reason.endswith(" chunk")) or reason == "No data found for frame"
    code = "truncated" if is_cut else "undecodable"
    return InputError(code, f"a damaged {kind} file: {where}{reason}")


def _unsupported(kind: str, error: BaseException | None) -> str | None:
    """What a decoder says of a file that is not of its kinds, rather than damaged; None if it does not say so."""
    while error is not None:
        if kind == "TIFF" and isinstance(error, KeyError) and error.args[0] not in _TIFF_TAGS:
            return f"compression {error.args[0]}"  # what Pillow looks up are these, and tags that are missing
        reason = " ".join(str(error).split())
        if kind == "PNG" and any(name in reason for name in _TEXT_LIMITS):
            most = f"{MOST_TEXT >> 20} MiB, or all texts together to more than {MOST_TEXTS >> 20} MiB"
            return f"a text or colour profile in it unpacks to more than {most}; save it without them"
        if any(words in reason.lower() for words in _UNSUPPORTED):
            return reason
        error = error.__cause__
    return None
