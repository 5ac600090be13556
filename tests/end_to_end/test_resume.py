"""`--resume` of the whole command: afterwards the file is what one run of now would have written."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from open_nsfw.rows.reader import read_rows
from tests.tools.archive_samples import make_tar, tar_entry, zst
from tests.tools.helpers import (
    DATA,
    OTHER_PICTURE,
    PICTURE,
    SCRIPT,
    SECONDS,
    plant_module,
    run_command,
    small_net,
    wait_until,
    write_model,
)
from tests.tools.rows import needs_pyarrow

ANIMATION = DATA / "pictures" / "animated.gif"
STILL = DATA / "pictures" / "multi-page.tif"


@pytest.fixture(name="model", scope="module")
def _model(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A net that takes no time."""
    return write_model(tmp_path_factory.mktemp("model"), small_net())


class Scan:
    """Runs of the command into one file."""

    def __init__(self, model: list[str], file: Path, form: str = "jsonl") -> None:
        self.file = file
        self.options = ["--engine", "onnxruntime", *model, "--format", form, "--output", str(file)]

    def __call__(self, *arguments: object, status: int = 0, **options: Any) -> str:
        done = run_command(*self.options, *map(str, arguments), **options)
        assert done.status == status, done.err
        return done.err

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()]


@pytest.fixture(name="scan")
def _scan(model: list[str], tmp_path: Path) -> Scan:
    return Scan(model, tmp_path / "rows.jsonl")


def same_names_zip(path: Path, count: int) -> None:
    """An archive whose members have one name, two contents, and a text of that name first."""
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("x", "a text, which gets no row")
        for number in range(count):
            archive.writestr("x", (PICTURE if number % 2 else OTHER_PICTURE).read_bytes())


def test_members_of_one_name_keep_their_rows(scan: Scan, tmp_path: Path) -> None:
    """40 of them, of which an interrupted run wrote 21."""
    same_names_zip(tmp_path / "x.zip", 40)
    scan(tmp_path / "x.zip")
    whole = scan.rows()
    assert len(whole) == 40
    for left in (0, 1, 21, 40):
        scan.file.write_text("".join(json.dumps(row) + "\n" for row in whole[:left]))
        scan(tmp_path / "x.zip", "--resume")
        assert scan.rows() == whole


def test_inputs_named_twice_keep_their_rows(scan: Scan, tmp_path: Path) -> None:
    same_names_zip(tmp_path / "x.zip", 3)
    inputs = (PICTURE, tmp_path / "x.zip", PICTURE, ANIMATION, tmp_path / "x.zip", ANIMATION, "--frames", "all")
    scan(*inputs)
    whole = scan.rows()
    assert len(whole) == 2 * (1 + 3 + 4)
    lines = scan.file.read_text().splitlines(keepends=True)
    for left in range(0, len(lines) + 1, 3):
        scan.file.write_text("".join(lines[:left]))
        scan(*inputs, "--resume")
        assert scan.rows() == whole, left


def test_an_empty_folder_has_its_row_and_loses_it_when_pictures_come(scan: Scan, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for _ in range(2):
        scan(folder, "--resume", status=1)
        assert [row["error"] for row in scan.rows()] == ["no-pictures: there is no picture in it"]
    shutil.copy(PICTURE, folder / "x.jpg")
    for _ in range(2):
        scan(folder, "--resume")
        assert [(row["path"], row["error"]) for row in scan.rows()] == [(str(folder / "x.jpg"), None)]


def as_tuples(file: Path, form: str) -> list[tuple[str, str | None, str | None]]:
    """Name, member and code of the error of each row, in no order."""
    codes = (None if row.error is None else row.error.partition(":")[0] for row in read_rows(str(file), form))
    rows = zip(read_rows(str(file), form), codes)
    return sorted(((os.path.basename(row.path), row.member, code) for row, code in rows), key=str)


@pytest.mark.parametrize("form", ["jsonl", "csv", pytest.param("parquet", marks=needs_pyarrow)])
def test_an_archive_loses_its_error_when_it_can_be_read(form: str, model: list[str], tmp_path: Path) -> None:
    """One that was refused, and one that still is."""
    scan = Scan(model, tmp_path / "rows", form)
    content = PICTURE.read_bytes()
    (tmp_path / "x.tar.gz").write_bytes(
        make_tar([("a.jpg", content), ("zeros", bytes(500_000)), ("b", content)], "w:gz")
    )
    (tmp_path / "y.tar").write_bytes(tar_entry(b"a.jpg", content))  # without an end
    inputs = [tmp_path / "x.tar.gz", tmp_path / "y.tar"]
    broken = [("y.tar", "a.jpg", None), ("y.tar", None, "damaged-archive")]
    scan(*inputs, "--max-archive-bytes", "200000", status=1)
    assert as_tuples(scan.file, form) == [("x.tar.gz", "a.jpg", None), ("x.tar.gz", None, "archive-bomb"), *broken]
    for _ in range(2):
        scan(*inputs, "--resume", status=1)
        assert as_tuples(scan.file, form) == [("x.tar.gz", "a.jpg", None), ("x.tar.gz", "b", None), *broken]


def broken_first_page() -> bytes:
    """A TIFF of three pages, the first of which is compressed in an unknown way."""
    pages = [Image.new("RGB", (40, 30 + number), (200, 30 * number, 30)) for number in range(3)]
    buffer = io.BytesIO()
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    data = bytearray(buffer.getvalue())
    assert data[:4] == b"II*\0"
    (at,) = struct.unpack_from("<L", data, 4)
    for field in range(at + 2, at + 2 + 12 * struct.unpack_from("<H", data, at)[0], 12):
        if struct.unpack_from("<H", data, field) == (259,):
            struct.pack_into("<H", data, field + 8, 31337)
    return bytes(data)


@pytest.mark.parametrize("cache", [(), ("--cache", "kept")])
def test_pages_behind_one_that_failed(cache: tuple[str, ...], model: list[str], tmp_path: Path) -> None:
    """Are scored when a later run asks for them, as by one that asks at once; the other way they are dropped."""
    (tmp_path / "x.tif").write_bytes(broken_first_page())
    (tmp_path / "y.tif").write_bytes(broken_first_page())
    fresh, scan = Scan(model, tmp_path / "fresh"), Scan(model, tmp_path / "rows")
    inputs = [tmp_path / "x.tif", tmp_path / "y.tif"]
    fresh(*inputs, "--frames", "all", status=1)
    every = fresh.rows()
    assert [(row["kind"], row["frame"], row["score"] is None, row["width"]) for row in every[:4]] == [
        ("frame", 0, True, None),
        ("frame", 1, False, 40),
        ("frame", 2, False, 40),
        ("summary", None, False, 40),
    ]
    assert {(row["format"], row["frame_choice"]) for row in every} == {("TIFF", "all")}
    scan(*inputs, *cache, cwd=tmp_path, status=1)
    first = scan.rows()
    assert [(row["format"], row["frame_choice"], row["error"]) for row in first] == [
        ("TIFF", "first", "unsupported: a TIFF file of a kind that is not read: compression 31337")
    ] * 2
    scan(*inputs, *cache, "--resume", "--frames", "all", cwd=tmp_path, status=1)
    assert scan.rows() == every
    scan(*inputs, *cache, "--resume", cwd=tmp_path, status=1)
    assert scan.rows() == first


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="Python 3.14 has a library for Zstandard")
def test_an_archive_loses_its_error_when_its_library_has_come(scan: Scan, tmp_path: Path) -> None:
    (tmp_path / "x.tar.zst").write_bytes(zst(make_tar([("a.jpg", PICTURE.read_bytes())])))
    plant_module(tmp_path / "without", "zstandard", "raise ImportError")
    scan(tmp_path / "x.tar.zst", status=1, env={"PYTHONPATH": str(tmp_path / "without")})
    assert as_tuples(scan.file, "jsonl") == [("x.tar.zst", None, "missing-library")]
    scan(tmp_path / "x.tar.zst", "--resume")
    assert as_tuples(scan.file, "jsonl") == [("x.tar.zst", "a.jpg", None)]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ((), ("--hash",)),
        ((), ("--frames", "all")),
        (("--frames", "all"), ()),
        (("--frames", "all"), ("--frames", "every=2")),
        (("--frames", "all", "--max-frames", "2"), ("--frames", "all")),
        (("--frames", "all"), ("--frames", "all", "--max-frames", "2")),
        (("--frames", "max=2"), ("--frames", "max=3")),
    ],
    ids=str,
)
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_run_with_other_options_makes_what_one_run_of_now_would_have(
    form: str, first: tuple[str, ...], then: tuple[str, ...], model: list[str], tmp_path: Path
) -> None:
    scan, fresh = Scan(model, tmp_path / "rows", form), Scan(model, tmp_path / "fresh", form)
    damaged = tmp_path / "damaged.jpg"
    damaged.write_bytes(PICTURE.read_bytes()[:400])
    inputs = (PICTURE, OTHER_PICTURE, ANIMATION, STILL, damaged, tmp_path / "missing.jpg")
    scan(*inputs, *first, status=1)
    scan(*inputs, *then, "--resume", status=1)
    fresh(*inputs, *then, status=1)
    assert sorted(scan.file.read_text().splitlines()) == sorted(fresh.file.read_text().splitlines())


def test_another_policy_and_none(scan: Scan, model: list[str], tmp_path: Path) -> None:
    """The verdicts are of now, and so are the summaries' counts."""
    inputs = (PICTURE, ANIMATION, tmp_path / "missing.jpg", "--frames", "all", "--policy-for-any-model")
    policies = [write_policy(tmp_path / f"{low}.json", low, high) for low, high in ((0.1, 0.2), (0.6, 0.7))]
    fresh = Scan(model, tmp_path / "fresh.jsonl")
    for policy in (policies[0], policies[1], None):
        chosen = inputs[:-1] if policy is None else (*inputs, "--policy", policy)
        scan(*chosen, "--resume", status=1)
        fresh(*chosen, "--overwrite", status=1)
        assert scan.rows() == fresh.rows()
        verdict = None if policy is None else ("block", "allow")[policy == policies[1]]
        assert {row["verdict"] for row in scan.rows() if row["score"] is not None} == {verdict}


def write_policy(path: Path, low: float, high: float) -> Path:
    policy = {"open_nsfw_policy": 1, "thresholds": [low, high], "bands": ["allow", "review", "block"]}
    path.write_text(json.dumps(policy))
    return path


def test_an_output_that_is_deleted_ends_the_run_with_2(scan: Scan, tmp_path: Path) -> None:
    """The list that is read is a pipe, so that the run waits while the file goes."""
    line = [sys.executable, str(SCRIPT), *scan.options, "--from-list", "-", "--quiet"]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stderr is not None
        process.stdin.write(os.fsencode(PICTURE) + b"\n")
        process.stdin.flush()
        wait_until(lambda: scan.file.exists() and scan.file.stat().st_size > 0)
        scan.file.unlink()
        process.stdin.close()
        err = process.stderr.read().decode()
        assert process.wait(SECONDS) == 2
    expected = f"{scan.file}: was deleted or replaced while this run wrote it; its rows are in {scan.file}.saved"
    assert err == f"classify_nsfw: error: {expected}\n"
    assert json.loads(Path(f"{scan.file}.saved").read_text())["path"] == str(PICTURE)
