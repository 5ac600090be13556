"""Bad pictures and bad models through the real command: the exact line, the exit status, and nobody else's loss."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image, features

import classify_nsfw
from open_nsfw.installing import install_command
from open_nsfw.nets import schema as caffe_schema
from open_nsfw.nets.prototxt import SUPPORTED_TYPES
from tests.tools.helpers import (
    MODEL_DEF,
    OTHER_PICTURE,
    PICTURE,
    ROOT,
    SMALL_WEIGHTS,
    WEIGHTS,
    Result,
    caffemodel,
    engines,
    needs_caffe,
    ones,
    png_header,
    run_command,
    small_net,
    write_model,
)

NOT_READ = "not a picture in a format that is read (JPEG, PNG, GIF, WebP, BMP, TIFF, AVIF, or HEIF with its extra)"
HAS_HEIF = True
try:
    import pillow_heif  # noqa: F401
except ImportError:
    HAS_HEIF = False


def encoded(form: str) -> bytes:
    with Image.open(PICTURE) as image:
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, form)
    return buffer.getvalue()


def half(form: str) -> bytes:
    data = encoded(form)
    return data[: len(data) // 2]


# --- pictures ---------------------------------------------------------------------------------------------------------

# name -> (content, error code, message). What a decoder of Pillow's says after the colon differs between releases.
FILES: dict[str, tuple[bytes, str, str]] = {
    "empty.jpg": (b"", "empty", "the file is empty"),
    "text.jpg": (b"no picture at all\n", "not-a-picture", f"{NOT_READ}; it looks like text"),
    "bytes.jpg": (bytes(range(256)), "not-a-picture", NOT_READ),
    "postscript.jpg": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "not-a-picture",
        f"{NOT_READ}; it looks like PostScript",
    ),
    "binary-eps.jpg": (b"\xc5\xd0\xd3\xc6" + bytes(40), "not-a-picture", f"{NOT_READ}; it looks like PostScript"),
    "document.png": (b"%PDF-1.7\n%\xe2\xe3\n", "not-a-picture", f"{NOT_READ}; it looks like PDF"),
    "drawing.png": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "not-a-picture", f"{NOT_READ}; it looks like SVG"),
    "photoshop.gif": (b"8BPS\0\1" + bytes(40), "not-a-picture", f"{NOT_READ}; it looks like Photoshop"),
    "netpbm.bmp": (b"P6 1 1 255\n\1\2\3", "not-a-picture", NOT_READ),
    "bomb.png": (
        png_header(60000, 60000),
        "too-many-pixels",
        "60000 x 60000 pixels, more than the limit of 178,956,970 (--max-pixels)",
    ),
    "bomb.gif": (
        b"GIF89a\xff\xff\xff\xff\0\0\0;",
        "undecodable|too-many-pixels",
        r"REGEX:65535 x 65535 pixels, more than the limit of 178,956,970 \(--max-pixels\)|a damaged GIF file: .+",
    ),
    "bomb.bmp": (
        b"BM" + bytes(12) + (40).to_bytes(4, "little") + (50000).to_bytes(4, "little") * 2 + b"\1\0\x18\0" + bytes(24),
        "too-many-pixels",
        "50000 x 50000 pixels, more than the limit of 178,956,970 (--max-pixels)",
    ),
    "no-width.png": (png_header(0, 5), "undecodable", "a damaged PNG file: its header cannot be read"),
    "half.jpg": (
        half("JPEG"),
        "truncated",
        r"REGEX:a damaged JPEG file: image file is truncated \(\d+ bytes not processed\)",
    ),
    "half.png": (
        half("PNG"),
        "truncated",
        r"REGEX:a damaged PNG file: image file is truncated(?: \(\d+ bytes not processed\))?",
    ),
    "half.gif": (
        half("GIF"),
        "truncated",
        r"REGEX:a damaged GIF file: image file is truncated \(\d+ bytes not processed\)",
    ),
    "half.bmp": (
        half("BMP"),
        "truncated",
        r"REGEX:a damaged BMP file: image file is truncated \(\d+ bytes not processed\)",
    ),
    "half.tif": (
        half("TIFF"),
        "truncated",
        r"REGEX:a damaged TIFF file: image file is truncated \(\d+ bytes not processed\)",
    ),
    "half.webp": (half("WEBP"), "truncated", r"REGEX:a damaged WEBP file: it has [\d,]+ of at least [\d,]+ bytes"),
    "lossless.jpg": (
        encoded("JPEG").replace(b"\xff\xc0", b"\xff\xc3", 1),
        "unsupported",
        "a JPEG file of a kind that is not read: lossless",
    ),
    "jpeg-ls.jpg": (
        encoded("JPEG").replace(b"\xff\xc0", b"\xff\xf7", 1),
        "unsupported",
        "a JPEG file of a kind that is not read: JPEG-LS",
    ),
    "magic.jpg": (b"\xff\xd8\xff", "undecodable|truncated", r"REGEX:a damaged JPEG file: .+"),
    "magic.png": (b"\x89PNG\r\n\x1a\n", "undecodable", "a damaged PNG file: its header cannot be read"),
    "magic.gif": (b"GIF89a", "undecodable|truncated", r"REGEX:a damaged GIF file: .+"),
    "magic.tif": (b"II*\0", "undecodable|truncated", r"REGEX:a damaged TIFF file: .+"),
    "magic.webp": (b"RIFF\0\0\0\0WEBP", "undecodable|truncated", r"REGEX:a damaged WEBP file: .+"),
}
if features.check("avif"):
    FILES["half.avif"] = (half("AVIF"), "truncated", r"REGEX:a damaged AVIF file: .+")
if not HAS_HEIF:
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
    FILES["photo.heic"] = (
        heic,
        "missing-decoder",
        f"HEIF pictures need a decoder that is not installed: {install_command('heif')}",
    )
MISSING = ("missing.jpg", "not-found", "there is no such file")


def matches(expected: str, found: str) -> bool:
    """Whether a message is the expected one, or what the expected regular expression says."""
    return bool(re.fullmatch(expected[6:], found)) if expected.startswith("REGEX:") else found == expected


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of them, each between two good pictures, and a small model."""
    folder = tmp_path_factory.mktemp("bad")
    for name, (content, _, _) in FILES.items():
        (folder / name).write_bytes(content)
    shutil.copy(PICTURE, folder / "first.jpg")
    shutil.copy(PICTURE, folder / "last.jpg")
    write_model(folder, small_net())
    return folder


MODEL = ["--model_def", "net.prototxt", "--pretrained_model", "net.caffemodel"]


def test_every_bad_picture_has_its_line_and_the_good_ones_their_scores(folder: Path) -> None:
    names = ["first.jpg", *FILES, MISSING[0], "last.jpg"]
    result = run_command(*MODEL, *names, cwd=folder)
    assert result.out == "NSFW score: 0.5 first.jpg\nNSFW score: 0.5 last.jpg\n"
    assert result.status == 1
    expected = {name: message for name, (_, _, message) in FILES.items()} | {MISSING[0]: MISSING[2]}
    found = [line.removeprefix("classify_nsfw: ").split(": ", 1) for line in result.errors]
    assert [name for name, _ in found] == [*FILES, MISSING[0]]
    assert [(name, message) for name, message in found if not matches(expected[name], message)] == []
    assert result.counts == (2, len(FILES) + 1)


def test_every_bad_picture_has_its_row_and_code(folder: Path) -> None:
    names = ["first.jpg", *FILES, MISSING[0], "last.jpg"]
    result = run_command(*MODEL, "--quiet", "--format=jsonl", *names, cwd=folder)
    assert (result.status, result.err) == (1, "")
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert [row["path"] for row in rows] == names
    assert [row["score"] for row in rows] == [0.5, *[None] * (len(FILES) + 1), 0.5]
    codes = {name: code for name, (_, code, _) in FILES.items()} | {MISSING[0]: MISSING[1]}
    wrong = [row["error"] for row in rows[1:-1] if not re.match(f"(?:{codes[row['path']]}): ", row["error"])]
    assert wrong == []


@pytest.mark.parametrize("name", ["empty.jpg", "text.jpg", "postscript.jpg", "bomb.png", MISSING[0]])
def test_alone_it_is_one_line(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = FILES[name][2] if name in FILES else MISSING[2]
    path, model = str(folder / name), [str(folder / part) if "." in part else part for part in MODEL]
    assert classify_nsfw.main([*model, path]) == 1
    assert capsys.readouterr() == ("", f"classify_nsfw: {path}: {message}\n")


def test_on_standard_input(folder: Path) -> None:
    result = run_command(*MODEL, "-", stdin=b"", cwd=folder)
    assert (result.status, result.out, result.err) == (1, "", "classify_nsfw: -: the file is empty\n")
    result = run_command(*MODEL, "-", stdin=b"%!PS", cwd=folder)
    assert (result.status, result.out) == (1, "")
    assert result.err == f"classify_nsfw: -: {NOT_READ}; it looks like PostScript\n"


def test_a_folder_without_pictures(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = run_command(*MODEL, str(tmp_path / "empty"), "first.jpg", cwd=folder)
    assert (result.status, result.out) == (1, "NSFW score: 0.5 first.jpg\n")
    assert result.errors == [f"classify_nsfw: {tmp_path}/empty: there is no picture in it"]
    assert result.counts == (1, 1)


def run_without_rights(shut: Path, *arguments: str | os.PathLike[str], cwd: Path) -> Result:
    """The command, for which the permissions of `shut` count: root, whom they do not stop, has that right taken away."""
    if not os.access(shut, os.R_OK):
        return run_command(*arguments, cwd=cwd)
    if not shutil.which("setpriv"):
        pytest.skip("this user may read everything (root), and there is no setpriv to take that right away")
    rights = "-dac_override,-dac_read_search"
    return run_command(*arguments, cwd=cwd, under=["setpriv", "--inh-caps", rights, "--bounding-set", rights])


def test_a_folder_that_cannot_be_listed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0)
    result = run_without_rights(tmp_path / "shut", *MODEL, tmp_path / "shut", "first.jpg", cwd=folder)
    assert (result.status, result.out) == (1, "NSFW score: 0.5 first.jpg\n")
    assert result.errors == [f"classify_nsfw: {tmp_path}/shut: this folder cannot be listed: Permission denied"]


def test_files_that_cannot_be_read_have_rows_whatever_their_names(tmp_path: Path) -> None:
    """They may be pictures: what a file is, its content tells."""
    names = ["3f9a", "._x.jpg", "notes.txt", "x.jpg", "x.zip"]
    model = write_model(tmp_path, small_net())
    (tmp_path / "in").mkdir()
    for name in names:
        shutil.copy(PICTURE, tmp_path / "in" / name)
        (tmp_path / "in" / name).chmod(0)
    shutil.copy(PICTURE, tmp_path / "in" / "good")
    for arguments in (["in"], [f"in/{name}" for name in [*names, "good"]], ["in/*"]):
        line = [*model, *arguments, "--hidden", "--format", "jsonl"]
        result = run_without_rights(tmp_path / "in" / "3f9a", *line, cwd=tmp_path)
        rows = {os.path.basename(row["path"]): row["error"] for row in map(json.loads, result.out.splitlines())}
        assert rows == {**dict.fromkeys(names, "unreadable: cannot be read: Permission denied"), "good": None}
        assert (result.status, result.counts) == (1, (1, 5))
        assert "passed over" not in result.err


def test_a_path_through_a_file_and_a_name_too_long(folder: Path) -> None:
    long = "x" * 300 + ".jpg"
    result = run_command(*MODEL, "first.jpg/inside.jpg", long, cwd=folder)
    assert (result.status, result.out) == (1, "")
    assert result.errors == [
        "classify_nsfw: first.jpg/inside.jpg: cannot be read: Not a directory",
        f"classify_nsfw: {long}: cannot be read: File name too long",
    ]


def test_a_name_that_would_break_the_line(folder: Path) -> None:
    result = run_command(*MODEL, "a\nb\x1b.jpg", cwd=folder)
    assert result.err == "classify_nsfw: $'a\\x0ab\\x1b.jpg': there is no such file\n"


def with_text(kind: bytes, size: int, behind: bytes) -> bytes:
    """The PNG with a compressed text or colour profile of so many bytes, before the chunk `behind`."""
    intro = {b"zTXt": b"workflow\0\0", b"iTXt": b"XML:com.adobe.xmp\0\1\0\0\0", b"iCCP": b"printer\0\0"}[kind]
    body = intro + zlib.compress(bytes(size))
    chunk = struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))
    data = OTHER_PICTURE.read_bytes()
    at = data.index(behind) - 4
    return data[:at] + chunk + data[at:]


def test_texts_and_profiles_of_a_png_that_are_long(tmp_path: Path) -> None:
    """They are the picture's, whose score is the same; past all bounds they are not called damage."""
    files = {"0.png": OTHER_PICTURE.read_bytes()}
    for kind in (b"zTXt", b"iTXt", b"iCCP"):
        files[f"{kind.decode()}.png"] = with_text(kind, 3_000_000, b"IDAT")
        files[f"{kind.decode()}-bomb.png"] = with_text(kind, 70_000_000, b"IDAT")
    files["behind.png"] = with_text(b"zTXt", 3_000_000, b"IEND")
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    done = run_command(*write_model(tmp_path, small_net()), "--engine", "onnxruntime", tmp_path, "--format", "jsonl")
    rows = {os.path.basename(row["path"]): row for row in map(json.loads, done.out.splitlines())}
    assert done.status == 1
    refused = (
        "unsupported: a PNG file of a kind that is not read: a text or colour profile in it unpacks to more than 64 MiB, or "
        "all texts together to more than 256 MiB; save it without them"
    )
    bombs = [name for name in files if name.endswith("bomb.png")]
    assert {rows[name]["error"] for name in bombs} == {refused}
    assert {(rows[name]["score"], rows[name]["error"]) for name in set(files) - set(bombs)} == {
        (rows["0.png"]["score"], None)
    }
    assert rows["0.png"]["score"] > 0


def test_limits_have_flags(folder: Path) -> None:
    result = run_command(*MODEL, "--max-pixels", "65535", "first.jpg", cwd=folder)
    assert (result.status, result.out) == (1, "")
    assert result.err == "classify_nsfw: first.jpg: 256 x 256 pixels, more than the limit of 65,535 (--max-pixels)\n"
    result = run_command(*MODEL, "--max-bytes", "100", "first.jpg", cwd=folder)
    assert result.err == "classify_nsfw: first.jpg: more than the limit of 100 bytes (--max-bytes)\n"


def test_no_other_decoder_is_ever_reached(folder: Path) -> None:
    """Pillow tries every plug-in it has on a file that the first one refuses, unless told otherwise."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from PIL import Image\n"
        "from open_nsfw import InputError\n"
        "from open_nsfw.pictures.decode import decode\n"
        "from open_nsfw.pictures.formats import FORMATS\n"
        "for path in sorted(Path(sys.argv[1]).iterdir()):\n"
        "    try: decode(path.read_bytes())\n"
        "    except InputError: pass\n"
        "brought_along = {'DIB', 'PPM'}\n"  # by Pillow's own plug-ins for the formats that are read
        "others = sorted(set(Image.OPEN) - set(FORMATS) - brought_along)\n"
        "print(len(Image.OPEN), others, 'PIL.EpsImagePlugin' in sys.modules)"
    )
    line = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    count, rest = done.stdout.split(maxsplit=1)
    assert int(count) >= 6 and rest == "[] False\n"


# --- models -----------------------------------------------------------------------------------------------------------

PROTOTXT, WHOLE = MODEL_DEF.read_text(), WEIGHTS.read_bytes() if WEIGHTS.exists() else b""
LAYER = '{model_def}: layer "c" (Convolution): '
UNFIT = '{weights} does not fit {model_def}: layer "c" (Convolution): '
BROKEN_FILE = "{weights}: not a readable caffemodel (%s bytes): truncated, damaged or another format"
ALL_TYPES = ", ".join(sorted(SUPPORTED_TYPES))

# what is wrong -> (prototxt, the error after `classify_nsfw: error: `)
PROTOTXTS: dict[str, tuple[str, str]] = {
    "empty": ("", "{model_def}: a net with one input is needed, this one has 0 (none)"),
    "only a comment": ("# nothing\n", "{model_def}: a net with one input is needed, this one has 0 (none)"),
    "no layers": (small_net().splitlines()[0], "{model_def}: the net has no layers"),
    "syntax": ("layer { name: }", "REGEX:{model_def}: not a readable prototxt: 1:15 : .+"),
    "cut short": (PROTOTXT[: len(PROTOTXT) // 2], "REGEX:{model_def}: not a readable prototxt: \\d+:\\d+ : .+"),
    "control characters": ("\0\x1b[A\n", "REGEX:{model_def}: not a readable prototxt: 1:1 : .+"),
    "a number that is none": (
        "\0\x1b[31m\n",
        "{model_def}: not a readable prototxt: line 1: Caffe does not read 31m as a number",
    ),
    "a misspelt field": (
        small_net().replace("num_output", "num_outputs"),
        'REGEX:{model_def}: not a readable prototxt: 2:\\d+ : .+ has no field named "num_outputs".',
    ),
    "a value of another type": (
        small_net().replace("num_output: 2", "num_output: two"),
        "REGEX:{model_def}: not a readable prototxt: 2:\\d+ : .+",
    ),
    "nested without end": ("layer { " * 20000, "REGEX:{model_def}: not a readable prototxt: .+"),
    "two inputs": (
        small_net().replace('top: "data" input', 'top: "data" top: "more" input'),
        "{model_def}: a net with one input is needed, this one has 2 (data, more)",
    ),
    "an input of no size": (
        small_net(height=0),
        '{model_def}: the shape of input "data" is [1, 3, 0, 224]; every dimension must be at least 1',
    ),
    "an input of any size": (small_net(height=10**12), "REGEX:{model_def}: .+"),
    "an unknown blob": (
        small_net().replace('bottom: "c"', 'bottom: "z"'),
        '{model_def}: layer "p" (Pooling): reads the blob "z", which no layer before it makes',
    ),
    "no bottom": (
        small_net().replace('bottom: "c" ', ""),
        '{model_def}: layer "p" (Pooling): it has 0 bottoms, which the type does not take',
    ),
    "a layer that is not supported": (
        small_net(kind="LSTM"),
        f'{{model_def}}: layer "last" has the type LSTM, which is not supported; supported are {ALL_TYPES}',
    ),
    "a layer without a type": (
        small_net().replace('type: "Softmax"', ""),
        f'{{model_def}}: layer "last" has the type (none), which is not supported; supported are {ALL_TYPES}',
    ),
    "an option that is not supported": (
        small_net().replace("pool: AVE", "pool: STOCHASTIC"),
        '{model_def}: layer "p" (Pooling): stochastic pooling is not supported',
    ),
    "a window larger than the input": (
        small_net().replace("kernel_size: 1", "kernel_size: 300"),
        LAYER + "its input of shape 1 x 3 x 224 x 224 is too small: the output would be 1 x 2 x -75 x -75",
    ),
    "groups": (
        small_net().replace("kernel_size: 1", "kernel_size: 1 group: 2"),
        LAYER + "3 input and 2 output channels do not divide into 2 groups",
    ),
    "no prob": (
        small_net(top="score"),
        '{model_def}: the net makes no blob "prob" to read the score from; its output is "score"',
    ),
    "no prob and several outputs": (
        small_net(top="a") + 'layer { name: "b" type: "Softmax" bottom: "p" top: "b" }',
        '{model_def}: the net makes no blob "prob" and has 2 outputs (a, b)',
    ),
    "an input that is too large": (
        small_net(height=299, width=299),
        "{model_def}: the net reads (299, 299) pixels; Yahoo's recipe makes pictures of 256 x 256",
    ),
}

# what is wrong -> (weights for small_net(), the error)
WEIGHT_FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "{weights}: not a readable caffemodel (0 bytes): it holds no layers"),
    "text": (b"hello world", BROKEN_FILE % 11),
    "another binary": (bytes(range(256)) * 40, BROKEN_FILE % "10,240"),
    "bytes behind the end": (
        caffemodel(SMALL_WEIGHTS) + bytes(10),
        BROKEN_FILE % (len(caffemodel(SMALL_WEIGHTS)) + 10),
    ),
    "hdf5": (
        b"\x89HDF\r\n\x1a\n" + bytes(99),
        "{weights}: this is an HDF5 caffemodel; save it again in Caffe's binary format (net.save)",
    ),
    "git lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:74\nsize 9\n",
        "{weights}: this is a Git LFS pointer, not the weights; fetch them with `git lfs pull`",
    ),
    "nothing for the layer": (caffemodel({"other": SMALL_WEIGHTS["c"]}), UNFIT + "the weights file has nothing for it"),
    "no blobs": (caffemodel({"c": []}), UNFIT + "the weights file has nothing for it"),
    "no bias": (caffemodel({"c": [ones(2, 3, 1, 1)]}), UNFIT + "2 weight blobs are needed, the file has 1"),
    "more outputs": (
        caffemodel({"c": [ones(3, 3, 1, 1), ones(3)]}),
        UNFIT + "weights of shape 2 x 3 x 1 x 1 are needed, the file has 3 x 3 x 1 x 1",
    ),
    "more channels": (
        caffemodel({"c": [ones(2, 4, 1, 1), ones(2)]}),
        UNFIT + "weights of shape 2 x 3 x 1 x 1 are needed, the file has 2 x 4 x 1 x 1",
    ),
    "a larger kernel": (
        caffemodel({"c": [ones(2, 3, 3, 3), ones(2)]}),
        UNFIT + "weights of shape 2 x 3 x 1 x 1 are needed, the file has 2 x 3 x 3 x 3",
    ),
    "as many values, otherwise arranged": (
        caffemodel({"c": [ones(3, 2, 1, 1), ones(2)]}),
        UNFIT + "weights of shape 2 x 3 x 1 x 1 are needed, the file has 3 x 2 x 1 x 1",
    ),
    "another bias": (
        caffemodel({"c": [ones(2, 3, 1, 1), ones(3)]}),
        UNFIT + "weights of shape 2 are needed, the file has 3",
    ),
}


def check_model_error(model: list[str], expected: str, capsys: pytest.CaptureFixture[str], *options: str) -> None:
    """The command's own main, in this process: nothing on stdout, one line on stderr, status 2."""
    assert classify_nsfw.main([*model, *options, str(PICTURE), str(PICTURE)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    names = {"model_def": model[1], "weights": model[3]}
    regex = expected.startswith("REGEX:")
    for name, path in names.items():
        expected = expected.replace(f"{{{name}}}", re.escape(path) if regex else path)
    assert err.count("\n") == 1, err
    assert not re.search("[\0-\x08\x0b-\x1f\x7f]", err), "control characters reach the terminal"
    assert matches(expected, err[len("classify_nsfw: error: ") : -1]), err


@pytest.mark.parametrize("what", PROTOTXTS)
def test_bad_prototxt(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, expected = PROTOTXTS[what]
    check_model_error(write_model(tmp_path, text), expected, capsys, "--engine", "onnxruntime")


@pytest.mark.parametrize("what", WEIGHT_FILES)
def test_bad_weights(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, expected = WEIGHT_FILES[what]
    check_model_error(write_model(tmp_path, small_net(), content), expected, capsys, "--engine", "onnxruntime")


@pytest.mark.parametrize("outputs", [0, 1])
def test_too_few_classes(outputs: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = caffemodel({"c": [ones(outputs, 3, 1, 1), ones(outputs)]})
    model = write_model(tmp_path, small_net(outputs=outputs), weights)
    expected = {
        0: LAYER + "3 input and 0 output channels do not divide into 1 groups",
        1: '{model_def}: the blob "prob" has 1 value(s); the score is its second one',
    }[outputs]
    check_model_error(model, expected, capsys, "--engine", "onnxruntime")


@pytest.mark.parametrize("missing", [0, 1])
def test_a_model_file_that_is_not_there(missing: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_model(tmp_path, small_net())
    path = model[1 + 2 * missing]
    os.unlink(path)
    check_model_error(model, f"{path}: cannot be read: No such file or directory", capsys)
    os.mkdir(path)
    check_model_error(model, f"{path}: cannot be read: Is a directory", capsys)


def layer_starts(data: bytes) -> list[int]:
    """Where the fields of a NetParameter begin: the boundaries between layers."""

    def varint(at: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            value, byte, at, shift = value | (data[at] & 127) << shift, data[at], at + 1, shift + 7
            if byte < 128:
                return value, at

    starts, at = [], 0
    while at < len(data):
        starts.append(at)
        _, at = varint(at)
        length, at = varint(at)
        at += length
    return starts


@pytest.mark.parametrize("share", [0.000001, 0.01, 0.5, 0.9999])
def test_weights_cut_short(share: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = int(len(WHOLE) * share)
    model = ["--model_def", str(MODEL_DEF), "--pretrained_model", str(tmp_path / "cut.caffemodel")]
    Path(model[3]).write_bytes(WHOLE[:size])
    check_model_error(model, BROKEN_FILE % f"{size:,}", capsys, "--engine", "onnxruntime")


def test_weights_cut_short_between_two_layers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is left is a sound file; only the layers that are missing tell."""
    starts = layer_starts(WHOLE)
    for end, layer in ((starts[-2], '"fc_nsfw" (InnerProduct)'), (starts[2], '"conv_1" (Convolution)')):
        model = ["--model_def", str(MODEL_DEF), "--pretrained_model", str(tmp_path / "cut.caffemodel")]
        Path(model[3]).write_bytes(WHOLE[:end])
        expected = "{weights} does not fit {model_def}: layer " + layer + ": the weights file has nothing for it"
        check_model_error(model, expected, capsys, "--engine", "onnxruntime")


def test_a_blob_with_values_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = caffe_schema.NetParameter.FromString(caffemodel(SMALL_WEIGHTS))
    message.layer[0].blobs[0].data[0] = message.layer[0].blobs[0].data[0][:-4]
    model = write_model(tmp_path, small_net(), message.SerializeToString())
    expected = "{weights}: a blob of shape [2, 3, 1, 1] has 5 values; the file is damaged"
    check_model_error(model, expected, capsys, "--engine", "onnxruntime")


@pytest.mark.parametrize("engine", engines())
def test_a_bad_model_in_a_process_of_its_own(engine: str, tmp_path: Path) -> None:
    model = write_model(tmp_path, small_net(), caffemodel({"c": [ones(2, 4, 1, 1), ones(2)]}))
    result = run_command(*model, "--engine", engine, PICTURE)
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        f"classify_nsfw: error: {model[3]} does not fit {model[1]}: "
        'layer "c" (Convolution): weights of shape 2 x 3 x 1 x 1 are needed, the file has 2 x 4 x 1 x 1\n'
    )


@needs_caffe
@pytest.mark.parametrize("pool", ["AVE", "STOCHASTIC"])
def test_pycaffe_never_aborts_the_process(pool: str, tmp_path: Path) -> None:
    """Nets that this package's reader leaves to Caffe, which ends the process: on loading, and on computing."""
    text = small_net(kind="Softmax" if pool == "STOCHASTIC" else "NoSuchLayer").replace("AVE", pool)
    model = write_model(tmp_path, text)
    result = run_command(*model, "--engine", "caffe", PICTURE)
    assert (result.status, result.out) == (2, ""), result
    assert result.err.startswith(f"classify_nsfw: error: {model[1]} with {model[3]}: Caffe cannot ")
    assert result.err.count("\n") == 1


@needs_caffe
def test_pycaffe_without_a_gpu() -> None:
    for options in (["--engine", "caffe"], []):
        result = run_command(*options, "--gpu", PICTURE)
        assert (result.status, result.out) == (2, "")
        assert result.err == (
            "classify_nsfw: error: --gpu: this Caffe cannot use a GPU (Cannot use GPU in CPU-only Caffe: check mode.); "
            "leave --gpu out, or install a Caffe built with CUDA\n"
        )
