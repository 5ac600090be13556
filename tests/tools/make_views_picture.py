"""The picture of docs/views.md: the contact sheet of make_examples.py with the parts that are scored, and their scores.

python -m tests.tools.make_views_picture
python -m tests.tools.make_sources_table
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image, ImageDraw

import open_nsfw
from open_nsfw.rows.row import Row
from tests.tools.make_examples import contact_sheet

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "views.png"
LOW, HIGH = "#1f5faa", "#c8501e"


def main() -> None:
    """Write the picture."""
    sheet = contact_sheet()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sheet.png")
        sheet.save(path)
        rows = list(open_nsfw.scan_rows(path, views="tiles"))
    canvas = Image.new("RGB", (sheet.width, sheet.height + 40), "white")
    canvas.paste(sheet, (0, 40))
    draw = ImageDraw.Draw(canvas)
    draw.text((20, 8), f"the whole: {rows[0].score:.3f}", fill=LOW, font_size=22)
    for row in rows:
        if row.kind == "part":
            draw_part(draw, row)
    canvas.quantize(255).save(PICTURE, optimize=True)


def draw_part(draw: ImageDraw.ImageDraw, row: Row) -> None:
    """A frame around a part, and its score."""
    assert row.left is not None and row.top is not None and row.right is not None and row.bottom is not None
    colour = HIGH if (row.score or 0) >= 0.8 else LOW
    draw.rectangle((row.left, row.top + 40, row.right - 1, row.bottom + 39), outline=colour, width=4)
    place = (row.left + 12, row.top + 52)
    text = f"{row.part}: {row.score:.3f}"
    left, top, right, bottom = draw.textbbox(place, text, font_size=22)
    draw.rectangle((left - 6, top - 5, right + 6, bottom + 5), fill="white")
    draw.text(place, text, fill=colour, font_size=22)


if __name__ == "__main__":
    main()
