"""Instants as protocol buffers write them in JSON."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from noria.interop.mlflow.decoding import invalid_parameter


def sent_moment(at: datetime) -> str:
    """Give an instant as protocol buffers write it.

    Examples
    --------
    >>> sent_moment(datetime(2025, 4, 15, 8, 49, 18, 699_000, tzinfo=UTC))
    '2025-04-15T08:49:18.699Z'
    """
    text = at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
    return f"{text.removesuffix('.000')}Z"


def read_moment(text: str | None, path: str) -> datetime | None:
    """Read an instant, down to the millisecond; None stays None.

    Raises
    ------
    MlflowError
        If the text is none, or has no time zone.
    """
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise invalid_parameter(path, text) from error
    if at.tzinfo is None:
        raise invalid_parameter(path, text)
    return at - timedelta(microseconds=at.microsecond % 1_000)
