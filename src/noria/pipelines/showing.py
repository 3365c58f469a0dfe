"""Short texts for values, for messages."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

from noria.pipelines.outputs import Output

BY_TEXT: Final = (datetime, date, time, timedelta, Decimal, Fraction, UUID, range, slice, complex)
"""Types whose `repr` says all that there is."""

SMALL: Final = 1 << 64  # beyond, Python limits the conversion to decimal text
_TEXT_LENGTH: Final = 80


def shown(value: object, *, depth: int = 2) -> str:
    """Give a short text for a message: the value itself where it is short, its type otherwise."""
    if type(value) is Output:
        text = repr(value)  # asking a handle for its class would load it
    elif isinstance(value, (str, bytes)):
        text = repr(value[: _TEXT_LENGTH + 1])
    elif value is None or isinstance(value, (bool, float, *BY_TEXT)):
        text = repr(value)
    elif isinstance(value, int):
        text = repr(value) if abs(value) < SMALL else hex(value)[:_TEXT_LENGTH]
    elif isinstance(value, PurePath):
        text = f"'{value}'"
    elif isinstance(value, (list, tuple, dict, set, frozenset)) and len(value) <= 8:
        text = _shown_items(value, depth - 1) if depth else "…"
    else:
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _TEXT_LENGTH else f"{text[: _TEXT_LENGTH - 1]}…"


def _shown_items(value: Any, depth: int) -> str:
    if isinstance(value, dict):
        pairs = (f"{shown(key, depth=depth)}: {shown(item, depth=depth)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    opening, closing = "[]" if isinstance(value, list) else "()" if isinstance(value, tuple) else "{}"
    return opening + ", ".join(shown(item, depth=depth) for item in value) + closing
