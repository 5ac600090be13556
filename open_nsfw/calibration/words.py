"""Numbers as people read them."""

from __future__ import annotations

from open_nsfw.calibration.choices import Promise
from open_nsfw.calibration.rates import Rate

ABOUT = {"false_positive_rate": "false-positive rate", "recall": "recall", "review": "share left to people"}

SMALLEST = 1e-5  # share that has a number of its own


def number(value: float) -> str:
    """As few digits as tell it from its neighbours that matter: `0.23148`."""
    return f"{value:.12g}"


def percent(share: float) -> str:
    """`0.85 %`, `4.2 %`, `97.6 %`."""
    if 0 < share < SMALLEST:
        return f"under {SMALLEST * 100:g} %"
    return f"{share * 100:.{2 if share < 0.1 else 3}g} %"


def shown(rate: Rate, money: bool = False) -> str:
    """`97.6 % (87.1 % to 99.9 %)`; a cost is no percentage."""
    form = (lambda value: f"{value:.3g}") if money else percent
    value = "none counted" if rate.value is None else form(rate.value)
    return f"{value} ({form(rate.low)} to {form(rate.high)})"


def area(rate: Rate) -> tuple[str, str]:
    """(`0.954`, `0.933 to 0.969`)."""
    return f"{rate.value:.3f}", f"{rate.low:.3f} to {rate.high:.3f}"


# --- promises ---


def limit_words(promise: Promise) -> str:
    """`limit 5 %, kept`."""
    kept = "not kept" if not promise.kept else "kept on this sample" if promise.as_measured else "kept"
    return f"limit {number(promise.limit * 100)} %, {kept}"


def bound_words(promise: Promise, confidence: float) -> str:
    """`at most 4.9 % with 95 % confidence`: one-sided, as the promise is."""
    side = "at least" if promise.about == "recall" else "at most"
    return f"{side} {percent(promise.bound)} with {percent(confidence)} confidence"


def promise_line(promise: Promise, confidence: float) -> str:
    """`limit 5 %, kept: false-positive rate 3.4 %, at most 4.9 % with 95 % confidence`."""
    value = percent(promise.measured.value or 0.0)
    return f"{limit_words(promise)}: {ABOUT[promise.about]} {value}, {bound_words(promise, confidence)}"
