"""Going on after a stop: every row whole, none twice, none missing, what changed scored again."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from open_nsfw.errors import ERROR_CODES, UsageError
from open_nsfw.pictures.extraction import FrameChoice
from open_nsfw.progress import Progress
from open_nsfw.rows import lines, resume
from open_nsfw.rows import reader as row_reader
from open_nsfw.rows.options import Wanted
from open_nsfw.rows.row import Row
from tests.tools.rows import (
    LEFT,
    every_form,
    frames_of,
    needs_pyarrow,
    picture,
    read,
    resumed,
    write,
)


def drops(file: Path, form: str, rows: list[Row], **options: Any) -> list[Row]:
    """Which of `rows`, written by a first run, a second one drops; checks that it knows the others as done."""
    write(file, rows, form)
    with resumed(file, form, **options) as writer:
        assert writer.finished is not None
        counted = (writer.finished.kept, writer.finished.dropped)
        known = {row.path for row in rows if writer.is_done(row.path, row.member)}
    kept = read(file, form)
    assert known == {row.path for row in kept}
    assert counted == (len(kept), len(rows) - len(kept))
    left = Counter(kept)
    assert not left - Counter(rows)
    return [row for row in rows if row not in left]


@every_form
def test_files_that_did_not_change_are_done(form: str, files: list[Path], tmp_path: Path) -> None:
    rows = [picture(path) for path in files] + frames_of(files[0], 3)
    assert drops(tmp_path / "rows", form, rows) == []
    with resumed(tmp_path / "rows", form) as writer:
        assert not writer.is_done("other")
        assert not writer.is_done(str(files[0]), "member")
        writer.write([Row("new", score=0.25)])
    assert read(tmp_path / "rows", form) == [*rows, Row("new", score=0.25)]


@every_form
def test_a_file_with_another_size_or_time_is_scored_again(form: str, files: list[Path], tmp_path: Path) -> None:
    rows = [picture(path) for path in files]
    rows[1] = picture(files[1], bytes=999)
    rows[3] = picture(files[3], modified=rows[3].modified + 1e-6)  # type: ignore[operator]
    assert drops(tmp_path / "rows", form, rows) == [rows[1], rows[3]]


@every_form
def test_all_frames_of_a_file_that_changed_are_dropped(form: str, files: list[Path], tmp_path: Path) -> None:
    changed, same = frames_of(files[0], 3), frames_of(files[1], 2)
    os.utime(files[0], (1, 1))
    assert drops(tmp_path / "rows", form, changed + same) == changed


@every_form
def test_frames_without_their_summary_are_dropped(form: str, files: list[Path], tmp_path: Path) -> None:
    whole, cut = frames_of(files[0], 3), frames_of(files[1], 5)[:4]
    mixed = [cut[0], whole[0], cut[1], *whole[1:], *cut[2:]]
    assert drops(tmp_path / "rows", form, mixed) == cut


@every_form
def test_members_of_an_archive_that_changed_are_dropped(form: str, files: list[Path], tmp_path: Path) -> None:
    """By the archive's time; the size in the row is the member's own."""
    same = [picture(files[1], member=name, bytes=77) for name in ("a", "b/ü", "")]
    changed = [picture(files[0], member=name, bytes=77) for name in ("a", "b")]
    os.utime(files[0], (1, 1))
    write(tmp_path / "rows", same + changed, form)
    with resumed(tmp_path / "rows", form) as writer:
        assert [writer.is_done(str(files[1]), name) for name in ("a", "b/ü", "", "c", None)] == [True] * 3 + [False] * 2
        assert not writer.is_done(str(files[0]), "a")
    assert read(tmp_path / "rows", form) == same


@every_form
def test_members_that_an_older_version_misread_the_names_of(form: str, files: list[Path], tmp_path: Path) -> None:
    """It took UTF-8 in zips of Unix for letters of MS-DOS. Names that are no such letters, or whose bytes are not UTF-8, are
    none of these; and a file in a folder may have any name."""
    misread = [picture(files[0], member=name.encode().decode("cp437")) for name in ("ä/ü.jpg", "кот.jpg", "🐈")]
    names = ("ä/ü.jpg", "кот.jpg", "🐈", "caf\udce9.jpg", "a.jpg", "")
    right = [picture(files[1], member=name) for name in names]
    (tmp_path / "├ñ.jpg").write_bytes(b"x")
    right.append(picture(tmp_path / "├ñ.jpg"))
    rows = [*misread, *right]
    assert drops(tmp_path / "rows", form, rows) == misread


@every_form
def test_files_that_are_gone_keep_their_rows(form: str, files: list[Path], tmp_path: Path) -> None:
    rows = [picture(path) for path in files]
    files[2].unlink()
    assert drops(tmp_path / "rows", form, rows) == []


@every_form
def test_errors_that_may_be_none_any_more(form: str, files: list[Path], tmp_path: Path) -> None:
    there_now = Row(str(files[0]), error="not-found: there is no such file")
    still_not = Row(str(files[0]) + "x", error="not-found: there is no such file")
    no_match = Row("*.jpg", error="no-match: nothing matches")
    stdin = Row("-", score=0.5)
    damaged = picture(files[1], score=None, error="truncated: the picture ends early")
    rows = [there_now, still_not, no_match, stdin, damaged]
    assert drops(tmp_path / "rows", form, rows) == [there_now, no_match, stdin]


@every_form
def test_failed_rows_are_tried_again_when_asked(form: str, files: list[Path], tmp_path: Path) -> None:
    failed = picture(files[0], score=None, error="timeout: more than 60 s")
    frames = frames_of(files[1], 3)
    spoiled = [frames[0], picture(files[1], kind="frame", frame=1, score=None, error="timeout: x"), *frames[2:]]
    good = [picture(files[2]), *frames_of(files[3], 2)]
    assert drops(tmp_path / "rows", form, [failed, *spoiled, *good], retry_failed=True) == [failed, *spoiled]


@every_form
def test_scores_of_another_model_are_not_mixed_in(form: str, tmp_path: Path) -> None:
    file = tmp_path / "rows"
    write(file, [Row("a", score=0.5, model="1111"), Row("b", error="x: y")], form)
    before = file.read_bytes()
    name = f"{file}.journal" if form == "parquet" else str(file)
    with pytest.raises(UsageError) as caught:
        resumed(file, form, wanted=Wanted(model="2222"))
    assert str(caught.value) == f"{name}: it has scores of the model 1111, this run is of 2222; {LEFT}"
    assert file.read_bytes() == before
    resumed(file, form, wanted=Wanted(model="1111")).close()
    assert len(read(file, form)) == 2


@every_form
def test_a_file_that_is_not_there_yet(form: str, tmp_path: Path) -> None:
    with resumed(tmp_path / "rows", form) as writer:
        assert writer.finished is not None
        assert (len(writer.finished), writer.finished.kept, writer.finished.dropped) == (0, 0, 0)
        writer.write([Row("a", score=0.5)])
    assert read(tmp_path / "rows", form) == [Row("a", score=0.5)]


def test_a_new_file_has_the_rights_of_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "rows"
    write(file, [Row("-", score=0.5)], "jsonl")
    file.chmod(0o640)
    resumed(file, "jsonl").close()
    assert file.read_bytes() == b""
    assert file.stat().st_mode & 0o777 == 0o640


@every_form
def test_names_are_finished_as_often_as_the_file_has_them(form: str, files: list[Path], tmp_path: Path) -> None:
    """Two members of an archive may have one name, and an input may be named twice."""
    rows = [picture(files[0]), picture(files[0]), picture(files[1], member="a"), picture(files[1], member="a")]
    write(tmp_path / "rows", rows, form)
    with resumed(tmp_path / "rows", form) as writer:
        for _ in range(2):  # each pass over the sources counts for itself
            skip = writer.skip()
            assert skip is not None
            assert [skip(str(files[0]), None) for _ in range(3)] == [True, True, False]
            assert [skip(str(files[1]), "a") for _ in range(3)] == [True, True, False]
            assert not skip(str(files[1]), "b")
        assert writer.finished is not None and len(writer.finished) == 4
    assert read(tmp_path / "rows", form) == rows


@every_form
def test_one_row_that_does_not_count_takes_the_others_of_its_names_along(
    form: str, files: list[Path], tmp_path: Path
) -> None:
    """Which of the members of one name it was, nobody could tell afterwards."""
    good, other = picture(files[0], member="a"), picture(files[0], member="b")
    failed = picture(files[0], member="a", score=None, error="timeout: more than 60 s")
    rows = [good, other, failed, good]
    assert drops(tmp_path / "rows", form, rows, retry_failed=True) == [good, failed, good]


@every_form
def test_a_file_named_twice_whose_second_frames_are_cut_off(form: str, files: list[Path], tmp_path: Path) -> None:
    rows = frames_of(files[0], 2)
    write(tmp_path / "rows", rows + rows[:1], form)
    with resumed(tmp_path / "rows", form) as writer:
        skip = writer.skip()
        assert skip is not None
        assert [skip(str(files[0]), None) for _ in range(2)] == [True, False]
    assert read(tmp_path / "rows", form) == rows


@every_form
def test_a_folder_that_was_empty_is_looked_at_again(form: str, files: list[Path], tmp_path: Path) -> None:
    empty = Row(str(tmp_path / "files"), error="no-pictures: there is no picture in it")
    gone = Row(str(tmp_path / "gone"), error="no-pictures: there is no picture in it")
    film = picture(files[0], kind="summary", score=None, frames=0, error="no-pictures: none of its frames")
    assert drops(tmp_path / "rows", form, [empty, gone, film]) == [empty]


@every_form
def test_the_error_of_a_folder_or_an_archive_is_made_anew(form: str, files: list[Path], tmp_path: Path) -> None:
    """Its pictures are asked about one by one, so it is looked into anyway. Theirs are errors like any others."""
    folder = Row(str(tmp_path / "files"), error="unreadable: this folder cannot be listed: Permission denied")
    archive = picture(files[0], score=None, error="missing-library: Zstandard archives need a library")
    member = picture(files[0], member="a", score=None, error="damaged-archive: its checksum is not the one")
    other = picture(files[1], score=None, error="truncated: the picture ends early")
    wanted = Wanted(is_container=lambda path: path in (folder.path, archive.path))
    rows = [folder, archive, member, other, picture(files[2])]
    assert drops(tmp_path / "rows", form, rows, wanted=wanted) == [folder, archive]


@every_form
def test_rows_without_the_hash_that_is_asked_for(form: str, files: list[Path], tmp_path: Path) -> None:
    """Those of files that could not be read will have none in this run either."""
    hashed = picture(files[0], sha256="0" * 64)
    bare, frames = picture(files[1]), frames_of(files[2], 2)
    damaged = picture(files[3], score=None, error="truncated: the picture ends early")
    unread = picture(files[4], score=None, error="unreadable: cannot be read: Permission denied")
    rows = [hashed, bare, *frames, damaged, unread]
    wanted = Wanted(hash=True)
    assert drops(tmp_path / "rows", form, rows, wanted=wanted) == [bare, *frames, damaged]


@every_form
def test_rows_of_another_choice_of_frames(form: str, files: list[Path], tmp_path: Path) -> None:
    """Only of formats that may hold several: the choice decides nothing about a JPEG."""
    first = [picture(files[0], format="GIF", frame_choice="first"), picture(files[1], format="JPEG")]
    film = [replace(row, format="MATROSKA", frame_choice="every 1 s") for row in frames_of(files[2], 2)]
    older = picture(files[3], format="PNG")
    damaged = picture(files[4], score=None, error="truncated: the picture ends early")
    rows = [*first, *film, older, damaged]
    for choice, dropped in (
        (FrameChoice(), [older]),
        (FrameChoice.parse("all"), [first[0], older]),
        (FrameChoice.parse("max=3"), [first[0], older]),
        (FrameChoice.parse("first", 0.5), [*film, older]),
    ):
        assert drops(tmp_path / "rows", form, rows, wanted=Wanted(frame_choice=choice.name_for)) == dropped
        (tmp_path / "rows").unlink()


@every_form
def test_segments_have_no_cells_to_be_asked_for(form: str, files: list[Path], tmp_path: Path) -> None:
    """Their summary has them."""
    cells = ((0.5,) * 7,) * 7
    film = [
        picture(files[0], kind="segment", frame=0, last_frame=3, frames=4, segments=0.5),
        picture(files[0], kind="summary", frames=4, segments=0.5, bias=0.1, cells=cells),
    ]
    rows = [*film, picture(files[1])]
    assert drops(tmp_path / "rows", form, rows, wanted=Wanted(cells=True, segments=0.5)) == [rows[2]]


@every_form
def test_what_failed_under_another_choice_of_frames(form: str, files: list[Path], tmp_path: Path) -> None:
    """Other frames of it may be whole. It has no parts and was not turned, whatever is asked for."""
    wrong = {"score": None, "error": "unsupported: a TIFF file of a kind that is not read"}
    rows = [
        picture(files[0], format="TIFF", frame_choice="first", **wrong),
        picture(files[1], format="JPEG", **wrong),
        picture(files[2], **wrong),  # of no format, or by a version that did not say
        *(replace(row, format="TIFF", frame_choice="first") for row in frames_of(files[3], 1)),
    ]
    choice = FrameChoice().name_for
    for wanted in (Wanted(frame_choice=choice), Wanted(frame_choice=choice, views="tiles", upright=True)):
        assert drops(tmp_path / "rows", form, rows[:3], wanted=wanted) == []
        (tmp_path / "rows").unlink()
    every = Wanted(frame_choice=FrameChoice.parse("all").name_for)
    assert drops(tmp_path / "rows", form, rows, wanted=every) == [rows[0], *rows[3:]]


def test_codes_of_files_that_were_not_read_are_codes() -> None:
    assert set(ERROR_CODES) >= resume.NEVER_HASHED


@every_form
def test_a_frame_that_failed_leaves_open_how_many_the_limit_counted(
    form: str, files: list[Path], tmp_path: Path
) -> None:
    rows = frames_of(files[0], 3)
    rows[1] = replace(rows[1], score=None, error="undecodable: x")
    rows.insert(3, picture(files[0], kind="frame", frame=3, score=None, error="too-many-frames: more than the limit"))
    for most, again in ((1, True), (2, False), (3, False), (4, True)):
        assert drops(tmp_path / "rows", form, rows, wanted=Wanted(max_frames=most)) == (rows if again else [])
        (tmp_path / "rows").unlink()


@pytest.mark.parametrize(("most", "again"), [(1, "whole cut"), (2, ""), (3, "cut"), (None, "")])
@every_form
def test_rows_of_another_limit_of_frames(
    form: str, most: int | None, again: str, files: list[Path], tmp_path: Path
) -> None:
    """A file that the limit cut off, and one that has more frames than this run would score."""
    whole, cut = frames_of(files[0], 2), frames_of(files[1], 2)
    cut.insert(2, picture(files[1], kind="frame", frame=2, score=None, error="too-many-frames: more than the limit"))
    dropped = (whole if "whole" in again else []) + (cut if "cut" in again else [])
    assert drops(tmp_path / "rows", form, whole + cut, wanted=Wanted(max_frames=most)) == dropped


@every_form
def test_verdicts_and_counts_of_frames_are_made_anew(form: str, files: list[Path], tmp_path: Path) -> None:
    """Under another policy; without one there are none."""
    failed = picture(files[1], score=None, error="truncated: the picture ends early")
    old = [picture(files[0], verdict="block"), failed, *frames_of(files[2], 2)]
    write(tmp_path / "rows", old, form)
    wanted = Wanted(verdict=lambda score: "review" if score >= 0.5 else "pass", above=0.5)
    with resumed(tmp_path / "rows", form, wanted=wanted) as writer:
        assert writer.finished is not None and (writer.finished.kept, writer.finished.dropped) == (5, 0)
    new = [replace(row, verdict=None if row.score is None else "review") for row in old]
    new[-1] = replace(new[-1], above=2)
    assert read(tmp_path / "rows", form) == new
    resumed(tmp_path / "rows", form, wanted=Wanted(verdict=lambda score: None, above=0.6)).close()
    assert read(tmp_path / "rows", form) == [
        replace(row, verdict=None, above=0 if row.above else row.above) for row in new
    ]


def test_json_lines_stay_as_they_are_where_no_verdict_changes(tmp_path: Path) -> None:
    lines = b'{"path": "a", "score": 1, "later": [1]}\n{"path": "b", "score": 0.25, "verdict": "x", "later": [1]}\n'
    (tmp_path / "rows").write_bytes(lines)
    wanted = Wanted(verdict=lambda score: "x" if score < 0.5 else None)
    resumed(tmp_path / "rows", "jsonl", wanted=wanted).close()
    assert (tmp_path / "rows").read_bytes() == lines


@pytest.mark.once
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_file_cut_anywhere_goes_on_to_the_same_file(form: str, files: list[Path], tmp_path: Path) -> None:
    """At every single byte: what a second run has to add makes the file that was never cut."""
    rows = [picture(files[1]), picture(files[2], member='m"\r\n,'), *frames_of(files[3], 2), picture(files[0])]
    items = [rows[:1], rows[1:2], rows[2:5], rows[5:]]
    file = tmp_path / "rows"
    write(file, rows, form)
    whole = file.read_bytes()
    for cut in range(len(whole) + 1):
        file.write_bytes(whole[:cut])
        with resumed(file, form) as writer:
            for item in items:
                if not writer.is_done(item[0].path, item[0].member):
                    writer.write(item)
        assert file.read_bytes() == whole, cut


def test_zeros_that_a_power_failure_left_are_cut_off(tmp_path: Path) -> None:
    row = lines.json_line(Row("a", score=0.5))
    for tail in (b"\0" * 100, row[:20] + b"\0" * 50):
        (tmp_path / "rows").write_bytes(row + tail)
        resumed(tmp_path / "rows", "jsonl").close()
        assert (tmp_path / "rows").read_bytes() == row


@needs_pyarrow
def test_parquet_after_a_kill_between_the_new_file_and_the_journals_end(tmp_path: Path) -> None:
    file, journal = tmp_path / "rows", tmp_path / "rows.journal"
    write(file, [Row("a", score=0.5), Row("b", score=0.25)], "parquet")
    journal.write_bytes(b"".join(map(lines.json_line, read(file, "parquet"))))
    (tmp_path / ".rows.part").write_bytes(b"half")
    with resumed(file, "parquet") as writer:
        assert writer.is_done("a")
        assert writer.is_done("b")
        writer.write([Row("c", score=1.0)])
    assert [row.path for row in read(file, "parquet")] == ["a", "b", "c"]
    assert os.listdir(tmp_path) == ["rows"]


@needs_pyarrow
def test_parquet_journal_without_rows_does_not_hide_the_finished_file(tmp_path: Path) -> None:
    write(tmp_path / "rows", [Row("a", score=0.5)], "parquet")
    (tmp_path / "rows.journal").touch()
    resumed(tmp_path / "rows", "parquet").close()
    assert read(tmp_path / "rows", "parquet") == [Row("a", score=0.5)]


@needs_pyarrow
def test_parquet_after_a_kill_of_a_run_that_went_on(tmp_path: Path) -> None:
    """The finished file is the older one then; what counts is the journal."""
    file = tmp_path / "rows"
    write(file, [Row("a", score=0.5)], "parquet")
    killed = resumed(file, "parquet")
    killed.write([Row("b", score=0.5)])
    killed.abandon()
    with resumed(file, "parquet") as writer:
        assert [writer.is_done(path) for path in ("a", "b", "c")] == [True, True, False]
        writer.write([Row("c", score=0.5)])
    assert [row.path for row in read(file, "parquet")] == ["a", "b", "c"]


@needs_pyarrow
def test_parquet_taken_up_stays_readable_until_the_new_one_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "rows"
    write(file, [Row("a", score=0.5)], "parquet")
    with resumed(file, "parquet") as writer:
        writer.write([Row("b", score=0.5)])
        assert [row.path for row in read(file, "parquet")] == ["a"]
        assert [row.path for row in row_reader.read_rows(f"{file}.journal", "jsonl")] == ["a", "b"]


def test_csv_of_an_older_version_gets_the_columns_of_this_one(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(b'path,score,error\r\n"a,b",0.5,\r\nc,,"x: y"\r\nd,0.2')
    with resumed(tmp_path / "rows", "csv") as writer:
        assert [writer.is_done(path) for path in ("a,b", "c", "d")] == [True, True, False]
    rows = [Row("a,b", score=0.5), Row("c", error="x: y")]
    assert (tmp_path / "rows").read_bytes() == lines.csv_header() + b"".join(map(lines.csv_line, rows))


def test_csv_that_an_editor_gave_other_line_ends_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "rows"
    write(file, [Row("a", score=0.5)], "csv")
    file.write_bytes(file.read_bytes().replace(b"\r\n", b"\n"))
    with resumed(file, "csv") as writer:
        assert writer.is_done("a")
        writer.write([Row("b", score=0.5)])
    assert read(file, "csv") == [Row("a", score=0.5), Row("b", score=0.5)]


def test_json_lines_of_other_versions_go_on(tmp_path: Path) -> None:
    """Of an older one without our fields, of a newer one with others: both stay as they are."""
    lines = b'{"path": "a", "score": 1}\n{"path": "b", "score": 0.5, "later": [1]}\n'
    (tmp_path / "rows").write_bytes(lines + b'{"path": "-"}\n')
    with resumed(tmp_path / "rows", "jsonl") as writer:
        assert [writer.is_done(path) for path in ("a", "b", "-")] == [True, True, False]
    assert (tmp_path / "rows").read_bytes() == lines


@every_form
def test_scores_and_rows_of_what_is_kept(form: str, files: list[Path], tmp_path: Path) -> None:
    """Of pictures and frames, not of summaries; NaN where there is an error; nothing of what was dropped."""
    failed = picture(files[1], score=None, error="truncated: the picture ends early")
    kept = [picture(files[0], score=0.25), failed, *frames_of(files[2], 2)]
    write(tmp_path / "rows", [*kept, picture(files[3], bytes=999, score=1.0), *frames_of(files[4], 2)[:1]], form)
    with resumed(tmp_path / "rows", form) as writer:
        assert writer.finished is not None
        assert [str(score) for score in writer.finished.scores] == ["0.25", "nan", "0.5", "0.5"]
        assert list(writer.finished.rows()) == kept


def test_an_archive_is_looked_at_once_for_all_its_members(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "rows", [picture(files[0], member=str(number)) for number in range(50)], "jsonl")
    real, asked = os.stat, Counter()  # type: ignore[var-annotated]

    def counted(path: object, *arguments: object, **options: Any) -> os.stat_result:
        asked[path] += 1
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", counted)
    resumed(tmp_path / "rows", "jsonl").close()
    assert asked[str(files[0])] == 1


def test_how_far_the_rows_are_read_is_shown(files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last byte, unless people want quiet."""
    file, told = tmp_path / "rows", []  # type: ignore[var-annotated]

    class Bar(Progress):
        """One that notes what it is told."""

        def __init__(self, total: int, shown: bool, reading: str) -> None:
            super().__init__(shown=False)
            told.append([total, shown, reading, 0])

        def advance(self, note: str = "", count: int = 1) -> None:
            """Bytes."""
            told[-1][3] += count

    monkeypatch.setattr(resume, "Progress", Bar)
    write(file, list(map(picture, files)), "jsonl")
    for quiet in (True, False):
        resumed(file, "jsonl", quiet=quiet).close()
    size = file.stat().st_size
    assert told == [[size, False, "rows", size], [size, True, "rows", size]]
