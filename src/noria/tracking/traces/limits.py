"""Limits on what a trace may hold, with errors that name the value and the limit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from noria.core.errors import Invalid, TooLarge
from noria.tracking.limits import check_key, check_length, shorten
from noria.tracking.traces.assessment_entities import AssessmentChange, NewAssessment
from noria.tracking.traces.entities import NewTrace, Span, SpanBatch

MAX_ID_CHARS: Final = 100
MAX_NAME_CHARS: Final = 500
MAX_SESSION_CHARS: Final = 250
MAX_KEY_CHARS: Final = 250
MAX_VALUE_CHARS: Final = 8_000
MAX_PREVIEW_CHARS: Final = 10_000
MAX_TEXT_CHARS: Final = 100_000
MAX_ENTRIES: Final = 1_000
MAX_SPANS: Final = 10_000
MAX_LINKED: Final = 100
MAX_FOUND: Final = 1_000

_ID = re.compile(r"[\w\-.:=+]+", re.ASCII)
_UNKEPT = re.compile(r"[\x00\ud800-\udfff]")
_MAX_NS: Final = (1 << 63) - 1


def check_trace_id(trace_id: str) -> str:
    """Give `trace_id` back if it can be the id of a trace.

    Examples
    --------
    >>> check_trace_id("tr-0af7651916cd43dd8448eb211c80319c")
    'tr-0af7651916cd43dd8448eb211c80319c'
    """
    if len(trace_id) > MAX_ID_CHARS or not _ID.fullmatch(trace_id):
        raise Invalid(
            f"`{shorten(trace_id)}` cannot be the id of a trace",
            hint=f"Use up to {MAX_ID_CHARS} letters, digits and `_ - . : = +`",
        )
    return trace_id


def check_new_trace(new: NewTrace) -> None:
    """Refuse a trace of which anything passes a limit."""
    check_trace_id(new.id)
    check_length("session of a trace", new.session or "", MAX_SESSION_CHARS)
    check_length("client's request id", new.client_request_id or "", MAX_SESSION_CHARS)
    for text in (new.request, new.response):
        check_length("preview of a trace", text or "", MAX_PREVIEW_CHARS)
    for kind, entries in (("tags", new.tags), ("metadata", new.metadata)):
        _check_count(kind, len(entries), MAX_ENTRIES)
    _check_count("assessments", len(new.assessments), MAX_ENTRIES)
    for assessment in new.assessments:
        check_assessment(assessment)


def check_assessment(new: NewAssessment) -> None:
    """Refuse an assessment of which anything passes a limit."""
    check_length("assessment name", new.name, MAX_KEY_CHARS)
    if not new.name:
        raise Invalid("An assessment needs a name", hint="Say what was assessed: `correctness`")
    check_length("assessment id", new.id or "", MAX_ID_CHARS)
    check_length("source of the assessment", new.source_id or "", MAX_KEY_CHARS)
    check_length("rationale", new.rationale or "", MAX_TEXT_CHARS)
    check_length("span of the assessment", new.span_id or "", MAX_ID_CHARS)
    _check_count("metadata", len(new.metadata), MAX_ENTRIES)


def check_change(change: AssessmentChange) -> None:
    """Refuse a change of an assessment of which anything passes a limit."""
    check_length("assessment name", change.name or "", MAX_KEY_CHARS)
    check_length("rationale", change.rationale or "", MAX_TEXT_CHARS)
    _check_count("metadata", len(change.metadata), MAX_ENTRIES)


def check_spans(batch: SpanBatch) -> None:
    """Refuse spans that cannot be kept."""
    _check_count("spans", len(batch.spans), MAX_SPANS)
    for span in batch.spans:
        _check_span(span)


def check_tag(key: str, value: str | None) -> None:
    """Refuse a tag whose key cannot be one."""
    check_key("tag", key)
    check_length(f"value of the tag `{key}`", (value or "")[:MAX_VALUE_CHARS], MAX_VALUE_CHARS)


def kept_values(values: Mapping[str, str]) -> dict[str, str]:
    """Give tags or metadata as they are kept: long ones cut, since programs that trace do not expect a refusal."""
    return {
        cleaned(key)[:MAX_KEY_CHARS]: cleaned(value)[:MAX_VALUE_CHARS] for key, value in values.items() if key
    }


def cleaned(text: str) -> str:
    """Give the text with a mark in place of characters that no database can hold."""
    return _UNKEPT.sub("\ufffd", text)


def check_count(kind: str, entries: Iterable[Any], limit: int) -> None:
    """Refuse more than `limit` of something in one request."""
    _check_count(kind, sum(1 for _ in entries), limit)


def _check_span(span: Span) -> None:
    check_trace_id(span.trace_id)
    if not _ID.fullmatch(span.id) or len(span.id) > MAX_ID_CHARS:
        raise Invalid(
            f"`{shorten(span.id)}` cannot be the id of a span", hint="Use 16 digits out of 0-9 and a-f"
        )
    for what, at in (("start", span.started_ns), ("end", span.ended_ns)):
        if at is not None and not 0 <= at <= _MAX_NS:
            raise Invalid(
                f"The {what} of the span `{shorten(span.name)}`, {at}, is no moment",
                hint="Count nanoseconds since 1970",
            )


def _check_count(kind: str, count: int, limit: int) -> None:
    if count > limit:
        raise TooLarge(
            f"There are {count} {kind} in one request; at most {limit} are taken at once",
            hint="Send them in several requests",
        )
