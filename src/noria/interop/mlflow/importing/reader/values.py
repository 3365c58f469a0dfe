"""Values of MLflow's objects, of any of its versions, as JSON can hold them."""

from __future__ import annotations

from typing import Any


def first(found: Any, *names: str) -> Any:
    """Give the attribute that this version of MLflow has."""
    return next((getattr(found, name) for name in names if hasattr(found, name)), None)


def name(member: Any) -> str:
    """Give the value of an enumeration as text."""
    return str(getattr(member, "value", member))


def texts(values: Any) -> dict[str, str]:
    """Give a mapping with its values as texts."""
    return {key: str(value) for key, value in (values or {}).items()}


def plain(value: Any) -> Any:
    """Give a value as JSON can hold it; what JSON does not know, as text."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return number(value)
    return value if value is None or isinstance(value, (str, int)) else str(value)


def number(value: float) -> float | str:
    """Give a number as JSON can hold it; NaN and infinities as text."""
    return value if value - value == 0 else str(value)
