"""Labels in files, as people keep them."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest

from open_nsfw.calibration.label_source import read_labels
from open_nsfw.calibration.labels import Entry, LabelNames
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
        ("score,label\n0_1,sfw\n", "FILE line 2: the score '0_1' is no number from 0 to 1"),
        ("score,label\n٠,sfw\n", "FILE line 2: the score '٠' is no number from 0 to 1"),
        ("score,label,weight\n0,sfw,1_0\n", "FILE line 2: the weight '1_0' is no number from 1e-12 to 1e+12"),
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


def test_a_long_cell_is_read(tmp_path: Path) -> None:
    """Longer than Python's csv module takes by itself."""
    text = io.StringIO()
    csv.writer(text).writerows([["path", "label"], ["a" * 200_000, "sfw"]])
    (tmp_path / "labels.csv").write_text(text.getvalue())
    assert len(read_labels(str(tmp_path / "labels.csv"), NAMES).entries[0].path or "") > 200_000
