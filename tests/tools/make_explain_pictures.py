"""Make the pictures of docs/explain.md: heat maps of a harmless picture whose pixels were moved, and the same blurred.

python -m tests.tools.make_explain_pictures
python -m tests.tools.make_sources_table
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from open_nsfw.__main__ import main as open_nsfw
from tests.tools.helpers import DATA, ROOT

PICTURE = DATA / "pushed" / "0.950-chelsea.jpg"
WIDTH, COLOURS = 480, 256


def main() -> None:
    """Run the command, and keep what it wrote, small."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["explain", str(PICTURE), "--output", folder, "--overwrite", "--quiet"]
        assert open_nsfw([*arguments, "--blur-below", "0.2"]) == 0
        for name, target in ((".png", "heat-map.png"), (".blurred.png", "blurred.png")):
            with Image.open(Path(folder, f"{PICTURE.stem}{name}")) as picture:
                size = min(WIDTH, picture.width)
                small = picture.resize((size, round(picture.height * size / picture.width)), Image.Resampling.LANCZOS)
                few = small.quantize(COLOURS, kmeans=3, dither=Image.Dither.NONE)
                few.save(ROOT / "docs" / target, optimize=True)


if __name__ == "__main__":
    main()
