"""What filters and orders of traces may name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from noria.tracking.search.grammar import (
    ATTRIBUTE,
    LIST_COMPARATORS,
    NULL_COMPARATORS,
    TEXT_COMPARATORS,
    Entity,
    Field,
    FilterInvalid,
    Grammar,
)

TAG: Final = "tag"
METADATA: Final = "request_metadata"
SPAN: Final = "span"
FEEDBACK: Final = "feedback"
EXPECTATION: Final = "expectation"
ISSUE: Final = "issue"

RLIKE: Final = "RLIKE"
ORDERING: Final = (">", ">=", "<", "<=")
SPAN_ATTRIBUTES: Final = "attributes."
"""Beginning of the keys of spans' attributes: `span.attributes.model`."""

_TEXTS = (*TEXT_COMPARATORS, RLIKE)
_LISTS = (*_TEXTS, *LIST_COMPARATORS)
_VALUES = (*_TEXTS, *NULL_COMPARATORS)
_CONTENT = ("LIKE", "ILIKE")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanEntity(Entity):
    """Spans: some keys of their own, and whatever their attributes are called."""

    def field(self, key: str, *, for_order: bool = False) -> Field:
        """Find what a key stands for."""
        if for_order:
            raise FilterInvalid("Invalid order_by entity type 'span'")
        if key in ("name", "type", "status"):
            return Field(key=key, comparators=_LISTS, lists=True)
        if key == "content":
            return Field(key=key, comparators=_CONTENT)
        if key.startswith(SPAN_ATTRIBUTES):
            name = key[len(SPAN_ATTRIBUTES) :].strip("`\"'")
            if not name:
                raise FilterInvalid("Span attribute name cannot be empty after 'attributes.'")
            return Field(key=f"{SPAN_ATTRIBUTES}{name}", comparators=_LISTS, lists=True)
        raise FilterInvalid(
            f"Invalid span attribute '{key}'. Supported attributes: name, status, type, attributes.<attribute_name>.",
        )


def _judged(name: str) -> Entity:
    return Entity(
        name=name,
        comparators=(*_VALUES, *ORDERING),
        number_comparators=ORDERING,
        orderable=False,
    )


TRACES: Final = Grammar(
    entities=(
        Entity(
            name=ATTRIBUTE,
            also=("attributes", "trace"),
            fields=(
                Field(key="request_id", comparators=_LISTS, lists=True),
                Field(key="timestamp_ms", also=("timestamp",), numeric=True),
                Field(key="execution_time_ms", also=("execution_time",), numeric=True),
                Field(key="end_time_ms", also=("end_time",), numeric=True),
                Field(key="status", comparators=_LISTS, lists=True),
                Field(
                    key="client_request_id",
                    comparators=(*_LISTS, *NULL_COMPARATORS),
                    lists=True,
                    orderable=False,
                ),
                # Of a tag and of a metadatum, which MLflow's grammar has no lists for.
                Field(key="name", comparators=_VALUES),
                Field(key="run_id", comparators=_VALUES),
                Field(key="experiment_id", searchable=False),
                Field(key="prompt", comparators=("=",), orderable=False),
                Field(key="text", comparators=_CONTENT, orderable=False),
            ),
        ),
        Entity(name=TAG, also=("tags",), comparators=_VALUES),
        Entity(name=METADATA, also=("metadata",), comparators=_VALUES),
        SpanEntity(name=SPAN, orderable=False),
        _judged(FEEDBACK),
        _judged(EXPECTATION),
        Entity(name=ISSUE, fields=(Field(key="id", comparators=("=",), orderable=False),), orderable=False),
    )
)
"""Times are in milliseconds since 1970."""
