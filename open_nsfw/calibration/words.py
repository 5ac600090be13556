"""Numbers as people read them."""

from __future__ import annotations

from open_nsfw.calibration.rates import Rate


def number(value: float) -> str:
    """As few digits as tell it from its neighbours that matter: `0.23148`."""
    return f"{value:.12g}"


def percent(share: float) -> str:
    """`0.85 %`, `4.2 %`, `97.6 %`."""
    return f"{share * 100:.{2 if share < 0.1 else 3}g} %"


def shown(rate: Rate, money: bool = False) -> str:
    """`97.6 % (87.1 % to 99.9 %)`; a cost is no percentage."""
    form = (lambda value: f"{value:.3g}") if money else percent
    value = "none counted" if rate.value is None else form(rate.value)
    return f"{value} ({form(rate.low)} to {form(rate.high)})"


def area(rate: Rate) -> str:
    """`0.954 (0.933 to 0.969)`."""
    return f"{rate.value:.3f} ({rate.low:.3f} to {rate.high:.3f})"
