"""What things came from, and what came of them."""

from __future__ import annotations

import msgspec


class LineageEdge(msgspec.Struct, frozen=True, kw_only=True):
    """A step from cause to effect.

    Attributes
    ----------
    source, target
        References; a run is `run:<id>`.
    kind
        `read` (thing → run), `made` (run → thing) or `started` (run → run inside it).
    """

    source: str
    target: str
    kind: str


class LineageNode(msgspec.Struct, frozen=True, kw_only=True):
    """A thing or a run.

    Attributes
    ----------
    ref
        `dataset:digits@2`, `run:<id>`.
    label
        What people call it: the run's name, or the reference itself.
    distance
        Number of edges from where the walk began.
    """

    ref: str
    label: str
    distance: int
    digest: str = ""


class LineageGraph(msgspec.Struct, frozen=True, kw_only=True):
    """What a thing came from, or what came of it.

    Attributes
    ----------
    truncated
        True when there is more than the walk was allowed to gather.
    """

    root: str
    nodes: list[LineageNode]
    edges: list[LineageEdge]
    truncated: bool = False
