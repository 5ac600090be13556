"""A picture of a comparison: how far the scores of two ways are apart, over the score."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from open_nsfw.errors import EngineError, UsageError
from open_nsfw.files import check_writable, write_whole
from open_nsfw.installing import install_command
from open_nsfw.scan.compare import Comparison
from open_nsfw.scoring.fast import logit

PLOT_ENDINGS = (".png", ".svg", ".pdf")


def check_plot(path: str) -> None:
    """Whether `plot` can write this file, before the pictures are compared for it. Raises EngineError without
    matplotlib, UsageError for a suffix that names no format, OutputError where the file cannot be written."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise EngineError(f"--plot needs matplotlib: {install_command('policy')}") from None
    if Path(path).suffix.lower() not in PLOT_ENDINGS:
        raise UsageError(f"--plot {path}: the name must end in {', '.join(PLOT_ENDINGS[:-1])} or {PLOT_ENDINGS[-1]}")
    check_writable(path)


def plot(comparison: Comparison, thresholds: Sequence[float], path: str) -> None:
    """The difference in logits over the reference's logit, a dot a picture, into a file that `check_plot` has let
    pass. Raises OutputError where it cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    references = np.array([logit(pair.reference) for pair in comparison.pairs])
    compared = np.array([logit(pair.compared) for pair in comparison.pairs])
    twice = np.array([pair.twice for pair in comparison.pairs])
    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for chosen, colour, label in ((~twice, "tab:blue", "scored once"), (twice, "tab:orange", "scored twice")):
        if chosen.any():
            axes.scatter(references[chosen], (compared - references)[chosen], s=9, color=colour, label=label)
    for threshold in thresholds:
        axes.axvline(logit(threshold), color="0.4", linewidth=0.8, linestyle="--")
        above: Any = ("data", "axes fraction")  # older type stubs of matplotlib know of one word only
        axes.annotate(f"{threshold:g}", (logit(threshold), 1.01), xycoords=above, ha="center")
    axes.axhline(0, color="0.4", linewidth=0.8)
    axes.set(xlabel="logit of the reference", ylabel="difference of the compared logit")
    axes.legend(loc="best")
    drawn = io.BytesIO()
    figure.savefig(drawn, format=Path(path).suffix[1:].lower())
    write_whole(path, drawn.getvalue())
