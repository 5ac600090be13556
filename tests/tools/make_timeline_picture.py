"""Make docs/timeline.png: the page that `open-nsfw timeline` writes of a film of harmless pictures, as a browser shows it.

    npm install --prefix FOLDER playwright-core
    python -m tests.tools.make_timeline_picture FOLDER
    python -m tests.tools.make_sources_table

FOLDER holds node_modules; Chromium, Node.js and PyAV are needed. The pictures on the page are blurred.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from open_nsfw.__main__ import main as open_nsfw
from tests.tools.helpers import DATA, ROOT

WIDTH, COLOURS = 900, 256
SHOWN = (
    "0.050-chelsea",
    "0.300-coffee",
    "0.950-chelsea",
    "0.100-coffee",
    "0.990-coffee",
    "0.810-clock_motion",
    "0.201-chelsea",
)
SCRIPT = """
const [folder, browserPath, path, width] = process.argv.slice(1);
const { chromium } = require(folder + "/node_modules/playwright-core");
(async () => {
  const browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox"] });
  const page = await browser.newPage({ viewport: { width: Number(width), height: 900 } });
  await page.goto("file://" + path);
  process.stdout.write(await page.screenshot({ fullPage: true }));
  await browser.close();
})();
"""


def make_film(path: Path) -> None:
    """Pushed pictures, eight seconds each, with so little loss that their scores stay about what they are."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=4)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 256, 256, "yuv420p", 20_000_000
        for name in SHOWN:
            with Image.open(DATA / "pushed" / f"{name}.jpg") as picture:
                frame = av.VideoFrame.from_image(picture.convert("RGB").resize((256, 256)))
            for _ in range(32):
                frame.pts = None
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def main(modules: str) -> None:
    """Make the film, run the command, and take the picture."""
    with tempfile.TemporaryDirectory() as folder:
        film, page = Path(folder, "clip.mp4"), Path(folder, "timeline.html")
        make_film(film)
        assert open_nsfw(["timeline", str(film), "--output", str(page), "--quiet"]) == 0
        page.write_text(page.read_text().replace(f"{folder}/", ""))
        line = ["node", "-e", SCRIPT, str(Path(modules).resolve()), shutil.which("chromium") or "chromium", str(page)]
        taken = subprocess.run([*line, str(WIDTH)], stdout=subprocess.PIPE, check=True).stdout
    with Image.open(io.BytesIO(taken)) as picture:
        few = picture.convert("RGB").quantize(COLOURS, kmeans=3, dither=Image.Dither.NONE)
        few.save(ROOT / "docs" / "timeline.png", optimize=True)


if __name__ == "__main__":
    main(sys.argv[1])
