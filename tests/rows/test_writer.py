"""Rows in every format: literal bytes, round trips of any name, full disks, closed pipes."""

from __future__ import annotations

import csv
import dataclasses
import errno
import io
import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from open_nsfw import text
from open_nsfw.errors import OutputError, SetupError, UsageError
from open_nsfw.installing import install_command
from open_nsfw.rows import files as row_files
from open_nsfw.rows import finished, lines, resume
from open_nsfw.rows import parquet as parquet_rows
from open_nsfw.rows import reader as row_reader
from open_nsfw.rows.options import OutputOptions
from open_nsfw.rows.row import FIELDS, Row
from open_nsfw.rows.writer import Writer, open_writer
from tests.tools.helpers import examples

ROOT = Path(__file__).resolve().parents[2]
PICTURE = Row(
    path="photos/a.jpg",
    score=0.0129502080381,
    width=640,
    height=480,
    format="JPEG",
    bytes=12345,
    modified=1700000000.25,
    engine="onnxruntime",
    model="1f2e3d4c",
)
FAILED = Row(path="b.jpg", error="truncated: the picture ends early, at byte 512", engine="caffe", model="1f2e3d4c")
SUMMARY = Row("clip.mp4", kind="summary", score=0.75, frames=120, max=0.75, mean=0.25, above=0)
needs_pyarrow = pytest.mark.skipif(
    not resume.__name__ or not parquet_rows.find_spec("pyarrow"), reason="no pyarrow here"
)

# What os.fsdecode gives for any bytes that can be a name, and strings as other sources have them.
names = st.one_of(
    st.binary(min_size=1, max_size=40).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40),
    st.sampled_from(
        ["-", "bytes:x", "bytes:%41", "$'x'", "a,b", 'say "hi"', "\r", "a\r\nb", '"', "\\", "😀.jpg", " ", "\0"]
    ),
)
counts = st.one_of(st.none(), st.integers(0, 2**63 - 1))
reals = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))
texts = st.one_of(st.none(), st.just(""), names)
truths = st.one_of(st.none(), st.booleans())
columns = {"str | None": texts, "int | None": counts, "float | None": reals, "bool | None": truths, "str": names}
own = {
    "kind": st.sampled_from(row_reader.KINDS),
    **dict.fromkeys(("score", "max", "mean"), st.one_of(st.none(), st.floats(0, 1))),
}
any_row = st.builds(Row, **{one.name: own.get(one.name, columns[str(one.type)]) for one in dataclasses.fields(Row)})
many = settings(
    deadline=None,
    max_examples=examples(150),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def write(path: Path, rows: list[Row], form: str, **options: Any) -> None:
    with open_writer(OutputOptions(format=form, path=str(path), **options)) as writer:
        writer.write(rows)


# --- the fields ---


def test_every_format_has_the_fields_of_row() -> None:
    names_of_row = [one.name for one in dataclasses.fields(Row)]
    assert [one.name for one in FIELDS] == names_of_row
    assert lines.csv_header().decode() == ",".join(names_of_row) + "\r\n"
    assert list(json.loads(lines.json_line(PICTURE))) == names_of_row


def test_types_of_fields() -> None:
    types = {one.name: (one.type, one.nullable) for one in FIELDS}
    assert types["path"] == ("str", False)
    assert types["member"] == ("str", True)
    assert types["frame"] == ("int", True)
    assert types["score"] == ("float", True)
    assert types["engine"] == ("str", False)


def test_every_field_says_what_it_means() -> None:
    assert [one.name for one in FIELDS if not one.means] == []


# --- literal bytes ---


def test_json_line_is_these_bytes() -> None:
    assert lines.json_line(PICTURE) == (
        b'{"path": "photos/a.jpg", "member": null, "kind": "picture", "frame": null, "seconds": null, "track": null, '
        b'"score": 0.0129502080381, "exact": null, "verdict": null, "error": null, '
        b'"width": 640, "height": 480, "format": "JPEG", "bytes": 12345, '
        b'"modified": 1700000000.25, "sha256": null, "frames": null, "max": null, "mean": null, "above": null, '
        b'"frame_choice": null, "engine": "onnxruntime", "model": "1f2e3d4c"}\n'
    )


def test_json_of_a_name_that_is_not_utf_8_is_ascii_and_gives_the_bytes_back() -> None:
    line = lines.json_line(Row(os.fsdecode(b"caf\xe9 \xf0\x9f\x98\x80.jpg")))
    assert line.startswith(b'{"path": "caf\\udce9 \\ud83d\\ude00.jpg", ')
    assert os.fsencode(json.loads(line)["path"]) == b"caf\xe9 \xf0\x9f\x98\x80.jpg"


def test_csv_lines_are_these_bytes() -> None:
    assert lines.csv_header() == (
        b"path,member,kind,frame,seconds,track,score,exact,verdict,error,width,height,format,bytes,modified,sha256,"
        b"frames,max,mean,above,frame_choice,engine,model\r\n"
    )
    assert lines.csv_line(FAILED) == (
        b'b.jpg,,picture,,,,,,,"truncated: the picture ends early, at byte 512",,,,,,,,,,,,caffe,1f2e3d4c\r\n'
    )
    assert (
        lines.csv_line(Row(os.fsdecode(b'\xe9"\n'), member="")) == b'"\xe9""\n","",picture,,,,,,,,,,,,,,,,,,,"",""\r\n'
    )


def test_csv_is_read_by_the_standard_library(tmp_path: Path) -> None:
    hostile = Row(os.fsdecode(b'caf\xe9, "x"\r\n\x1b[2J.jpg'), member="m\n", score=1e-7)
    write(tmp_path / "rows.csv", [PICTURE, hostile, FAILED], "csv")
    with open(tmp_path / "rows.csv", encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [PICTURE.path, hostile.path, FAILED.path]
    assert [row["score"] for row in rows] == ["0.0129502080381", "1e-07", ""]
    assert rows[1]["member"] == "m\n"
    assert os.fsencode(rows[1]["path"]) == b'caf\xe9, "x"\r\n\x1b[2J.jpg'


def test_text_of_one_picture_is_what_yahoos_script_prints() -> None:
    assert lines.text_line(PICTURE, single=True) == b"NSFW score: 0.0129502080381\n"
    assert lines.text_line(Row("x", score=0.012950208038091660), single=True) == b"NSFW score: 0.0129502080381\n"


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (PICTURE, "NSFW score: 0.0129502080381 photos/a.jpg\n"),
        (Row("u.zip", "a/ü😀.jpg", score=0.5), "NSFW score: 0.5 u.zip!a/ü😀.jpg\n"),
        (Row("loop.gif", kind="frame", frame=12, score=1.0), "NSFW score: 1 loop.gif #12\n"),
        (Row("c.mp4", kind="frame", frame=84, seconds=3.5, score=0.25), "NSFW score: 0.25 c.mp4 #84 @3.5s\n"),
        (Row("c.mp4", kind="frame", frame=2, track=1, score=0.25), "NSFW score: 0.25 c.mp4 track 1 #2\n"),
        (
            SUMMARY,
            "NSFW score: 0.75 clip.mp4 (highest of 120 frames, mean 0.25, 0 at or over the threshold)\n",
        ),
        (Row("a\nb\x1b[2J.jpg", score=0.5), "NSFW score: 0.5 $'a\\x0ab\\x1b[2J.jpg'\n"),
        (Row(os.fsdecode(b"it's\\caf\xe9"), score=0.5), "NSFW score: 0.5 $'it\\'s\\\\caf\\xe9'\n"),
        (Row("\u202egpj.exe\u2028", score=0.5), "NSFW score: 0.5 $'\\xe2\\x80\\xaegpj.exe\\xe2\\x80\\xa8'\n"),
        (Row("C:\\it's.jpg", score=0.5), "NSFW score: 0.5 C:\\it's.jpg\n"),
        (Row("👩\u200d👧.jpg", score=0.5), "NSFW score: 0.5 👩\u200d👧.jpg\n"),
        (FAILED, ""),
    ],
)
def test_text_lines(row: Row, line: str) -> None:
    assert lines.text_line(row) == line.encode()


def test_a_shell_reads_a_printed_name_back() -> None:
    name = b"it's \\ caf\xe9 \xf0\x9f\x98\x80\n\x1b[2J\x7f\xc2\x85.jpg"
    printed = text.printable(os.fsdecode(name))
    shell = subprocess.run(["bash", "-c", f"printf %s {printed}"], stdout=subprocess.PIPE, check=True)
    assert shell.stdout == name


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -float("inf")])
def test_a_score_that_is_no_number_becomes_an_error_and_no_nan(score: float) -> None:
    row = json.loads(lines.json_line(Row("a", score=score, mean=score)))
    assert row["score"] is None
    assert row["mean"] is None
    assert row["error"] == f"not-finite: the network's answer is no probability but {score}"
    assert lines.text_line(Row("a", score=score)) == b""
    assert b"nan," not in lines.csv_line(Row("a", score=score)).replace(b"but nan", b"")


def test_numbers_of_numpy_are_written_as_numbers() -> None:
    import numpy as np

    row = Row("a", score=np.float32(0.5), frame=np.int64(3), mean=np.float64(0.25))  # type: ignore[arg-type]
    assert lines.csv_line(row) == b'a,,picture,3,,,0.5,,,,,,,,,,,,0.25,,,"",""\r\n'
    assert lines.json_line(row) == lines.json_line(Row("a", score=0.5, frame=3, mean=0.25))


# --- round trips ---


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@many
@given(rows=st.lists(any_row, max_size=5))
def test_rows_round_trip(form: str, rows: list[Row], tmp_path: Path) -> None:
    write(tmp_path / "rows", rows, form, overwrite=True)
    assert list(row_reader.read_rows(str(tmp_path / "rows"), form)) == rows


@needs_pyarrow
@settings(many, max_examples=examples(60))
@given(rows=st.lists(any_row, max_size=5))
def test_rows_round_trip_in_parquet(rows: list[Row], tmp_path: Path) -> None:
    write(tmp_path / "rows", rows, "parquet", overwrite=True)
    assert list(row_reader.read_rows(str(tmp_path / "rows"), "parquet")) == rows
    assert os.listdir(tmp_path) == ["rows"]


def unprinted(text: str) -> str:
    """What a shell makes of a word that `printable` gave."""
    if not text.startswith("$'"):
        return text
    raw = re.sub(
        rb"\\(x[0-9a-f]{2}|.)",
        lambda match: bytes([int(match[1][1:], 16)]) if len(match[1]) == 3 else match[1],
        text[2:-1].encode("utf-8"),
        flags=re.DOTALL,
    )
    return raw.decode("utf-8", "surrogateescape")


@many
@given(name=names)
def test_names_round_trip_in_text_on_one_line(name: str) -> None:
    line = lines.text_line(Row(name, score=0.5)).decode("utf-8")
    assert line.endswith("\n")
    assert line.splitlines() == [line[:-1]]
    assert line[:-1].isprintable() or not name.isprintable() or " " in name
    assert unprinted(line[len("NSFW score: 0.5 ") : -1]) == name


@many
@given(name=names)
def test_parquet_spelling_is_utf_8_and_reversible(name: str) -> None:
    spelled = parquet_rows.spell(name)
    assert spelled is not None
    spelled.encode("utf-8")
    assert parquet_rows.unspell(spelled) == name


def test_parquet_spelling_of_names() -> None:
    assert parquet_rows.spell(os.fsdecode(b"photos/caf\xe9 1%.jpg")) == "bytes:photos/caf%E9 1%25.jpg"
    assert parquet_rows.spell("photos/café 1%.jpg") == "photos/café 1%.jpg"
    assert parquet_rows.spell("bytes:x") == "bytes:bytes%3Ax"
    assert parquet_rows.spell(None) is None


@given(name=st.text(st.characters(), max_size=20))
def test_strings_that_stand_for_no_bytes_are_written_all_the_same(name: str) -> None:
    """Lone surrogates as Windows has them: nothing raises, and --resume knows the row again."""
    row = Row(name, score=0.5)
    read = next(iter(row_reader.CsvReader(io.BytesIO(lines.csv_header() + lines.csv_line(row)), "x")))
    assert finished.key_of(read.values["path"], None) == finished.key_of(name, None)
    assert json.loads(lines.json_line(row))["path"] == json.loads(json.dumps(name))
    assert lines.text_line(row).endswith(b"\n")
    assert parquet_rows.spell(name) is not None


@needs_pyarrow
def test_parquet_types_are_those_of_the_fields(tmp_path: Path) -> None:
    import pyarrow.parquet

    write(tmp_path / "rows.parquet", [], "parquet")
    schema = pyarrow.parquet.read_schema(tmp_path / "rows.parquet")
    types = {"string": "str", "int64": "int", "double": "float", "bool": "bool"}
    assert [(one.name, types[str(one.type)], one.nullable) for one in schema] == [one[:3] for one in FIELDS]


@needs_pyarrow
def test_parquet_of_several_groups_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet

    monkeypatch.setattr(parquet_rows, "ROWS_AT_ONCE", 10)
    rows = [Row(f"{number}.jpg", score=number / 64) for number in range(35)]
    write(tmp_path / "rows.parquet", rows, "parquet")
    assert list(row_reader.read_rows(str(tmp_path / "rows.parquet"), "parquet")) == rows
    assert pyarrow.parquet.ParquetFile(tmp_path / "rows.parquet").num_row_groups == 4


# --- what is refused ---


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (OutputOptions("xml"), "--format xml: there is no such format; there are text, jsonl, csv, parquet"),
        (OutputOptions("jsonl", "f", resume=True, overwrite=True), "--resume and --overwrite exclude each other"),
        (
            OutputOptions("text", "f", resume=True),
            "--resume cannot go on with --format text, which holds too little; it can with jsonl, csv, parquet",
        ),
        (OutputOptions("jsonl", resume=True), "--resume needs the file to go on with: --output FILE"),
        (OutputOptions("jsonl", "-", resume=True), "--resume needs the file to go on with: --output FILE"),
        (OutputOptions("parquet"), "--format parquet needs a file to write: --output FILE"),
        (
            OutputOptions("jsonl", os.devnull, resume=True),
            "/dev/null: is no plain file, as --resume and --format parquet need it",
        ),
    ],
)
def test_requests_that_make_no_sense(
    options: OutputOptions, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        open_writer(options)
    assert str(caught.value) == message
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("form", ["text", "jsonl", "csv", pytest.param("parquet", marks=needs_pyarrow)])
def test_an_existing_file_is_not_lost_unasked(form: str, tmp_path: Path) -> None:
    file = tmp_path / "rows"
    write(file, [PICTURE], form)
    before = file.read_bytes()
    with pytest.raises(UsageError) as caught:
        write(file, [FAILED], form)
    assert str(caught.value) == f"{file}: exists already; --resume goes on with it, --overwrite starts anew"
    assert file.read_bytes() == before
    write(file, [PICTURE, PICTURE], form, overwrite=True)
    assert file.read_bytes() != before
    assert os.listdir(tmp_path) == ["rows"]


def test_an_empty_file_is_no_loss(tmp_path: Path) -> None:
    (tmp_path / "rows").touch()
    write(tmp_path / "rows", [PICTURE], "jsonl")
    assert (tmp_path / "rows").read_bytes() == lines.json_line(PICTURE)


@needs_pyarrow
def test_a_journal_left_behind_is_not_lost_unasked(tmp_path: Path) -> None:
    journal = tmp_path / "rows.parquet.journal"
    journal.write_bytes(lines.json_line(PICTURE))
    with pytest.raises(UsageError) as caught:
        write(tmp_path / "rows.parquet", [], "parquet")
    assert str(caught.value) == f"{journal}: exists already; --resume goes on with it, --overwrite starts anew"
    assert journal.read_bytes() == lines.json_line(PICTURE)


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught:
        write(tmp_path / "none" / "rows", [], "jsonl")
    assert str(caught.value) == f"{tmp_path}/none/rows: cannot be written: No such file or directory"
    with pytest.raises(OutputError) as caught:
        write(tmp_path, [], "jsonl")
    assert str(caught.value) == f"{tmp_path}: cannot be written: Is a directory"


def test_parquet_without_its_library_is_told_before_anything_is_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_rows, "find_spec", lambda name: None)
    with pytest.raises(SetupError) as caught:
        open_writer(OutputOptions("parquet", str(tmp_path / "rows.parquet")))
    assert str(caught.value) == f"--format parquet needs pyarrow: {install_command('parquet')}"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("form", ["jsonl", pytest.param("parquet", marks=needs_pyarrow)])
def test_two_runs_cannot_write_one_file(form: str, tmp_path: Path) -> None:
    file = tmp_path / "rows"
    name = f"{file}.journal" if form == "parquet" else str(file)
    with open_writer(OutputOptions(form, str(file))) as writer:
        for options in (OutputOptions(form, str(file), resume=True), OutputOptions(form, str(file), overwrite=True)):
            with pytest.raises(OutputError) as caught:
                open_writer(options)
            assert str(caught.value) == f"{name}: another run is writing it; wait for it or choose another file"
        writer.write([PICTURE])
    assert list(row_reader.read_rows(str(file), form)) == [PICTURE]


def test_a_file_replaced_while_it_was_being_opened_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "rows"
    file.write_bytes(b"old\n")
    lock, calls = row_files.lock, []

    def replaced_just_then(descriptor: int) -> bool:
        calls.append(descriptor)
        locked = lock(descriptor)
        if len(calls) == 1:
            (tmp_path / "new").write_bytes(b"new\n")
            os.replace(tmp_path / "new", file)
        return locked

    monkeypatch.setattr(row_files, "lock", replaced_just_then)
    opened = row_files.RowFile(str(file), "rows")
    opened.put([b"row\n"])
    opened.close()
    assert len(calls) == 2
    assert file.read_bytes() == b"new\nrow\n"


# --- files ---


@pytest.mark.parametrize("form", ["text", "jsonl", "csv", pytest.param("parquet", marks=needs_pyarrow)])
def test_rows_are_in_the_file_as_soon_as_write_returns(form: str, tmp_path: Path) -> None:
    file = tmp_path / ("rows.journal" if form == "parquet" else "rows")
    with open_writer(OutputOptions(form, str(tmp_path / "rows"))) as writer:
        before = file.stat().st_size
        writer.write([PICTURE, PICTURE])
        assert file.read_bytes()[before:].count(b"photos/a.jpg") == 2
        assert not writer.is_done(PICTURE.path)
        writer.write([])
        writer.close()
        writer.close()


@needs_pyarrow
def test_a_parquet_run_that_failed_leaves_its_journal(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), open_writer(OutputOptions("parquet", str(tmp_path / "rows"))) as writer:
        writer.write([PICTURE])
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == ["rows.journal"]
    assert (tmp_path / "rows.journal").read_bytes() == lines.json_line(PICTURE)


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("rows")
    write(tmp_path / "link", [Row("-", score=0.5), PICTURE], "jsonl")
    write(tmp_path / "link", [], "jsonl", resume=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "rows").read_bytes() == lines.json_line(PICTURE)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("form", ["text", "jsonl", "csv"])
def test_a_device_that_is_full(form: str) -> None:
    with pytest.raises(OutputError) as caught:
        write(Path("/dev/full"), [PICTURE], form)
    assert str(caught.value) == "/dev/full: cannot be written: No space left on device"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, which only root can make."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], stderr=subprocess.PIPE, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk to fill: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # a traceback that pytest keeps may hold a file


def fill(writer: Writer, most: int = 10_000) -> list[Row]:
    """Rows in batches until the disk is full; all that were tried."""
    tried: list[Row] = []
    with pytest.raises(OutputError, match="No space left on device$"), writer:
        while len(tried) < most:
            batch = [Row(f"{len(tried) + number}.jpg", score=0.5) for number in range(7)]
            tried += batch
            writer.write(batch)
    return tried


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_full_disk_leaves_whole_rows_and_all_that_fit(form: str, small_disk: Path) -> None:
    file = small_disk / "rows"
    tried = fill(open_writer(OutputOptions(form, str(file))))
    rows = list(row_reader.read_rows(str(file), form))
    assert file.read_bytes().endswith(b"\n")
    assert rows == tried[: len(rows)]
    assert len(tried) - 7 <= len(rows) < len(tried)
    longest = len(lines.json_line(tried[-1]))
    assert 65536 - longest < file.stat().st_size <= 65536
    with open_writer(OutputOptions(form, str(file), resume=True)) as writer:
        assert [writer.is_done(row.path) for row in tried] == [True] * len(rows) + [False] * (len(tried) - len(rows))


def test_a_disk_too_full_for_a_new_file_keeps_the_old_one(small_disk: Path) -> None:
    file = small_disk / "rows"
    write(file, [Row("-", score=0.5)] + [Row(f"{number}.jpg", score=0.5) for number in range(130)], "jsonl")
    before = file.read_bytes()
    assert len(before) > 33_000
    with pytest.raises(OutputError) as caught:
        write(file, [], "jsonl", resume=True)
    assert str(caught.value) == f"{file}: cannot be written: No space left on device"
    assert file.read_bytes() == before
    assert os.listdir(small_disk) == ["rows"]


@needs_pyarrow
def test_a_disk_too_full_for_parquet_keeps_the_journal(small_disk: Path) -> None:
    file = small_disk / "rows.parquet"
    rows = [Row(f"{os.urandom(100).hex()}.jpg", score=0.5) for _ in range(95)]
    writer = open_writer(OutputOptions("parquet", str(file)))
    writer.write(rows)
    with pytest.raises(OutputError) as caught:
        writer.close()
    assert str(caught.value) == (
        f"{file}: cannot be written: No space left on device; its rows are safe in {file}.journal, --resume goes on"
    )
    assert os.listdir(small_disk) == ["rows.parquet.journal"]
    assert list(row_reader.read_rows(f"{file}.journal", "jsonl")) == rows


def test_an_interrupted_write_leaves_whole_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever in a batch the interruption comes."""
    rows = [Row("a", score=0.5), Row("b" * 50, score=0.25)]
    first, both = len(lines.json_line(rows[0])), sum(len(lines.json_line(row)) for row in rows)
    real = row_files.write_all
    for cut in (0, 1, first - 1, first, first + 1, both - 1):

        def interrupted(descriptor: int, data: bytes, cut: int = cut) -> None:
            real(descriptor, data[:cut])
            raise KeyboardInterrupt

        writer = open_writer(OutputOptions("jsonl", str(tmp_path / "rows"), overwrite=True))
        writer.write([PICTURE])
        monkeypatch.setattr(row_files, "write_all", interrupted)
        with pytest.raises(KeyboardInterrupt):
            writer.write(rows)
        monkeypatch.setattr(row_files, "write_all", real)
        writer.close()
        kept = [PICTURE] + (rows[:1] if cut >= first else [])
        assert (tmp_path / "rows").read_bytes() == b"".join(map(lines.json_line, kept)), cut


# --- stdout, with real processes ---

CHILD = """
import sys
from open_nsfw.errors import OutputError
from open_nsfw.rows.writer import OutputOptions, Row, open_writer
try:
    with open_writer(OutputOptions(sys.argv[1])) as writer:
        for number in range(int(sys.argv[2])):
            writer.write([Row(f"{number}.jpg", score=0.5)])
except OutputError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
"""


def child(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", CHILD, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, **options)


def test_stdout_takes_rows_as_bytes() -> None:
    process = child("jsonl", "3", stdout=subprocess.PIPE)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    assert out == b"".join(lines.json_line(Row(f"{number}.jpg", score=0.5)) for number in range(3))


@pytest.mark.parametrize("form", ["text", "jsonl", "csv"])
def test_a_closed_pipe_is_one_line_and_no_traceback(form: str) -> None:
    writer = child(form, "1000000", stdout=subprocess.PIPE)
    head = subprocess.run(["head", "-n", "1"], stdin=writer.stdout, stdout=subprocess.PIPE, check=True)
    assert writer.stdout is not None
    writer.stdout.close()
    assert writer.stderr is not None
    err = writer.stderr.read()
    assert writer.wait(timeout=60) == 2
    writer.stderr.close()
    assert err == b"stdout: the program that was reading it has gone; stopped there\n"
    first = {"text": b"NSFW score: 0.5 0.jpg\n", "csv": lines.csv_header()}
    assert head.stdout == first.get(form, lines.json_line(Row("0.jpg", score=0.5)))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_behind_stdout_is_one_line_and_no_traceback() -> None:
    with open("/dev/full", "wb") as full:
        process = child("jsonl", "3", stdout=full)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (2, b"stdout: cannot be written: No space left on device\n")


def test_a_stdout_that_was_closed_at_the_start() -> None:
    process = child("jsonl", "3", preexec_fn=lambda: os.close(1))
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (2, b"stdout: it is closed; name a file with --output\n")


def test_a_pipe_that_does_not_block_gets_every_row() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    process = child("jsonl", "3000", stdout=writer)
    os.close(writer)
    with open(reader, "rb") as file:
        lines = file.readlines()
    assert process.wait(timeout=60) == 0
    assert [json.loads(line)["path"] for line in lines] == [f"{number}.jpg" for number in range(3000)]
    assert process.stderr is not None
    process.stderr.close()


def test_a_stdout_without_a_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    with open_writer(OutputOptions()) as writer:
        writer.write([Row("ü", score=0.5), FAILED])
    assert stream.buffer.getvalue() == "NSFW score: 0.5 ü\n".encode()  # type: ignore[attr-defined]


def test_writing_text_imports_nothing_heavy() -> None:
    """The score of one picture must not wait for what it does not need."""
    script = textwrap.dedent(
        """
        import sys
        from open_nsfw.rows.options import OutputOptions
        from open_nsfw.rows.row import Row
        from open_nsfw.rows.writer import open_writer
        with open_writer(OutputOptions(single=True)) as writer:
            writer.write([Row("a", score=0.0129502080381)])
        print(sorted({"numpy", "json", "csv", "pyarrow", "select", "open_nsfw.rows.resume"} & set(sys.modules)))
        """
    )
    out = subprocess.run([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    assert out == b"NSFW score: 0.0129502080381\n[]\n"


def test_messages_of_the_system_are_told() -> None:
    error = OSError(errno.EIO, os.strerror(errno.EIO))
    assert str(row_files.cannot_write("rows", error)) == "rows: cannot be written: Input/output error"
