"""Make docs/report.png: the upper part of the report that docs/calibration.md's example writes, as a browser shows it.

    npm install --prefix FOLDER playwright-core
    python -m tests.tools.make_report_picture FOLDER
    python -m tests.tools.make_sources_table

FOLDER holds node_modules; Chromium and Node.js are needed. The pictures in the report are below the part that is shown.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.tools.helpers import ROOT

OPTIONS = ("--max-fpr", "0.05", "--min-recall", "0.9")
WIDTH, COLOURS = 900, 256
# Prints a screenshot of the page down to the end of its curves.
SCRIPT = """
const [folder, browserPath, path, width] = process.argv.slice(1);
const { chromium } = require(folder + "/node_modules/playwright-core");
(async () => {
  const browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox"] });
  const page = await browser.newPage({ viewport: { width: Number(width), height: 900 } });
  await page.goto("file://" + path);
  const curves = await page.locator("section:has(.plots)").boundingBox();
  const height = Math.ceil(curves.y + curves.height + 16);
  process.stdout.write(await page.screenshot({ fullPage: true, clip: { x: 0, y: 0, width: Number(width), height } }));
  await browser.close();
})();
"""


def main(modules: str) -> None:
    """Make the labelled folder, calibrate, and take the picture."""
    with tempfile.TemporaryDirectory() as folder:
        tool = ROOT / "tests" / "tools" / "make_labelled_folder.py"
        subprocess.run([sys.executable, str(tool), "labelled"], cwd=folder, check=True)
        subprocess.run([sys.executable, "-m", "open_nsfw", "calibrate", "labelled/", *OPTIONS], cwd=folder, check=True)
        page = Path(folder, "labelled-calibration", "report.html")
        line = ["node", "-e", SCRIPT, str(Path(modules).resolve()), shutil.which("chromium") or "chromium", str(page)]
        taken = subprocess.run([*line, str(WIDTH)], stdout=subprocess.PIPE, check=True).stdout
    with Image.open(io.BytesIO(taken)) as picture:
        few = picture.convert("RGB").quantize(COLOURS, kmeans=3, dither=Image.Dither.NONE)
        few.save(ROOT / "docs" / "report.png", optimize=True)


if __name__ == "__main__":
    main(sys.argv[1])
