"""Write docs/review.png: the review page with a harmless picture, in Chromium.

    OPEN_NSFW_AXE=FOLDER python -m tests.tools.make_review_picture

FOLDER holds node_modules with playwright-core; see tests/tools/review_page.py.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from PIL import Image

from open_nsfw.rows.row import Row
from tests.tools.helpers import DATA, ROOT
from tests.tools.review import write_rows
from tests.tools.review_page import drive, review

PHOTO = DATA / "pushed" / "0.300-coffee.jpg"
HEIGHT, COLOURS = 790, 128  # of the picture that is kept


def main() -> None:
    """Take the screenshots of the scenario `look`, and keep one."""
    os.chdir(ROOT)
    rows = [Row(str(PHOTO.relative_to(ROOT)), score=0.3, model="m")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["SCREENSHOTS"] = name
        with review(folder, str(write_rows(folder / "rows.jsonl", rows))) as page:
            drive("look", page)
        with Image.open(folder / "one-light-1100.png") as picture:
            few = picture.convert("RGB").crop((0, 0, 1100, HEIGHT)).quantize(COLOURS, dither=Image.Dither.NONE)
            few.save(ROOT / "docs" / "review.png", optimize=True)


if __name__ == "__main__":
    main()
