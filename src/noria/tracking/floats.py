"""Floats that keep NaN and infinities on a wire that has no word for them.

JSON writes NaN and both infinities as null. A struct that must keep them has a field of type `Float` and beside it a
mark that is present only when the float is not finite::

    {"key": "loss", "value": null, "not_finite": "NaN", "step": 3, …}

`__post_init__` sets the mark on the way out and restores the float on the way in, so that Python sees floats only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

NotFinite = Literal["NaN", "Infinity", "-Infinity"]

if TYPE_CHECKING:
    Float = float
else:
    Float = float | None


def mark_of(value: float) -> NotFinite:
    """Name a float that is not finite.

    Examples
    --------
    >>> mark_of(float("-inf"))
    '-Infinity'
    """
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def restored(value: float | None, mark: NotFinite | None) -> float:
    """Give the float that `value` and its mark stand for.

    Raises
    ------
    ValueError
        If the value is null and nothing says which float it is, or a mark contradicts the value. Within a struct,
        msgspec turns this into an error that names the field.
    """
    if value is None:
        if mark is None:
            raise ValueError('`null` is no number; say `"not_finite": "NaN"`, `"Infinity"` or `"-Infinity"`')
        return float(mark)
    if mark is not None and (math.isfinite(value) or mark_of(value) != mark):
        raise ValueError(f"The number {value} is marked as `{mark}`")
    return value


def all_finite(values: Sequence[float | None]) -> bool:
    """Tell whether every value is a finite float.

    Examples
    --------
    >>> all_finite([1e308, 1e308]), all_finite([0.5, None]), all_finite([0.5, float("nan")])
    (True, False, False)
    """
    try:
        # A sum is finite only if all of it is, and takes a tenth of the time of looking at each.
        return math.isfinite(sum(values)) or all(map(math.isfinite, values))  # type: ignore[arg-type]
    except TypeError:
        return False
