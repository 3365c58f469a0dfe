"""What the spans of a trace add up to."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from noria.tracking.traces.entities import Span, SpanStatus, TraceState
from noria.tracking.traces.sums import Node, added_up, cost_node, extent_of, state_of, usage_node


def span(**given: Any) -> Span:
    return Span(**{"trace_id": "tr-1", "id": "1", "name": "s", "started_ns": 5_999_999, **given})


def test_a_sum_on_a_span_counts_instead_of_what_is_inside() -> None:
    """Sums of other spans are added, however deep; those that nobody told are 0."""
    nodes = [
        Node("root", None, {}),
        Node("agent", "root", {"input_tokens": 5}),
        Node("call", "agent", {"input_tokens": 3}),
        Node("chain", "root", {}),
        Node("other call", "chain", {"input_tokens": 2, "cache": 1}),
    ]

    assert added_up(nodes, ["input_tokens", "output_tokens"]) == {
        "input_tokens": 7,
        "output_tokens": 0,
        "cache": 1,
    }


def test_a_trace_that_tells_nothing_has_no_sums() -> None:
    """Not even 0: nobody asked a model."""
    assert added_up([Node("root", None, {})], ["input_tokens"]) == {}
    assert added_up([], ["input_tokens"]) == {}


def test_a_span_whose_parent_did_not_come_is_a_root() -> None:
    """Its sums count; those of spans that are inside each other count nowhere."""
    orphan = Node("a", "never came", {"n": 1})
    circle = [Node("x", "y", {"n": 10}), Node("y", "x", {"n": 10})]

    assert added_up([orphan, *circle], []) == {"n": 1}


@given(st.lists(st.tuples(st.integers(-1, 15), st.none() | st.integers(0, 9)), max_size=16))
def test_sums_are_those_of_the_outermost_spans_that_tell_any(tree: list[tuple[int, int | None]]) -> None:
    """Whatever the tree: a span counts if it tells something and nothing around it does."""
    nodes = [
        Node(
            str(at),
            str(parent) if 0 <= parent < at else None,
            {} if told is None else {"n": told},
        )
        for at, (parent, told) in enumerate(tree)
    ]
    by_id = {node.id: node for node in nodes}

    def around(node: Node) -> list[Node]:
        return [] if node.parent is None else [by_id[node.parent], *around(by_id[node.parent])]

    expected = sum(
        node.told["n"] for node in nodes if node.told and not any(outer.told for outer in around(node))
    )
    assert added_up(nodes, []).get("n", 0) == expected


def test_tokens_and_costs_are_numbers() -> None:
    """What is none is left out."""
    usage = {"input_tokens": 3, "output_tokens": "4", "total_tokens": "many", "colour": 1}
    cost = {"input_cost": 0.5, "output_cost": float("nan"), "total_cost": "0.75"}

    assert usage_node("1", None, {"mlflow.chat.tokenUsage": usage}).told == {
        "input_tokens": 3,
        "output_tokens": 4,
    }
    assert usage_node("1", None, {"mlflow.chat.tokenUsage": [3]}).told == {}
    assert cost_node("1", None, {"mlflow.llm.cost": cost}).told == {"input_cost": 0.5, "total_cost": 0.75}


def test_a_trace_lasts_from_its_first_start_to_its_last_end() -> None:
    """In whole milliseconds; one that nothing has ended has no end."""
    spans = [span(ended_ns=9_000_001), span(started_ns=7_000_000, ended_ns=12_999_999), span()]

    assert (extent_of(spans).start_ms, extent_of(spans).end_ms) == (5, 12)
    assert extent_of([span()]).end_ms is None


def test_a_trace_ends_as_its_root_did() -> None:
    """And is in progress until the root has come."""
    assert state_of(None) is TraceState.IN_PROGRESS
    assert state_of(span(status=SpanStatus.ERROR)) is TraceState.ERROR
    assert state_of(span(status=SpanStatus.UNSET)) is TraceState.OK
