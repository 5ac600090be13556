"""Whole runs of the command over films: names that FFmpeg would take for addresses, texts that name other files, sound
and raw pictures in folders, a film of several tracks."""

from __future__ import annotations

import json
import os
import socket
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.tools.films import av, even, film, films, sound
from tests.tools.helpers import PICTURE, run_command

FILM = film(times=even(12))
TIMES = [(0, 0.0), (10, 1.0), (11, 1.1)]  # number and seconds of the frames that are scored of it


def rows(*arguments: str | os.PathLike[str], **options: Any) -> tuple[list[dict[str, Any]], str]:
    """The rows of a run and the last line on stderr."""
    done = run_command("--engine", "onnxruntime", "--format", "jsonl", *arguments, **options)
    assert done.status in (0, 1), done.err
    return [json.loads(line) for line in done.out.splitlines()], done.err.splitlines()[-1]


@pytest.fixture(name="listener")
def _listener() -> Any:
    """A server that nobody is to call."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(0.2)
        yield server


def assert_uncalled(server: socket.socket) -> None:
    """Nobody connected."""
    with pytest.raises(socket.timeout):
        server.accept()


def test_names_that_are_addresses_patterns_or_lists(tmp_path: Path, listener: socket.socket) -> None:
    """Each file is scored by its own content, from a folder and from an archive alike, and no connection is opened."""
    port = listener.getsockname()[1]
    names = ["x%d.jpg", f"http:127.0.0.1:{port}", f"tcp:127.0.0.1:{port}", "file:other.mp4", "concat:x1.jpg|x2.jpg"]
    names += [
        "pipe:0",
        "pipe:",
        "holiday-12:30.mp4",
        "cache:other.mp4",
        "subfile,,start,0,end,9,,:other.mp4",
        "a b?.mkv",
    ]
    folder = tmp_path / "films"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(FILM)
    for number in range(1, 4):
        (tmp_path / f"x{number}.jpg").write_bytes(PICTURE.read_bytes())
    (tmp_path / "other.mp4").write_bytes(film("mp4", times=even(50)))
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as archive:
        for name in names:
            archive.writestr(name, FILM)
    for where in (folder, tmp_path / "films.zip"):
        found, _ = rows(where, cwd=tmp_path)
        frames = [(row["frame"], row["seconds"]) for row in found if row["kind"] == "frame"]
        assert frames == TIMES * len(names)
        assert {row["error"] for row in found} == {None}
        assert {row["format"] for row in found} == {"MATROSKA"}
        assert len({row["max"] for row in found if row["kind"] == "summary"}) == 1
    found, _ = rows(*names, cwd=folder)
    assert [(row["frame"], row["seconds"]) for row in found if row["kind"] == "frame"] == TIMES * len(names)
    assert_uncalled(listener)


TEXTS = {
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:{port}/a.ts\n#EXT-X-ENDLIST\n",
    "ffconcat": "ffconcat version 1.0\nfile other.mp4\nfile http://127.0.0.1:{port}/a.mp4\n",
    "mpd": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011">'
    "<Period><AdaptationSet><Representation><BaseURL>http://127.0.0.1:{port}/a.mp4</BaseURL></Representation>"
    "</AdaptationSet></Period></MPD>\n",
    "mov-rtsp": "RTSPtext\nrtsp://127.0.0.1:{port}/\n",
    "image2": "%d.jpg\n",
}


@pytest.mark.parametrize("name", list(TEXTS))
def test_texts_that_name_what_to_open(name: str, tmp_path: Path, listener: socket.socket) -> None:
    """From stdin, under a film's name, and inside an archive: no film, and nothing is opened."""
    data = TEXTS[name].format(port=listener.getsockname()[1]).encode()
    (tmp_path / "other.mp4").write_bytes(FILM)
    (tmp_path / "list.mp4").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("list.mp4", data)
    found, _ = rows("list.mp4", "a.zip", "-", cwd=tmp_path, stdin=data)
    assert [row["path"] for row in found] == ["list.mp4", "a.zip", "-"]
    assert {(row["error"] or "").split(":")[0] for row in found} == {"not-a-picture"}
    assert_uncalled(listener)


def test_a_folder_with_sound_and_raw_pictures(tmp_path: Path) -> None:
    """What has no picture, by its content, is passed over and counted; what is named gets its row."""
    (tmp_path / "p.jpg").write_bytes(PICTURE.read_bytes())
    (tmp_path / "music").write_bytes(sound("mp4"))
    for number, container in enumerate(("mp4", "matroska", "mpegts")):
        (tmp_path / f"{number}.m4a").write_bytes(sound(container))
    raw = b"II*\0\x10\0\0\0CR\2\0" + bytes(2000)
    for name, data in (
        ("1.CR3", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom"),
        ("2.CR2", raw),
        ("3.nef", b"MM\0*" + bytes(99)),
    ):
        (tmp_path / name).write_bytes(data)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("sound", sound("mp4"))
        archive.writestr("film", FILM)
    found, last = rows(tmp_path)
    assert [row["member"] for row in found] == ["film"] * 4 + [None]
    assert [Path(row["path"]).name for row in found[4:]] == ["p.jpg"]
    assert last.endswith("; 8 other files passed over")
    found, _ = rows(tmp_path / "music", tmp_path / "1.CR3")
    assert [row["error"] for row in found] == [
        "no-pictures: a media file without a video stream",
        "not-a-picture: not a picture in a format that is read (JPEG, PNG, GIF, WebP, BMP, TIFF, AVIF, or HEIF with its "
        "extra); it looks like a raw picture of a camera",
    ]


def test_two_tracks(tmp_path: Path) -> None:
    """Every row says of which track it is, and the summary is of both."""
    (tmp_path / "film.mkv").write_bytes(films("matroska", ["mpeg4", "mjpeg"], even(12)))
    *frames, summary = rows(tmp_path / "film.mkv")[0]
    assert sorted((row["track"], row["frame"]) for row in frames) == [
        (0, 0),
        (0, 10),
        (0, 11),
        (1, 0),
        (1, 10),
        (1, 11),
    ]
    assert (summary["frames"], summary["track"]) == (6, None)


def test_damage_in_the_middle(tmp_path: Path) -> None:
    """The frames behind it have their rows, and one more row names it."""
    data = bytearray(film("mp4", "mjpeg", even(100)))
    data[len(data) // 2 : len(data) // 2 + 2000] = bytes(2000)
    (tmp_path / "film.mp4").write_bytes(data)
    *frames, damage, summary = rows(tmp_path / "film.mp4")[0]
    assert frames[-1]["seconds"] == 9.9
    assert len(frames) == 11 and {row["error"] for row in frames} == {None}
    assert damage["error"].startswith("damaged-in-part: a damaged video: in ")
    assert (damage["kind"], damage["score"], summary["frames"], summary["error"]) == ("frame", None, 11, None)


def test_pyav_is_what_the_tests_have() -> None:
    """The lowest release that is allowed, or a newer one."""
    assert tuple(map(int, av.__version__.split(".")[:2])) >= (14, 1)


def test_nothing_but_sound(tmp_path: Path) -> None:
    """A folder or an archive that was named has a row, like one without any file that plays; not if a film is in it."""
    for name in ("music", "mixed"):
        (tmp_path / name).mkdir()
        for number in range(3):
            (tmp_path / name / str(number)).write_bytes(sound("mp4"))
    (tmp_path / "mixed" / "1").write_bytes(FILM)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("sound", sound("mp4"))
    found, last = rows("music", "mixed", "a.zip", "music", cwd=tmp_path)
    nothing = "no-pictures: there is no picture in it"
    assert [(row["path"], row["error"]) for row in found] == [
        ("music", nothing),
        *[("mixed/1", None)] * 4,
        ("a.zip", nothing),
        ("music", nothing),
    ]
    assert last.endswith("; 9 other files passed over")


def test_the_limit_of_bytes_is_not_for_a_film_that_is_a_file(tmp_path: Path) -> None:
    """Which is never held as a whole. The same film in an archive, or on standard input, is."""
    (tmp_path / "x.avi").write_bytes(FILM)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("x.avi", FILM)
    options = ("--max-bytes", "1000", "--frames", "all")
    found, _ = rows(*options, "x.avi", "x.zip", "-", cwd=tmp_path, stdin=FILM)
    refused = "too-many-bytes: more than the limit of 1,000 bytes (--max-bytes)"
    expected = [("x.avi", None), ("x.zip", refused), ("-", refused)]
    assert [(row["path"], row["error"]) for row in found if row["kind"] != "frame"] == expected


def test_a_film_without_a_frame_has_its_format_wherever_it_is(tmp_path: Path) -> None:
    """With it the choice of frames, by which `--resume` knows that other frames are asked for."""
    whole = film("mp4", times=even(12))
    cut = whole[: len(whole) // 4]
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as archive:
        archive.writestr("film.mp4", cut)
    (tmp_path / "film.mp4").write_bytes(cut)
    for source, stdin in (("film.mp4", b""), ("films.zip", b""), ("-", cut)):
        written = rows(source, "--every", "2", cwd=tmp_path, stdin=stdin)[0]
        assert {row["score"] for row in written} == {None}
        assert {(row["format"], row["frame_choice"]) for row in written} == {("MOV", "every 2 s")}, source
    scan = ["--output", "rows.jsonl", "film.mp4", "films.zip"]
    for every, resume in (("2", []), ("1", ["--resume"])):
        rows(*scan, "--every", every, *resume, cwd=tmp_path)
        written = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
        assert {(row["path"], row["frame_choice"]) for row in written} == {
            ("film.mp4", f"every {every} s"),
            ("films.zip", f"every {every} s"),
        }
