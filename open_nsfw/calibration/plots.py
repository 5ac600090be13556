"""The report's plots, drawn by matplotlib: for a page as SVG in colours of its choice, for files as SVG or PNG."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Callable, Literal

import numpy as np

from open_nsfw.calibration.curves import GRID, Band, Curves
from open_nsfw.calibration.rates import Histogram, ReliabilityBin
from open_nsfw.calibration.sample import Floats

if TYPE_CHECKING:  # it is optional, and slow to import
    from matplotlib.axes import Axes

SIZE = (5.2, 4.2)  # inches, of one plot
PNG_DPI = 160
BAND_OPACITY = 0.2


@dataclass(frozen=True)
class Palette:
    """Colours by their part in a plot."""

    ink: str
    muted: str
    sfw: str
    nsfw: str
    curve: str
    mark: str
    paper: str = "none"


# In a page the names of CSS variables take these colours' places; nothing else in matplotlib's SVG is written like
# them.
_PLACEHOLDERS = Palette("#010101", "#020202", "#030303", "#040404", "#050505", "#060606")
Draw = Callable[[Any, Palette], None]
"""Draws on matplotlib's axes, in these colours."""
FOR_FILES = Palette("#1d2330", "#b3bac6", "#2b7bba", "#d9622b", "#5b4bb5", "#5f6673", "white")


@dataclass(frozen=True)
class Drawing:
    """All that is drawn."""

    curves: Curves
    histogram: Histogram
    reliability: list[ReliabilityBin]
    marks: dict[float, tuple[float, float, float]]
    """(recall, false-positive rate, precision) at each chosen threshold, rising."""


def names() -> tuple[str, ...]:
    """The plots, in the order of the report."""
    return tuple(_PLOTS)


def for_page(name: str, drawing: Drawing, in_words: str) -> str:
    """A plot as an `<svg>` element in the CSS variables --ink, --muted, --sfw, --nsfw, --curve and --mark; `in_words` is what
    a screen reader says of it."""
    return page_svg(name, lambda axes, palette: _PLOTS[name](axes, drawing, palette), in_words)


def page_svg(name: str, draw: Draw, in_words: str) -> str:
    """What `draw` draws, as `for_page` gives a plot; no other plot of the page may have the same `name`."""
    text = _svg_or_png(name, draw, _PLACEHOLDERS, "svg").decode()
    text = text[text.index("<svg") :]
    for role in ("ink", "muted", "sfw", "nsfw", "curve", "mark"):
        text = text.replace(getattr(_PLACEHOLDERS, role), f"var(--{role})")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"'DejaVu Sans'[^;\"]*", "inherit", text).replace("font: ", "font-size: ")
    text = re.sub(r"font-size: ((?:\d+ )?)([\d.]+px) inherit", r"font-size: \2", text)
    # Each id is there once, though every plot of matplotlib has a "figure_1".
    text = re.sub(r'( id="|href="#|url\(#)', rf"\1{name}-", text)
    head, body = text.split(">", 1)
    head = re.sub(r' (?:width|height)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{escape(in_words)}">{body}'


def for_file(name: str, drawing: Drawing, form: str) -> bytes:
    """A plot as the content of a file; `form` is svg or png."""
    return _svg_or_png(name, lambda axes, palette: _PLOTS[name](axes, drawing, palette), FOR_FILES, form)


def _svg_or_png(name: str, draw: Draw, palette: Palette, form: str) -> bytes:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style: Any = {
        "text.color": palette.ink,
        "axes.labelcolor": palette.ink,
        "axes.edgecolor": palette.muted,
        "xtick.color": palette.ink,
        "ytick.color": palette.ink,
        "grid.color": palette.muted,
        "grid.alpha": 0.4,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.facecolor": palette.paper,
        "axes.facecolor": "none",
        "svg.fonttype": "none",
        "svg.hashsalt": name,  # the same plot has the same ids every time, and no other plot's
        "font.size": 10,
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=SIZE, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.grid(linewidth=0.6)
        draw(axes, palette)
        file = io.BytesIO()
        figure.savefig(file, format=form, dpi=PNG_DPI, metadata={"Date": None} if form == "svg" else None)
    return file.getvalue()


def legend(axes: Axes, where: Literal["best", "lower left", "lower right", "upper left"]) -> None:
    """The legend of a plot, without a frame."""
    axes.legend(loc=where, frameon=False, fontsize=9)


def _curve(axes: Axes, band: Band, palette: Palette) -> None:
    axes.fill_between(GRID, band.low, band.high, color=palette.curve, alpha=BAND_OPACITY, linewidth=0, label="band")
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)


def _roc(axes: Axes, drawing: Drawing, palette: Palette) -> None:
    _curve(axes, drawing.curves.roc_band, palette)
    roc = drawing.curves.roc
    axes.plot([0, 1], [0, 1], color=palette.muted, linestyle="--", linewidth=1, label="no better than chance")
    area = drawing.curves.auc
    label = f"ROC, area {area.value:.3f} ({area.low:.3f} to {area.high:.3f})"
    axes.plot(*thinned(roc["false_positive_rate"], roc["recall"]), color=palette.curve, linewidth=1.8, label=label)
    _marks(axes, drawing, palette, 1, 0)
    axes.set_xlabel("false-positive rate: share of sfw at or over the threshold")
    axes.set_ylabel("recall: share of nsfw at or over it")
    legend(axes, "lower right")


def _precision_recall(axes: Axes, drawing: Drawing, palette: Palette) -> None:
    _curve(axes, drawing.curves.pr_band, palette)
    pr, average = drawing.curves.pr, drawing.curves.average_precision
    label = f"average precision {average.value:.3f} ({average.low:.3f} to {average.high:.3f})"
    recall, precision = thinned(pr["recall"], pr["precision"])
    axes.plot(recall, precision, color=palette.curve, linewidth=1.8, drawstyle="steps-post", label=label)
    _marks(axes, drawing, palette, 0, 2)
    axes.set_xlabel("recall: share of nsfw at or over the threshold")
    axes.set_ylabel("precision: share of nsfw among those over it")
    legend(axes, "lower left")


def _marks(axes: Axes, drawing: Drawing, palette: Palette, x: int, y: int) -> None:
    points: dict[tuple[float, float], list[str]] = {}
    for threshold, values in drawing.marks.items():
        points.setdefault((values[x], values[y]), []).append(f"{threshold:.6g}")
    for number, ((at_x, at_y), thresholds) in enumerate(sorted(points.items())):
        axes.plot([at_x], [at_y], "o", color=palette.mark, markersize=6)
        left = at_x > 0.7
        below = -13 - 11 * (number % 2)  # neighbours do not cover each other
        offset, side = ((-7, below), "right") if left else ((7, below), "left")
        axes.annotate(
            ", ".join(thresholds), (at_x, at_y), offset, textcoords="offset points", ha=side, color=palette.mark
        )


def _histogram(axes: Axes, drawing: Drawing, palette: Palette) -> None:
    edges = drawing.histogram.edges
    for name in ("sfw", "nsfw"):
        counts, colour = getattr(drawing.histogram, name), getattr(palette, name)
        shares = counts / max(counts.sum(), 1)
        axes.stairs(shares, edges, fill=True, color=colour, alpha=0.45, label=f"{name} ({counts.sum():,} pictures)")
        axes.stairs(shares, edges, color=colour, linewidth=1.2)
    for number, threshold in enumerate(drawing.marks):
        label = "thresholds" if number == 0 else None
        axes.axvline(threshold, color=palette.mark, linestyle=":", linewidth=1.4, label=label)
    axes.set_xlim(0, 1)
    axes.set_xlabel("score")
    axes.set_ylabel("share of the class")
    legend(axes, "best")


def _reliability(axes: Axes, drawing: Drawing, palette: Palette) -> None:
    means = np.array([each.mean_score for each in drawing.reliability])
    rates = [each.nsfw for each in drawing.reliability]
    shares = np.array([rate.value for rate in rates])
    errors = [shares - [rate.low for rate in rates], [rate.high for rate in rates] - shares]
    axes.plot([0, 1], [0, 1], color=palette.muted, linestyle="--", linewidth=1, label="a score that is a probability")
    label = f"this sample (Brier score {drawing.curves.brier:.3f})"
    axes.errorbar(
        means,
        shares,
        np.abs(errors),
        color=palette.curve,
        marker="o",
        markersize=4,
        linewidth=1.4,
        capsize=2,
        label=label,
    )
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("mean score of the pictures in a tenth of the scale")
    axes.set_ylabel("share of nsfw among them")
    legend(axes, "lower right")


def thinned(x: Floats, y: Floats, most: int = 2000) -> tuple[Floats, Floats]:
    """As many points as a screen can show."""
    keep = np.unique(np.linspace(0, len(x) - 1, min(len(x), most)).astype(int))
    return x[keep], y[keep]


_PLOTS: dict[str, Callable[[Axes, Drawing, Palette], None]] = {
    "roc": _roc,
    "precision-recall": _precision_recall,
    "histogram": _histogram,
    "reliability": _reliability,
}
