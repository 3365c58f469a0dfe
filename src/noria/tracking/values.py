"""Turn what people log into the floats and texts that runs keep."""

from __future__ import annotations

import operator
from typing import Any

import msgspec

from noria.core.errors import Invalid
from noria.core.serialisation import to_json
from noria.tracking.limits import MAX_STEP, shorten


def as_float(key: str, value: Any) -> float:
    """Give the value of a metric as a float: numbers, and arrays and tensors of one element.

    Raises
    ------
    Invalid
        For anything else; text is not read as a number.
    """
    if not isinstance(value, (str, bytes, bytearray)):
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError, RuntimeError):  # the last one of tensors
            pass
    raise Invalid(
        f"The metric `{key}` is {type(value).__name__} `{shorten(repr(value))}`, not a number",
        hint="Log one number a key, such as `float(value)`; keep text as a tag and arrays as an artifact",
    )


def as_step(step: Any) -> int:
    """Give a step as an integer.

    Raises
    ------
    Invalid
        If it is none, such as 0.5, or does not fit in 64 bits.
    """
    try:
        number = operator.index(step)
    except TypeError as error:
        raise Invalid(
            f"The step `{shorten(repr(step))}` is not an integer", hint="Count batches or epochs"
        ) from error
    if not -MAX_STEP <= number <= MAX_STEP:
        raise Invalid(f"The step {number} does not fit in 64 bits", hint="Count batches or epochs")
    return number


def as_text(key: str, value: Any) -> str:
    """Give the value of a param or tag as text: text as it is, numbers as Python writes them, the rest as JSON.

    Raises
    ------
    Invalid
        If it is none of these.

    Examples
    --------
    >>> as_text("lr", 0.1), as_text("layers", [64, 32]), as_text("bias", True)
    ('0.1', '[64,32]', 'true')
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return repr(value) if type(value) in (int, float) else str(value)
    try:
        return to_json(value).decode()
    except (TypeError, ValueError, msgspec.MsgspecError):
        return _as_scalar_text(key, value)


def _as_scalar_text(key: str, value: Any) -> str:
    # NumPy's and others' scalars give their Python value by `item()`.
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "shape", None) == ():
        return as_text(key, item())
    raise Invalid(
        f"The value of `{key}` is of the type `{type(value).__name__}`, which has no text form",
        hint="Pass text, a number, or lists and dicts of these",
    )
