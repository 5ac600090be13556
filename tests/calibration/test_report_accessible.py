"""report.html in a browser: what axe-core finds, and whether all columns are there on a phone."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from open_nsfw.__main__ import main as open_nsfw
from tests.tools.browser import ENVIRONMENT, FOLDER, in_a_browser
from tests.tools.helpers import DATA, ROOT, SECONDS
from tests.tools.make_shapes_folder import make
from tests.tools.samples import in_groups, simulate, write_csv

pytest.importorskip("sklearn", reason="scikit-learn is not installed in this interpreter")
pytest.importorskip("matplotlib", reason="matplotlib is not installed in this interpreter")


pytestmark = [
    in_a_browser,
    pytest.mark.once,
    # matplotlib for Python 3.9 calls what pyparsing has renamed since.
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning:matplotlib.*", "ignore:.*deprecated - use:DeprecationWarning"
    ),
]


def checked(page: Path) -> list[dict[str, Any]]:
    """What is wrong about a page, for each of light and dark, wide and narrow."""
    line = ["node", str(ROOT / "tests" / "tools" / "check_page.mjs"), FOLDER, str(page)]
    done = subprocess.run(line, env=ENVIRONMENT, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    assert [(each["colorScheme"], each["width"]) for each in found] == [
        *(("light", 1100), ("light", 390), ("dark", 1100), ("dark", 390))
    ]
    return found


def assert_accessible(page: Path) -> None:
    """No violation of a rule of axe, nothing wider than its place."""
    for each in checked(page):
        assert (each["violations"], each["tooWide"]) == ([], []), each


def test_the_report_of_scores(tmp_path: Path) -> None:
    """With every kind of choice, limits that are kept and not, warnings, groups, long names of bands."""
    sample = in_groups(30, 20, 0.9)
    assert sample.groups is not None
    rows = zip(sample.scores.tolist(), sample.nsfw.tolist(), sample.groups.tolist())
    lines = [f"{score!r},{int(nsfw)},{group},{'x' * 90}{score}.jpg" for score, nsfw, group in rows]
    (tmp_path / "labels.csv").write_text("\n".join(["score,label,group,path", *lines, ",0,1,gone.jpg"]))
    options = ["--max-fpr", "0.4", "--min-recall", "0.99", "--cost", "fp=1,fn=20", "--review-budget", "0.1"]
    options += ["--bands", "0.1,0.5,0.9", "--policy-from", "bands"]
    options += ["--band-names", "a name of several words,anamewithoutanyspaceinitwhichislong,c,d", "--resamples", "30"]
    assert open_nsfw(["calibrate", str(tmp_path / "labels.csv"), *options]) == 1
    assert_accessible(tmp_path / "labels-calibration" / "report.html")


def test_the_report_of_pictures(tmp_path: Path) -> None:
    """With thumbnails that can be opened."""
    for path in sorted((DATA / "pushed").glob("*.jpg")):
        target = tmp_path / "x" / ("nsfw" if float(path.name[:5]) >= 0.5 else "sfw")
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    assert open_nsfw(["calibrate", str(tmp_path / "x"), "--resamples", "30", "--worst", "3"]) == 0
    assert_accessible(tmp_path / "x-calibration" / "report.html")


def test_the_report_of_a_fine_tuning(tmp_path: Path) -> None:
    """With decisions that changed and labels to look at again."""
    make(tmp_path / "x", 80, side=128)
    for path in sorted((tmp_path / "x" / "sfw").iterdir())[:3]:
        path.rename(tmp_path / "x" / "nsfw" / path.name)  # labels that are wrong
    open_nsfw(
        ["fine-tune", str(tmp_path / "x"), "--output", str(tmp_path / "out"), "--resamples", "30", "--keep-anyway"]
    )
    assert "Labels to look at again" in (tmp_path / "out" / "report.html").read_text()
    assert_accessible(tmp_path / "out" / "report.html")


def test_the_check_sees_what_is_wrong(tmp_path: Path) -> None:
    """Or it would prove nothing: headings out of order, grey on grey, an image without a name, a page too wide."""
    labels = write_csv(tmp_path / "labels.csv", simulate(60, 60))
    assert open_nsfw(["calibrate", str(labels), "--resamples", "30", "--quiet"]) == 0
    page = tmp_path / "labels-calibration" / "report.html"
    spoilt = page.read_text().replace("<h2>The policy</h2>", '<h4 style="color:#eee;width:2000px">The policy</h4>')
    page.write_text(spoilt.replace(' role="img" aria-label="ROC', ' role="img" data-label="ROC'))
    for each in checked(page):
        rules = {violation.partition(":")[0] for violation in each["violations"]}
        assert {"heading-order", "svg-img-alt"} <= rules
        assert ("color-contrast" in rules) == (each["colorScheme"] == "light")
        assert each["tooWide"][0].startswith("the page: ")
