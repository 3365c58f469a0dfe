"""Spans as rows."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.core.errors import Corrupt
from noria.tracking.traces.entities import Span, SpanEvent, SpanKind, SpanLink, SpanStatus
from noria.tracking.traces.packing import finite, pack, packed_text, row_of, span_of, unpack

words = st.text(st.characters(codec="utf-8"), max_size=20)
moments = st.integers(0, 2**63 - 1)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
attributes = st.dictionaries(words, values, max_size=4)
spans = st.builds(
    Span,
    trace_id=st.just("tr-1"),
    id=words,
    name=words,
    started_ns=moments,
    ended_ns=st.none() | moments,
    parent=st.none() | words,
    status=st.sampled_from(SpanStatus),
    kind=st.sampled_from(SpanKind),
    message=words,
    attributes=attributes,
    events=st.lists(st.builds(SpanEvent, name=words, at_ns=moments, attributes=attributes), max_size=2),
    links=st.lists(st.builds(SpanLink, trace_id=words, span_id=words, attributes=attributes), max_size=2),
)


@given(spans)
def test_a_span_is_made_again_from_its_row(span: Span) -> None:
    """Whatever it holds."""
    span_id, parent, name, _, status, started_ns, ended_ns, *_, data = row_of(span)

    assert span_of("tr-1", (span_id, parent, name, status, started_ns, ended_ns, data)) == span


def given_span(**attributes: Any) -> Span:
    return Span(trace_id="tr-1", id="1", name="s", started_ns=0, attributes=attributes)


def test_numbers_that_json_does_not_know_come_back() -> None:
    """NaN and infinities are attributes like others."""
    found = unpack(pack(given_span(a=math.nan, b=math.inf)))["attributes"]

    assert math.isnan(found["a"])
    assert found["b"] == math.inf


def test_half_of_a_pair_of_code_units_is_replaced() -> None:
    """No database can hold it."""
    assert unpack(pack(given_span(a="x\ud800y")))["attributes"] == {"a": "x?y"}


def test_long_content_is_compressed() -> None:
    """And short content is not."""
    assert len(pack(given_span(a="x" * 100_000))) < 2_000
    assert packed_text(pack(given_span(a="x"))) == '{"attributes": {"a": "x"}}'
    assert packed_text(pack(given_span(a="x" * 1_000))) == f'{{"attributes": {{"a": "{"x" * 1_000}"}}}}'


@pytest.mark.parametrize("data", [b"", b"{", b"x\x9c", b"not packed", b'{"a": \xff}'])
def test_what_was_not_packed_is_told(data: bytes) -> None:
    """Instead of a span that nobody sent."""
    with pytest.raises(Corrupt):
        unpack(data)


def test_what_is_searched_stands_in_columns() -> None:
    """Type, model, provider and costs; what is no text or number is left out."""
    row = row_of(
        given_span(
            **{
                "mlflow.spanType": "LLM",
                "mlflow.llm.model": "m" * 600,
                "mlflow.llm.provider": 3,
                "mlflow.llm.cost": {"input_cost": "0.5", "total_cost": math.inf},
            }
        )
    )

    assert row[3] == "LLM"
    assert row[7:12] == ("m" * 500, None, 0.5, None, None)


@pytest.mark.parametrize("value", [True, None, [], "x", "nan", math.inf, 10**400])
def test_no_finite_number(value: Any) -> None:
    """Everything that is none."""
    assert finite(value) is None
