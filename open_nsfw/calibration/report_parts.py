"""What report.html is built of: sections, tables, lists, numbers. All text that is given to these functions is escaped."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

from open_nsfw.calibration.rates import Rate
from open_nsfw.calibration.report_style import STYLE
from open_nsfw.calibration.words import shown

SECURITY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
MOST_NAMES = 200  # of files in one list of the report; numbers.json has all


class Html(str):
    """Text that is HTML already; any other text is escaped where it goes into a page."""

    def __add__(self, other: str) -> Html:
        return Html(str.__add__(self, text(other)))


def text(value: str | Html) -> Html:
    """The value as HTML. A byte of a name that is not UTF-8 becomes a question mark."""
    return value if isinstance(value, Html) else Html(escape(value.encode("utf-8", "replace").decode()))


def element(tag: str, content: str | Html, **attributes: str) -> Html:
    """`<tag name="value">content</tag>`; a trailing `_` of an attribute's name is dropped, the others are hyphens."""
    named = "".join(f' {name.rstrip("_").replace("_", "-")}="{text(value)}"' for name, value in attributes.items())
    return Html(f"<{tag}{named}>{text(content)}</{tag}>")


def joined(parts: Iterable[str | Html]) -> Html:
    """The parts one after the other."""
    return Html("".join(map(text, parts)))


def document(title: str, sections: Iterable[Html], more_style: str = "") -> str:
    """A page of these sections, empty ones left out, with everything inside. `more_style`: of its own, behind `STYLE`."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{SECURITY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"{element('title', title)}\n<style>{STYLE}{more_style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(each for each in sections if each)
        + "\n</main>\n</body>\n</html>\n"
    )


def tiles(boxes: Iterable[tuple[str, str, str]]) -> Html:
    """The numbers at the head of a page: (name, value, note)."""
    return element(
        "dl",
        joined(
            element(
                "div", element("dt", name) + element("dd", element("b", value) + element("span", note)), class_="tile"
            )
            for name, value, note in boxes
        ),
        class_="tiles",
    )


def section(title: str, *parts: Html, note: str | Html = "", class_: str = "") -> Html:
    """A section of the page with its heading."""
    head = element("h2", title) + (element("p", note, class_="note") if note else "")
    attributes = {"class_": class_} if class_ else {}
    return element("section", head + joined(parts), **attributes)


def listing(items: Iterable[str | Html]) -> Html:
    """A list with bullets."""
    return element("ul", joined(element("li", item) for item in items))


def details(title: str, names: Sequence[str]) -> Html:
    """A list that opens when its title is chosen."""
    items = [*names[:MOST_NAMES]]
    if len(names) > MOST_NAMES:
        items.append(f"and {len(names) - MOST_NAMES:,} more; numbers.json has all of them")
    return element("details", element("summary", title) + listing(items))


def table(name: str, head: Iterable[str | Html], rows: Iterable[Iterable[str | Html]]) -> Html:
    """A table that scrolls by itself where it is too wide, also with the keyboard; `name` is what a screen reader says. The
    first cell of each row is its heading."""
    lines = element("thead", element("tr", joined(element("th", cell, scope="col") for cell in head)))
    body = []
    for row in rows:
        first, *rest = row
        cells = (element("th", first, scope="row"), *(element("td", cell) for cell in rest))
        body.append(element("tr", joined(cells)))
    content = element("table", lines + element("tbody", joined(body)))
    return element("div", content, class_="scroll", role="group", aria_label=name, tabindex="0")


def terms(pairs: Iterable[tuple[str, str | Html]]) -> Html:
    """Names with their values."""
    return element(
        "dl",
        joined(element("div", element("dt", name) + element("dd", value)) for name, value in pairs),
        class_="terms",
    )


def blurred_picture(jpeg: bytes, action: str) -> Html:
    """A picture in a card, blurred until it is clicked; `action` is what a screen reader says that the click does."""
    source = "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
    return element("label", Html(f'<input type="checkbox" aria-label="{text(action)}"><img alt="" src="{source}">'))


def unbroken(value: str) -> str:
    """Text in which no line ends between a number and its percent sign."""
    return value.replace(" %", "\u00a0%")


def cell(rate: Rate, money: bool = False) -> Html:
    """A rate with its interval, and what was counted."""
    value, _, interval = shown(rate, money).partition(" (")
    parts = element("b", unbroken(value)) + " " + element("small", unbroken(interval[:-1]))
    if rate.count is None or rate.of is None:
        return parts
    worth = max(1, round(rate.of / rate.design_effect))
    note = "" if worth == rate.of else f", worth {worth:,}"
    return parts + element("span", f"{rate.count:,} of {rate.of:,}{note}", class_="count")
