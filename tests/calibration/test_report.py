"""report.html: one file with everything inside, and nothing in it that a picture's name could do harm with."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from open_nsfw.__main__ import main as open_nsfw
from tests.tools.helpers import DATA

pytest.importorskip("sklearn", reason="scikit-learn is not installed in this interpreter")
pytest.importorskip("matplotlib", reason="matplotlib is not installed in this interpreter")

from open_nsfw.calibration.words import percent
from tests.tools.samples import simulate, write_csv

# matplotlib for Python 3.9 calls what pyparsing has renamed since.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:matplotlib.*", "ignore:.*deprecated - use:DeprecationWarning"
)

VOID = {"meta", "input", "img", "br"}
HOSTILE = '<script>alert("x")</script>&\n\u202e.jpg'


class Page(HTMLParser):
    """Text, elements and addresses of a page; fails on tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: dict[str, int] = {}
        self.addresses: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Also of SVG."""
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "action")]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """`<path ... />`."""
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "action")]

    def handle_endtag(self, tag: str) -> None:
        """The last that is open."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Between tags."""
        self.words.append(data.replace("\u00a0", " "))

    @property
    def text(self) -> str:
        """All words."""
        return " ".join(" ".join(self.words).split())


def report(labels: Path, *options: str) -> tuple[str, Page]:
    """The page that a run of the command writes."""
    line = ["calibrate", str(labels), "--resamples", "30", "--output", str(labels.parent / "out"), "--quiet", *options]
    assert open_nsfw(line) == 0
    text = (labels.parent / "out" / "report.html").read_text(encoding="utf-8")
    return text, Page(text)


def test_numbers_of_the_page_are_those_of_the_file(tmp_path: Path) -> None:
    """Areas, and every rate of every table, in the words of the page."""
    labels = write_csv(tmp_path / "labels.csv", simulate(300, 200))
    _, page = report(
        labels, "--max-fpr", "0.05", "--min-recall", "0.95", "--cost", "fp=1,fn=9", "--policy-from", "cost"
    )
    numbers = json.loads((tmp_path / "out" / "numbers.json").read_text())
    for name in ("auc", "average_precision"):
        found = numbers["curves"][name]
        assert f"{found['value']:.3f}" in page.words
        assert f"{found['low']:.3f} to {found['high']:.3f}" in page.words
    assert len(numbers["confusion"]) == 3
    for table in numbers["confusion"]:
        assert f"at {table['threshold']:.12g}" in page.words
        for name in ("recall", "false_positive_rate", "precision", "accuracy"):
            rate = table[name]
            assert percent(rate["value"]) in page.words
            assert f"{percent(rate['low'])} to {percent(rate['high'])}" in page.words
            assert f"{rate['count']:,} of {rate['of']:,}" in page.words
        for name in ("true_negatives", "false_positives", "false_negatives", "true_positives"):
            assert f"{table[name]:,}" in page.words
    for choice in numbers["choices"]:
        assert choice["option"] in page.words
        for warning in choice["warnings"]:
            assert f"{choice['option']}: {warning}" in page.words


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    """No script, no address outside itself, and a policy that forbids both."""
    text, page = report(write_csv(tmp_path / "labels.csv", simulate(60, 60)))
    assert page.tags["svg"] == 4
    assert not {"script", "link", "iframe", "object", "image", "form"} & set(page.tags)
    assert all(address.startswith("#") for address in page.addresses)
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in text
    outside = re.findall(r"(?:https?:)?//[^\s\"'<]+", text)
    assert set(outside) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink", "//www.w3.org/1999/xlink"}
    assert "@import" not in text
    assert not re.findall(r"url\((?!#)", text)


def test_plots_take_the_colours_of_the_page(tmp_path: Path) -> None:
    """No colour of their own, so that they can be read in the dark; ids of one plot are not those of another."""
    text, _ = report(write_csv(tmp_path / "labels.csv", simulate(60, 60)))
    plots = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    for plot in plots:
        assert set(re.findall(r"#[0-9a-f]{6}\b", plot)) == set()
        assert {"var(--ink)", "var(--muted)"} <= set(re.findall(r"var\(--\w+\)", plot))
        assert "DejaVu" not in plot
        assert re.match(r"<svg[^>]*viewBox", plot)
        assert not re.match(r"<svg[^>]*(width|height)=", plot)
    ids = [set(re.findall(r'<clipPath id="([^"]+)"', plot)) for plot in plots]
    assert all(ids)
    assert len(set.union(*ids)) == sum(map(len, ids))


@pytest.mark.parametrize("form", ["svg", "png"])
def test_plots_are_files_too(form: str, tmp_path: Path) -> None:
    """In the format that is asked for."""
    labels = write_csv(tmp_path / "labels.csv", simulate(60, 60))
    report(labels, "--plots", form)
    found = sorted((tmp_path / "out" / "plots").iterdir())
    assert [path.name for path in found] == [
        f"{name}.{form}" for name in ("histogram", "precision-recall", "reliability", "roc")
    ]
    for path in found:
        if form == "png":
            with Image.open(path) as picture:
                assert picture.size == (832, 672)
        else:
            assert path.read_text().startswith("<?xml")


def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    """Of pictures, of the labels, and in every list."""
    name = json.dumps(HOSTILE)
    lines = [
        f'{{"score": {score}, "label": {label}, "path": {name}}}' for score, label in ((0.1, 1), (0.9, 0), (0.5, 1))
    ]
    lines += ['{"score": 0.3, "label": 0, "path": "a\\udce9.jpg"}', '{"score": 0.6, "label": 1, "path": "b"}']
    lines.append(f'{{"score": null, "label": 1, "path": {name}, "error": "truncated: <b>too short</b>"}}')
    labels = tmp_path / "<i>labels.jsonl"
    labels.write_text("\n".join(lines))
    text, page = report(labels)
    assert "script" not in page.tags
    assert "i" not in page.tags
    assert "<script" not in text
    assert "\u202e" not in text
    assert "$'<script>alert(\"x\")</script>&\\x0a\\xe2\\x80\\xae.jpg'" in page.text
    assert "<b>too short</b>" in page.text
    assert "$'a\\xe9.jpg'" in page.text


def test_the_worst_pictures_come_first_and_blurred(tmp_path: Path) -> None:
    """As small JPEGs in the page, each behind a box that shows it; the style blurs them until then."""
    for label, names in (
        ("sfw", ("0.050-chelsea", "0.990-coffee", "0.300-coffee")),
        ("nsfw", ("0.400-clock_motion", "0.700-chelsea")),
    ):
        (tmp_path / "x" / label).mkdir(parents=True)
        for name in names:
            shutil.copy(DATA / "pushed" / f"{name}.jpg", tmp_path / "x" / label)
    text, page = report(tmp_path / "x", "--worst", "2")
    cards = re.findall(r'<div class="card">.*?</div>', text)
    assert [re.findall(r'title="[^"]*/([^"/]*)"', card)[0] for card in cards] == [
        *("0.990-coffee.jpg", "0.300-coffee.jpg", "0.400-clock_motion.jpg", "0.700-chelsea.jpg")
    ]
    for card in cards:
        source = re.findall(r'<input type="checkbox"[^>]*><img alt="" src="data:image/jpeg;base64,([^"]+)">', card)
        with Image.open(io.BytesIO(base64.b64decode(source[0]))) as picture:
            assert max(picture.size) == 256
    assert re.search(r"\.card img \{[^}]*filter: blur\(", text)
    assert re.search(r"\.card input:checked \+ img \{[^}]*filter: none", text)
    assert "Click a picture to see it" in page.text
    text, page = report(tmp_path / "x", "--worst", "2", "--no-thumbnails")
    assert page.tags.get("img", 0) == 0
    assert "0.990-coffee.jpg" in page.text
    text, page = report(tmp_path / "x", "--worst", "0")
    assert "What the model gets most wrong" not in page.text


def test_a_long_list_is_cut_in_the_page_alone(tmp_path: Path) -> None:
    """numbers.json has all names."""
    lines = [f'{{"score": null, "label": 1, "path": "p{number}", "error": "not-found: gone"}}' for number in range(450)]
    lines += ['{"score": 0.1, "label": 0}', '{"score": 0.9, "label": 1}']
    (tmp_path / "labels.jsonl").write_text("\n".join(lines))
    _, page = report(tmp_path / "labels.jsonl")
    assert "450 missing" in page.text
    assert "p199" in page.words
    assert "p200" not in page.words
    assert "and 250 more; numbers.json has all of them" in page.words
    assert len(json.loads((tmp_path / "out" / "numbers.json").read_text())["sample"]["missing"]) == 450


def test_more_than_two_thresholds(tmp_path: Path) -> None:
    """Every band is in the page."""
    labels = write_csv(tmp_path / "labels.csv", simulate(60, 60))
    options = ("--bands", "0.1,0.4,0.7", "--band-names", "free,watch,ask,stop")
    _, page = report(labels, *options)
    words: Any = page.words
    assert {"free", "watch", "ask", "stop", "0.7 to 1"} <= set(words)
