"""What foreign attributes of spans mean here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from noria.tracking.traces.conventions import (
    INPUTS,
    MODEL,
    OUTPUTS,
    PROVIDER,
    SPAN_TYPE,
    USAGE,
    decoded,
    interpreted,
    whole,
)

OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "input.value": "What?",
    "output.value": "That.",
    "llm.token_count.prompt": 3,
    "llm.token_count.completion": 4,
    "llm.token_count.total": 8,
    "llm.model_name": "small",
    "llm.provider": "acme",
}
GENERATIVE = {
    "gen_ai.operation.name": "text_completion",
    "gen_ai.input.messages": "What?",
    "gen_ai.output.messages": "That.",
    "gen_ai.usage.input_tokens": "3",
    "gen_ai.usage.output_tokens": 4.0,
    "gen_ai.response.model": "small",
    "gen_ai.request.model": "smaller",
    "gen_ai.provider.name": "acme",
}
TRACELOOP = {
    "traceloop.span.kind": "tool",
    "traceloop.entity.input": "What?",
    "traceloop.entity.output": "That.",
    "gen_ai.usage.prompt_tokens": 3,
    "gen_ai.usage.completion_tokens": 4,
    "gen_ai.system": "acme",
    "gen_ai.request.model": "small",
}


@pytest.mark.parametrize(
    ("told", "kind", "total"),
    [(OPENINFERENCE, "LLM", 8), (GENERATIVE, "LLM", 7), (TRACELOOP, "TOOL", 7)],
    ids=["openinference", "gen_ai", "traceloop"],
)
def test_what_other_conventions_tell_is_told_in_our_words(
    told: dict[str, Any], kind: str, total: int
) -> None:
    """Kind, what went in and out, tokens with their sum, model and provider; what was sent stays."""
    found = interpreted(told)

    assert {**found, **told} == found
    assert found[SPAN_TYPE] == kind
    assert (found[INPUTS], found[OUTPUTS]) == ("What?", "That.")
    assert found[USAGE] == {"input_tokens": 3, "output_tokens": 4, "total_tokens": total}
    assert (found[MODEL], found[PROVIDER]) == ("small", "acme")


def test_own_words_come_first() -> None:
    """What a span says in our own words is not replaced, except for a kind that says nothing."""
    own = {INPUTS: 1, OUTPUTS: 2, USAGE: {"input_tokens": 1}, MODEL: "m", PROVIDER: "p", SPAN_TYPE: "AGENT"}

    assert interpreted({**OPENINFERENCE, **own}) == {**OPENINFERENCE, **own}
    assert interpreted({**OPENINFERENCE, SPAN_TYPE: "UNKNOWN"})[SPAN_TYPE] == "LLM"


def test_other_attributes_stay_as_they_are() -> None:
    """Spans of a web server are no calls of a model, and an unknown kind is no kind."""
    plain = {"http.method": "GET", "n": 3}

    assert interpreted(plain) == plain
    assert SPAN_TYPE not in interpreted({"openinference.span.kind": ["LLM"]})
    assert SPAN_TYPE not in interpreted({"openinference.span.kind": "NEVER"})


def test_a_model_is_found_in_what_went_in() -> None:
    """Where no attribute names it."""
    assert interpreted({INPUTS: {"model": "small"}})[MODEL] == "small"
    assert interpreted({INPUTS: {"model": 3}, OUTPUTS: {"model": "large"}})[MODEL] == "large"
    assert MODEL not in interpreted({INPUTS: {"model": ["small"]}})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('{"a": [1]}', {"a": [1]}),
        ("[1, 2]", [1, 2]),
        ('"text"', "text"),
        ("1.5", "1.5"),
        ("{broken", "{broken"),
        ("[" * 100_000, "[" * 100_000),
        (3, 3),
        (None, None),
    ],
)
def test_json_within_texts_is_read(value: Any, expected: Any) -> None:
    """As far as it is JSON; numbers stay the texts that they were sent as."""
    assert decoded(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 3),
        (3.0, 3),
        ("3", 3),
        ("3.0", 3),
        (3.5, None),
        ("x", None),
        ("nan", None),
        ("1e999", None),
        (float("inf"), None),
        (True, None),
        ([3], None),
        (None, None),
        (2**63, None),
        (-(2**63), -(2**63)),
    ],
)
def test_counts_are_whole_numbers_of_64_bits(value: Any, expected: int | None) -> None:
    """However they were written."""
    assert whole(value) == expected


def test_what_is_told_can_be_kept_as_json() -> None:
    """Nothing but JSON comes out."""
    assert json.loads(json.dumps(interpreted(GENERATIVE))) == interpreted(GENERATIVE)
