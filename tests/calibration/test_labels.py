"""Labels as people keep them, and the ground rules."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest

from open_nsfw.calibration.label_source import read_labels
from open_nsfw.calibration.labelled_set import Example, LabelledSet, identity_of
from open_nsfw.calibration.labels import Entry, LabelNames
from open_nsfw.calibration.scores_file import read_scores
from open_nsfw.errors import UsageError
from open_nsfw.rows.lines import csv_header, csv_line, json_line
from open_nsfw.rows.row import Row

NAMES = LabelNames()


def refusal(path: Path, content: str | bytes, names: LabelNames = NAMES) -> str:
    """What is said about a file of labels with this content, its path left out."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UsageError) as caught:
        read_labels(str(path), names)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(path), "FILE")


# --- reading ---


def test_a_folder(tmp_path: Path) -> None:
    """Two folders, by the names that are asked for."""
    for name in ("sfw", "nsfw", "ok"):
        (tmp_path / name).mkdir()
    found = read_labels(str(tmp_path), NAMES)
    assert found.folders == {str(tmp_path / "sfw"): False, str(tmp_path / "nsfw"): True}
    assert not found.scored
    assert read_labels(str(tmp_path), LabelNames("nsfw", "ok")).folders == {
        str(tmp_path / "ok"): False,
        str(tmp_path / "nsfw"): True,
    }
    with pytest.raises(UsageError) as caught:
        read_labels(str(tmp_path), LabelNames("porn", "ok"))
    assert str(caught.value) == (
        f"{tmp_path}: has no folder 'porn'; safe pictures are expected in 'ok', the others in 'porn' "
        "(--negative NAME, --positive NAME)"
    )


def test_csv_with_paths(tmp_path: Path) -> None:
    """Relative paths start at the file's folder; other columns are nobody's business."""
    file = tmp_path / "labels.csv"
    file.write_bytes('\ufeffPath,Label,by\r\na.jpg,nsfw,Ann\r\n"b, c.jpg", sfw ,Bob\r\n/d.jpg,1,\r\n-,0,\r\n'.encode())
    found = read_labels(str(file), NAMES)
    assert not found.scored
    assert [(each.path, each.nsfw) for each in found.entries] == [
        (str(tmp_path / "a.jpg"), True),
        (str(tmp_path / "b, c.jpg"), False),
        ("/d.jpg", True),
        (str(tmp_path / "-"), False),
    ]


def test_a_picture_called_minus_is_no_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file's folder is the current one."""
    monkeypatch.chdir(tmp_path)
    Path("labels.csv").write_text("path,label\n-,sfw\n")
    assert [each.path for each in read_labels("labels.csv", NAMES).entries] == ["./-"]


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    """Pass through both formats as they do in what the command writes."""
    name = os.fsdecode(b"caf\xe9.jpg")
    (tmp_path / "labels.csv").write_bytes(b"path,label\ncaf\xe9.jpg,nsfw\n")
    (tmp_path / "labels.jsonl").write_text(json.dumps({"path": name, "label": "nsfw"}) + "\n")
    for file in ("labels.csv", "labels.jsonl"):
        assert read_labels(str(tmp_path / file), NAMES).entries[0].path == str(tmp_path / name)


def test_json_lines_with_scores(tmp_path: Path) -> None:
    """A score makes the picture unnecessary; a row without one says why."""
    file = tmp_path / "labels.jsonl"
    lines = [
        {"score": 0.25, "label": "sfw"},
        {"score": 1, "label": True, "path": "a.jpg", "sha256": "ab", "model": "m"},
        {"score": None, "label": 0, "path": "b.jpg", "error": "truncated: it ends too early"},
        {"score": None, "label": 0, "path": "c.jpg"},
        {"score": 0.5, "label": 1, "path": "v.mp4", "kind": "frame"},
    ]
    file.write_text("\n" + "\n".join(map(json.dumps, lines)) + "\n")
    found = read_labels(str(file), NAMES)
    assert found.scored
    assert found.entries == [
        Entry(False, score=0.25, line=2),
        Entry(True, "a.jpg", score=1.0, sha256="ab", model="m", line=3),
        Entry(False, "b.jpg", error="truncated: it ends too early", line=4),
        Entry(False, "c.jpg", error="no-score: its score is empty", line=5),
    ]


def test_rows_of_the_command_with_a_label(tmp_path: Path) -> None:
    """Whoever adds a column to what classify_nsfw.py wrote is done."""
    rows = [Row("a.zip", "1.jpg", score=0.5, sha256="aa", model="m"), Row("b.jpg", error="not-found: gone", model="m")]
    lines = [json.dumps({**json.loads(json_line(row)), "label": "nsfw"}) for row in rows]
    (tmp_path / "labels.jsonl").write_text("\n".join(lines))
    header, *cells = (csv_header() + b"".join(map(csv_line, rows))).decode().splitlines()
    (tmp_path / "labels.csv").write_text("\n".join([header + ",label", *(line + ",nsfw" for line in cells)]))
    as_json, as_csv = (read_labels(str(tmp_path / name), NAMES).entries for name in ("labels.jsonl", "labels.csv"))
    assert [(each.path, each.member, each.score, each.error, each.model) for each in as_json] == [
        ("a.zip", "1.jpg", 0.5, None, "m"),
        ("b.jpg", None, None, "not-found: gone", "m"),
    ]
    assert [vars(each) | {"line": 0} for each in as_json] == [vars(each) | {"line": 0} for each in as_csv]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "FILE: there are no labels in it"),
        ("path,label\n", "FILE: there are no labels in it"),
        ("name,label\na,sfw\n", "FILE: it has the columns label, name; path and label, or score and label, are needed"),
        ("path,score\na,1\n", "FILE: it has the columns path, score; path and label, or score and label, are needed"),
        (
            "path,label\na,sfw\nb,safe\n",
            "FILE line 3: the label 'safe' is neither 'nsfw' nor 'sfw' (--positive NAME, --negative NAME)",
        ),
        ("path,label\n,sfw\n", "FILE line 2: the path is empty"),
        ("path,label\n.,sfw\n", "FILE line 2: . is a folder; a line labels one file"),
        ("score,label\n0.5,sfw\n1.5,sfw\n", "FILE line 3: the score '1.5' is no number from 0 to 1"),
        ("score,label\nnan,sfw\n", "FILE line 2: the score 'nan' is no number from 0 to 1"),
        ('{"score": true, "label": 1}', "FILE line 1: the score True is no number from 0 to 1"),
        ('{"path": 7, "label": 1}', "FILE line 1: the path 7 is no text"),
        ('{"path": "a", "label": 1}\n[]\n', "FILE line 2: is no JSON object"),
        ('{"path": "a", "label": 1}\n{"path"', "FILE line 2: is no JSON object"),
        ("path,label\na,sfw,more\n", "FILE line 2: has more cells than the header"),
        ('path,label\n"a,sfw\n', "FILE line 2: is no CSV: unexpected end of data"),
    ],
)
def test_what_cannot_be_read_is_refused(content: str, message: str, tmp_path: Path) -> None:
    """With the line at fault."""
    assert refusal(tmp_path / "labels", content) == message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Named."""
    with pytest.raises(UsageError) as caught:
        read_labels(str(tmp_path / "none"), NAMES)
    assert str(caught.value) == f"{tmp_path}/none: there is no such file or folder"


def test_names_of_labels(tmp_path: Path) -> None:
    """Any two that differ."""
    with pytest.raises(UsageError) as caught:
        LabelNames("a", "a")
    assert str(caught.value) == "--positive and --negative are both 'a'; two labels are needed"
    names = LabelNames("porn", "rest")
    assert [names.is_nsfw(each) for each in ("porn", " rest ", 1, "0", True, "FALSE", "nsfw", None)] == [
        *(True, False, True, False, True, False, None, None)
    ]


# --- scores without labels ---


def test_scores_of_today(tmp_path: Path) -> None:
    """Whatever the command wrote; frames are left to their summary."""
    rows = [
        Row("a.jpg", score=0.25, model="m"),
        Row("v.mp4", kind="frame", frame=0, score=0.5, model="m"),
        Row("v.mp4", kind="summary", score=0.5, frames=1, max=0.5, mean=0.5, above=0, model="m"),
        Row("b.jpg", error="truncated: it ends too early", model="m"),
    ]
    (tmp_path / "today.jsonl").write_bytes(b"".join(map(json_line, rows)))
    (tmp_path / "today.csv").write_bytes(csv_header() + b"".join(map(csv_line, rows)))
    for name in ("today.jsonl", "today.csv"):
        found = read_scores(str(tmp_path / name))
        assert (found.scores, found.without, found.models) == ([0.25, 0.5], 1, {"m"})


def test_scores_from_parquet(tmp_path: Path) -> None:
    """The third format of the command."""
    pytest.importorskip("pyarrow", reason="pyarrow is not installed in this interpreter")
    from open_nsfw.rows import parquet as parquet_rows

    parquet_rows.write(str(tmp_path / "today.parquet"), iter([Row("a.jpg", score=0.25, model="m")]))
    found = read_scores(str(tmp_path / "today.parquet"))
    assert (found.scores, found.models) == ([0.25], {"m"})


def test_a_file_without_scores(tmp_path: Path) -> None:
    """Is none to check a policy on."""
    (tmp_path / "today.csv").write_text("path\na.jpg\n")
    with pytest.raises(UsageError) as caught:
        read_scores(str(tmp_path / "today.csv"))
    assert str(caught.value) == f"{tmp_path}/today.csv: it has no column score"


def test_a_long_cell_is_read(tmp_path: Path) -> None:
    """Longer than Python's csv module takes by itself."""
    text = io.StringIO()
    csv.writer(text).writerows([["path", "label"], ["a" * 200_000, "sfw"]])
    (tmp_path / "labels.csv").write_text(text.getvalue())
    assert len(read_labels(str(tmp_path / "labels.csv"), NAMES).entries[0].path or "") > 200_000


# --- the ground rules ---


def test_each_content_counts_once() -> None:
    """The first of them, under its name."""
    found = LabelledSet()
    for score, name, identity in ((0.1, "a", "x"), (0.1, "b", "x"), (0.2, "c", "y"), (0.1, "d", "x"), (0.2, "e", None)):
        found.add(Example(score, False, name), name, identity)
    assert [each.path for each in found.examples()] == ["a", "c", "e"]
    assert found.duplicates == [("b", "a"), ("d", "a")]
    assert found.conflicts == []


def test_content_with_both_labels_counts_not_at_all() -> None:
    """All of its names are told, and none of them is called a duplicate."""
    found = LabelledSet()
    for nsfw, name, identity in ((False, "a", "x"), (True, "b", "x"), (False, "c", "x"), (True, "d", "y")):
        found.add(Example(0.5, nsfw, name), name, identity)
    assert [each.path for each in found.examples()] == ["d"]
    assert found.conflicts == [["a (sfw)", "b (nsfw)", "c (sfw)"]]
    assert found.duplicates == []
    assert [each.path for each in found.examples()] == ["d"]  # asked again, the same
    assert len(found.conflicts) == 1


def test_what_has_no_content_to_compare() -> None:
    """Bare scores all count; a path counts once."""
    assert identity_of(None, None, None) is None
    assert identity_of(None, "a", "b") != identity_of(None, "a", None) != identity_of("a", "a", None)
    assert identity_of("ff", "a", None) == identity_of("ff", "b", "c")


def test_missing_and_unreadable_are_told_apart() -> None:
    """By the code of the row's error."""
    found = LabelledSet()
    found.add_failure("a", "not-found: there is no such file")
    found.add_failure("b", "truncated: it ends too early")
    assert (found.missing, found.unreadable) == (["a"], [("b", "it ends too early")])


def test_both_classes_are_needed() -> None:
    """One alone says nothing."""
    NAMES.require_both(1, 1, "x")
    with pytest.raises(UsageError) as caught:
        LabelNames("porn", "rest").require_both(3, 0, "photos")
    assert str(caught.value) == "photos: no picture labelled 'porn' has a score; both labels are needed"
