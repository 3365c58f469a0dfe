"""Names of the demo's incidents, as `--incident` takes them."""

from __future__ import annotations

import enum


class Incident(enum.StrEnum):
    """What happens to the traffic."""

    NEW_DIGIT = "new-digit"
    UNIT_CHANGE = "unit-change"
    BROKEN_JOIN = "broken-join"
    BAD_RELEASE = "bad-release"
    LABEL_SHIFT = "label-shift"
    CONCEPT = "concept"
    NONE = "none"
