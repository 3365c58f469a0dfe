"""What the spans of a trace add up to: tokens, costs, times, and how the trace ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from noria.tracking.traces.conventions import USAGE, whole
from noria.tracking.traces.entities import Span, SpanStatus, TraceState
from noria.tracking.traces.packing import costs_of

TOKENS: Final = (
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation_input_tokens_above_1hr",
)
COSTS: Final = ("input_cost", "output_cost", "total_cost")
PLAIN_TOKENS: Final = TOKENS[:3]
"""Those that a sum always holds; those of caches only where they are told."""

Numbers = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Node:
    """A span as the sums see it."""

    id: str
    parent: str | None
    told: Numbers


def added_up(nodes: Iterable[Node], always: Sequence[str]) -> dict[str, float]:
    """Add what spans tell, from the roots down: a span that tells a sum speaks for all that are inside it.

    Some libraries write the sum of all calls on the span around them; adding the calls again would count them twice.

    Parameters
    ----------
    always
        Names that the sum holds even where no span tells them, as 0.

    Examples
    --------
    >>> outer, inner = Node("a", None, {"input_tokens": 5}), Node("b", "a", {"input_tokens": 3})
    >>> added_up([outer, inner], ["output_tokens"])
    {'output_tokens': 0, 'input_tokens': 5}
    """
    every = list(nodes)
    known = {node.id for node in every}
    inside: dict[str | None, list[Node]] = {}
    for node in every:
        inside.setdefault(node.parent if node.parent in known else None, []).append(node)
    total: dict[str, float] = {}
    stack = list(inside.get(None, ()))
    while stack:
        node = stack.pop()
        if not node.told:
            stack += inside.get(node.id, ())
            continue
        total = total or dict.fromkeys(always, 0)
        for name, value in node.told.items():
            total[name] = total.get(name, 0) + value
    return total


def usage_node(span_id: str, parent: str | None, attributes: Mapping[str, Any]) -> Node:
    """Give what a span tells of tokens."""
    told = attributes.get(USAGE)
    if not isinstance(told, dict):
        return Node(span_id, parent, {})
    counts = {name: whole(told.get(name)) for name in TOKENS}
    return Node(span_id, parent, {name: n for name, n in counts.items() if n is not None})


def cost_node(span_id: str, parent: str | None, attributes: dict[str, Any]) -> Node:
    """Give what a span tells of costs."""
    return Node(span_id, parent, costs_of(attributes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """When spans began and ended, in whole milliseconds since 1970; `end_ms` is None while none has ended."""

    start_ms: int
    end_ms: int | None


def extent_of(spans: Sequence[Span]) -> Extent:
    """Give the earliest start and the latest end."""
    ends = [span.ended_ns for span in spans if span.ended_ns is not None]
    return Extent(
        start_ms=min(span.started_ns for span in spans) // 1_000_000,
        end_ms=max(ends) // 1_000_000 if ends else None,
    )


def state_of(root: Span | None) -> TraceState:
    """Give the state of a trace by its root; one whose root has not come yet is in progress."""
    if root is None:
        return TraceState.IN_PROGRESS
    return TraceState.ERROR if root.status is SpanStatus.ERROR else TraceState.OK
