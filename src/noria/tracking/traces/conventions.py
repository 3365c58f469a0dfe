"""Attributes of spans that mean something here, and those of other conventions that mean the same.

Programs name what a step read, wrote and used in the words of the library that traced them. What is known is told
again in the words of MLflow, which this workspace's clients read; what was sent stays as it was sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

INPUTS: Final = "mlflow.spanInputs"
OUTPUTS: Final = "mlflow.spanOutputs"
SPAN_TYPE: Final = "mlflow.spanType"
USAGE: Final = "mlflow.chat.tokenUsage"
COST: Final = "mlflow.llm.cost"
MODEL: Final = "mlflow.llm.model"
PROVIDER: Final = "mlflow.llm.provider"
SESSION_KEYS: Final = ("session.id", "gen_ai.conversation.id")
USER: Final = "user.id"
TAG_PREFIX: Final = "mlflow.traceTag."
"""A root's attribute with this beginning is a tag of the trace."""

NAME_TAG: Final = "mlflow.traceName"
"""The tag that is the trace's name."""

SOURCE_RUN: Final = "mlflow.sourceRun"
"""Metadata: the run inside which the trace was made."""

USER_METADATA: Final = "mlflow.trace.user"
SESSION_METADATA: Final = "mlflow.trace.session"
SIZE_METADATA: Final = "mlflow.trace.sizeStats"
"""Metadata: how large the program says that the trace is; `num_spans` tells how many spans will arrive."""

UNKNOWN_TYPE: Final = "UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Convention:
    """The names of one convention."""

    kind: str
    kinds: Mapping[str, str]
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    tokens: Mapping[str, Sequence[str]] = field(default_factory=dict)
    models: Sequence[str] = ()
    provider: str | None = None


CONVENTIONS: Final = (
    # https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md
    Convention(
        kind="openinference.span.kind",
        kinds={
            name: name
            for name in (
                "TOOL",
                "CHAIN",
                "LLM",
                "RETRIEVER",
                "EMBEDDING",
                "AGENT",
                "RERANKER",
                "GUARDRAIL",
                "EVALUATOR",
            )
        },
        inputs=("input.value",),
        outputs=("output.value",),
        tokens={
            "input_tokens": ("llm.token_count.prompt",),
            "output_tokens": ("llm.token_count.completion",),
            "total_tokens": ("llm.token_count.total",),
            "cache_read_input_tokens": ("llm.token_count.prompt_details.cache_read",),
            "cache_creation_input_tokens": ("llm.token_count.prompt_details.cache_write",),
        },
        models=(
            "llm.response.model_name",
            "llm.model_name",
            "llm.request.model_name",
            "embedding.model_name",
        ),
        provider="llm.provider",
    ),
    # https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/
    Convention(
        kind="gen_ai.operation.name",
        kinds={
            "chat": "CHAT_MODEL",
            "create_agent": "AGENT",
            "embeddings": "EMBEDDING",
            "execute_tool": "TOOL",
            "generate_content": "LLM",
            "invoke_agent": "AGENT",
            "text_completion": "LLM",
            "response": "LLM",
        },
        inputs=("gen_ai.input.messages", "gen_ai.tool.call.arguments"),
        outputs=("gen_ai.output.messages", "gen_ai.tool.call.result"),
        tokens={
            "input_tokens": ("gen_ai.usage.input_tokens",),
            "output_tokens": ("gen_ai.usage.output_tokens",),
            "cache_read_input_tokens": ("gen_ai.usage.cache_read.input_tokens",),
            "cache_creation_input_tokens": (
                "gen_ai.usage.cache_write.input_tokens",
                "gen_ai.usage.cache_creation.input_tokens",
            ),
        },
        models=("gen_ai.response.model", "gen_ai.request.model"),
        provider="gen_ai.provider.name",
    ),
    # https://github.com/traceloop/openllmetry/tree/main/packages/opentelemetry-semantic-conventions-ai
    Convention(
        kind="traceloop.span.kind",
        kinds={"workflow": "WORKFLOW", "task": "TASK", "agent": "AGENT", "tool": "TOOL"},
        inputs=("traceloop.entity.input",),
        outputs=("traceloop.entity.output",),
        tokens={
            "input_tokens": ("gen_ai.usage.prompt_tokens",),
            "output_tokens": ("gen_ai.usage.completion_tokens",),
            "total_tokens": ("llm.usage.total_tokens",),
        },
        provider="gen_ai.system",
    ),
)
"""In the order in which they are asked."""

_FOREIGN = ("gen_ai.", "llm.", "openinference.", "traceloop.", "input.", "output.", "embedding.")


def interpreted(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Give the attributes of a span with what other conventions told in the words of this one.

    Examples
    --------
    >>> found = interpreted({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 3})
    >>> found["mlflow.spanType"], found["mlflow.chat.tokenUsage"]
    ('CHAT_MODEL', {'input_tokens': 3})
    """
    found = dict(attributes)
    if any(key.startswith(_FOREIGN) for key in attributes):
        if found.get(SPAN_TYPE) in (None, UNKNOWN_TYPE):
            _fill(found, SPAN_TYPE, _first(_kind_of(each, attributes) for each in CONVENTIONS))
        _fill_absent(found, INPUTS, (name for each in CONVENTIONS for name in each.inputs))
        _fill_absent(found, OUTPUTS, (name for each in CONVENTIONS for name in each.outputs))
        if USAGE not in found:
            _fill(found, USAGE, _first(_tokens_of(each, attributes) for each in CONVENTIONS))
        _fill_absent(found, MODEL, (name for each in CONVENTIONS for name in each.models))
        _fill_absent(found, PROVIDER, (each.provider for each in CONVENTIONS if each.provider))
    if MODEL not in found:
        _fill(found, MODEL, _first(_model_in(found.get(key)) for key in (INPUTS, OUTPUTS)))
    return found


def decoded(value: Any) -> Any:
    """Give what a text holds that is JSON of a list, a mapping or a text; any other value as it is.

    Libraries write structured attributes as JSON, since OpenTelemetry knew plain values only.

    Examples
    --------
    >>> decoded('{"a": 1}'), decoded("1"), decoded("plain")
    ({'a': 1}, '1', 'plain')
    """
    if not isinstance(value, str) or value[:1] not in ("{", "[", '"'):
        return value
    try:
        inner = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return inner if isinstance(inner, (str, dict, list)) else value


def text_of(value: Any) -> str | None:
    """Give a text attribute, and None for any other."""
    return value if isinstance(value, str) and value else None


def _fill(attributes: dict[str, Any], key: str, value: Any) -> None:
    if value is not None:
        attributes[key] = value


def _fill_absent(attributes: dict[str, Any], key: str, names: Any) -> None:
    if key not in attributes:
        _fill(attributes, key, _first(attributes.get(name) for name in names))


def _first(values: Any) -> Any:
    return next((value for value in values if value), None)


def _kind_of(convention: Convention, attributes: Mapping[str, Any]) -> str | None:
    kind = attributes.get(convention.kind)
    return convention.kinds.get(kind) if isinstance(kind, str) else None


def _tokens_of(convention: Convention, attributes: Mapping[str, Any]) -> dict[str, int]:
    found = {}
    for name, keys in convention.tokens.items():
        count = next((n for key in keys if (n := whole(attributes.get(key))) is not None), None)
        if count is not None:
            found[name] = count
    if "total_tokens" not in found and "input_tokens" in found and "output_tokens" in found:
        found["total_tokens"] = found["input_tokens"] + found["output_tokens"]
    return found


def whole(value: Any) -> int | None:
    """Give a count that was told as a number or as text; None for anything else, and what has no place in 64 bits."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value) if isinstance(value, str) else value
        count = int(number)
    except (ValueError, OverflowError):
        return None
    return count if count == number and -(1 << 63) <= count < 1 << 63 else None


def _model_in(value: Any) -> str | None:
    return text_of(value.get("model")) if isinstance(value, dict) else None
