"""Results as JSON has them."""

from __future__ import annotations

from typing import Any

import numpy as np


def json_value(value: Any, digits: int | None = None) -> Any:
    """`value` with dataclasses and arrays spelled out, and numbers that are not finite as null; floats are rounded to so
    many `digits`, if given. A dataclass may have `as_json()`."""
    if hasattr(value, "as_json"):
        return json_value(value.as_json(), digits)
    if hasattr(value, "__dataclass_fields__"):
        return json_value(vars(value), digits)
    if isinstance(value, dict):
        return {name: json_value(each, digits) for name, each in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [json_value(each, digits) for each in value]
    if isinstance(value, (float, np.floating)):
        number = float(value)
        return None if not np.isfinite(number) else number if digits is None else round(number, digits)
    return int(value) if isinstance(value, np.integer) else value
