"""What is kept of a window beside its verdict. The server stores these bytes and never reads them."""

from __future__ import annotations

import msgspec


class WindowCounts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Counters of the rows of a window that one version answered, in one segment.

    Attributes
    ----------
    index
        Of the window.
    segment
        As `region = north`; empty for all rows of the version.
    body
        Packed by `windows.packing`, which workers read.
    """

    index: int
    version: int
    segment: str = ""
    body: bytes


class WindowCountsList(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of some windows."""

    items: list[WindowCounts]


class HistoryPoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far a version's rows were from its reference in the first window that began in an hour.

    Attributes
    ----------
    hour
        Hours since 1970, in UTC.
    psi
        Segment → column → population stability index, in nats.
    """

    version: int
    hour: int
    psi: dict[str, dict[str, float]]


class History(msgspec.Struct, frozen=True, kw_only=True):
    """Points of one version, oldest first."""

    items: list[HistoryPoint]
