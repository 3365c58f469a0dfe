"""Points in time that a reference may name: `prices@2026-01-01`, `prices@2026-01-01T12:30`."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from noria.core.errors import Invalid

_LOOKS_LIKE_A_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?")


def moment_of(selector: str) -> datetime | None:
    """Give the moment that a selector names, or None when it does not look like one.

    A date alone means its first instant; without a zone, UTC is meant.

    Raises
    ------
    Invalid
        If it looks like a date, and is none.

    Examples
    --------
    >>> moment_of("2026-01-31T12:30+01:00").isoformat()
    '2026-01-31T11:30:00+00:00'
    >>> moment_of("3") is None
    True
    """
    if not _LOOKS_LIKE_A_DATE.fullmatch(selector):
        return None
    try:
        found = datetime.fromisoformat(selector)
    except ValueError as error:
        raise Invalid(
            f"`{selector}` is no point in time: {error}",
            hint="Write a date such as `2026-01-31`, or `2026-01-31T12:30` with the time in UTC",
        ) from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
