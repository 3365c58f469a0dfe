"""Milliseconds since 1970, in which MLflow counts time, and the instants of Noria."""

from __future__ import annotations

from datetime import datetime

from noria.core.database.schema import from_micros, to_micros
from noria.interop.mlflow.decoding import invalid_parameter


def millis(at: datetime) -> int:
    """Give an instant in whole milliseconds.

    Examples
    --------
    >>> millis(instant(456, "start_time"))
    456
    """
    return to_micros(at) // 1000


def instant(at_ms: int, path: str) -> datetime:
    """Give the instant of a number of milliseconds.

    Parameters
    ----------
    path
        What the number is called in the request.

    Raises
    ------
    MlflowError
        If there is no such instant in the years 1 to 9999.
    """
    try:
        return from_micros(at_ms * 1000)
    except OverflowError as error:
        raise invalid_parameter(path, at_ms) from error
