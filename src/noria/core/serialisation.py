"""JSON in one form: msgspec on the way in and out, and a canonical form for what is hashed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec

from noria.core.errors import Invalid

T = TypeVar("T")

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""A moment in a request: one without a time zone is refused when it is decoded."""

_encoder = msgspec.json.Encoder(decimal_format="string")
_canonical = msgspec.json.Encoder(order="sorted", decimal_format="string")


def to_json(value: Any) -> bytes:
    """Encode a value as compact JSON. NaN and infinities become null, as JSON has no word for them."""
    return _encoder.encode(value)


def to_canonical_json(value: Any) -> bytes:
    """Encode a value so that equal values give equal bytes: keys sorted, no spaces. For hashing."""
    return _canonical.encode(value)


def from_json(data: bytes | str, type_: type[T], *, what: str = "JSON") -> T:
    """Decode and validate JSON.

    Raises
    ------
    Invalid
        If the text is not JSON or does not fit `type_`; the message names the field.
    """
    try:
        return msgspec.json.decode(data, type=type_)
    except msgspec.DecodeError as error:
        raise Invalid(f"The {what} does not have the right form: {error}") from error


def convert(value: Any, type_: type[T], *, what: str = "value", strict: bool = True) -> T:
    """Turn plain JSON values into `type_`, validated.

    Raises
    ------
    Invalid
        If it does not fit; the message names the field.
    """
    try:
        return msgspec.convert(value, type_, strict=strict)
    except msgspec.ValidationError as error:
        raise Invalid(f"The {what} does not have the right form: {error}") from error


def to_builtins(value: Any) -> dict[str, Any]:
    """Give a Struct as plain JSON values, as it would be read back."""
    return from_json(to_json(value), dict[str, Any])
